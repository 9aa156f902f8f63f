import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type Dependencies, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import { add, addAll, addOne, complete, fail, rerun, running, settled, take } from "./fixtures.ts"

type Request = Omit<Dependencies.LinksRequest, "from">

/** All pages of what tasks are connected with, as texts of both ids. */
const links = Effect.fnUntraced(function*(request: Request) {
  const store = yield* TaskStore
  const found: Array<string> = []
  let from: Dependencies.LinkPlace | undefined
  let pages = 0
  do {
    const page: Dependencies.Links = yield* store.links({ ...request, from })
    assert.isAtMost(page.links.length, request.limit)
    found.push(...page.links.map(({ id, of }) => `${request.ids[of]} ${id}`))
    from = page.next
    assert.isBelow(++pages, 1000, "there is always another page")
  } while (from !== undefined)
  return found
})

const dependents = (...ids: ReadonlyArray<string>) => links({ ids, towards: "dependents", limit: 2 })
const dependencies = (...ids: ReadonlyArray<string>) => links({ ids, towards: "dependencies", limit: 2 })

export const branches = (driver: Driver) => {
  if (driver.without?.includes("dependencies") === true) return

  describe("the links of tasks", () => {
    scenario(driver, "are told in pages, in the order of the ids, and each once", () =>
      Effect.gen(function*() {
        yield* add({ id: "a" }, { id: "b" }, { id: "c" })
        yield* add(
          { id: "abc", after: ["c", "a", "b"] },
          { id: "a1", after: ["a"] },
          { id: "a2", after: ["a"] },
          { id: "b1", after: ["b"] }
        )
        const found = yield* dependents("b", "none", "a", "a1", "c")
        assert.deepStrictEqual(found.map((text) => text.split(" ")[0]), ["b", "b", "a", "a", "a", "c"])
        assert.sameMembers(found, ["b abc", "b b1", "a abc", "a a1", "a a2", "c abc"])
        assert.deepStrictEqual(
          yield* dependencies("a", "b1", "abc", "none", "a2"),
          ["b1 b", "abc c", "abc a", "abc b", "a2 a"]
        )
        assert.deepStrictEqual(yield* dependents(), [])
        assert.deepStrictEqual(yield* dependents("none"), [])
      }))

    scenario(driver, "have the types of the tasks, and no page after the last", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ id: "a" }, { id: "b", type: "other", after: ["a"] }, { id: "c", after: ["a"] })
        const all = yield* store.links({ ids: ["a"], towards: "dependents", limit: 2 })
        assert.isUndefined(all.next)
        assert.sameDeepMembers([...all.links], [{ of: 0, id: "b", type: "other" }, { of: 0, id: "c", type: "work" }])
        const up = yield* store.links({ ids: ["b"], towards: "dependencies", limit: 2 })
        assert.deepStrictEqual(up, { links: [{ of: 0, id: "a", type: "work" }], next: undefined })
      }))

    scenario(driver, "are all told where there are more than one page may have", () =>
      Effect.gen(function*() {
        const first = yield* addOne()
        const many = yield* addAll(Array.from({ length: 2100 }, () => ({ after: [first] })))
        const last = yield* addOne({ after: many })
        const down = yield* links({ ids: [first], towards: "dependents", limit: 1000 })
        assert.deepStrictEqual(down.toSorted(), many.map((id) => `${first} ${id}`).toSorted())
        assert.deepStrictEqual(
          yield* links({ ids: [last], towards: "dependencies", limit: 1000 }),
          many.map((id) => `${last} ${id}`)
        )
      }), { capacity: 10_000 })

    scenario(driver, "stay what they were when tasks end, are run again, or are removed", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const first = yield* running({ id: "first" })
        yield* add({ id: "other" }, { id: "both", after: ["first", "other"] }, { id: "one", after: ["first"] })
        yield* settled(fail(first))
        const all = ["first both", "first one", "other both"]
        assert.sameMembers(yield* dependents("first", "other"), all)
        yield* rerun("first")
        yield* rerun("both")
        yield* rerun("one")
        assert.sameMembers(yield* dependents("first", "other"), all)
        for (const attempt of yield* take()) yield* settled(complete(attempt))
        for (const attempt of yield* take()) yield* settled(complete(attempt))
        assert.sameMembers(yield* dependents("first", "other"), all)
        assert.deepStrictEqual(yield* dependencies("both", "one"), ["both first", "both other", "one first"])
        yield* store.remove(["both"])
        assert.deepStrictEqual(yield* dependents("first", "other"), ["first one"])
        yield* store.remove(["first"])
        assert.deepStrictEqual(yield* dependencies("one"), [])
      }))
  })
}

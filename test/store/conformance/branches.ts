import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type Dependencies, type ReopenOptions, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addOne,
  complete,
  counts,
  fail,
  hour,
  record,
  rerun,
  running,
  setLimit,
  settled,
  stateOf,
  take,
  takeIds,
  takeOne,
  through
} from "./fixtures.ts"

type Request = Omit<Dependencies.LinksRequest, "from">

const reopen = Effect.fnUntraced(function*(ids: ReadonlyArray<string>, options: Partial<ReopenOptions> = {}) {
  const store = yield* TaskStore
  return yield* store.reopen(ids, { completed: false, ...options })
})

/** Runs one again, which has to do it. */
const reopened = (id: string, options: Partial<ReopenOptions> = {}) =>
  Effect.map(reopen([id], options), (answers) => assert.deepStrictEqual(answers, [{ _tag: "rerun" }]))

/** Completes the only task that there is to claim. */
const completeNext = Effect.fnUntraced(function*(id: string) {
  const claimed = yield* take()
  assert.deepStrictEqual(claimed.map(({ id }) => id), [id])
  yield* settled(complete(claimed[0]!))
})

const failNext = Effect.fnUntraced(function*(id: string) {
  const claimed = yield* take()
  assert.deepStrictEqual(claimed.map(({ id }) => id), [id])
  yield* settled(fail(claimed[0]!))
})

const statesOf = (...ids: ReadonlyArray<string>) => Effect.forEach(ids, stateOf)

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

  describe("a task that runs again as a member of a graph", () => {
    scenario(driver, "waits for those before it that run again, and runs after them", () =>
      Effect.gen(function*() {
        yield* add({ id: "a" }, { id: "b", after: ["a"] }, { id: "c", after: ["b", "a"], onFailure: "cancel" })
        yield* failNext("a")
        assert.deepStrictEqual(yield* statesOf("a", "b", "c"), ["failed", "failed", "cancelled"])
        yield* reopened("a")
        yield* reopened("b")
        yield* reopened("c")
        assert.deepInclude(yield* record("c"), { state: "scheduled", waitsFor: 2, failure: null, completedAt: null })
        yield* completeNext("a")
        yield* completeNext("b")
        yield* completeNext("c")
        assert.deepStrictEqual(yield* statesOf("a", "b", "c"), ["completed", "completed", "completed"])
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(
      driver,
      "stays as it is while one before it has ended without being completed",
      () =>
        Effect.gen(function*() {
          yield* add({ id: "a" }, { id: "b", after: ["a"] }, { id: "c", after: ["b"] }, { id: "d", after: ["a"] })
          yield* failNext("a")
          const before = yield* record("b")
          assert.deepStrictEqual(yield* reopen(["b"]), [{ _tag: "blocked", by: "a" }])
          assert.deepStrictEqual(yield* reopen(["c"]), [{ _tag: "blocked", by: "b" }])
          assert.deepStrictEqual(yield* record("b"), before)
          yield* reopened("a")
          yield* reopened("b")
          // it fails before the rest is run again, which then is not
          yield* failNext("a")
          assert.deepStrictEqual(yield* statesOf("a", "b", "c", "d"), ["failed", "failed", "failed", "failed"])
          assert.deepStrictEqual(yield* reopen(["d"]), [{ _tag: "blocked", by: "a" }])
          assert.deepStrictEqual(yield* takeIds(), [])
        })
    )

    scenario(driver, "is blocked by the first of those that it names", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ id: "a" }, { id: "b" }, { id: "c" }, { id: "d", after: ["c", "b", "a"] })
        yield* store.cancel(["a", "b", "c"])
        assert.deepStrictEqual(yield* reopen(["d"]), [{ _tag: "blocked", by: "c" }])
        yield* reopened("c")
        assert.deepStrictEqual(yield* reopen(["d"]), [{ _tag: "blocked", by: "b" }])
      }))

    scenario(
      driver,
      "runs whatever has become of those before it, if it is to run all the same",
      () =>
        Effect.gen(function*() {
          yield* add({ id: "a" }, { id: "b" }, { id: "c", after: ["a", "b"], onFailure: "run" })
          yield* TaskStore.use((store) => store.cancel(["c"]))
          yield* TaskStore.use((store) => store.cancel(["a", "b"]))
          yield* reopened("b")
          yield* reopened("c")
          assert.deepInclude(yield* record("c"), { state: "scheduled", waitsFor: 1 })
          yield* failNext("b")
          yield* completeNext("c")
        })
    )

    scenario(driver, "runs after those that were completed in the meantime", () =>
      Effect.gen(function*() {
        yield* add({ id: "a" }, { id: "b", after: ["a"] })
        yield* failNext("a")
        yield* reopened("a")
        yield* completeNext("a")
        yield* reopened("b")
        assert.deepInclude(yield* record("b"), { state: "pending", waitsFor: 0 })
        yield* completeNext("b")
      }))

    scenario(driver, "is left as it is where it runs, was completed, or is not stored", () =>
      Effect.gen(function*() {
        yield* add({ id: "done" }, { id: "after", after: ["done"] })
        yield* completeNext("done")
        const [attempt] = yield* take()
        const before = yield* record("done")
        assert.deepStrictEqual(
          yield* reopen(["done", "after", "none"]),
          [{ _tag: "completed" }, { _tag: "running" }, { _tag: "unknown" }]
        )
        assert.deepStrictEqual(yield* record("done"), before)
        yield* settled(complete(attempt!))
      }))

    scenario(
      driver,
      "runs again though it was completed, if it is asked for, without its result",
      () =>
        Effect.gen(function*() {
          yield* add({ id: "a" }, { id: "b", after: ["a"] })
          yield* completeNext("a")
          yield* completeNext("b")
          const { totals } = yield* counts
          yield* reopened("a", { completed: true })
          yield* reopened("b", { completed: true })
          assert.deepInclude(yield* record("a"), { state: "pending", result: null, completedAt: null, claims: 1 })
          assert.deepInclude(yield* record("b"), { state: "scheduled", waitsFor: 1, result: null })
          assert.deepStrictEqual((yield* record("a")).history.map(({ outcome }) => outcome), ["completed"])
          assert.deepInclude(yield* counts, { pending: 1, scheduled: 1, completed: 0 })
          const store = yield* TaskStore
          assert.deepStrictEqual(yield* store.results(["a", "b"]), [undefined, undefined])
          yield* completeNext("a")
          yield* completeNext("b")
          assert.deepInclude(yield* counts, { pending: 0, scheduled: 0, completed: 2 })
          assert.strictEqual((yield* counts).totals.completed, totals.completed + 2)
          assert.lengthOf(yield* store.results(["a", "b"]), 2)
          assert.strictEqual((yield* record("a")).result, "null")
        })
    )

    scenario(driver, "waits also for what runs again since, if it has not started", () =>
      Effect.gen(function*() {
        yield* add({ id: "a" }, { id: "other" })
        yield* add({ id: "b", after: ["a"] }, { id: "c", after: ["a", "other"] }, {
          id: "d",
          after: ["a"],
          delayMs: hour
        })
        const [a, other] = yield* take()
        yield* settled(complete(a!))
        assert.deepStrictEqual(yield* statesOf("b", "c", "d"), ["pending", "scheduled", "scheduled"])
        yield* reopened("a", { completed: true })
        assert.deepStrictEqual(
          yield* reopen(["b", "c", "d"]),
          [{ _tag: "waiting" }, { _tag: "waiting" }, { _tag: "waiting" }]
        )
        assert.deepStrictEqual(yield* reopen(["b"]), [{ _tag: "waiting" }])
        assert.deepInclude(yield* record("b"), { state: "scheduled", waitsFor: 1 })
        assert.deepInclude(yield* record("c"), { state: "scheduled", waitsFor: 2 })
        assert.deepInclude(yield* record("d"), { state: "scheduled", waitsFor: 1 })
        assert.deepInclude(yield* counts, { pending: 1, scheduled: 3, running: 1 })
        yield* driver.advance("2 hours")
        yield* completeNext("a")
        assert.deepStrictEqual((yield* statesOf("b", "c", "d")).slice(0, 2), ["pending", "scheduled"])
        yield* settled(complete(other!))
        const rest = yield* take()
        assert.sameMembers(rest.map(({ id }) => id), ["b", "c", "d"])
        for (const attempt of rest) yield* settled(complete(attempt))
        assert.deepInclude(yield* counts, { pending: 0, scheduled: 0, running: 0, completed: 5 })
      }))

    scenario(driver, "waits for its limit and its queue as before", () =>
      Effect.gen(function*() {
        yield* setLimit("#tenant", { max: 1 })
        const gated = through("#tenant=a")
        yield* add({ id: "a", ...gated })
        yield* add({ id: "b", after: ["a"], ...gated }, { id: "c", after: ["a"], ...gated })
        yield* completeNext("a")
        yield* reopened("a", { completed: true })
        assert.deepStrictEqual(yield* reopen(["b", "c"]), [{ _tag: "waiting" }, { _tag: "waiting" }])
        yield* completeNext("a")
        const [first, second] = yield* take()
        assert.isUndefined(second)
        yield* settled(complete(first!))
        yield* settled(complete(yield* takeOne()))
        assert.deepStrictEqual(yield* statesOf("a", "b", "c"), ["completed", "completed", "completed"])
      }))

    scenario(driver, "is left where it has ended later than asked for", () =>
      Effect.gen(function*() {
        yield* add({ id: "a" })
        yield* failNext("a")
        const { completedAt } = yield* record("a")
        assert.deepStrictEqual(yield* reopen(["a"], { endedBy: completedAt! - 1 }), [{ _tag: "recent" }])
        yield* reopened("a", { endedBy: completedAt! })
      }))

    scenario(driver, "is one of very many that wait for one", () =>
      Effect.gen(function*() {
        yield* addOne({ id: "top" })
        const many = yield* addAll(Array.from({ length: 1500 }, () => ({ after: ["top"] })))
        yield* failNext("top")
        const store = yield* TaskStore
        while (yield* store.tell);
        assert.deepInclude(yield* counts, { failed: 1501 })
        yield* reopened("top")
        for (let start = 0; start < many.length; start += 1000) {
          const answers = yield* reopen(many.slice(start, start + 1000))
          assert.isTrue(answers.every(({ _tag }) => _tag === "rerun"))
        }
        assert.deepInclude(yield* counts, { pending: 1, scheduled: 1500, failed: 0 })
        yield* completeNext("top")
        while (yield* store.tell);
        assert.deepInclude(yield* counts, { pending: 1500, scheduled: 0 })
      }), { capacity: 10_000 })
  })
}

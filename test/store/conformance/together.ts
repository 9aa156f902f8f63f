import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  cancel,
  counts,
  idsOf,
  release,
  rerun,
  settled,
  stateOf,
  take,
  takeIds,
  takeOne,
  tasks
} from "./fixtures.ts"

/** Tasks that are stored together and alike: a driver may keep them as one, and nobody may notice. */
export const together = (driver: Driver) =>
  describe("tasks stored together", () => {
    const some = (count: number) => add(...tasks(count))

    /** All pending tasks, newest first, by pages. */
    const pending = (limit: number) =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const ids: Array<string> = []
        let before: number | undefined
        for (;;) {
          const { next, tasks } = yield* store.list({ states: ["pending"], limit, before })
          ids.push(...idsOf(tasks))
          if (next === undefined) return ids
          before = next
        }
      })

    const without = (ids: ReadonlyArray<string>, ...places: ReadonlyArray<number>) =>
      ids.filter((_, place) => !places.includes(place))

    for (const limit of [1, 7, 100, 128, 1000]) {
      scenario(driver, `are claimed in their order, ${limit} at a time`, () =>
        Effect.gen(function*() {
          const ids = yield* some(250)
          const claimed: Array<string> = []
          while (claimed.length < ids.length) claimed.push(...yield* takeIds({ limit }))
          assert.deepStrictEqual(claimed, ids)
          assert.deepStrictEqual(yield* takeIds(), [])
        }))
    }

    scenario(driver, "take turns with others of their priority by number", () =>
      Effect.gen(function*() {
        const a = yield* add(...tasks(120, { type: "a" }))
        const b = yield* add(...tasks(120, { type: "b" }))
        const urgent = yield* add(...tasks(30, { type: "b", priority: 2 }))
        const late = yield* add(...tasks(30, { type: "a" }))
        const taken: Array<string> = []
        for (let count = 0; count < 10; count++) taken.push(...yield* takeIds({ types: ["a", "b"], limit: 31 }))
        assert.deepStrictEqual(taken, [...urgent, ...a, ...b, ...late])
      }))

    for (const size of [1, 30, 100, 1000]) {
      scenario(driver, `are listed newest first in pages of ${size}, between others`, () =>
        Effect.gen(function*() {
          const one = yield* some(1)
          const many = yield* some(230)
          const two = yield* some(2)
          const all = [...one, ...many, ...two]
          assert.deepStrictEqual(yield* pending(size), all.toReversed())
          const claimed = yield* takeIds({ limit: 40 })
          assert.deepStrictEqual(claimed, all.slice(0, 40))
          assert.deepStrictEqual(yield* pending(size), all.slice(40).toReversed())
        }))
    }

    scenario(driver, "are cancelled one by one, wherever they stand", () =>
      Effect.gen(function*() {
        const ids = yield* some(250)
        const gone = [0, 1, 50, 98, 99, 100, 101, 199, 249]
        for (const place of gone) assert.strictEqual(yield* cancel(ids[place]!), "cancelled")
        assert.deepStrictEqual(yield* pending(40), without(ids, ...gone).toReversed())
        assert.deepStrictEqual(yield* takeIds({ limit: 60 }), without(ids, ...gone).slice(0, 60))
        assert.strictEqual(yield* cancel(ids[70]!), "cancelled")
        assert.deepStrictEqual(yield* takeIds(), without(ids, ...gone, 70).slice(60))
        assert.strictEqual((yield* counts).pending, 0)
      }))

    scenario(driver, "are cancelled all", () =>
      Effect.gen(function*() {
        const ids = yield* some(120)
        const store = yield* TaskStore
        const half = ids.filter((_, place) => place % 2 === 0)
        assert.deepStrictEqual(new Set(yield* store.cancel(half)), new Set(["cancelled"]))
        assert.deepStrictEqual(yield* pending(1000), ids.filter((_, place) => place % 2 === 1).toReversed())
        assert.deepStrictEqual(
          yield* store.cancel(ids),
          ids.map((_, place) => place % 2 === 0 ? "finished" : "cancelled")
        )
        assert.deepStrictEqual(yield* pending(1000), [])
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(driver, "return to their old place when they are released, and behind when they are retried", () =>
      Effect.gen(function*() {
        const ids = yield* some(150)
        const first = yield* take({ limit: 3 })
        const second = yield* takeOne()
        yield* settled(release(first[1]!))
        yield* settled(release(second))
        assert.strictEqual(yield* cancel(ids[10]!), "cancelled")
        yield* driver.advance("1 second")
        assert.deepStrictEqual(yield* rerun(ids[10]!), { _tag: "rerun" })
        assert.strictEqual(yield* stateOf(ids[10]!), "pending")
        assert.deepStrictEqual(yield* pending(20), without(ids, 0, 2).toReversed())
        assert.deepStrictEqual(
          yield* takeIds({ limit: 5 }),
          [1, 3, 4, 5, 6].map((place) =>
            ids[place]!
          )
        )
        assert.deepStrictEqual(yield* takeIds(), [...without(ids, 10).slice(7), ids[10]!])
      }))

    scenario(driver, "stay where they are when some of a group are known", () =>
      Effect.gen(function*() {
        const group = tasks(20)
        const store = yield* TaskStore
        yield* store.enqueue([group.slice(5, 8)])
        const [answer] = yield* store.enqueue([group])
        assert.deepStrictEqual(
          answer?._tag === "Accepted" && answer.tasks.map(({ duplicate }) =>
            duplicate
          ),
          group.map((_, place) => place >= 5 && place < 8)
        )
        const ids = idsOf(group)
        const order = [...ids.slice(5, 8), ...without(ids, 5, 6, 7)]
        assert.deepStrictEqual(yield* pending(3), order.toReversed())
        assert.deepStrictEqual(yield* takeIds(), order)
      }))
  })

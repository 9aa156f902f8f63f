import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type Driver, scenario } from "./driver.ts"
import { add, addAll, addOne, complete, setLimit, settled, take, takeIds, tasks, through } from "./fixtures.ts"

export const fairness = (driver: Driver) =>
  describe("fairness", () => {
    scenario(driver, "lets keys take turns, however many tasks one of them has", () =>
      Effect.gen(function*() {
        yield* setLimit("fair", { fair: 1 })
        const flood = yield* addAll(tasks(400, through("fair=flood")))
        yield* driver.advance("1 second")
        assert.deepStrictEqual(yield* takeIds({ limit: 2 }), flood.slice(0, 2))
        yield* driver.advance("1 second")
        const small = yield* addAll(tasks(3, through("fair=small")))
        yield* driver.advance("1 second")
        const turns = (yield* take({ limit: 6 })).map(({ gate }) => gate)
        assert.strictEqual(turns.filter((gate) => gate === `["fair=small"]`).length, 3)
        assert.deepStrictEqual(yield* takeIds({ limit: 2 }), flood.slice(5, 7))
        assert.strictEqual(small.length, 3)
      }))

    scenario(driver, "lets the first task of a key start before the second of any other", () =>
      Effect.gen(function*() {
        yield* setLimit("fair", { fair: 1 })
        for (let key = 0; key < 5; key++) yield* addAll(tasks(20, through(`fair=${key}`)))
        for (let round = 0; round < 3; round++) {
          const gates = (yield* take({ limit: 5 })).map(({ gate }) => gate)
          assert.strictEqual(new Set(gates).size, 5)
          yield* driver.advance("10 millis")
        }
      }))

    scenario(driver, "gives a key as many tasks in a turn as its weight says", () =>
      Effect.gen(function*() {
        yield* setLimit("fair", { fair: 1 })
        yield* setLimit("fair=gold", { fair: 3 })
        yield* addAll(tasks(60, through("fair=gold")))
        yield* addAll(tasks(60, through("fair=plain")))
        let gold = 0
        for (let times = 0; times < 40; times++) {
          const [one] = yield* take({ limit: 1 })
          if (one!.gate === `["fair=gold"]`) gold++
          yield* settled(complete(one!))
          yield* driver.advance("10 millis")
        }
        assert.isAtLeast(gold, 29)
        assert.isAtMost(gold, 31)
      }))

    for (const [how, queues] of [["", undefined], [", where queues are named", ["a", "b"]]] as const) {
      scenario(driver, `brings a key forward again with a task of a higher priority${how}`, () =>
        Effect.gen(function*() {
          yield* setLimit("fair", { fair: 1 })
          const ofKey = (key: string, priority: number) => ({ queue: key, priority, ...through(`fair=${key}`) })
          const [low, rest, ...high] = yield* add(
            ofKey("a", 0),
            ofKey("a", 0),
            { ...ofKey("a", 5), delayMs: 1000 },
            { ...ofKey("a", 5), delayMs: 1000 }
          )
          const request = { limit: 1, queues }
          assert.deepStrictEqual(yield* takeIds(request), [low])
          yield* driver.advance("1 second")
          assert.deepStrictEqual(yield* takeIds(request), [high[0]])
          const other = yield* addOne({ type: "other", ...ofKey("b", 1) })
          const both = { ...request, types: ["work", "other"] }
          assert.deepStrictEqual(yield* takeIds(both), [high[1]])
          assert.deepStrictEqual(yield* takeIds({ ...both, limit: 2 }), [other, rest])
        }))
    }

    scenario(driver, "changes nothing for tasks without the pass, and for priorities", () =>
      Effect.gen(function*() {
        yield* setLimit("fair", { fair: 1 })
        const [a] = yield* add(through("fair=a"))
        const plain = yield* addOne()
        const urgent = yield* addOne({ priority: 5, ...through("fair=a") })
        yield* driver.advance("1 second")
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [urgent])
        assert.deepStrictEqual(yield* takeIds(), [a, plain])
      }))
  })

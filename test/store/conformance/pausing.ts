import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { PausedQueues } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  again,
  complete,
  extend,
  pause,
  rescue,
  running,
  second,
  settled,
  stateOf,
  takeIds
} from "./fixtures.ts"

export const pausing = (driver: Driver) =>
  describe("pause", () => {
    scenario(driver, "stops claims from a queue, and from no other", () =>
      Effect.gen(function*() {
        const [a, b, c] = yield* add({ queue: "a" }, { queue: "b" }, { queue: "aa" })
        yield* pause("a", true)
        assert.deepStrictEqual(yield* takeIds({ queues: ["a", "b", "aa"] }), [b, c])
        assert.deepStrictEqual(yield* takeIds({ queues: ["a"] }), [])
        assert.strictEqual(yield* stateOf(a!), "pending")
      }))

    scenario(driver, "is lifted by a resume", () =>
      Effect.gen(function*() {
        const id = yield* addOne()
        yield* pause("default", true)
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* pause("default", false)
        assert.deepStrictEqual(yield* takeIds(), [id])
      }))

    scenario(driver, "lists the paused queues, each once", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* PausedQueues.names, [])
        yield* pause("b", true)
        yield* pause("a", true)
        yield* pause("b", true)
        yield* pause("never", false)
        assert.sameMembers([...yield* PausedQueues.names], ["a", "b"])
        yield* pause("b", false)
        assert.deepStrictEqual(yield* PausedQueues.names, ["a"])
      }))

    scenario(driver, "accepts new tasks, and goes on promoting those that become due", () =>
      Effect.gen(function*() {
        yield* pause("default", true)
        const [now, later] = yield* add({}, { delayMs: second })
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* pause("default", false)
        assert.deepStrictEqual(yield* takeIds(), [now, later])
      }))

    scenario(driver, "lets running tasks go on: heartbeat, settle, retry", () =>
      Effect.gen(function*() {
        const [a, b] = [yield* running(), yield* running()]
        yield* pause("default", true)
        assert.strictEqual(yield* extend(a), "held")
        yield* settled(complete(a))
        yield* settled(again(b))
        assert.strictEqual(yield* stateOf(b.id), "pending")
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(driver, "lets expired leases be rescued", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: second })
        yield* pause("default", true)
        yield* driver.advance("10 seconds")
        assert.strictEqual((yield* rescue()).length, 1)
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* pause("default", false)
        assert.deepStrictEqual(yield* takeIds(), [claimed.id])
      }))
  })

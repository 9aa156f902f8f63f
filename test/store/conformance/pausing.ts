import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { PausedQueues, RecordStore } from "taskforge/store"
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

    scenario(driver, "ends when its time has come, and is prolonged by another one", () =>
      Effect.gen(function*() {
        const ids = yield* add({ queue: "short" }, { queue: "long" }, { queue: "endless" })
        yield* PausedQueues.pause("short", { by: "ada", reason: "because", forMs: 10 * second })
        yield* PausedQueues.pause("long", { forMs: 10 * second })
        yield* PausedQueues.pause("endless")
        const all = yield* PausedQueues.paused
        const short = all.find(({ queue }) => queue === "short")!
        assert.deepInclude(short, { by: "ada", reason: "because", until: short.since + 10 * second })
        assert.deepStrictEqual(yield* PausedQueues.pauseOf("short"), short)
        assert.isNull(yield* PausedQueues.pauseOf("other"))
        assert.deepStrictEqual((yield* PausedQueues.resumeDue).resumed, [])
        yield* driver.advance("5 seconds")
        yield* PausedQueues.pause("long", { forMs: 60 * second })
        yield* driver.advance("6 seconds")
        const { nextInMs, resumed } = yield* PausedQueues.resumeDue
        assert.deepStrictEqual(resumed, ["short"])
        assert.isAbove(nextInMs, 40 * second)
        assert.deepStrictEqual(yield* takeIds({ queues: ["short", "long", "endless"] }), [ids[0]])
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* PausedQueues.resumeDue, { resumed: ["long"], nextInMs: Infinity })
        assert.deepStrictEqual(yield* PausedQueues.names, ["endless"])
        assert.deepStrictEqual(yield* takeIds({ queues: ["long", "endless"] }), [ids[1]])
      }))

    scenario(
      driver,
      "ends in all queues whose time has come, but in those that were resumed or prolonged in between",
      () =>
        Effect.gen(function*() {
          const names = Array.from({ length: 120 }, (_, index) => `q${index}`)
          yield* Effect.forEach(names, (name) => PausedQueues.pause(name, { forMs: second }))
          yield* driver.advance("1 minute")
          const records = yield* RecordStore
          const between = Effect.andThen(PausedQueues.pause("q7", { forMs: 60 * second }), PausedQueues.resume("q8"))
            .pipe(
              Effect.provideService(RecordStore, records),
              Effect.orDie
            )
          const { nextInMs, resumed } = yield* Effect.provideService(PausedQueues.resumeDue, RecordStore, {
            ...records,
            due: (kind, limit) => Effect.tap(records.due(kind, limit), between)
          })
          assert.strictEqual(nextInMs, 0)
          const others = (yield* PausedQueues.resumeDue).resumed
          assert.sameMembers([...resumed, ...others], names.filter((name) => name !== "q7" && name !== "q8"))
          assert.deepStrictEqual(yield* PausedQueues.names, ["q7"])
        })
    )

    scenario(driver, "is not made to end in the past, which would resume the queue", () =>
      Effect.gen(function*() {
        yield* PausedQueues.pause("default", { reason: "because" })
        const { since } = (yield* PausedQueues.pauseOf("default"))!
        for (const until of [since, since - 60_000]) {
          const refused = yield* Effect.flip(PausedQueues.pause("default", { until }))
          assert.propertyVal(refused, "option", "until")
        }
        assert.deepInclude(yield* PausedQueues.pauseOf("default"), { reason: "because", since, until: null })
        yield* PausedQueues.pause("default", { until: since + 60_000 })
        assert.deepInclude(yield* PausedQueues.pauseOf("default"), { until: since + 60_000 })
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

import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option, Schedule, type Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Handlers from "../../src/handlers/index.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { isRefused, post, withHandlers } from "./TestHandlers.ts"

const withEngine = withHandlers()
const withThreads = withHandlers({ threads: true })

/** The result of a task of the type as JSON, once the clock has moved on. */
const resultOf = Effect.fnUntraced(function*(type: string, payload: Schema.Json, after: Duration.Input = 0) {
  const queue = yield* TaskQueue
  const outcome = yield* Effect.forkChild(queue.outcome(yield* post(type, payload)))
  yield* TestClock.adjust(after)
  return Option.getOrThrow((yield* Fiber.join(outcome)).result)
})

describe("echo", () => {
  it.effect("gives back any JSON", () =>
    withEngine(Effect.gen(function*() {
      for (const payload of [null, true, 1.5, "text", [], [1, [2]], {}, { a: { b: null } }]) {
        assert.deepStrictEqual(yield* resultOf("echo", payload), payload)
      }
    })))
})

describe("sleep", () => {
  it.effect("takes as long as it is told", () =>
    withEngine(Effect.gen(function*() {
      const handle = yield* Handlers.Sleep.enqueue({ duration: Duration.minutes(2) })
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual((yield* handle.task).state, "running")
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* handle.task).state, "completed")
      assert.deepStrictEqual(yield* handle.result, { slept: Duration.minutes(2) })
    })))

  it.effect("reads durations as people write them, and sleeps a second unless told", () =>
    withEngine(Effect.gen(function*() {
      assert.deepStrictEqual(yield* resultOf("sleep", { duration: "2s" }, "2 seconds"), { slept: "2s" })
      assert.deepStrictEqual(yield* resultOf("sleep", { duration: "1 minute" }, "1 minute"), { slept: "1m" })
      assert.deepStrictEqual(yield* resultOf("sleep", {}, "1 second"), { slept: "1s" })
    })))

  it.effect("refuses what is no duration, or too long", () =>
    withEngine(Effect.gen(function*() {
      for (const duration of ["2h", "Infinity", "-1 seconds", "5", "soon", 5, null]) {
        yield* isRefused("sleep", { duration })
      }
    })))

  it.effect("ends at once when it is cancelled", () =>
    withEngine(Effect.gen(function*() {
      const handle = yield* Handlers.Sleep.enqueue({ duration: Duration.hours(1) })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* handle.cancel, "requested")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* handle.task).state, "cancelled")
    })))
})

describe("compute", () => {
  it.effect("counts primes", () =>
    withEngine(Effect.gen(function*() {
      for (const [n, primes] of [[0, 0], [2, 0], [3, 1], [100, 25], [1000, 168], [100_000, 9592]] as const) {
        const handle = yield* Handlers.Compute.enqueue({ n })
        assert.strictEqual((yield* handle.result).primes, primes)
      }
      assert.deepInclude(yield* resultOf("compute", {}), { primes: 9592 })
    })))

  it.effect("refuses what is no count, or too much", () =>
    withEngine(Effect.gen(function*() {
      for (const n of [-1, 1.5, 1e9, "10", null]) yield* isRefused("compute", { n })
    })))

  it.live("lets other tasks go on, can be stopped, and says how long it took", () =>
    withThreads(Effect.gen(function*() {
      const computing = yield* Handlers.Compute.enqueue({ n: 20_000_000 })
      yield* Effect.repeat(computing.task, {
        until: ({ progress }) => progress !== null,
        schedule: Schedule.spaced("20 millis")
      })
      const echo = yield* Handlers.Echo.enqueue("between")
      assert.strictEqual(yield* echo.result, "between")
      assert.strictEqual((yield* computing.task).state, "running")
      assert.strictEqual(yield* computing.cancel, "requested")
      assert.strictEqual((yield* Effect.flip(computing.result))._tag, "TaskCancelled")
      const { took } = yield* Effect.flatMap(Handlers.Compute.enqueue({ n: 500_000 }), (handle) => handle.result)
      assert.isAbove(Duration.toMillis(took), 0)
    })))
})

describe("primes", () => {
  it.effect("counts them and knows the largest", () =>
    withEngine(Effect.gen(function*() {
      const cases = [
        [0, 0, null],
        [2, 0, null],
        [3, 1, 2],
        [4, 2, 3],
        [100, 25, 97],
        [65_537, 6542, 65_521],
        [65_538, 6543, 65_537],
        [10_000_000, 664_579, 9_999_991]
      ] as const
      for (const [below, count, largest] of cases) {
        assert.deepStrictEqual(yield* resultOf("primes", { below }), { count, largest }, `below ${below}`)
      }
      assert.deepStrictEqual(yield* resultOf("primes", {}), { count: 78_498, largest: 999_983 })
      for (const below of [-1, 1.5, 1e12, "10"]) yield* isRefused("primes", { below })
    })))
})

describe("fail", () => {
  it.effect("fails with its message, after all its retries", () =>
    withEngine(Effect.gen(function*() {
      const handle = yield* Handlers.Fail.enqueue({ message: "on purpose" }, { maxRetries: 2 })
      const result = yield* Effect.forkChild(Effect.flip(handle.result))
      yield* TestClock.adjust("5 minutes")
      const error = yield* Fiber.join(result)
      assert.instanceOf(error, Handlers.FailedOnPurpose)
      assert.strictEqual(error.message, "on purpose")
      const task = yield* handle.task
      assert.strictEqual(task.failures, 3)
      assert.strictEqual(task.state, "failed")
    })))

  it.effect("needs no message", () =>
    withEngine(Effect.gen(function*() {
      const id = yield* post("fail", {})
      yield* TestClock.adjust("5 minutes")
      const task = yield* Effect.flatMap(TaskQueue, (queue) => queue.get(id))
      assert.strictEqual(task.failure?.message, "This task always fails")
    })))
})

describe("the definitions", () => {
  const mustBeTold = [
    "webhook",
    "http_request",
    "data_process",
    "file_read",
    "file_write",
    "sql_query",
    "image_resize"
  ]

  it("accept an empty payload where something harmless can be done, so that anybody can try them", () => {
    for (const definition of Handlers.definitions) {
      const expected = mustBeTold.includes(definition.type) ? "Failure" : "Success"
      assert.strictEqual(definition.codec.decodePayload("{}")._tag, expected, definition.type)
    }
  })

  it("describe themselves in one line", () => {
    for (const { description, type } of Handlers.definitions) assert.isDefined(description, type)
  })
})

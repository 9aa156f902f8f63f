import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Option, Schema } from "effect"
import { TaskCancelled, TaskDefect, TaskNotFound, TaskQuarantined, TaskTimedOut } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "./Gate.ts"
import { pass, quiesce, reaches, record, withEngine } from "./TestEngine.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { code: Schema.Int, since: Schema.Date }) {}

const Divide = Task.make("divide", {
  payload: { dividend: Schema.Finite, divisor: Schema.Finite },
  success: Schema.Struct({ quotient: Schema.Finite, at: Schema.Date }),
  error: Refused,
  retry: { times: 0 }
})
const DivideLive = Divide.toLayer(({ dividend, divisor }) =>
  divisor === 0
    ? Effect.fail(new Refused({ code: 7, since: new Date(42) }))
    : Effect.succeed({ quotient: dividend / divisor, at: new Date(1000) })
)

const Wait = Task.make("wait", { retry: { times: 0 } })

describe("the result of a task", () => {
  it.effect("is what the handler gave, in the types of the definition", () =>
    withEngine(
      { handlers: DivideLive },
      Effect.gen(function*() {
        const handle = yield* Divide.enqueue({ dividend: 1, divisor: 4 })
        assert.deepStrictEqual(yield* handle.result, { quotient: 0.25, at: new Date(1000) })
      })
    ))

  it.effect("is the declared error, as an instance of its class", () =>
    withEngine(
      { handlers: DivideLive },
      Effect.gen(function*() {
        const handle = yield* Divide.enqueue({ dividend: 1, divisor: 0 })
        const error = yield* Effect.flip(handle.result)
        assert.instanceOf(error, Refused)
        assert.strictEqual(error.code, 7)
        assert.deepStrictEqual(error.since, new Date(42))
      })
    ))

  it.effect("is in the task that a handle reads, with its payload and its times as such", () =>
    withEngine(
      { handlers: DivideLive },
      Effect.gen(function*() {
        const payload = { dividend: 1, divisor: 4 }
        const { task } = yield* Divide.enqueue(payload, { delay: "1 second" })
        const none = Option.none()
        assert.deepInclude(yield* task, { payload, result: none, dueAt: DateTime.makeUnsafe(1000), startedAt: null })
        yield* pass("1 second")
        const { completedAt, result, state } = yield* task
        assert.deepStrictEqual([state, completedAt], ["completed", DateTime.makeUnsafe(1000)])
        assert.deepStrictEqual(result, Option.some({ quotient: 0.25, at: new Date(1000) }))
      })
    ))

  it.effect("may be a declared error, which is in the task that a handle reads, and in its history, as such", () =>
    withEngine(
      { handlers: DivideLive },
      Effect.gen(function*() {
        const { task } = yield* Divide.enqueue({ dividend: 1, divisor: 0 }, { maxRetries: 1 })
        const error = new Refused({ code: 7, since: new Date(42) })
        yield* quiesce
        assert.deepInclude((yield* task).failure, { kind: "error", tag: "Refused", error })
        yield* pass("1 minute")
        const { failure, history, state } = yield* task
        assert.strictEqual(state, "failed")
        assert.instanceOf(failure?.error, Refused)
        assert.deepStrictEqual(history.map(({ failure }) => failure?.error), [error])
      })
    ))

  it.effect("is JSON where a queue reads it without a definition, and so is the declared error", () =>
    withEngine(
      { handlers: DivideLive },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const divided = yield* Divide.enqueue({ dividend: 1, divisor: 4 })
        const refused = yield* Divide.enqueue({ dividend: 1, divisor: 0 })
        const outcome = yield* queue.outcome(divided.id)
        const result = Option.some({ quotient: 0.25, at: "1970-01-01T00:00:01.000Z" })
        assert.deepStrictEqual(outcome, { id: divided.id, state: "completed", result, failure: null })
        const failed = yield* queue.firstOutcome([refused.id])
        assert.deepInclude(failed, { id: refused.id, state: "failed", result: Option.none() })
        assert.deepStrictEqual(failed.failure?.error, { _tag: "Refused", code: 7, since: "1970-01-01T00:00:00.042Z" })
        assert.deepStrictEqual(yield* queue.results([refused.id, "unknown", divided.id]), [failed, null, outcome])
      })
    ))

  it.effect("is what execute waits for, which fails with the declared error, or as an enqueue fails", () =>
    withEngine(
      { handlers: DivideLive },
      Effect.gen(function*() {
        const { quotient } = yield* Divide.execute({ dividend: 1, divisor: 4 }, { id: "one" })
        assert.strictEqual(quotient, 0.25)
        assert.strictEqual((yield* record("one")).state, "completed")
        assert.instanceOf(yield* Effect.flip(Divide.execute({ dividend: 1, divisor: 0 })), Refused)
        const invalid = yield* Effect.flip(Divide.execute({ dividend: Infinity, divisor: 1 }))
        assert.strictEqual(invalid._tag, "InvalidPayload")
      })
    ))

  it.effect("may be nothing at all", () =>
    withEngine(
      { handlers: Wait.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        const handle = yield* Wait.enqueue()
        assert.isUndefined(yield* handle.result)
      })
    ))

  it.effect("reaches every fiber that waits, before and after the task has finished, by handle or by id", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Wait.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const handle = yield* Wait.enqueue()
        const early = yield* Effect.forkChild(handle.result)
        const byId = yield* Effect.forkChild(Effect.flatMap(Wait.handle(handle.id), ({ result }) => result))
        yield* quiesce
        assert.isUndefined(early.pollUnsafe())
        gate.open()
        yield* Fiber.join(early)
        yield* Fiber.join(byId)
        yield* handle.result
        yield* (yield* Wait.handle(handle.id)).result
      })
    )
  })

  it.effect("is a TaskDefect with the thrown error's stack", () =>
    withEngine(
      {
        handlers: Wait.toLayer(() => {
          throw new RangeError("nobody expected this")
        })
      },
      Effect.gen(function*() {
        const handle = yield* Wait.enqueue()
        const error = yield* Effect.flip(handle.result)
        assert.instanceOf(error, TaskDefect)
        assert.strictEqual(error.id, handle.id)
        assert.deepInclude(error.failure, { kind: "defect", tag: "RangeError", message: "nobody expected this" })
        assert.include(error.failure.stack, "TaskResult.test.ts")
      })
    ))

  it.effect("is TaskTimedOut when the last attempt ran out of time", () =>
    withEngine(
      { handlers: Wait.toLayer(() => Effect.never) },
      Effect.gen(function*() {
        const handle = yield* Wait.enqueue(undefined, { timeout: "3 seconds" })
        const error = yield* Effect.forkChild(Effect.flip(handle.result))
        yield* pass("3 seconds")
        const found = yield* Fiber.join(error)
        assert.instanceOf(found, TaskTimedOut)
        assert.include(found.message, "3000 ms")
      })
    ))

  it.effect("is TaskCancelled when somebody cancelled the task", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const handle = yield* Wait.enqueue()
        assert.strictEqual(yield* handle.cancel, "cancelled")
        const error = yield* Effect.flip(handle.result)
        assert.deepStrictEqual(error, new TaskCancelled({ id: handle.id }))
      })
    ))

  it.effect("is TaskQuarantined when the task kept killing its process", () =>
    withEngine(
      { store: { maxCrashes: 0 } },
      Effect.gen(function*() {
        const handle = yield* Wait.enqueue()
        const store = yield* TaskStore
        yield* store.claim({
          queues: ["default"],
          types: ["wait"],
          limit: 1,
          instance: "dead",
          leaseForMs: 1000,
          nonce: 1
        })
        const error = yield* Effect.forkChild(Effect.flip(handle.result))
        // The rescuer waits half a lease after it has started: 7.5 s
        yield* pass("10 seconds")
        assert.instanceOf(yield* Fiber.join(error), TaskQuarantined)
      })
    ))

  it.effect("is TaskNotFound once the task has been pruned, and for an id that was never stored", () =>
    withEngine(
      { handlers: DivideLive, retention: { keepFinished: "10 seconds" } },
      Effect.gen(function*() {
        const handle = yield* Divide.enqueue({ dividend: 1, divisor: 4 })
        yield* reaches(handle.id, "completed")
        yield* pass("20 seconds")
        assert.deepStrictEqual(yield* Effect.flip(handle.result), new TaskNotFound({ id: handle.id }))
        const never = yield* Divide.handle("never-was")
        assert.deepStrictEqual(yield* Effect.flip(never.result), new TaskNotFound({ id: "never-was" }))
      })
    ))

  it.effect("is a TaskDefect when the stored result does not fit the definition that asks", () =>
    withEngine(
      { handlers: DivideLive },
      Effect.gen(function*() {
        const Other = Task.make("divide", { success: Schema.Struct({ remainder: Schema.Int }) })
        const handle = yield* Divide.enqueue({ dividend: 1, divisor: 4 })
        const error = yield* Effect.flip((yield* Other.handle(handle.id)).result)
        assert.instanceOf(error, TaskDefect)
        assert.strictEqual(error.failure.kind, "invalid")
      })
    ))

  it.effect("can be given up without disturbing the task or others who wait", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Wait.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const handle = yield* Wait.enqueue()
        const impatient = yield* Effect.forkChild(handle.result)
        const patient = yield* Effect.forkChild(handle.result)
        yield* quiesce
        yield* Fiber.interrupt(impatient)
        gate.open()
        yield* Fiber.join(patient)
        assert.deepStrictEqual(gate.passed, [handle.id])
      })
    )
  })
})

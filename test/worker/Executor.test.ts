import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Schedule, Schema } from "effect"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { StoreError, TaskDefect } from "../../src/domain/Errors.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { pass, passing, quiesce, reaches, withEngine } from "../engine/TestEngine.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { code: Schema.Int }) {}

const Work = Task.make("work", {
  payload: { n: Schema.Int },
  success: Schema.NonEmptyString,
  error: Refused
})

const noneActive = Effect.map(WorkerPool.use((pool) => pool.active), (active) => assert.strictEqual(active, 0))

const throwing = (value: unknown): never => {
  throw value
}

describe("data that does not fit", () => {
  it.effect.each([
    { why: "has the wrong type", payload: `{"n":"one"}`, issue: `["n"]` },
    { why: "is no JSON", payload: `{"n":`, issue: "JSON" }
  ])("fails the task once, without retries: a stored payload that $why", ({ issue, payload }) => {
    let runs = 0
    return withEngine(
      { handlers: Work.toLayer(() => Effect.sync(() => `run ${++runs}`)) },
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("odd", { payload })
        yield* pass("5 seconds")
        const task = yield* reaches("odd", "failed")
        assert.deepInclude(task, { claims: 1, failures: 1 })
        assert.deepInclude(task.failure, { kind: "invalid", tag: "InvalidPayload" })
        assert.include(task.failure?.message, `task type "work"`)
        assert.include(task.failure?.message, issue)
        assert.strictEqual(runs, 0)
        const error = yield* Effect.flip((yield* Work.handle("odd")).result)
        assert.instanceOf(error, TaskDefect)
      })
    )
  })

  it.effect("runs a stored payload of an older definition, without the fields that are gone", () =>
    withEngine(
      { handlers: Work.toLayer((payload) => Effect.succeed(JSON.stringify(payload))) },
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("old", { payload: `{"n":1,"gone":true}` })
        yield* pass("5 seconds")
        assert.deepInclude(yield* reaches("old", "completed"), { result: JSON.stringify(`{"n":1}`), failures: 0 })
      })
    ))

  it.effect("does no harm to the tasks that were claimed together with it", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.succeed("done")), worker: { pollInterval: "1 hour" } },
      Effect.gen(function*() {
        yield* quiesce
        for (const id of ["a", "b", "c"]) yield* OtherProcess.enqueue(id, { payload: id === "b" ? "{" : `{"n":1}` })
        const last = yield* Work.enqueue({ n: 1 })
        yield* passing("5 seconds", last.result)
        yield* reaches("a", "completed")
        yield* reaches("c", "completed")
        yield* reaches("b", "failed")
        yield* noneActive
      })
    ))

  it.effect("fails the task once, without retries: a result that its schema refuses", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.succeed("")) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue({ n: 1 })
        const error = yield* Effect.flip(handle.result)
        assert.instanceOf(error, TaskDefect)
        assert.deepInclude(error.failure, { kind: "invalid", tag: "InvalidResult" })
        assert.include(error.failure.message, "The result does not fit")
        assert.deepInclude(yield* reaches(handle.id, "failed"), { claims: 1 })
      })
    ))

  it.effect("is a defect when it is an error that its schema refuses", () => {
    const untyped: Effect.Effect<never, Refused> = Effect.fail({ _tag: "Refused", code: "x" } as unknown as Refused)
    return withEngine(
      { handlers: Work.toLayer(() => untyped) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue({ n: 1 }, { maxRetries: 0 })
        const error = yield* Effect.flip(handle.result)
        assert.instanceOf(error, TaskDefect)
        assert.deepInclude(error.failure, { kind: "defect", tag: "Refused" })
      })
    )
  })
})

describe("a handler that ends strangely", () => {
  const bare: unknown = Object.create(null)
  const trap = {
    get message(): string {
      throw new Error("a trap")
    }
  }
  const ends: ReadonlyArray<{ how: string; run: () => Effect.Effect<string, Refused> }> = [
    { how: "throws", run: () => assert.fail("thrown") },
    { how: "dies with text", run: () => Effect.die("text") },
    { how: "dies with nothing", run: () => Effect.die(undefined) },
    { how: "dies with an object without prototype", run: () => Effect.die(bare) },
    { how: "dies with an object that throws when read", run: () => Effect.die(trap) },
    { how: "interrupts itself", run: () => Effect.interrupt },
    {
      how: "joins a fiber that was interrupted",
      run: () =>
        Effect.gen(function*() {
          const child = yield* Effect.forkChild(Effect.never)
          yield* Fiber.interrupt(child)
          return yield* Fiber.join(child)
        })
    }
  ]
  it.effect.each(ends)("$how: spends a retry, and its worker comes back", ({ run }) =>
    withEngine(
      { handlers: Work.toLayer(() => run()), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        const first = yield* Work.enqueue({ n: 1 }, { maxRetries: 0 })
        const second = yield* Work.enqueue({ n: 2 }, { maxRetries: 0 })
        yield* pass("1 second")
        assert.strictEqual((yield* reaches(first.id, "failed")).failure?.kind, "defect")
        assert.deepInclude(yield* reaches(second.id, "failed"), { claims: 1, failures: 1, crashes: 0 })
        yield* noneActive
      })
    ))

  const thrown: ReadonlyArray<
    { how: string; run: () => Effect.Effect<string, Refused>; tag: string; message: string }
  > = [
    {
      how: "throws undefined",
      run: () => Effect.sync(() => throwing(undefined)),
      tag: "undefined",
      message: "undefined"
    },
    { how: "throws null", run: () => Effect.sync(() => throwing(null)), tag: "null", message: "null" },
    { how: "fails with null", run: () => Effect.fail(null as never), tag: "null", message: "null" },
    { how: "fails with undefined", run: () => Effect.fail(undefined as never), tag: "undefined", message: "undefined" },
    {
      how: "meets an empty rejection",
      run: () => Effect.promise(() => Promise.reject()),
      tag: "undefined",
      message: "undefined"
    },
    {
      how: "declares no error and meets a rejection",
      run: () => Effect.mapError(Effect.tryPromise(() => Promise.reject(new Error("gone"))), (error) => error as never),
      tag: "UnknownError",
      message: "An error occurred in Effect.tryPromise: gone"
    },
    { how: "throws a text", run: () => Effect.sync(() => throwing("text")), tag: "string", message: "text" },
    {
      how: "throws something with a name that is too long",
      run: () => Effect.die(Object.assign(new Error("m"), { name: "n".repeat(1000) })),
      tag: "n".repeat(255),
      message: "m"
    }
  ]
  it.effect.each(thrown)("$how: that is what is shown", ({ message, run, tag }) =>
    withEngine(
      { handlers: Work.toLayer(run) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue({ n: 1 }, { maxRetries: 0 })
        yield* pass("1 second")
        assert.deepInclude((yield* reaches(id, "failed")).failure, { kind: "defect", tag, message })
      })
    ))

  const boom = (): never => {
    throw new Error("the policy is broken")
  }
  const policies = [
    { what: "retryable", retry: { retryable: boom } },
    { what: "schedule", retry: { schedule: Schedule.while(Schedule.forever, boom) } }
  ]
  it.effect.each(policies)(
    "meets a policy whose $what throws: fails for good, and its worker comes back",
    ({ retry }) => {
      const Odd = Task.make("odd", { error: Refused, retry })
      return withEngine(
        { handlers: Odd.toLayer(() => Effect.fail(new Refused({ code: 1 }))), worker: { concurrency: 1 } },
        Effect.gen(function*() {
          const handle = yield* Odd.enqueue()
          yield* quiesce
          yield* noneActive
          yield* reaches(handle.id, "failed")
        })
      )
    }
  )
})

describe("a failure", () => {
  it.effect("is stored with its error's tag, message and encoded form, without endless texts", () => {
    class Long extends Schema.TaggedError<Long>()("Long", { reason: Schema.String }) {
      override get message(): string {
        return this.reason
      }
    }
    const Odd = Task.make("odd", { error: Long, retry: { times: 0 } })
    return withEngine(
      { handlers: Odd.toLayer(() => Effect.fail(new Long({ reason: "x".repeat(100_000) }))) },
      Effect.gen(function*() {
        const handle = yield* Odd.enqueue()
        const { failure } = yield* reaches(handle.id, "failed")
        assert.deepInclude(failure, { kind: "error", tag: "Long" })
        assert.isAtMost(failure!.message.length, 2000)
        const error = yield* Effect.flip(handle.result)
        assert.strictEqual(error._tag === "Long" ? error.reason.length : 0, 100_000)
      })
    )
  })

  it.effect("of an error from a library keeps its name", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.die(new StoreError({ operation: "read", reason: "gone" }))) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue({ n: 1 }, { maxRetries: 0 })
        const { failure } = yield* reaches(handle.id, "failed")
        assert.deepInclude(failure, { kind: "defect", tag: "StoreError", message: "The store failed to read: gone" })
        assert.isString(failure?.stack)
      })
    ))
})

describe("an error of a database that became a defect, as in a transaction whose session has ended", () => {
  const lost = new SqlError({ reason: new ConnectionError({ cause: new Error("closed"), message: "closed" }) })
  const rollbackFailed = (...others: ReadonlyArray<unknown>) =>
    Effect.failCause(Cause.fromReasons<never>([...others, lost].map((one) => Cause.makeDieReason(one))))
  const never = { times: 5, schedule: Schedule.spaced("1 second") }

  it.effect("is the declared error where the definition declares it", () => {
    const Query = Task.make("query", {
      success: Schema.NonEmptyString,
      error: Schema.Union([Refused, SqlError]),
      retry: { ...never, retryable: (error) => error._tag !== "SqlError" }
    })
    return withEngine(
      { handlers: Query.toLayer(() => rollbackFailed()) },
      Effect.gen(function*() {
        const handle = yield* Query.enqueue()
        const error = yield* Effect.flip(handle.result)
        assert.strictEqual(error._tag, "SqlError")
        assert.deepInclude(yield* reaches(handle.id, "failed"), { claims: 1 })
      })
    )
  })

  it.effect.each([
    { rule: "none", byTag: undefined, claims: 3 },
    { rule: "fewer retries", byTag: { SqlError: { times: 1 } }, claims: 2 },
    { rule: "no retry", byTag: { SqlError: false as const }, claims: 1 }
  ])("follows the rule for its tag where it is not declared: $rule", ({ byTag, claims }) => {
    const Query = Task.make("query", { retry: { times: 2, schedule: Schedule.spaced("1 second"), byTag } })
    return withEngine(
      { handlers: Query.toLayer(() => rollbackFailed()) },
      Effect.gen(function*() {
        const handle = yield* Query.enqueue()
        yield* passing("10 seconds", Effect.exit(handle.result))
        const task = yield* reaches(handle.id, "failed")
        assert.deepInclude(task, { claims })
        assert.deepInclude(task.failure, { kind: "defect", tag: "SqlError" })
      })
    )
  })

  it.effect("does not hide the declared error that the transaction's body failed with", () => {
    const Pay = Task.make("pay", { error: Refused, retry: { ...never, byTag: { Refused: false } } })
    return withEngine(
      { handlers: Pay.toLayer(() => rollbackFailed(new Refused({ code: 7 }))) },
      Effect.gen(function*() {
        const handle = yield* Pay.enqueue()
        assert.deepInclude(yield* Effect.flip(handle.result), { _tag: "Refused", code: 7 })
        assert.deepInclude(yield* reaches(handle.id, "failed"), { claims: 1 })
      })
    )
  })

  it.effect("does not hide a snooze", () => {
    const Nap = Task.make("nap", {})
    let runs = 0
    return withEngine(
      {
        handlers: Nap.toLayer(() =>
          Effect.gen(function*() {
            const { snooze } = yield* TaskContext
            if (++runs > 1) return
            const exit = yield* Effect.exit(snooze("1 second"))
            if (exit._tag === "Failure") return yield* Effect.failCause(Cause.combine(Cause.die(lost), exit.cause))
          })
        )
      },
      Effect.gen(function*() {
        const handle = yield* Nap.enqueue()
        yield* passing("10 seconds", handle.result)
        assert.deepInclude(yield* reaches(handle.id, "completed"), { claims: 2, failures: 0 })
      })
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, DateTime, Effect, Exit, Fiber, Layer, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { ResultNeverComes } from "../../src/testing/ResultNeverComes.ts"
import { TestEngine } from "../../src/testing/TestEngine.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"

class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", { address: Schema.String }) {}

const SendEmail = Task.make("email", {
  payload: { to: Schema.String, subject: Schema.String },
  success: Schema.Struct({ messageId: Schema.String }),
  error: MailboxFull,
  retry: { times: 2, schedule: Schedule.spaced("1 minute") }
})

const Digest = Task.make("digest", { payload: { day: Schema.Int } })

const Flaky = Task.make("flaky", {
  payload: { failures: Schema.Int },
  success: Schema.Array(Schema.Finite),
  retry: { times: 5, schedule: Schedule.exponential("1 second") }
})

const Chain = Task.make("chain", { payload: { left: Schema.Int } })

const Import = Task.make("import", {
  payload: { row: Schema.Int },
  success: Schema.Struct({ together: Schema.Int }),
  timeout: "1 hour",
  retry: { times: 1, schedule: Schedule.spaced("10 minutes") }
})

const attempts = new Map<string, Array<number>>()

const handlers = Layer.mergeAll(
  Flaky.toLayer(Effect.fnUntraced(function*({ failures }) {
    const { attempt, id } = yield* TaskContext
    const ran = [...(attempts.get(id) ?? []), yield* Clock.currentTimeMillis]
    attempts.set(id, ran)
    if (attempt <= failures) return yield* Effect.die("not yet")
    return ran
  })),
  Chain.toLayer(({ left }) =>
    left === 0 ? Effect.void : Effect.orDie(Chain.enqueue({ left: left - 1 }, { delay: "1 hour" }))
  ),
  Import.toBatchLayer(
    (items) =>
      Effect.succeed(
        items.map(({ context, payload }) =>
          payload.row === 0 && context.attempt === 1 ? Exit.die("not yet") : Exit.succeed({ together: items.length })
        )
      ),
    { max: 100, within: "5 minutes" }
  ),
  SendEmail.toLayer(Effect.fnUntraced(function*({ to }) {
    const { attempt } = yield* TaskContext
    if (to.startsWith("full") && attempt < 3) return yield* new MailboxFull({ address: to })
    return { messageId: `${to}/${attempt}` }
  })),
  Digest.toLayer(Effect.fnUntraced(function*({ day }) {
    const { snooze } = yield* TaskContext
    if (day === 0) return yield* snooze("1 hour")
    yield* Effect.sleep("30 seconds")
    yield* Effect.orDie(SendEmail.enqueue({ to: "all@example.org", subject: `Day ${day}` }))
  }))
)

const test = <A, E>(name: string, body: Effect.Effect<A, E, TestEngine | TaskQueue>) =>
  it.effect(name, () => Effect.provide(body, TestEngine.layer(handlers)))

describe("a test engine", () => {
  test(
    "runs nothing until it is told to",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      const handle = yield* SendEmail.enqueue({ to: "ada@example.org", subject: "Hello" })
      assert.deepStrictEqual((yield* engine.enqueued(SendEmail)).map(({ payload, state }) => [payload.to, state]), [
        ["ada@example.org", "pending"]
      ])
      const drained = yield* engine.drain
      assert.deepStrictEqual(drained, { completed: 1, failed: 0, cancelled: 0, scheduled: 0, pending: 0 })
      assert.deepStrictEqual(yield* handle.result, { messageId: "ada@example.org/1" })
    })
  )

  test(
    "runs what handlers enqueue, and gives those that wait their time",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      yield* Digest.enqueue({ day: 1 })
      assert.strictEqual((yield* engine.drain).completed, 2)
      assert.isAtLeast(yield* Clock.currentTimeMillis, 30_000)
      yield* engine.assertEnqueued(SendEmail, { payload: { subject: "Day 1" } })
    })
  )

  test(
    "leaves what is due later until time has passed",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      yield* SendEmail.enqueue({ to: "full@example.org", subject: "Hello" })
      assert.strictEqual((yield* engine.drain).scheduled, 1)
      assert.strictEqual((yield* engine.advance("1 minute")).scheduled, 1)
      assert.deepStrictEqual(yield* engine.advance("1 minute"), {
        completed: 1,
        failed: 0,
        cancelled: 0,
        scheduled: 0,
        pending: 0
      })
    })
  )

  test(
    "leaves the tasks of a paused queue",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      const queue = yield* TaskQueue
      yield* queue.pause("default")
      yield* SendEmail.enqueue({ to: "ada@example.org", subject: "Hello" })
      assert.strictEqual((yield* engine.drain).pending, 1)
      yield* queue.resume("default")
      assert.strictEqual((yield* engine.drain).completed, 1)
    })
  )

  test(
    "says what was enqueued when the expected task was not",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      yield* SendEmail.enqueue({ to: "ada@example.org", subject: "Hello" }, { priority: "high", key: "welcome" })
      yield* engine.assertEnqueued(SendEmail)
      yield* engine.assertEnqueued(SendEmail, { payload: { to: "ada@example.org" }, priority: 2, key: "welcome" })
      const error = yield* Effect.flip(engine.assertEnqueued(SendEmail, { payload: { to: "bob@example.org" } }))
      assert.strictEqual(error._tag, "NotEnqueued")
      assert.include(error.message, "ada@example.org")
      assert.strictEqual((yield* Effect.flip(engine.assertEnqueued(Digest)))._tag, "NotEnqueued")
    })
  )

  test(
    "gives a batch handler the tasks that wait together, and its wait the time",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      const handles = yield* Import.enqueueAll([{ row: 0 }, { row: 1 }, { row: 2 }])
      assert.deepInclude(yield* engine.drain, { completed: 2, scheduled: 1 })
      assert.isAtLeast(yield* Clock.currentTimeMillis, 300_000)
      yield* engine.advance("10 minutes")
      const results = yield* Effect.forEach(handles, ({ result }) => result)
      assert.deepStrictEqual(results.map(({ together }) => together), [1, 3, 3])
    })
  )

  test(
    "performs a task of a batch handler as a batch of one, without a wait",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      assert.deepStrictEqual(yield* engine.perform(Import, { row: 1 }), { together: 1 })
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
      assert.isTrue(Exit.hasDies(yield* Effect.exit(engine.perform(Import, { row: 0 }))))
    })
  )

  test(
    "performs one task inline, with its success, its failure and its snooze",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      const payload = { to: "full@example.org", subject: "Hello" }
      assert.deepStrictEqual(yield* engine.perform(SendEmail, payload, { attempt: 3 }), {
        messageId: "full@example.org/3"
      })
      assert.strictEqual((yield* Effect.flip(engine.perform(SendEmail, payload)))._tag, "MailboxFull")
      const snoozed = yield* Effect.flip(engine.perform(Digest, { day: 0 }))
      assert.strictEqual(snoozed._tag === "Snoozed" ? snoozed.delayMs : snoozed._tag, 3_600_000)
      assert.deepStrictEqual(yield* engine.enqueued(SendEmail), [])
    })
  )

  test(
    "lives through all retries that become due while time passes, each at its time",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      const handle = yield* Flaky.enqueue({ failures: 4 })
      const drained = yield* engine.advance("1 minute")
      assert.deepInclude(drained, { completed: 1, scheduled: 0 })
      // at once, then after 1, 2, 4 and 8 seconds
      assert.deepStrictEqual(yield* handle.result, [0, 1000, 3000, 7000, 15_000])
      assert.strictEqual(yield* Clock.currentTimeMillis, 60_000)
    })
  )

  test(
    "lives through a chain of delayed tasks, and leaves what is due after the end",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      yield* Chain.enqueue({ left: 10 })
      yield* engine.advance("330 minutes")
      assert.deepStrictEqual(
        (yield* engine.enqueued(Chain)).map(({ dueAt, state }) => [DateTime.toEpochMillis(dueAt) / 3_600_000, state]),
        [[0, "completed"], [1, "completed"], [2, "completed"], [3, "completed"], [4, "completed"], [5, "completed"], [
          6,
          "scheduled"
        ]]
      )
      yield* engine.advance("5 hours")
      assert.lengthOf((yield* engine.enqueued(Chain)).filter(({ state }) => state === "completed"), 11)
    })
  )

  test(
    "runs what is due in the order of its time, and snoozes too",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      const second = yield* Flaky.enqueue({ failures: 0 }, { delay: "20 minutes" })
      const first = yield* Flaky.enqueue({ failures: 1 }, { delay: "10 minutes" })
      yield* engine.advance("1 hour")
      assert.deepStrictEqual(yield* first.result, [600_000, 601_000])
      assert.deepStrictEqual(yield* second.result, [1_200_000])
      yield* Digest.enqueue({ day: 0 })
      assert.strictEqual((yield* engine.advance("150 minutes")).scheduled, 1)
      assert.strictEqual((yield* engine.advance("1 day")).scheduled, 1)
    })
  )

  test(
    "ends pauses at their time, and not before",
    Effect.gen(function*() {
      const engine = yield* TestEngine
      const queue = yield* TaskQueue
      yield* queue.pause("default", { for: "10 minutes" })
      const handle = yield* Flaky.enqueue({ failures: 1 })
      assert.deepInclude(yield* engine.advance("599 seconds"), { completed: 0, pending: 1 })
      assert.deepInclude(yield* engine.advance("1 second"), { scheduled: 1, pending: 0 })
      yield* queue.pause("default", { for: "1 minute" })
      yield* engine.advance("1 hour")
      assert.deepStrictEqual(yield* handle.result, [600_000, 660_000])
    })
  )

  describe("fails a test that awaits what cannot come, and says why:", () => {
    const refusal = <A, E>(result: Effect.Effect<A, E>) =>
      Effect.map(Effect.exit(result), (exit) => {
        const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(defect, ResultNeverComes)
        return (defect as ResultNeverComes).message
      })

    test(
      "the task is due and was not drained",
      Effect.gen(function*() {
        const handle = yield* Flaky.enqueue({ failures: 0 })
        assert.match(yield* refusal(handle.result), /\(flaky\) cannot come: it is due.*call drain or advance/)
      })
    )

    test(
      "it is scheduled for later",
      Effect.gen(function*() {
        const handle = yield* Flaky.enqueue({ failures: 0 }, { delay: "1 minute" })
        assert.match(
          yield* refusal(handle.result),
          /scheduled for 1970-01-01T00:01:00.000Z, in 60000 ms of the test's time; call advance/
        )
      })
    )

    test(
      "its queue is paused, or nobody handles its type",
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* queue.pause("default")
        const paused = yield* Flaky.enqueue({ failures: 0 })
        assert.match(yield* refusal(paused.result), /its queue "default" is paused/)
        const unknown = yield* Task.make("unknown").enqueue(undefined)
        assert.match(yield* refusal(unknown.result), /no handler/)
      })
    )

    test(
      "but not one whose other fiber lets the engine run",
      Effect.gen(function*() {
        const engine = yield* TestEngine
        const handle = yield* Flaky.enqueue({ failures: 2 })
        const result = yield* Effect.forkChild(handle.result)
        yield* TestClock.withLive(Effect.sleep("1 second"))
        yield* engine.advance("1 minute")
        assert.lengthOf(yield* Fiber.join(result), 3)
      })
    )
  })
})

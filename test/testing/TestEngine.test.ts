import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Schedule, Schema } from "effect"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
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

const handlers = Layer.mergeAll(
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
})

import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { InvalidOption, InvalidPayload, StateConflict, TaskNotFound } from "../../src/domain/Errors.ts"
import * as Limit from "../../src/Limit.ts"
import { fromPayload } from "../../src/queue/Submission.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { record, withEngine, withUnhurriedEngine } from "../engine/TestEngine.ts"

const payload = { tenant: Schema.NonEmptyString, size: Schema.Int }

const Sync = Task.make("sync", {
  payload,
  limits: ({ concurrency, rate }) => [
    concurrency({ key: ({ tenant }) => tenant, max: 2 }),
    rate({ cost: ({ size }) => size, max: 10, per: "1 minute" })
  ]
})
const Keyed = Task.make("keyed", { payload, idempotencyKey: ({ tenant }) => tenant })
const Ordered = Task.make("ordered", { payload, orderBy: ({ tenant }) => tenant })

const refusal = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error instanceof InvalidOption ? error.option : assert.fail(String(error)))

describe("a task that waits", () => {
  it.effect("gets another payload with the gate that its type makes of it", () =>
    withEngine(
      { queue: { limits: { default: [Limit.concurrency({ max: 5 })] } } },
      Effect.gen(function*() {
        const handle = yield* Sync.enqueue({ tenant: "a", size: 1 })
        yield* handle.reschedule({ payload: { tenant: "b", size: 3 } })
        assert.deepStrictEqual((yield* handle.task).payload, { tenant: "b", size: 3 })
        const fresh = yield* record((yield* Sync.enqueue({ tenant: "b", size: 3 })).id)
        const { costs, gate } = yield* record(handle.id)
        assert.deepStrictEqual([gate, costs], [fresh.gate, fresh.costs])
        assert.include(gate!, "=b")
        assert.include(gate!, "queue:default")
      })
    ))

  it.effect("gets another priority, and another time", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const { id } = yield* Sync.enqueue({ tenant: "a", size: 1 })
        yield* queue.reschedule(id, { priority: "critical", delay: "1 minute" })
        const { createdAt, dueAt, priority, state } = yield* record(id)
        assert.deepStrictEqual([priority, state, Duration.toSeconds(dueAt - createdAt)], [3, "scheduled", 60])
        const runAt = DateTime.makeUnsafe(createdAt + 5000)
        yield* queue.reschedule(id, { runAt })
        assert.strictEqual((yield* record(id)).dueAt, createdAt + 5000)
      })
    ))

  it.effect("runs with what it was given, at its new time, and is left alone from then on", () => {
    const seen: Array<string> = []
    const SyncLive = Sync.toLayer(({ tenant }) => Effect.sync(() => void seen.push(tenant)))
    return withEngine(
      { handlers: SyncLive },
      Effect.gen(function*() {
        const handle = yield* Sync.enqueue({ tenant: "a", size: 1 }, { delay: "1 hour" })
        yield* handle.reschedule({ payload: { tenant: "b", size: 1 }, delay: "1 second" })
        yield* TestClock.adjust("1 minute")
        yield* handle.result
        assert.deepStrictEqual(seen, ["b"])
        const error = yield* Effect.flip(handle.reschedule({ delay: 0 }))
        assert.instanceOf(error, StateConflict)
        assert.strictEqual(error.message, `Cannot reschedule task ${handle.id}: it is completed`)
      })
    )
  })

  it.effect("keeps the key that its payload makes, and its priority where it goes in order", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const keyed = yield* Keyed.enqueue({ tenant: "a", size: 1 })
        yield* keyed.reschedule({ payload: { tenant: "a", size: 2 } })
        assert.strictEqual(yield* refusal(keyed.reschedule({ payload: { tenant: "b", size: 2 } })), "payload")
        const given = yield* Keyed.enqueue({ tenant: "c", size: 1 }, { key: "given" })
        yield* given.reschedule({ payload: { tenant: "d", size: 2 } })
        const ordered = yield* Ordered.enqueue({ tenant: "a", size: 1 })
        assert.strictEqual(yield* refusal(ordered.reschedule({ priority: "high" })), "priority")
        yield* ordered.reschedule({ payload: { tenant: "a", size: 2 } })
      })
    ))

  it.effect("keeps the key of its order once it has started", () =>
    withUnhurriedEngine(
      "1 minute",
      { handlers: Ordered.toLayer((_, { attempt, snooze }) => attempt === 1 ? snooze("1 hour") : Effect.void) },
      Effect.gen(function*() {
        const first = yield* Ordered.enqueue({ tenant: "a", size: 1 })
        yield* TestClock.adjust("1 minute")
        const second = yield* Ordered.enqueue({ tenant: "a", size: 2 })
        const error = yield* Effect.flip(first.reschedule({ payload: { tenant: "b", size: 1 } }))
        assert.strictEqual(
          error.message,
          "The option payload is another key of orderBy; expected one with the key that its order has: the task has started, " +
            "and others wait until it has ended"
        )
        yield* first.reschedule({ payload: { tenant: "a", size: 3 }, delay: "1 second" })
        yield* TestClock.adjust("1 minute")
        yield* first.result
        yield* TestClock.adjust("2 hours")
        yield* second.result
      })
    ))

  it.effect("is not changed by what does not fit", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const handle = yield* Sync.enqueue({ tenant: "a", size: 1 })
        const before = yield* record(handle.id)
        assert.instanceOf(
          yield* Effect.flip(handle.reschedule({ payload: { tenant: "", size: 1 } })),
          InvalidPayload
        )
        const other = yield* fromPayload(Keyed, { tenant: "a", size: 1 }, {}, 0)
        assert.strictEqual(yield* refusal(queue.reschedule(handle.id, { payload: other })), "payload")
        assert.strictEqual(yield* refusal(handle.reschedule({})), "payload")
        for (const none of [undefined, null, "later"] as unknown as ReadonlyArray<never>) {
          assert.strictEqual(yield* refusal(handle.reschedule(none)), "options")
          assert.strictEqual(yield* refusal(queue.reschedule(handle.id, none)), "options")
        }
        assert.strictEqual(yield* refusal(handle.reschedule({ delay: -1 })), "delay")
        assert.strictEqual(yield* refusal(handle.reschedule({ priority: 10 })), "priority")
        const runAt = DateTime.makeUnsafe(0)
        assert.strictEqual(yield* refusal(handle.reschedule({ delay: 0, runAt })), "delay")
        assert.strictEqual(yield* refusal(handle.reschedule({ dealy: 0 } as {})), "dealy")
        for (const id of ["none", "\ud800"]) {
          assert.instanceOf(yield* Effect.flip(queue.reschedule(id, { delay: 0 })), TaskNotFound)
        }
        assert.deepStrictEqual(yield* record(handle.id), before)
      })
    ))
})

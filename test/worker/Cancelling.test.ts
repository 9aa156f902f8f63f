import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schedule } from "effect"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Gate } from "../engine/Gate.ts"
import { pass, passing, quiesce, reaches, record, withEngine } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work", { retry: { schedule: Schedule.spaced("1 second") } })

describe("cancelling a task", () => {
  it.effect("that is scheduled or pending ends it at once: it never starts", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        const first = yield* Work.enqueue()
        const pending = yield* Work.enqueue()
        const scheduled = yield* Work.enqueue(undefined, { delay: "1 minute" })
        yield* reaches(first.id, "running")
        assert.strictEqual(yield* pending.cancel, "cancelled")
        assert.strictEqual(yield* scheduled.cancel, "cancelled")
        assert.deepInclude(yield* record(pending.id), { state: "cancelled", claims: 0 })
        gate.open()
        yield* pass("2 minutes")
        assert.deepStrictEqual(gate.passed, [first.id])
      })
    )
  })

  it.effect("that runs interrupts it promptly, and its finalizers run first", () => {
    const finalized: Array<number> = []
    const handlers = Work.toLayer(() =>
      Effect.ensuring(
        Effect.never,
        Effect.andThen(Effect.sleep("1 second"), Effect.map(Clock.currentTimeMillis, (now) => finalized.push(now)))
      )
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        const result = yield* Effect.forkChild(Effect.flip(handle.result))
        assert.strictEqual(yield* handle.cancel, "requested")
        yield* quiesce
        assert.deepInclude(yield* record(handle.id), { state: "running", cancelRequested: true })
        yield* pass("1 second")
        assert.deepStrictEqual(finalized, [1000])
        assert.deepInclude(yield* reaches(handle.id, "cancelled"), { failures: 0, crashes: 0, completedAt: 1000 })
        assert.strictEqual((yield* Fiber.join(result))._tag, "TaskCancelled")
      })
    )
  })

  it.effect("that runs interrupts exactly that one", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([undefined, undefined, undefined])
        yield* Effect.forEach(handles, ({ id }) => reaches(id, "running"))
        yield* handles[1]!.cancel
        yield* reaches(handles[1]!.id, "cancelled")
        assert.deepStrictEqual(gate.interrupted, [handles[1]!.id])
        gate.open()
        yield* reaches(handles[0]!.id, "completed")
        yield* reaches(handles[2]!.id, "completed")
      })
    )
  })

  it.effect("works through the heartbeat when the hint is lost", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { lease: "15 seconds" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        store.silence("Cancel")
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        yield* handle.cancel
        yield* quiesce
        assert.deepStrictEqual(gate.interrupted, [])
        yield* pass("5 seconds")
        yield* reaches(handle.id, "cancelled")
        assert.deepStrictEqual(gate.interrupted, [handle.id])
      })
    )
  })

  it.effect("that has finished says so, and changes nothing", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        const before = yield* reaches(handle.id, "completed")
        assert.strictEqual(yield* handle.cancel, "finished")
        assert.deepStrictEqual(yield* record(handle.id), before)
      })
    ))

  it.effect("twice is the same as once", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        assert.strictEqual(yield* handle.cancel, "requested")
        const again = yield* handle.cancel
        assert.include(["requested", "finished"], again)
        yield* reaches(handle.id, "cancelled")
        assert.strictEqual(yield* handle.cancel, "finished")
      })
    )
  })

  it.effect("lets work stand that was done before the request arrived", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        store.slow("1 second", "settle")
        gate.open()
        yield* quiesce
        assert.strictEqual(yield* handle.cancel, "requested")
        yield* passing("5 seconds", handle.result)
        assert.deepInclude(yield* record(handle.id), { state: "completed", cancelRequested: true })
      })
    )
  })

  it.effect("ends a task that fails before the request arrives: it is not retried", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => Effect.andThen(gate.run, Effect.die("broken"))) },
      Effect.gen(function*() {
        const store = yield* TestStore
        store.silence("Cancel")
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        yield* handle.cancel
        gate.open()
        const { value } = yield* passing("2 seconds", Effect.flip(handle.result))
        assert.strictEqual(value._tag, "TaskCancelled")
        yield* pass("1 minute")
        assert.deepInclude(yield* record(handle.id), { state: "cancelled", claims: 1, failures: 1 })
      })
    )
  })

  it.effect("gives a resisting attempt up after five seconds", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.uninterruptible(Effect.sleep("30 seconds"))) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        yield* handle.cancel
        yield* pass("5 seconds")
        yield* reaches(handle.id, "cancelled")
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
        yield* pass("30 seconds")
        assert.strictEqual((yield* record(handle.id)).state, "cancelled")
      })
    ))

  it.effect("does not keep the task from being run again by an operator", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        yield* handle.cancel
        yield* reaches(handle.id, "cancelled")
        gate.open()
        yield* queue.rerun(handle.id)
        assert.deepInclude(yield* reaches(handle.id, "completed"), { cancelRequested: false, claims: 2 })
      })
    )
  })
})

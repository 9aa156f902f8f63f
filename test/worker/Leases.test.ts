import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Notifier } from "../../src/store/Notifier.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Gate } from "../engine/Gate.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { Logs, pass, quiesce, reaches, record, start, withEngine, withStore } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"
import { anyTime } from "../store/conformance/fixtures.ts"

const Work = Task.make("work", { timeout: "1 hour" })

describe("a lease", () => {
  it.effect("is kept for as long as the task runs", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        yield* pass("3 minutes")
        assert.deepInclude(yield* record(handle.id), { state: "running", claims: 1, crashes: 0 })
        gate.open()
        yield* reaches(handle.id, "completed")
        assert.strictEqual(gate.count, 1)
      })
    )
  })

  it.effect("is extended for all attempts in one call, three times per lease", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 50, lease: "15 seconds" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* Work.enqueueAll(Array.from({ length: 50 }, () => undefined))
        yield* pass("60 seconds")
        assert.strictEqual(store.calls("extend"), 12)
        gate.open()
      })
    )
  })

  it.effect("that ran out before the claim's answer came starts nothing that was cancelled meanwhile", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { lease: "15 seconds" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* pass("2 seconds")
        store.answersLate("20 seconds", "claim")
        const handle = yield* Work.enqueue()
        yield* pass("18 seconds")
        assert.deepInclude(yield* record(handle.id), { state: "pending", crashes: 1 })
        assert.strictEqual(yield* handle.cancel, "cancelled")
        store.up()
        yield* pass("10 seconds")
        assert.strictEqual(gate.count, 0)
      })
    )
  })

  it.effect("that is still held when the claim's answer comes late is prolonged, and the task starts", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { lease: "15 seconds" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* pass("2 seconds")
        store.answersLate("10 seconds", "claim")
        const handle = yield* Work.enqueue()
        yield* pass("11 seconds")
        assert.deepInclude(yield* reaches(handle.id, "completed"), { claims: 1, crashes: 0 })
        assert.strictEqual(store.calls("extend"), 1)
      })
    )
  })

  it.effect("is not lost when that prolonging is never answered: the claim is asked for again", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { lease: "15 seconds" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* pass("2 seconds")
        store.answersLate("8 seconds", "claim")
        store.hangs("extend")
        const handle = yield* Work.enqueue()
        yield* pass("9 seconds")
        assert.strictEqual(store.calls("extend"), 1)
        // The next calls are answered at once, the one that hangs is not.
        store.forget("claim", "extend")
        yield* pass("6 seconds")
        assert.deepInclude(yield* reaches(handle.id, "completed"), { claims: 1, crashes: 0 })
      })
    )
  })

  it.effect("is asked about when a hint says that the task was cancelled, and a late hint changes nothing", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { lease: "15 seconds" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handle = yield* Work.enqueue()
        yield* pass("1 second")
        yield* (yield* Notifier).publish({ _tag: "Cancel", ids: [handle.id] })
        yield* pass("1 second")
        assert.strictEqual(store.calls("extend"), 1)
        assert.deepInclude(yield* record(handle.id), { state: "running", claims: 1 })
        gate.open()
        yield* reaches(handle.id, "completed")
      })
    )
  })

  it.effect("is not lost to a heartbeat that is never answered", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { lease: "15 seconds" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handle = yield* Work.enqueue()
        yield* pass("1 second")
        store.hangs("extend")
        yield* pass("6 seconds")
        // The next calls are answered, the one that hangs is not.
        store.forget("extend")
        yield* pass("30 seconds")
        assert.deepInclude(yield* record(handle.id), { state: "running", claims: 1, crashes: 0 })
        gate.open()
        yield* reaches(handle.id, "completed")
      })
    )
  })

  it.effect("costs nothing while no task runs", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        yield* pass("60 seconds")
        assert.strictEqual((yield* TestStore).calls("extend"), 0)
      })
    ))

  it.effect("of a dead instance runs out: the task runs again within the lease and a rescue", () => {
    const gate = new Gate()
    gate.open()
    return withStore(
      {},
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("orphan")
        yield* OtherProcess.claim({ leaseForMs: 15_000 })
        const engine = yield* start({ handlers: Work.toLayer(() => gate.run) })
        yield* pass("14 seconds")
        assert.strictEqual(gate.count, 0)
        yield* pass("4 seconds")
        const task = yield* reaches("orphan", "completed")
        assert.isAtMost(gate.started[0]!.at, 17_500)
        assert.deepInclude(task, { claims: 2, crashes: 1, failures: 0 })
        assert.deepStrictEqual(task.history.map(({ instance, outcome }) => [outcome, instance]), [["crashed", "other"]])
        yield* engine.close
      })
    )
  })

  it.effect("that runs out again and again ends in quarantine", () =>
    withStore(
      { store: { maxCrashes: 2 } },
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("deadly")
        const engine = yield* start()
        const Deadly = yield* Effect.provide(Work.handle("deadly"), engine.context)
        const result = yield* Effect.forkChild(Effect.flip(Deadly.result))
        for (let crash = 0; crash < 3; crash++) {
          yield* OtherProcess.claim({ leaseForMs: 1000 })
          yield* pass("10 seconds")
        }
        assert.strictEqual((yield* Fiber.join(result))._tag, "TaskQuarantined")
        assert.deepInclude(yield* record("deadly"), { state: "failed", crashes: 3, failures: 0 })
        assert.lengthOf(yield* Logs.matching(/is quarantined/), 1)
        yield* engine.close
      })
    ))

  it.effect("that was lost interrupts the local attempt, which settles nothing", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), rescuer: { interval: "1 hour" } },
      Effect.gen(function*() {
        const store = yield* TaskStore
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        const faults = yield* TestStore
        faults.down("extend", "claim")
        yield* pass("16 seconds")
        yield* store.rescue({ limit: 10, ...anyTime })
        faults.up()
        const other = yield* OtherProcess.claim({ leaseForMs: 60_000 })
        assert.strictEqual(other.claim, 2)
        yield* pass("10 seconds")
        assert.deepStrictEqual(gate.interrupted, [handle.id])
        assert.deepInclude(yield* record(handle.id), {
          state: "running",
          claims: 2,
          instance: "other",
          settledClaim: 0
        })
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
        assert.strictEqual(faults.calls("settle"), 0)
        yield* store.settle([{ _tag: "Complete", id: other.id, claim: 2, result: "null" }])
      })
    )
  })
})

describe("fencing", () => {
  it.effect("keeps a late attempt's success from changing anything", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), rescuer: { interval: "1 hour" } },
      Effect.gen(function*() {
        const store = yield* TaskStore
        const faults = yield* TestStore
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        faults.down("extend", "claim")
        yield* pass("16 seconds")
        yield* store.rescue({ limit: 10, ...anyTime })
        faults.up()
        faults.down("extend")
        const other = yield* OtherProcess.claim({ leaseForMs: 600_000 })
        const before = yield* record(handle.id)
        gate.open()
        yield* quiesce
        assert.deepStrictEqual(gate.passed, [handle.id])
        assert.isAbove(faults.calls("settle"), 0)
        assert.deepStrictEqual(yield* record(handle.id), before)
        assert.lengthOf(yield* Logs.matching(/was taken over; this attempt changed nothing/), 1)
        faults.up()
        yield* store.settle([{ _tag: "Complete", id: other.id, claim: other.claim, result: "null" }])
        assert.deepInclude(yield* record(handle.id), { state: "completed", settledClaim: 2 })
      })
    )
  })

  it.effect("gives every attempt a higher number", () => {
    const claims: Array<number> = []
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => Effect.andThen(gate.run, Effect.die("again"))) },
      Effect.gen(function*() {
        gate.open()
        yield* Work.enqueue(undefined, { maxRetries: 5 })
        yield* pass("2 minutes")
        claims.push(...gate.started.map(({ claim }) => claim))
        assert.deepStrictEqual(claims, [1, 2, 3, 4, 5, 6])
      })
    )
  })
})

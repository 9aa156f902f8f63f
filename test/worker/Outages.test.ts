/** The store goes away while tasks run, and comes back. Nothing is lost, nothing counts as a crash. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Gate } from "../engine/Gate.ts"
import { Logs, pass, passing, quiesce, reaches, record, withEngine } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work", { timeout: "1 hour", retry: { schedule: Schedule.spaced("1 second") } })

describe("an outage of the store", () => {
  it.effect.each(
    [
      { lease: "15 seconds", outage: 20 },
      { lease: "15 seconds", outage: 60 },
      { lease: "15 seconds", outage: 600 },
      { lease: "2 seconds", outage: 3 },
      { lease: "2 seconds", outage: 10 },
      { lease: "2 seconds", outage: 61 }
    ] as const
  )("of $outage s with a lease of $lease is no crash of everything", ({ lease, outage }) => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { lease } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handles = yield* Work.enqueueAll(Array.from({ length: 10 }, () => undefined))
        yield* reaches(handles[9]!.id, "running")
        yield* pass("11 seconds")
        store.down()
        yield* pass(outage * 1000)
        store.up()
        yield* pass("1 minute")
        assert.deepStrictEqual(gate.interrupted, [])
        for (const { id } of handles) assert.deepInclude(yield* record(id), { state: "running", crashes: 0, claims: 1 })
        gate.open()
        yield* Effect.forEach(handles, ({ id }) => reaches(id, "completed"))
      })
    )
  })

  it.effect("is no crash of everything, whenever it ends", () =>
    Effect.gen(function*() {
      const crashed: Array<number> = []
      for (let outage = 10_000; outage < 40_000; outage += 970) {
        const gate = new Gate()
        yield* withEngine(
          { handlers: Work.toLayer(() => gate.run) },
          Effect.gen(function*() {
            const store = yield* TestStore
            const { id } = yield* Work.enqueue()
            yield* reaches(id, "running")
            yield* pass("8 seconds")
            store.down()
            yield* pass(outage)
            store.up()
            yield* pass("40 seconds")
            if ((yield* record(id)).crashes > 0) crashed.push(outage)
            gate.open()
          })
        )
      }
      assert.deepStrictEqual(crashed, [])
    }))

  it.effect("delays what has finished until it is over: every settlement arrives", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handles = yield* Work.enqueueAll(Array.from({ length: 10 }, () => undefined))
        yield* reaches(handles[9]!.id, "running")
        store.down()
        gate.open()
        yield* pass("40 seconds")
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
        store.up()
        yield* pass("5 seconds")
        for (const { id } of handles) assert.deepInclude(yield* reaches(id, "completed"), { claims: 1, crashes: 0 })
      })
    )
  })

  it.effect("that swallows replies runs nothing twice and loses nothing", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 3 } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const queue = yield* TaskQueue
        store.losesReplies("claim", "settle", "extend")
        const handles = yield* Work.enqueueAll(Array.from({ length: 12 }, () => undefined))
        yield* pass("2 seconds")
        store.up()
        yield* passing("10 seconds", Effect.forEach(handles, ({ result }) => result))
        assert.strictEqual(gate.count, 12)
        assert.deepInclude((yield* queue.counts).totals, { completed: 12, crashed: 0, retried: 0 })
      })
    )
  })

  it.effect("holds the heartbeat open for attempts whose settlement is not acknowledged yet", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handle = yield* Work.enqueue()
        yield* reaches(handle.id, "running")
        store.down("settle")
        gate.open()
        yield* pass("2 minutes")
        assert.deepInclude(yield* record(handle.id), { state: "running", claims: 1, crashes: 0 })
        store.up()
        yield* pass("5 seconds")
        assert.deepInclude(yield* reaches(handle.id, "completed"), { claims: 1, crashes: 0 })
        assert.strictEqual(gate.count, 1)
      })
    )
  })

  it.effect("holds workers back when too many ends wait to be settled, and all arrive afterwards", () => {
    const gate = new Gate()
    gate.open()
    const count = 5000
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 100 }, store: { capacity: count } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const queue = yield* TaskQueue
        store.down("settle")
        yield* Work.enqueueAll(Array.from({ length: count }, () => undefined))
        yield* pass("20 seconds")
        assert.isBelow(gate.count, count)
        store.up()
        yield* pass("1 minute")
        assert.strictEqual((yield* queue.counts).completed, count)
        assert.strictEqual(gate.count, count)
      })
    )
  })

  it.effect("is in the health report while it lasts, and logged once per loop", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const supervisor = yield* Supervisor
        yield* quiesce
        assert.deepStrictEqual(yield* supervisor.troubles, [])
        store.down()
        yield* pass("1 minute")
        const parts = (yield* supervisor.troubles).map(({ part }) => part)
        assert.sameMembers(parts, ["claimer", "rescuer", "registrar", "leader"])
        assert.lengthOf(yield* Logs.matching(/^claimer failed/), 1)
        store.up()
        yield* pass("20 seconds")
        assert.deepStrictEqual(yield* supervisor.troubles, [])
        assert.lengthOf(yield* Logs.matching(/^claimer works again/), 1)
      })
    ))
})

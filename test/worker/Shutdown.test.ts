import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, type Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Task from "../../src/Task.ts"
import type { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"
import type { TaskContext } from "../../src/worker/TaskContext.ts"
import { Gate } from "../engine/Gate.ts"
import { Logs, pass, passing, quiesce, reaches, record, start, withStore } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work", { timeout: "1 hour" })

/** Starts an engine with this handler, enqueues some tasks, and lets them start. */
const busy = Effect.fnUntraced(function*(
  run: Effect.Effect<void, never, TaskContext>,
  options: { readonly tasks?: number; readonly concurrency?: number; readonly shutdown?: Duration.Input } = {}
) {
  const engine = yield* start({
    handlers: Work.toLayer(() => run),
    shutdown: options.shutdown,
    worker: { concurrency: options.concurrency ?? 10 }
  })
  const many = Array.from({ length: options.tasks ?? 1 }, () => undefined)
  const handles = yield* Effect.provide(Work.enqueueAll(many), engine.context)
  yield* quiesce
  return { engine, ids: handles.map(({ id }) => id) }
})

describe("a shutdown", () => {
  it.effect("of an idle engine takes no time", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { engine } = yield* busy(Effect.void)
        assert.strictEqual((yield* passing("1 second", engine.close)).tookMs, 0)
      })
    ))

  it.effect("lets running tasks end within the grace period, and stores their results", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { engine, ids } = yield* busy(Effect.sleep("20 seconds"))
        assert.strictEqual((yield* passing("30 seconds", engine.close)).tookMs, 20_000)
        assert.deepInclude(yield* record(ids[0]!), { state: "completed", claims: 1 })
      })
    ))

  it.effect("claims nothing new, and leaves what waits to others", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { engine, ids } = yield* busy(Effect.sleep("10 seconds"), { tasks: 3, concurrency: 1 })
        yield* passing("30 seconds", engine.close)
        const states = yield* Effect.forEach(
          ids,
          (id) => Effect.map(record(id), ({ claims, state }) => [state, claims])
        )
        assert.deepStrictEqual(states, [["completed", 1], ["pending", 0], ["pending", 0]])
      })
    ))

  it.effect("interrupts and releases what outlasts the grace period: no failure, no crash", () => {
    const gate = new Gate()
    return withStore(
      {},
      Effect.gen(function*() {
        const { engine, ids } = yield* busy(gate.run, { tasks: 3 })
        const { tookMs } = yield* passing("30 seconds", engine.close)
        assert.strictEqual(tookMs, 20_000)
        assert.sameMembers(gate.interrupted, ids)
        for (const id of ids) {
          const task = yield* record(id)
          assert.deepInclude(task, { state: "pending", failures: 0, crashes: 0, claims: 1, dueAt: 0 })
          assert.deepStrictEqual(task.history.map(({ outcome }) => outcome), ["released"])
        }
        gate.open()
        const next = yield* busy(gate.run, { tasks: 0 })
        for (const id of ids) yield* reaches(id, "completed")
        yield* next.engine.close
      })
    )
  })

  it.effect("keeps the leases of running tasks during the grace period", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { engine, ids } = yield* busy(Effect.sleep("40 seconds"), { shutdown: "1 minute" })
        const closing = yield* Effect.forkChild(engine.close)
        yield* pass("35 seconds")
        const { leaseUntil, state } = yield* record(ids[0]!)
        assert.strictEqual(state, "running")
        assert.isAbove(leaseUntil!, 35_000)
        yield* pass("10 seconds")
        yield* Fiber.join(closing)
        assert.deepInclude(yield* record(ids[0]!), { state: "completed", crashes: 0 })
      })
    ))

  it.effect("still cancels and times out tasks during the grace period", () => {
    const Short = Task.make("short", { timeout: "5 seconds", retry: { times: 0 } })
    return withStore(
      {},
      Effect.gen(function*() {
        const engine = yield* start({ handlers: Short.toLayer(() => Effect.never) })
        const { id } = yield* Effect.provide(Short.enqueue(), engine.context)
        yield* quiesce
        assert.strictEqual((yield* passing("30 seconds", engine.close)).tookMs, 5000)
        assert.strictEqual((yield* record(id)).failure?.kind, "timeout")
      })
    )
  })

  it.effect("releases tasks that resist, within the deadline of the whole shutdown", () => {
    const ended: Array<number> = []
    const stubborn = Effect.sleep("1 minute").pipe(
      Effect.andThen(Effect.map(Clock.currentTimeMillis, (now) => ended.push(now))),
      Effect.uninterruptible
    )
    return withStore(
      {},
      Effect.gen(function*() {
        const { engine, ids } = yield* busy(stubborn, { shutdown: "30 seconds" })
        const { tookMs } = yield* passing("50 seconds", engine.close)
        assert.deepInclude(yield* record(ids[0]!), { state: "pending", failures: 0, crashes: 0 })
        yield* pass("1 minute")
        assert.lengthOf(ended, 1)
        assert.isAtMost(tookMs, 30_000)
      })
    )
  })

  it.effect("gives back a claim's tasks that arrive while it begins: none is lost", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const store = yield* TestStore
        const engine = yield* start({ handlers: Work.toLayer(() => Effect.void) })
        yield* quiesce
        store.slow("1 second", "claim")
        const { id } = yield* Effect.provide(Work.enqueue(), engine.context)
        yield* quiesce
        yield* passing("10 seconds", engine.close)
        assert.deepInclude(yield* record(id), { state: "pending", claims: 1, failures: 0, crashes: 0 })
      })
    ))

  it.effect("settles everything that has ended", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const store = yield* TestStore
        const { engine, ids } = yield* busy(Effect.sleep("1 second"), { tasks: 500, concurrency: 500 })
        store.slow("100 millis", "settle")
        yield* TestClock.adjust("1 second")
        yield* passing("30 seconds", engine.close)
        const states = yield* Effect.forEach(ids, (id) => Effect.map(record(id), ({ state }) => state))
        assert.deepStrictEqual([...new Set(states)], ["completed"])
      })
    ))

  it.effect("waits for a store that comes back in time", () => {
    const gate = new Gate()
    return withStore(
      {},
      Effect.gen(function*() {
        const store = yield* TestStore
        const { engine, ids } = yield* busy(gate.run)
        store.down()
        gate.open()
        const closing = yield* Effect.forkChild(engine.close)
        yield* pass("2 seconds")
        store.up()
        yield* pass("1 second")
        yield* Fiber.join(closing)
        assert.deepInclude(yield* record(ids[0]!), { state: "completed", claims: 1 })
      })
    )
  })

  it.effect.each([
    { fault: "fails", break: (store: TestStore["Service"]) => store.down() },
    { fault: "does not answer", break: (store: TestStore["Service"]) => store.hangs() },
    { fault: "takes tasks but no settlements", break: (store: TestStore["Service"]) => store.down("settle") }
  ])("ends within its deadline while the store $fault, and the tasks run again later", ({ break: breakIt }) => {
    const gate = new Gate()
    return withStore(
      { store: { capacity: 5000 } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const { engine, ids } = yield* busy(gate.run, { tasks: 4000, concurrency: 500 })
        breakIt(store)
        gate.open()
        yield* pass("5 seconds")
        const begin = yield* Clock.currentTimeMillis
        const closing = yield* Effect.forkChild(Effect.andThen(engine.close, Clock.currentTimeMillis))
        yield* pass("1 minute")
        store.up()
        yield* pass("1 minute")
        assert.isAtMost((yield* Fiber.join(closing)) - begin, 30_000)
        assert.isAbove((yield* Logs.matching(/could not be settled before shutdown/)).length, 0)
        const next = yield* busy(gate.run, { tasks: 0, concurrency: 500 })
        yield* pass("1 minute")
        for (const id of ids) assert.strictEqual((yield* record(id)).state, "completed")
        yield* next.engine.close
      })
    )
  })
})

describe("the order of a shutdown", () => {
  class Database extends Context.Service<Database, { readonly isOpen: boolean }>()("Database") {}

  it.effect("ends the tasks first, then the services of their handlers", () => {
    const log: Array<string> = []
    const database = Layer.effect(
      Database,
      Effect.gen(function*() {
        let isOpen = true
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            isOpen = false
            log.push("database closed")
          })
        )
        return {
          get isOpen() {
            return isOpen
          }
        }
      })
    )
    const handlers: Layer.Layer<never, never, HandlerRegistry> = Work.toLayer(() =>
      Effect.gen(function*() {
        const database = yield* Database
        yield* Effect.sleep("10 seconds")
        log.push(`task ended, database open: ${database.isOpen}`)
      })
    ).pipe(Layer.provide(database))
    return withStore(
      {},
      Effect.gen(function*() {
        const engine = yield* start({ handlers })
        yield* Effect.provide(Work.enqueue(), engine.context)
        yield* quiesce
        yield* passing("30 seconds", engine.close)
        assert.deepStrictEqual(log, ["task ended, database open: true", "database closed"])
      })
    )
  })
})

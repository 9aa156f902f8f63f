import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Layer, Scope } from "effect"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Gate } from "../engine/Gate.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import {
  eventually,
  pass,
  passing,
  quiesce,
  reaches,
  record,
  start,
  withEngine,
  withStore
} from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work")
const Other = Task.make("other", { queue: "others" })

const times = (count: number) => Array.from({ length: count }, () => undefined)

describe("a worker pool", () => {
  it.effect("runs as many tasks at once as it has workers, and no more", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 7 } },
      Effect.gen(function*() {
        const pool = yield* WorkerPool
        const queue = yield* TaskQueue
        const handles = yield* Work.enqueueAll(times(50))
        yield* quiesce
        assert.strictEqual(yield* pool.active, 7)
        assert.deepInclude(yield* queue.counts, { running: 7, pending: 43 })
        gate.open()
        yield* Effect.forEach(handles, ({ result }) => result)
        assert.strictEqual(gate.most, 7)
        yield* eventually(Effect.map(pool.active, (active) => active === 0))
      })
    )
  })

  it.effect("never claims what it cannot run at once", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 2 } },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll(times(5))
        yield* pass("10 seconds")
        const claims = yield* Effect.forEach(handles, ({ id }) => Effect.map(record(id), (task) => task.claims))
        assert.deepStrictEqual(claims, [1, 1, 0, 0, 0])
        gate.open()
      })
    )
  })

  it.effect("starts a task that it is told about without waiting for a poll", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { pollInterval: "1 hour" } },
      Effect.gen(function*() {
        yield* pass("10 seconds")
        const handle = yield* Work.enqueue()
        yield* handle.result
        assert.deepStrictEqual(gate.started.map(({ at }) => at), [10_000])
      })
    )
  })

  it.effect("finds by polling what it is not told about", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { pollInterval: "3 seconds" } },
      Effect.gen(function*() {
        yield* quiesce
        yield* OtherProcess.enqueue("unannounced")
        yield* pass("2999 millis")
        assert.strictEqual(gate.count, 0)
        yield* pass("1 millis")
        yield* reaches("unannounced", "completed")
      })
    )
  })

  it.effect("starts a scheduled task when it is due, not at the next poll", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { pollInterval: "10 seconds" } },
      Effect.gen(function*() {
        for (const delay of [123, 4567, 25_001]) yield* Work.enqueue(undefined, { delay })
        yield* pass("1 minute")
        assert.deepStrictEqual(gate.started.map(({ at }) => at), [123, 4567, 25_001])
      })
    )
  })

  it.effect("asks a quiet store once per poll interval", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void), worker: { pollInterval: "1 second" } },
      Effect.gen(function*() {
        yield* quiesce
        const store = yield* TestStore
        const before = store.calls("claim")
        yield* pass("1 minute")
        assert.isAtMost(store.calls("claim") - before, 61)
      })
    ))

  it.effect("shows its slots and what runs in them", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), instance: "here", worker: { concurrency: 3 } },
      Effect.gen(function*() {
        const pool = yield* WorkerPool
        const { id } = yield* Work.enqueue()
        yield* pass("1500 millis")
        assert.deepStrictEqual(yield* pool.slots, [
          { slot: 1, task: { id, type: "work", runningFor: Duration.millis(1500) } },
          { slot: 2, task: undefined },
          { slot: 3, task: undefined }
        ])
        assert.strictEqual(pool.instance, "here")
        assert.strictEqual(yield* pool.concurrency, 3)
        assert.strictEqual((yield* record(id)).instance, "here")
        gate.open()
      })
    )
  })

  it.effect("leaves a paused queue alone, and goes on at once when it is resumed", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      {
        handlers: Layer.mergeAll(Work.toLayer(() => gate.run), Other.toLayer(() => gate.run)),
        worker: { pollInterval: "1 hour" }
      },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* queue.pause("default")
        assert.deepStrictEqual((yield* queue.paused).map(({ queue }) => queue), ["default"])
        const paused = yield* Work.enqueue()
        const free = yield* Other.enqueue()
        yield* free.result
        yield* pass("10 seconds")
        assert.deepInclude(yield* record(paused.id), { state: "pending", claims: 0 })
        yield* queue.resume("default")
        yield* paused.result
      })
    )
  })

  it.effect("works on every queue, also on those that it never heard of", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { queues: [] } },
      Effect.gen(function*() {
        for (const queue of ["default", "never heard of", "*", "ä\n\""]) {
          const { result } = yield* Work.enqueue(undefined, { queue })
          yield* result
        }
      })
    )
  })

  it.effect("works only on the queues it is told to, if it is", () => {
    const gate = new Gate()
    gate.open()
    const handlers = Layer.mergeAll(Work.toLayer(() => gate.run), Other.toLayer(() => gate.run))
    return withEngine(
      { handlers, worker: { queues: ["others"] } },
      Effect.gen(function*() {
        const other = yield* Other.enqueue()
        const work = yield* Work.enqueue()
        yield* pass("5 seconds")
        yield* reaches(other.id, "completed")
        assert.strictEqual((yield* record(work.id)).state, "pending")
      })
    )
  })

  it.effect("shares a store with another pool: each task runs once", () => {
    const gate = new Gate()
    gate.open()
    return withStore(
      {},
      Effect.gen(function*() {
        const handlers = Work.toLayer(() => Effect.andThen(Effect.sleep("10 millis"), gate.run))
        const one = yield* start({ handlers, instance: "one", worker: { concurrency: 3 } })
        const two = yield* start({ handlers, instance: "two", worker: { concurrency: 3 } })
        const handles = yield* Effect.provide(Work.enqueueAll(times(60)), one.context)
        yield* passing("30 seconds", Effect.forEach(handles, ({ result }) => result))
        const instances = yield* Effect.forEach(handles, ({ id }) => Effect.map(record(id), ({ instance }) => instance))
        assert.sameMembers([...new Set(instances)], ["one", "two"])
        assert.strictEqual(gate.count, 60)
        yield* one.close
        yield* two.close
      })
    )
  })
})

describe("the handlers of a pool", () => {
  it.effect("decide what it claims: other types stay where they are", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        const Unhandled = Task.make("unhandled")
        const work = yield* Work.enqueue()
        const unhandled = yield* Unhandled.enqueue()
        yield* work.result
        yield* pass("1 minute")
        assert.deepInclude(yield* record(unhandled.id), { state: "pending", claims: 0 })
      })
    ))

  it.effect("may come later: their tasks start at once, and stop being claimed when they leave", () => {
    const gate = new Gate()
    gate.open()
    return withEngine(
      { worker: { pollInterval: "1 hour" } },
      Effect.gen(function*() {
        const registry = yield* HandlerRegistry
        const early = yield* Work.enqueue()
        yield* pass("1 minute")
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(
          Work.toLayer(() => gate.run).pipe(Layer.provide(Layer.succeed(HandlerRegistry, registry))),
          scope
        )
        yield* early.result
        assert.deepStrictEqual(registry.types(), ["work"])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(registry.types(), [])
        const late = yield* Work.enqueue()
        yield* pass("1 minute")
        assert.deepInclude(yield* record(late.id), { state: "pending", claims: 0 })
      })
    )
  })

  it.effect("that leave while a claim is on its way give the task back, uncounted", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const registry = yield* HandlerRegistry
        const store = yield* TestStore
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(
          Work.toLayer(() => Effect.void).pipe(Layer.provide(Layer.succeed(HandlerRegistry, registry))),
          scope
        )
        yield* quiesce
        store.slow("1 second", "claim")
        const { id } = yield* Work.enqueue()
        yield* quiesce
        yield* Scope.close(scope, Exit.void)
        yield* pass("2 seconds")
        assert.deepInclude(yield* reaches(id, "pending"), { claims: 1, failures: 0, crashes: 0 })
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
      })
    ))

  it.effect("are one per type: a second one is refused, and the message names the type", () =>
    Effect.gen(function*() {
      const twice = Layer.mergeAll(Work.toLayer(() => Effect.void), Work.toLayer(() => Effect.void))
      const exit = yield* Effect.exit(withEngine({ handlers: twice }, Effect.void))
      assert.isTrue(Exit.isFailure(exit))
      assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", `"work" has two handlers`)
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Layer, Schema } from "effect"
import { InvalidOption } from "../../src/domain/Errors.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Gate } from "./Gate.ts"
import { pass, passing, quiesce, reaches, record, start, withEngine, withStore } from "./TestEngine.ts"

const Double = Task.make("double", { payload: { n: Schema.Int }, success: Schema.Int })
const DoubleLive = Double.toLayer(({ n }) => Effect.succeed(n * 2))

describe("an engine", () => {
  it.effect("does not start with an option that is outside of its bound", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const outside: ReadonlyArray<readonly [option: string, options: Engine.Options]> = [
          ["instance", { instance: "a\u0000" }],
          ["queue.maxRetries", { queue: { maxRetries: 1.5 } }],
          ["queue.pollInterval", { queue: { pollInterval: 0 } }],
          ["worker.concurrency", { worker: { concurrency: Infinity } }],
          ["worker.concurrency", { worker: { concurrency: 0 } }],
          ["worker.queues", { worker: { queues: ["default", "\ud800"] } }],
          ["worker.lease", { worker: { lease: NaN } }],
          ["worker.pollInterval", { worker: { pollInterval: "Infinity" } }],
          ["worker.timeout", { worker: { timeout: 0 } }],
          ["rescuer.interval", { rescuer: { interval: -1 } }],
          ["retention.keepFailed", { retention: { keepFailed: -1 } }],
          ["retention.maxFinished", { retention: { maxFinished: 0.5 } }],
          ["shutdown", { shutdown: "Infinity" }],
          // What has no such name, as a program without types may write it
          ["concurrency", { concurrency: 5 } as object],
          ["queue.maxRetires", { queue: { maxRetires: 5 } as object }],
          ["worker.concurency", { worker: { concurency: 5 } as object }],
          ["rescuer.lease", { rescuer: { lease: 5 } as object }],
          ["retention.keepfailed", { retention: { keepfailed: 5 } as object }]
        ]
        for (const [option, options] of outside) {
          const exit = yield* Effect.exit(Effect.suspend(() => start(options)))
          const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail(`${option} was taken`)
          assert.instanceOf(error, InvalidOption)
          assert.strictEqual(error.option, option)
        }
        const endless = { keepFinished: "Infinity", keepFailed: "Infinity" } as const
        const engine = yield* start({ worker: { timeout: "Infinity", lease: 1.5 }, retention: endless })
        yield* engine.close
      })
    ))

  it.effect("does not start on a store with such a setting", () =>
    Effect.gen(function*() {
      for (
        const [option, settings] of [
          ["capacity", { capacity: 0 }],
          ["capacity", { capacity: Infinity }],
          ["maxBytes", { maxBytes: 0 }],
          ["headStart", { headStart: -1 }],
          ["maxCrashes", { maxCrashes: 1.5 }],
          ["capactiy", { capactiy: 10 } as object]
        ] as const
      ) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(MemoryStore.layer(settings))))
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail(`${option} was taken`)
        assert.instanceOf(error, InvalidOption)
        assert.strictEqual(error.option, option)
      }
    }))

  it.effect("goes on with what an earlier one left in the store", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const first = yield* start()
        const handles = yield* Effect.provide(Double.enqueueAll([{ n: 1 }, { n: 2 }, { n: 3 }]), first.context)
        yield* first.close
        const second = yield* start({ handlers: DoubleLive })
        for (const { id } of handles) yield* reaches(id, "completed")
        yield* second.close
      })
    ))

  it.effect("may be a producer only, whose tasks and results another one takes care of", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const worker = yield* start({ handlers: DoubleLive })
        const doubled = Effect.gen(function*() {
          const handle = yield* Double.enqueue({ n: 21 })
          return yield* handle.result
        })
        const { value } = yield* passing("5 seconds", Effect.provide(doubled, Engine.layerProducer()))
        assert.strictEqual(value, 42)
        yield* worker.close
      })
    ))

  it.effect("runs tasks that enqueue and await other tasks", () => {
    const Sum = Task.make("sum", { payload: { upTo: Schema.Int }, success: Schema.Int })
    const SumLive = Sum.toLayer(Effect.fnUntraced(function*({ upTo }) {
      const numbers = Array.from({ length: upTo }, (_, n) => ({ n }))
      const handles = yield* Effect.orDie(Double.enqueueAll(numbers))
      const doubles = yield* Effect.orDie(Effect.forEach(handles, ({ result }) => result))
      return doubles.reduce((sum, n) => sum + n, 0)
    }))
    return withEngine(
      { handlers: Layer.mergeAll(SumLive, DoubleLive) },
      Effect.gen(function*() {
        const handle = yield* Sum.enqueue({ upTo: 10 })
        assert.strictEqual(yield* handle.result, 90)
      })
    )
  })

  it.effect("leaves no attempt, fiber or slot behind after thousands of tasks of all fates", () => {
    const Fate = Task.make("fate", {
      payload: { n: Schema.Int },
      timeout: "1 second",
      retry: { times: 1 }
    })
    const FateLive = Fate.toLayer(({ n }): Effect.Effect<void> => {
      switch (n % 5) {
        case 0:
          return Effect.die("broken")
        case 1:
          return Effect.never
        case 2:
          return Effect.sleep("200 millis")
        case 3:
          return Effect.uninterruptible(Effect.sleep("1500 millis"))
        default:
          return Effect.void
      }
    })
    return withEngine(
      { handlers: FateLive, store: { capacity: 5000 }, worker: { concurrency: 250 } },
      Effect.gen(function*() {
        const handles = yield* Fate.enqueueAll(Array.from({ length: 2000 }, (_, n) => ({ n })))
        yield* Effect.forEach(handles.filter((_, n) => n % 7 === 0), ({ cancel }) => cancel)
        const { value } = yield* passing("5 minutes", Effect.forEach(handles, ({ result }) => Effect.exit(result)))
        assert.lengthOf(value, 2000)
        yield* quiesce
        const { cancelled, completed, failed, pending, running, scheduled } = yield* TaskQueue.use((queue) =>
          queue.counts
        )
        assert.deepStrictEqual([pending, running, scheduled], [0, 0, 0])
        assert.strictEqual(cancelled + completed + failed, 2000)
        const pool = yield* WorkerPool
        assert.strictEqual(yield* pool.active, 0)
        assert.isTrue((yield* pool.slots).every(({ task }) => task === undefined))
      })
    )
  })

  it.effect("rescues by the lease of its workers", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Double.toLayer(() => Effect.as(gate.run, 1)), worker: { lease: "1 minute" } },
      Effect.gen(function*() {
        const { id } = yield* Double.enqueue({ n: 1 })
        yield* pass("10 minutes")
        assert.deepInclude(yield* record(id), { state: "running", crashes: 0 })
        gate.open()
      })
    )
  })
})

describe("the plan of a shutdown", () => {
  it.each(["30 seconds", "10 seconds", "1 second", "5 minutes", "0 seconds"] as const)(
    "spends no more than %s",
    (total) => {
      const parts = Object.values(Engine.shutdownPlan(total)).map(Duration.toMillis)
      assert.lengthOf(parts, 4)
      assert.isAtMost(parts.reduce((sum, part) => sum + part), Duration.toMillis(total))
      assert.isTrue(parts.every((part) => part >= 0))
    }
  )

  it("gives running tasks what the HTTP server, stopping and settling do not need", () => {
    assert.deepStrictEqual(Engine.shutdownPlan("30 seconds"), {
      http: Duration.seconds(2),
      grace: Duration.seconds(20),
      resist: Duration.seconds(5),
      flush: Duration.seconds(3)
    })
  })
})

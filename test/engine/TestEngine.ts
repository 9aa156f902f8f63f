/**
 * An engine for one test: built on a store of its own under TestClock, closed afterwards, and checked for leaks.
 */
import { assert } from "@effect/vitest"
import {
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  type LogLevel,
  Metric,
  References,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import type { TaskRecord } from "../../src/domain/TaskRecord.ts"
import type { TaskState } from "../../src/domain/TaskState.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { Signals } from "../../src/flow/Signals.ts"
import * as Expirer from "../../src/maintenance/Expirer.ts"
import * as Resumer from "../../src/maintenance/Resumer.ts"
import * as StepSweeper from "../../src/maintenance/StepSweeper.ts"
import type { Supervisor } from "../../src/observability/Supervisor.ts"
import type { TaskQueue } from "../../src/queue/TaskQueue.ts"
import type { Schedules } from "../../src/schedule/Schedules.ts"
import * as Ticker from "../../src/schedule/Ticker.ts"
import type { StoreSettings } from "../../src/store/Driver.ts"
import type { EventLog } from "../../src/store/EventLog.ts"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import type { Notifier } from "../../src/store/Notifier.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import type { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { TestStore } from "./TestStore.ts"

/** Layers of handlers, as an application would write them. */
export type Handlers = Layer.Layer<never, never, HandlerRegistry | TaskQueue | Signals>

/** What an engine consists of. */
export type EngineServices = TaskQueue | Signals | Schedules | WorkerPool | HandlerRegistry | Supervisor

/** What a test can use. */
export type Services = EngineServices | StoreServices | Logs | Scope.Scope
type StoreServices = TaskStore | RecordStore | Notifier | InstanceStore | EventLog | TestStore

/** How a test's engine is built. */
export interface Options extends Engine.Options {
  readonly handlers?: Handlers | undefined
  readonly store?: StoreSettings | undefined
  readonly logLevel?: LogLevel.LogLevel | undefined
}

/** One captured log line. */
export interface Line {
  readonly level: LogLevel.LogLevel
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Everything that was logged. */
export class Logs extends Context.Service<Logs, ReadonlyArray<Line>>()("taskforge/test/Logs") {
  /** The lines whose message matches. */
  static readonly matching = (pattern: RegExp): Effect.Effect<ReadonlyArray<Line>, never, Logs> =>
    Effect.map(Logs, (lines) => lines.filter(({ message }) => pattern.test(message)))
}

/** Runs a test's body with an engine, closes the engine, and fails when anything of it is left. */
export const withEngine = <A, E>(options: Options, body: Effect.Effect<A, E, Services>): Effect.Effect<A, E> =>
  withStore(
    options,
    Effect.gen(function*() {
      const engine = yield* start(options)
      const exit = yield* Effect.exit(Effect.provide(body, engine.context))
      yield* passing("2 minutes", engine.close)
      return yield* exit
    })
  )

/** The same with loops that look for work so seldom that hours and days pass quickly: a day is 86,400 looks otherwise. */
export const withUnhurriedEngine = <A, E>(
  every: Duration.Input,
  options: Options,
  body: Effect.Effect<A, E, Services>
): Effect.Effect<A, E> =>
  withEngine({
    // What is recorded every ten seconds would take most of the time of a test of a month
    statistics: false,
    ...options,
    worker: { pollInterval: every, lease: Duration.toMillis(every) * 3, ...options.worker },
    rescuer: { interval: every, ...options.rescuer },
    retention: { interval: every, ...options.retention },
    queue: { pollInterval: every, ...options.queue }
  }, body).pipe(
    Effect.provideService(Resumer.Interval, Duration.fromInputUnsafe(every)),
    Effect.provideService(Expirer.Interval, Duration.fromInputUnsafe(every)),
    Effect.provideService(Ticker.Interval, Duration.fromInputUnsafe(every)),
    Effect.updateService(StepSweeper.Interval, Duration.max(Duration.fromInputUnsafe(every)))
  )

/** Runs a test's body with a store and no engine; the body starts engines itself. */
export const withStore = <A, E>(
  options: Pick<Options, "store" | "logLevel">,
  body: Effect.Effect<A, E, StoreServices | Logs | Scope.Scope>
): Effect.Effect<A, E> => {
  const lines: Array<Line> = []
  const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
    const annotations = fiber.getRef(References.CurrentLogAnnotations)
    lines.push({ level: logLevel, message: [message].flat().map(String).join("\n"), annotations })
  })
  const fibers = { active: 0 }
  const layer = Layer.mergeAll(
    TestStore.around(MemoryStore.layer(options.store)),
    Layer.succeed(Logs, lines)
  )
  const references = Context.make(References.CurrentLoggers, new Set([logger])).pipe(
    Context.add(References.MinimumLogLevel, options.logLevel ?? "Info"),
    Context.add(Metric.MetricRegistry, new Map()),
    Context.add(Metric.FiberRuntimeMetrics, {
      recordFiberStart: () => fibers.active++,
      recordFiberEnd: () => fibers.active--
    })
  )
  return Effect.gen(function*() {
    const result = yield* Effect.scoped(Effect.provide(body, layer))
    yield* eventually(Effect.sync(() => fibers.active === 0), () => `${fibers.active} fibers are left`)
    return result
  }).pipe(Effect.provide(references))
}

/** Starts an engine that the test closes, on the store of the test. */
export const start = Effect.fnUntraced(function*(
  { handlers = Layer.empty, logLevel: _level, store: _store, ...options }: Options = {}
) {
  const scope = yield* Scope.make()
  const services = yield* Effect.context<TaskStore | RecordStore | Notifier | InstanceStore>()
  const context = yield* Layer.buildWithMemoMap(
    Layer.provide(Engine.layer(handlers, options), Layer.succeedContext(services)),
    Layer.makeMemoMapUnsafe(),
    scope
  )
  const pool = Context.get(context, WorkerPool)
  return {
    context,
    /** Closes the engine; the clock has to be moved meanwhile if anything still runs. */
    close: Effect.gen(function*() {
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* pool.active, 0, "attempts are left after the engine has closed")
    })
  }
})

/** Waits for an effect while time passes, and fails when it takes longer. */
export const passing = Effect.fnUntraced(function*<A, E, R>(atMost: Duration.Input, effect: Effect.Effect<A, E, R>) {
  const clock = yield* Clock.Clock
  const begin = clock.currentTimeMillisUnsafe()
  let end = begin
  const fiber = yield* Effect.forkChild(
    Effect.onExit(effect, () =>
      Effect.sync(() => {
        end = clock.currentTimeMillisUnsafe()
      }))
  )
  yield* TestClock.adjust(atMost)
  yield* eventually(Effect.sync(() => fiber.pollUnsafe() !== undefined), () => `It took longer than ${String(atMost)}`)
  const value = yield* Fiber.join(fiber)
  return { value, tookMs: end - begin }
})

/** Waits until something holds, without letting time pass. */
export const eventually = Effect.fnUntraced(function*<E, R>(
  condition: Effect.Effect<boolean, E, R>,
  otherwise: () => string = () => "It did not come true without time passing"
) {
  for (let turn = 0; turn < 500; turn++) {
    if (yield* condition) return
    yield* Effect.yieldNow
  }
  assert.fail(otherwise())
})

/** Lets everything run that can run without time passing. */
export const quiesce: Effect.Effect<void> = Effect.gen(function*() {
  for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow
})

/** Lets time pass, and then everything run that can. */
export const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.andThen(TestClock.adjust(duration), quiesce)

/** The stored task. */
export const record = Effect.fnUntraced(function*(id: string): Effect.fn.Return<TaskRecord, never, TaskStore> {
  const found = yield* Effect.orDie(TaskStore.use((store) => store.get(id)))
  return found ?? assert.fail(`Expected task ${id} to be stored`)
})

/** Waits until a task is in a state, without letting time pass. */
export const reaches = Effect.fnUntraced(function*(id: string, state: TaskState) {
  let last: TaskState | undefined
  yield* eventually(
    Effect.map(record(id), (task) => (last = task.state) === state),
    () => `Task ${id} is ${last}, not ${state}`
  )
  return yield* record(id)
})

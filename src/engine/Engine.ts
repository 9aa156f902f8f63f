/**
 * How the parts of the engine are put together. A process holds any subset: a producer enqueues, a pool runs
 * tasks, and the whole engine does both.
 *
 * ```text
 * TaskQueue ──► TaskStore ◄── WorkerPool ◄── HandlerRegistry ◄── your handlers
 *                   ▲
 *                   └── Rescuer · Pruner (the leader's)
 * Supervisor keeps every loop alive; Notifier carries hints between them.
 * ```
 */
import { Duration, Effect, Layer, Record } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { layerWithin } from "../domain/LogModule.ts"
import { layerApart } from "../domain/Spans.ts"
import * as RecordedStore from "../events/RecordedStore.ts"
import { Signals } from "../flow/Signals.ts"
import * as Expirer from "../maintenance/Expirer.ts"
import { Leader } from "../maintenance/Leader.ts"
import * as LogLevelWatch from "../maintenance/LogLevelWatch.ts"
import * as LogSweeper from "../maintenance/LogSweeper.ts"
import * as Operator from "../maintenance/Operator.ts"
import * as Pruner from "../maintenance/Pruner.ts"
import * as Rescuer from "../maintenance/Rescuer.ts"
import * as Resumer from "../maintenance/Resumer.ts"
import * as StepSweeper from "../maintenance/StepSweeper.ts"
import * as StoreWatch from "../maintenance/StoreWatch.ts"
import * as Waker from "../maintenance/Waker.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { CurrentTally, Tally } from "../observability/Tally.ts"
import * as LocalTaskQueue from "../queue/LocalTaskQueue.ts"
import type { TaskQueue } from "../queue/TaskQueue.ts"
import { RemoteClaims } from "../remote/RemoteClaims.ts"
import * as Declared from "../schedule/Declared.ts"
import { defaultsOf, Schedules } from "../schedule/Schedules.ts"
import * as Ticker from "../schedule/Ticker.ts"
import * as ZoneChange from "../schedule/ZoneChange.ts"
import * as RollUp from "../statistics/RollUp.ts"
import { Statistics } from "../statistics/Statistics.ts"
import * as StatisticsRecorder from "../statistics/StatisticsRecorder.ts"
import type { EventLog } from "../store/EventLog.ts"
import { Instance, type InstanceStore } from "../store/InstanceStore.ts"
import type { Notifier } from "../store/Notifier.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { HandlerRegistry } from "../worker/HandlerRegistry.ts"
import * as Pool from "../worker/WorkerPool.ts"
import * as PooledRandom from "./PooledRandom.ts"

/** How the engine works. Every field has a default; one that is outside of its bound is an `InvalidOption` at start. */
export interface Options {
  /** This process among all that share the store. Default: a random name. */
  readonly instance?: string | undefined
  readonly queue?: LocalTaskQueue.Options | undefined
  readonly worker?: Omit<Pool.Options, keyof typeof Pool.ofEngine> | undefined
  readonly rescuer?: Omit<Rescuer.Options, "lease"> | undefined
  readonly retention?: Pruner.Options | undefined
  /** Whether this process counts what it sees, and keeps it in the store for `Statistics`. Default `true`. */
  readonly statistics?: boolean | undefined
  /**
   * Schedules that this program declares. They are stored when it starts; those that it declared before and declares no more are removed.
   *
   * @example
   * ```ts
   * const schedules = {
   *   program: "billing",
   *   schedules: { nightly: Sync.schedule({ cron: "30 2 * * *", timeZone: "Europe/Berlin" }, { tenant: "acme" }) }
   * }
   * ```
   */
  readonly schedules?: Declared.Declared | undefined
  /** The one deadline of the whole shutdown. Default 30 s. */
  readonly shutdown?: Duration.Input | undefined
}

/** The names of {@link Options} and of those within them. */
const names: Bounds.Names<Options> = {
  instance: 1,
  queue: 1,
  worker: 1,
  rescuer: 1,
  retention: 1,
  statistics: 1,
  schedules: 1,
  shutdown: 1
}
const queueNames: Bounds.Names<LocalTaskQueue.Options> = { limits: 1, maxRetries: 1, pollInterval: 1 }
const workerNames: Bounds.Names<NonNullable<Options["worker"]>> = {
  concurrency: 1,
  minConcurrency: 1,
  maxConcurrency: 1,
  queues: 1,
  shares: 1,
  lease: 1,
  pollInterval: 1,
  timeout: 1,
  logCompletions: 1
}
const rescuerNames: Bounds.Names<NonNullable<Options["rescuer"]>> = { interval: 1 }

const schedulesNames: Bounds.Names<Declared.Declared> = { program: 1, schedules: 1 }

const demandNames = ({ queue, rescuer, retention, schedules, worker, ...options }: Options): void => {
  Bounds.demandKnown(options, names)
  Bounds.demandKnown(schedules, schedulesNames, "schedules.")
  Bounds.demandKnown(queue, queueNames, "queue.")
  Bounds.demandKnown(worker, workerNames, "worker.")
  Bounds.demandKnown(rescuer, rescuerNames, "rescuer.")
  Bounds.demandKnown(retention, Pruner.names, "retention.")
}

/** The whole shutdown, unless configured. */
export const defaultShutdown: Duration.Duration = Duration.seconds(30)

/**
 * How a shutdown's time is spent: the HTTP server's own wait comes first, a reserve for flushing settlements last. Tasks
 * get the rest: time to end by themselves (`grace`), then, interrupted, time to stop (`resist`).
 */
export const shutdownPlan = (shutdown: Duration.Input) => {
  const total = Duration.toMillis(shutdown)
  const http = Math.min(2000, total / 10)
  const flush = Math.min(3000, total / 5)
  const resist = Math.min(5000, total / 5)
  return Record.map({ http, grace: total - http - flush - resist, resist, flush }, (ms) => Duration.millis(ms))
}

/** What counts for statistics; nothing where they are turned off. */
const tally = ({ statistics = true }: Options): Layer.Layer<never> =>
  statistics ? Layer.effect(CurrentTally, Effect.sync(() => new Tally())) : Layer.empty

/** What the program declares, stored. Bad options are thrown, as others are. */
const declared = ({ queue, schedules }: Options): Layer.Layer<never, never, RecordStore | Supervisor> =>
  schedules === undefined
    ? Layer.empty
    : Layer.effectDiscard(Effect.orDie(Declared.run(schedules, defaultsOf(queue))))

/** What lends tasks to programs elsewhere, as the pool of this one has them. */
const remote = ({ queue, retention, ...options }: Options) =>
  RemoteClaims.layer({
    lease: options.worker?.lease,
    pollInterval: options.worker?.pollInterval,
    timeout: options.worker?.timeout,
    limitsOfQueues: queue?.limits,
    keepsLogs: retention?.keepLogs === undefined || Duration.toMillis(retention.keepLogs) > 0
  })

/** For processes that only enqueue and look. */
export const layerProducer = (
  options: Options = {}
): Layer.Layer<
  TaskQueue | Schedules | Signals | Statistics | Supervisor | RemoteClaims | Pool.WorkerPool,
  never,
  TaskStore | RecordStore | Notifier | InstanceStore | EventLog
> => {
  demandNames(options)
  return Layer.mergeAll(
    layerWithin("queue")(LocalTaskQueue.layer(options.queue)),
    layerWithin("schedules")(Schedules.layer(options.queue)),
    Signals.layer,
    Statistics.layer,
    remote(options),
    layerWithin("statistics")(StatisticsRecorder.layerProducer),
    layerWithin("schedules")(declared(options)),
    layerWithin("store")(StoreWatch.layer),
    Pool.WorkerPool.layerNone
  ).pipe(
    Layer.provide(layerWithin("events")(RecordedStore.layer)),
    Layer.provideMerge(Supervisor.layer),
    Layer.provide(PooledRandom.layer),
    Layer.provide(tally(options)),
    layerApart
  )
}

/**
 * The whole engine, running the given handlers: the layers that `Task.toLayer` gives, merged.
 *
 * The pool stands on the handlers, not next to them: at shutdown it drains first, while the handlers' own services
 * are still there.
 *
 * @example
 * ```ts
 * const Live = Engine.layer(Layer.mergeAll(SendEmailLive, ResizeImageLive), { worker: { concurrency: 20 } }).pipe(
 *   Layer.provide(SqliteStore.layer({ path: "tasks.db" }))
 * )
 * ```
 */
export const layer = <E, R>(
  handlers: Layer.Layer<never, E, R>,
  options: Options = {}
) => {
  demandNames(options)
  Bounds.demand("shutdown", Bounds.delay, options.shutdown)
  const plan = shutdownPlan(options.shutdown ?? defaultShutdown)
  const lease = options.worker?.lease
  const leader = layerWithin("leader")(Leader.layer({ lease }))
  return Layer.mergeAll(
    Pool.WorkerPool.layer({
      ...options.worker,
      gracePeriod: plan.grace,
      resistPeriod: plan.resist,
      flushPeriod: plan.flush,
      keepLogs: options.retention?.keepLogs,
      limitsOfQueues: options.queue?.limits
    }),
    layerWithin("rescuer")(Rescuer.layer({ ...options.rescuer, lease })),
    layerWithin("store")(StoreWatch.layer),
    layerWithin("schedules")(Layer.mergeAll(Ticker.layer, ZoneChange.layer, declared(options))),
    layerWithin("logs")(LogLevelWatch.layer({ lease })),
    Layer.mergeAll(
      layerWithin("pruner")(
        Layer.mergeAll(Pruner.layer(options.retention), LogSweeper.layer(options.retention), StepSweeper.layer)
      ),
      layerWithin("expirer")(Expirer.layer),
      layerWithin("steps")(Waker.layer),
      layerWithin("queue")(Resumer.layer),
      layerWithin("statistics")(RollUp.layer),
      layerWithin("operations")(Operator.layer)
    ).pipe(Layer.provide(leader))
  ).pipe(
    Layer.provide(handlers),
    Layer.provideMerge(
      Layer.mergeAll(
        layerWithin("queue")(LocalTaskQueue.layer(options.queue)),
        layerWithin("schedules")(Schedules.layer(options.queue)),
        Signals.layer,
        Statistics.layer,
        remote(options),
        // Below the pool, so that it sees how the last attempts end
        Layer.provide(layerWithin("statistics")(StatisticsRecorder.layer), leader),
        HandlerRegistry.layer
      )
    ),
    Layer.provide(Instance.layer(options.instance)),
    Layer.provide(layerWithin("events")(RecordedStore.layer)),
    Layer.provideMerge(Supervisor.layer),
    Layer.provide(PooledRandom.layer),
    Layer.provide(tally(options)),
    layerApart
  )
}

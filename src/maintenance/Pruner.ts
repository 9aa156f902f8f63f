/**
 * Removes finished tasks that retention no longer keeps, and forgets puts of records that can no longer be repeated, and failures of
 * breakers that count no more. The leader does it; harmless when another one does too.
 */
import { Duration, Effect, Layer } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import * as BreakerRecords from "../store/BreakerRecords.ts"
import { forgetNonces, maxRecords } from "../store/RecordDriver.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { type Retention, TaskStore } from "../store/TaskStore.ts"
import { Leader } from "./Leader.ts"

/** What is kept, and how often the rest is removed. */
export interface Options {
  /** How long completed, cancelled and expired tasks are kept. Default 1 day. */
  readonly keepFinished?: Duration.Input | undefined
  /** The same of cancelled tasks alone. Default: `keepFinished`. */
  readonly keepCancelled?: Duration.Input | undefined
  /** The same of expired tasks alone. Default: `keepFinished`. */
  readonly keepExpired?: Duration.Input | undefined
  /** How long failed tasks, the dead letters, are kept. Default 14 days. */
  readonly keepFailed?: Duration.Input | undefined
  /** Tasks of each final state kept at most. Default 100,000. */
  readonly maxFinished?: number | undefined
  /** The same of failed tasks, the dead letters. Default: `maxFinished`. */
  readonly maxFailed?: number | undefined
  /** The same of cancelled tasks. Default: `maxFinished`. */
  readonly maxCancelled?: number | undefined
  /** The same of expired tasks. Default: `maxFinished`. */
  readonly maxExpired?: number | undefined
  /**
   * Tasks of each final state kept at most whatever keys they have. Keyed ones stay for a day beyond `maxFinished`, so that repeated
   * requests find them, but not beyond this. Default 1,000,000.
   */
  readonly maxKeyedFinished?: number | undefined
  /** How long what handlers have logged is kept after its last line, at most as long as its task; 0 keeps none. Default 14 days. */
  readonly keepLogs?: Duration.Input | undefined
  /** Default 1 s. */
  readonly interval?: Duration.Input | undefined
}

/** The defaults of {@link Options}. */
export const defaults = {
  keepFinished: Duration.days(1),
  keepFailed: Duration.days(14),
  maxFinished: 100_000,
  maxKeyedFinished: 1_000_000,
  keepLogs: TaskLogs.defaultKeepFor,
  interval: Duration.seconds(1)
} as const

/** The names of {@link Options}. */
export const names: Bounds.Names<Options> = {
  ...defaults,
  keepCancelled: 1,
  keepExpired: 1,
  maxFailed: 1,
  maxCancelled: 1,
  maxExpired: 1
}

const demandBounds = (
  { interval, keepFailed, keepFinished, maxFinished, maxKeyedFinished, ...options }: Options
): void => {
  for (const name of ["keepCancelled", "keepExpired"] as const) {
    Bounds.demand(`retention.${name}`, Bounds.retention, options[name])
  }
  for (const name of ["maxFailed", "maxCancelled", "maxExpired"] as const) {
    Bounds.demand(`retention.${name}`, Bounds.whole(0), options[name])
  }
  Bounds.demand("retention.keepFinished", Bounds.retention, keepFinished)
  Bounds.demand("retention.keepFailed", Bounds.retention, keepFailed)
  Bounds.demand("retention.maxFinished", Bounds.whole(0), maxFinished)
  Bounds.demand("retention.maxKeyedFinished", Bounds.whole(0), maxKeyedFinished)
  Bounds.demand("retention.interval", Bounds.timeout, interval)
}

const retentionOf = (
  {
    keepFailed = defaults.keepFailed,
    keepFinished = defaults.keepFinished,
    maxFinished = defaults.maxFinished,
    ...options
  }: Options
): Retention => ({
  forMs: {
    completed: Duration.toMillis(keepFinished),
    failed: Duration.toMillis(keepFailed),
    cancelled: Duration.toMillis(options.keepCancelled ?? keepFinished),
    expired: Duration.toMillis(options.keepExpired ?? keepFinished)
  },
  max: {
    completed: maxFinished,
    failed: options.maxFailed ?? maxFinished,
    cancelled: options.maxCancelled ?? maxFinished,
    expired: options.maxExpired ?? maxFinished
  },
  maxKeyed: options.maxKeyedFinished ?? defaults.maxKeyedFinished
})

/** Tasks removed in one write at most. */
const batchSize = 500

/** How often old breakers are looked for. */
const breakersEveryMs = 60_000

/** Runs the pruner until the scope closes. */
export const layer = (
  options: Options = {}
): Layer.Layer<never, never, TaskStore | RecordStore | Supervisor | Leader> =>
  Layer.effectDiscard(Effect.gen(function*() {
    demandBounds(options)
    const store = yield* TaskStore
    const records = yield* RecordStore
    const supervisor = yield* Supervisor
    const leader = yield* Leader
    const retention = retentionOf(options)
    const intervalMs = Duration.toMillis(options.interval ?? defaults.interval)
    let forgetAt = -Infinity
    let breakersAt = -Infinity
    yield* supervisor.rounds(
      "pruner",
      Effect.gen(function*() {
        const leads = yield* leader.leads
        const removed = leads ? yield* store.prune(retention, batchSize) : 0
        const now = yield* MonotonicClock.now
        if (leads && now >= forgetAt) forgetAt = now + (yield* forgetNonces(records))
        if (leads && now >= breakersAt) {
          const forgotten = yield* Effect.provideService(BreakerRecords.forgetOld, RecordStore, records)
          if (forgotten < maxRecords) breakersAt = now + breakersEveryMs
        }
        return removed < batchSize ? intervalMs : 0
      })
    )
  }))

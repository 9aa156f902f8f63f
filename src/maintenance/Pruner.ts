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
import { TaskStore } from "../store/TaskStore.ts"
import { Leader } from "./Leader.ts"

/** What is kept, and how often the rest is removed. */
export interface Options {
  /** How long completed and cancelled tasks are kept. Default 1 day. */
  readonly keepFinished?: Duration.Input | undefined
  /** How long failed tasks, the dead letters, are kept. Default 14 days. */
  readonly keepFailed?: Duration.Input | undefined
  /** Finished tasks kept at most. Default 100,000. */
  readonly maxFinished?: number | undefined
  /**
   * Finished tasks kept at most whatever keys they have. Keyed ones stay for a day beyond `maxFinished`, so that repeated
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

const demandBounds = ({ interval, keepFailed, keepFinished, maxFinished, maxKeyedFinished }: Options): void => {
  Bounds.demand("retention.keepFinished", Bounds.retention, keepFinished)
  Bounds.demand("retention.keepFailed", Bounds.retention, keepFailed)
  Bounds.demand("retention.maxFinished", Bounds.whole(0), maxFinished)
  Bounds.demand("retention.maxKeyedFinished", Bounds.whole(0), maxKeyedFinished)
  Bounds.demand("retention.interval", Bounds.timeout, interval)
}

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
    const retention = {
      finishedForMs: Duration.toMillis(options.keepFinished ?? defaults.keepFinished),
      failedForMs: Duration.toMillis(options.keepFailed ?? defaults.keepFailed),
      maxFinished: options.maxFinished ?? defaults.maxFinished,
      maxKeyedFinished: options.maxKeyedFinished ?? defaults.maxKeyedFinished
    }
    let forgetAt = -Infinity
    let breakersAt = -Infinity
    yield* supervisor.loop(
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
        yield* removed < batchSize ? Effect.sleep(options.interval ?? defaults.interval) : Effect.yieldNow
      })
    )
  }))

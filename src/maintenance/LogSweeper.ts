/**
 * Removes the logs of tasks that are gone, and those that are too old. Retention removes tasks in the store's own language, which
 * knows nothing of their logs, so each log is looked at from time to time: an hour after its last line, then every six hours. The leader
 * does it; harmless when another one does too.
 */
import { Duration, Effect, Layer } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { Leader } from "./Leader.ts"
import type { Options } from "./Pruner.ts"

/** How often it is looked whether a log is due, unless retention looks less often. */
const shortest = Duration.minutes(1)

/** How long after one look at a log the next one is, unless logs are kept for less. */
const again = Duration.hours(6)

/** Runs the sweeper until the scope closes. */
export const layer = (
  { interval = shortest, keepLogs = TaskLogs.defaultKeepFor }: Pick<Options, "interval" | "keepLogs"> = {}
): Layer.Layer<never, never, TaskStore | RecordStore | Supervisor | Leader> =>
  Layer.effectDiscard(Effect.gen(function*() {
    Bounds.demand("retention.keepLogs", Bounds.retention, keepLogs)
    Bounds.demand("retention.interval", Bounds.timeout, interval)
    const tasks = yield* TaskStore
    const leader = yield* Leader
    const supervisor = yield* Supervisor
    const onRecords = yield* Effect.context<RecordStore>()
    const keepForMs = Duration.toMillis(keepLogs)
    const againInMs = Math.max(1000, Math.ceil(Math.min(keepForMs, Duration.toMillis(again))))
    const maxMs = Math.max(Duration.toMillis(shortest), Duration.toMillis(interval))
    const sweep = Effect.provideContext(TaskLogs.sweep(tasks, { againInMs, keepForMs }), onRecords)
    yield* supervisor.rounds(
      "log sweeper",
      Effect.gen(function*() {
        const nextInMs = (yield* leader.leads) ? (yield* sweep).nextInMs : Infinity
        return Math.min(maxMs, nextInMs)
      })
    )
  }))

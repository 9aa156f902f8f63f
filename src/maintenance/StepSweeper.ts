/**
 * Removes what is kept of the steps of tasks that are gone. Retention removes tasks in the store's own language, which knows nothing of
 * their steps, so each record is looked at from time to time: an hour after its last write, then every six hours. The leader does
 * it; harmless when another one does too.
 */
import { Context, Duration, Effect, Layer } from "effect"
import * as StepRecords from "../flow/StepRecords.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { Leader } from "./Leader.ts"

/**
 * How often it is looked whether a record is due. Tests that let weeks pass look less often.
 *
 * @example
 * ```ts
 * Effect.provideService(program, StepSweeper.Interval, Duration.hours(1))
 * ```
 */
export class Interval extends Context.Reference<Duration.Duration>("taskforge/maintenance/StepSweeper/Interval", {
  defaultValue: () => Duration.minutes(1)
}) {}

/** How long after one look at a record the next one is. */
const againIn = Duration.hours(6)

/** Runs the sweeper until the scope closes. */
export const layer: Layer.Layer<never, never, TaskStore | RecordStore | Supervisor | Leader> = Layer.effectDiscard(
  Effect.gen(function*() {
    const tasks = yield* TaskStore
    const leader = yield* Leader
    const supervisor = yield* Supervisor
    const maxMs = Duration.toMillis(yield* Interval)
    const onRecords = yield* Effect.context<RecordStore>()
    const sweep = Effect.provideContext(StepRecords.sweep(tasks, Duration.toMillis(againIn)), onRecords)
    yield* supervisor.rounds(
      "step sweeper",
      Effect.gen(function*() {
        const nextInMs = (yield* leader.leads) ? (yield* sweep).nextInMs : Infinity
        return Math.min(maxMs, nextInMs)
      })
    )
  })
)

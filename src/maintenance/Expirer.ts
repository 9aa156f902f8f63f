/**
 * Ends tasks that have waited for too long. Claims do so too; but those that none of them comes across, in a paused queue or
 * without an instance that handles them, end as well, and so do those that depend on what has ended. The leader does it; harmless when
 * another one does too.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { Supervisor } from "../observability/Supervisor.ts"
import { maxExpired, TaskStore } from "../store/TaskStore.ts"
import { Leader } from "./Leader.ts"

/**
 * How often it looks: a task ends at most so much later than it expires, and is not started in between. Default 1 s. Tests that let days
 * pass look less often.
 *
 * @example
 * ```ts
 * Effect.provideService(program, Expirer.Interval, Duration.minutes(1))
 * ```
 */
export class Interval extends Context.Reference<Duration.Duration>("taskforge/maintenance/Expirer/Interval", {
  defaultValue: () => Duration.seconds(1)
}) {}

/** Runs the expirer until the scope closes. */
export const layer: Layer.Layer<never, never, TaskStore | Supervisor | Leader> = Layer.effectDiscard(
  Effect.gen(function*() {
    const store = yield* TaskStore
    const supervisor = yield* Supervisor
    const leader = yield* Leader
    const intervalMs = Duration.toMillis(yield* Interval)
    yield* supervisor.rounds(
      "expirer",
      Effect.gen(function*() {
        const leads = yield* leader.leads
        const expired = leads ? yield* store.expire(maxExpired) : []
        // what claims would tell, where none come
        const more = leads && (yield* store.tell)
        return expired.length < maxExpired && !more ? intervalMs : 0
      })
    )
  })
)

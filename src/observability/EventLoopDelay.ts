/**
 * How late the event loop of this process comes to its timers: what computes without a pause delays heartbeats, answers and
 * all other tasks of the process.
 */
import { Context, Effect, type Scope } from "effect"
// As a whole: a runtime that has no such function can load this all the same
import * as PerfHooks from "node:perf_hooks"

/** Starts to measure, until the scope closes. What it answers is the average lateness since it was asked last, in milliseconds. */
export type Meter = Effect.Effect<Effect.Effect<number>, never, Scope.Scope>

/** How often the loop is asked to be there, in milliseconds. */
const resolutionMs = 20

/**
 * From how often Node's timer came and the time that was between follows the average lateness, also of a loop that was blocked
 * all the time. The histogram is not reset at each look, because it forgets the time until the next turn then.
 */
const ofNode: Meter = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = PerfHooks.monitorEventLoopDelay({ resolution: resolutionMs })
      histogram.enable()
      return histogram
    }),
    (histogram) => Effect.sync(() => histogram.disable())
  ),
  (histogram) => {
    let turns = 0
    let totalMs = 0
    let delayMs = 0
    return Effect.sync(() => {
      const { count, mean } = histogram
      if (count === turns) return delayMs
      const total = count * mean / 1e6
      delayMs = Math.max(0, (total - totalMs) / (count - turns) - resolutionMs)
      turns = count
      totalMs = total
      return delayMs
    })
  }
)

/** The loop's lateness where the runtime does not tell it: none. */
const unknown: Meter = Effect.succeed(Effect.succeed(0))

/** The meter of the process; tests put another in its place. A runtime that cannot measure it knows no lateness. */
export class EventLoopDelay extends Context.Reference<Meter>("taskforge/observability/EventLoopDelay", {
  defaultValue: () => Effect.catchDefect(ofNode, () => unknown)
}) {}

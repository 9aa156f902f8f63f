/**
 * What those who run the server ask again and again: whether to start it again (`/health/live`), and whether to send it
 * requests (`/health/ready`).
 */
import { Clock, Context, type DateTime, Duration, Effect, Option } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { utcNow } from "../domain/StoredTime.ts"
import type { LiveJson, ReadinessJson } from "./api/ProbesApi.ts"
import { timestamp } from "./api/TaskJson.ts"

/** An answer of the store serves all probes for so long: however many ask, it is asked a few times a second at most. */
const freshFor: Duration.Duration = Duration.millis(250)

/**
 * Since when this server stops, if it does. It is the server's own: routes that are mounted in the server of another program
 * do not know when that one stops.
 */
export class Stopping extends Context.Reference<{ since: DateTime.Utc | undefined }>("taskforge/http/Stopping", {
  defaultValue: () => ({ since: undefined })
}) {}

/** The process runs and its event loop answers: all that a new start could mend. Asks nothing else, least of all the store. */
export const live = (clock: Clock.Clock): Effect.Effect<LiveJson> =>
  Effect.sync(() => ({ status: "live", timestamp: timestamp(utcNow(clock)) }))

/** What is asked of the store, shared by all that ask within a moment. */
export const shared = <A, E>(clock: Clock.Clock, ask: Effect.Effect<A, E>): Effect.Effect<Effect.Effect<A, E>> =>
  Effect.map(
    Effect.cachedWithTTL(ask, freshFor),
    Effect.provideService(Clock.Clock, MonotonicClock.steady(clock))
  )

/**
 * Whether requests are well placed here: the store answers, and the server does not stop. A server that starts does not
 * listen yet.
 *
 * @param silentSince Asks the store, within a bounded time, and answers since when it says nothing.
 */
export const ready = (
  clock: Clock.Clock,
  stopping: { readonly since: DateTime.Utc | undefined },
  silentSince: Effect.Effect<Option.Option<DateTime.Utc>>
): Effect.Effect<ReadinessJson> => {
  const not = (reason: "store" | "stopping", since: DateTime.Utc): ReadinessJson => ({
    status: "not_ready",
    timestamp: timestamp(utcNow(clock)),
    reason,
    since: timestamp(since)
  })
  return Effect.suspend(() =>
    stopping.since !== undefined
      ? Effect.succeed(not("stopping", stopping.since))
      : Effect.map(silentSince, (silence) =>
        Option.isSome(silence)
          ? not("store", silence.value)
          : { status: "ready", timestamp: timestamp(utcNow(clock)) })
  )
}

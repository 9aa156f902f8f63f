/** A clock whose wall time a test sets forward and back, as an operator or a time server would: nothing else notices. */
import { Clock, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

/** Runs a test's body on such a clock. */
export const withStepping = <A, E, R>(
  body: (step: (by: Duration.Input) => Effect.Effect<void>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  TestClock.testClockWith((clock) => {
    let offsetMs = 0
    const wallMs = () => clock.currentTimeMillisUnsafe() + offsetMs
    const wallNanos = () => clock.currentTimeNanosUnsafe() + BigInt(offsetMs) * 1_000_000n
    const stepping: TestClock.TestClock = {
      ...clock,
      currentTimeMillisUnsafe: wallMs,
      currentTimeNanosUnsafe: wallNanos,
      currentTimeMillis: Effect.sync(wallMs),
      currentTimeNanos: Effect.sync(wallNanos)
    }
    const step = (by: Duration.Input) =>
      Effect.sync(() => {
        offsetMs += Duration.toMillis(by)
      })
    return Effect.provideService(body(step), Clock.Clock, stepping)
  })

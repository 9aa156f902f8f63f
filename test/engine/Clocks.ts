/** Clocks whose wall time a test sets forward and back, as an operator or a time server would: nothing else notices. */
import { Clock, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

/** Such a clock over another one, and how its wall time is moved. */
export const stepping = <C extends Clock.Clock>(clock: C) => {
  let offsetMs = 0
  const wallMs = () => clock.currentTimeMillisUnsafe() + offsetMs
  const wallNanos = () => clock.currentTimeNanosUnsafe() + BigInt(offsetMs) * 1_000_000n
  return {
    clock: {
      ...clock,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration: Duration.Duration) => clock.sleep(duration),
      currentTimeMillisUnsafe: wallMs,
      currentTimeNanosUnsafe: wallNanos,
      currentTimeMillis: Effect.sync(wallMs),
      currentTimeNanos: Effect.sync(wallNanos)
    },
    step: (by: Duration.Input): Effect.Effect<void> =>
      Effect.sync(() => {
        offsetMs += Duration.toMillis(by)
      })
  }
}

/** Runs a test's body on such a clock over the `TestClock`. */
export const withStepping = <A, E, R>(
  body: (step: (by: Duration.Input) => Effect.Effect<void>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  TestClock.testClockWith((test) => {
    const { clock, step } = stepping(test)
    return Effect.provideService(body(step), Clock.Clock, clock)
  })

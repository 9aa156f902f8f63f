/**
 * The clock that durations are measured by: it only passes, whatever is done to the wall clock. Where the machine sleeps it
 * may stand still.
 */
import { Clock, Effect } from "effect"

/** Whole milliseconds since some moment before. */
export const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

/** The same with the microseconds, for what takes less than a millisecond. */
export const exactMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1000n) / 1000

/** {@link millis} of the fiber's clock. */
export const now: Effect.Effect<number> = Effect.map(Clock.Clock, millis)

/** Reads a time, in whole milliseconds, that began as the wall clock's when this was called. */
export const fromNow = (clock: Clock.Clock): () => number => {
  const startedAt = clock.currentTimeMillisUnsafe()
  const origin = clock.monotonicTimeNanosUnsafe()
  return () => startedAt + Number((clock.monotonicTimeNanosUnsafe() - origin) / 1_000_000n)
}

/**
 * A clock whose wall clock is never set, for parts of libraries that measure by it: a circuit that is open for half a minute
 * would stay open for an hour more once it was set back an hour.
 */
export const steady = (clock: Clock.Clock): Clock.Clock => {
  const wall = fromNow(clock)
  const wallNanos = () => BigInt(wall()) * 1_000_000n
  return {
    currentTimeMillisUnsafe: wall,
    currentTimeMillis: Effect.sync(wall),
    currentTimeNanosUnsafe: wallNanos,
    currentTimeNanos: Effect.sync(wallNanos),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
}

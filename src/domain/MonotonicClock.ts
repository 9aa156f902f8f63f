/**
 * The clock that durations are measured by: it only passes, whatever is done to the wall clock. Where the machine sleeps it
 * may stand still.
 */
import type { Clock } from "effect"

/** Whole milliseconds since some moment before. */
export const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

/** Reads a time, in whole milliseconds, that began as the wall clock's when this was called. */
export const fromNow = (clock: Clock.Clock): () => number => {
  const startedAt = clock.currentTimeMillisUnsafe()
  const origin = clock.monotonicTimeNanosUnsafe()
  return () => startedAt + Number((clock.monotonicTimeNanosUnsafe() - origin) / 1_000_000n)
}

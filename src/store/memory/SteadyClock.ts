/**
 * The clock that a store in this process measures by: it begins at the wall clock's time and then only passes, whatever
 * is done to the wall clock. Where the machine sleeps it may stand still.
 */
import type { Clock } from "effect"

/** Reads the time in whole milliseconds. */
export const steady = (clock: Clock.Clock): () => number => {
  const startedAt = clock.currentTimeMillisUnsafe()
  const origin = clock.monotonicTimeNanosUnsafe()
  return () => startedAt + Number((clock.monotonicTimeNanosUnsafe() - origin) / 1_000_000n)
}

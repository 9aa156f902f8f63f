/**
 * `compute` uses the processor: it counts the primes below `{ "n": 100000 }`.
 *
 * JavaScript runs one thing at a time, so a handler that computes for seconds on end would stop everything else in
 * its process: other tasks, the HTTP server, and the heartbeat that keeps its own lease. This one works in short
 * slices and yields between them, which also makes it interruptible. Write long computations like this, or put them
 * on a worker thread.
 */
import { Clock, Duration, Effect, Schema } from "effect"
import { DurationText } from "../domain/DurationText.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"

/** The largest `n` that a payload may ask for: some seconds of work. */
const largest = 20_000_000

/** Work between two yields, so that a hundred such tasks at once still leave the process responsive. */
const sliceNanos = 2_000_000n

/** Numbers tested between two looks at the clock. */
const numbersPerLook = 256

const N = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: largest }))

/** The task type `compute`. */
export const Compute = Task.make("compute", {
  description: "Counts the primes below n, 100000 unless said, at most 20000000",
  payload: { n: N.pipe(Schema.withDecodingDefaultKey(Effect.succeed(100_000))) },
  success: Schema.Struct({ primes: Schema.Int, took: DurationText })
})

/** Runs `compute`. */
export const ComputeLive = Compute.toLayer(Effect.fnUntraced(function*({ n }) {
  const clock = yield* Clock.Clock
  const context = yield* TaskContext
  const startedAt = clock.monotonicTimeNanosUnsafe()
  let primes = 0
  let candidate = 2
  while (candidate < n) {
    const sliceEnd = clock.monotonicTimeNanosUnsafe() + sliceNanos
    do {
      const end = Math.min(n, candidate + numbersPerLook)
      for (; candidate < end; candidate++) if (isPrime(candidate)) primes++
    } while (candidate < n && clock.monotonicTimeNanosUnsafe() < sliceEnd)
    yield* context.progress(candidate / n)
    yield* Effect.yieldNow
  }
  const nanos = clock.monotonicTimeNanosUnsafe() - startedAt
  return { primes, took: Duration.millis(Math.round(Number(nanos) / 1e6)) }
}))

const isPrime = (number: number): boolean => {
  if (number % 2 === 0) return number === 2
  for (let divisor = 3; divisor * divisor <= number; divisor += 2) if (number % divisor === 0) return false
  return true
}

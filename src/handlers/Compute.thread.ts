/** The work of `compute`. */
import { Clock, Duration, Effect } from "effect"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { Compute } from "./Compute.ts"

/** Numbers tested between two reports. */
const reportEvery = 65_536

export const handler = ThreadHandler.make(
  Compute,
  Effect.fnUntraced(function*({ n }) {
    const clock = yield* Clock.Clock
    const { progress } = yield* TaskContext
    const startedAt = clock.monotonicTimeNanosUnsafe()
    let primes = 0
    for (let candidate = 2; candidate < n; candidate++) {
      if (isPrime(candidate)) primes++
      if (candidate % reportEvery === 0) yield* progress(candidate / n)
    }
    const nanos = clock.monotonicTimeNanosUnsafe() - startedAt
    return { primes, took: Duration.millis(Math.round(Number(nanos) / 1e6)) }
  })
)

const isPrime = (number: number): boolean => {
  if (number % 2 === 0) return number === 2
  for (let divisor = 3; divisor * divisor <= number; divisor += 2) if (number % divisor === 0) return false
  return true
}

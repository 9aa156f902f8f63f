/** The work of `primes`: the sieve of Eratosthenes by segments that fit the processor's cache. */
import { Effect } from "effect"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { Primes } from "./Primes.ts"

/** Odd numbers per segment. */
const segment = 32_768

/** Segments between two reports. */
const reportEvery = 256

export const handler = ThreadHandler.make(
  Primes,
  Effect.fnUntraced(function*({ below }) {
    const { progress } = yield* TaskContext
    if (below <= 2) return { count: 0, largest: null }
    const divisors = oddPrimesUpTo(Math.floor(Math.sqrt(below)))
    const isComposite = new Uint8Array(segment)
    // 2 is the only even one
    let count = 1
    let last = 2
    for (let low = 3, round = 0; low < below; low += 2 * segment, round++) {
      const numbers = Math.min(segment, Math.ceil((below - low) / 2))
      isComposite.fill(0, 0, numbers)
      for (const prime of divisors) {
        if (prime * prime >= low + 2 * numbers) break
        for (let index = firstMultiple(prime, low); index < numbers; index += prime) isComposite[index] = 1
      }
      for (let index = 0; index < numbers; index++) {
        if (isComposite[index] === 0) {
          count++
          last = low + 2 * index
        }
      }
      if (round % reportEvery === 0) yield* progress(low / below)
    }
    return { count, largest: last }
  })
)

/** The index in the segment of the first odd multiple to strike out. */
const firstMultiple = (prime: number, low: number): number => {
  const square = prime * prime
  if (square >= low) return (square - low) / 2
  const multiple = Math.ceil(low / prime) * prime
  return ((multiple % 2 === 0 ? multiple + prime : multiple) - low) / 2
}

const oddPrimesUpTo = (limit: number): ReadonlyArray<number> => {
  const primes: Array<number> = []
  for (let candidate = 3; candidate <= limit; candidate += 2) {
    if (primes.every((prime) => prime * prime > candidate || candidate % prime !== 0)) primes.push(candidate)
  }
  return primes
}

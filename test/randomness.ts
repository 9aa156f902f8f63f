/**
 * Every test draws its random numbers, those of Effect's `Random` and of its properties among them, from its own name and
 * from `TEST_SEED`. So `npm test` does the same each time, and `npm run hunt` something else each time.
 */
import { beforeEach } from "vitest"

/** mulberry32: numbers from 0 to 1 that the seed decides. */
const numbersFrom = (seed: number) => {
  let state = seed
  return (): number => {
    state = (state + 0x6D2B79F5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** FNV-1a */
const hash = (text: string): number => {
  let sum = 0x811C9DC5
  for (let index = 0; index < text.length; index++) sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193)
  return sum
}

beforeEach(({ task }) => {
  Math.random = numbersFrom(hash(`${process.env["TEST_SEED"] ?? ""} ${task.fullTestName}`))
})

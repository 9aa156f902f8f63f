/** The work of `fibonacci`: fast doubling, some twenty multiplications for the millionth number. */
import { Effect } from "effect"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { Fibonacci } from "./Fibonacci.ts"

export const handler = ThreadHandler.make(Fibonacci, ({ n }) =>
  Effect.sync(() => {
    const [value] = fibonacci(n)
    return { value, digits: value.toString().length }
  }))

/** F(n) and F(n + 1), from F(k) and F(k + 1) for half of n. */
const fibonacci = (n: number): readonly [bigint, bigint] => {
  if (n === 0) return [0n, 1n]
  const [a, b] = fibonacci(Math.floor(n / 2))
  const even = a * (2n * b - a)
  const odd = a * a + b * b
  return n % 2 === 0 ? [even, odd] : [odd, even + odd]
}

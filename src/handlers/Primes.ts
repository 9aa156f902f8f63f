/**
 * `primes` counts the primes below a number, and gives the largest of them. It computes, so it runs on a worker thread:
 * this file says what it takes and gives, `Primes.thread.ts` does it.
 */
import { Schema } from "effect"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"

/** The largest `below`: some seconds of work, and a constant 64 KiB of memory. */
const maxBelow = 2_000_000_000

/** The task type `primes`. */
export const Primes = Task.make("primes", {
  description: "Counts the primes below a number, 1000000 unless said, at most 2000000000",
  payload: { below: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxBelow })), 1_000_000) },
  success: Schema.Struct({
    count: Schema.Int,
    /** The largest one; null when there is none. */
    largest: Schema.NullOr(Schema.Int)
  })
})

/** Runs `primes`. */
export const PrimesLive = Primes.toLayer(onThread(Primes, moduleBeside(import.meta.url, "Primes.thread")))

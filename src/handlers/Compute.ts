/**
 * `compute` uses the processor: it counts the primes below `{ "n": 100000 }` by trial division, which is slow on
 * purpose, and says how long that took. For an answer rather than for load, take `primes`.
 */
import { Schema } from "effect"
import { DurationText } from "../domain/DurationText.ts"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"

/** The largest `n` that a payload may ask for: some seconds of work. */
const maxN = 20_000_000

/** The task type `compute`. */
export const Compute = Task.make("compute", {
  description: "Keeps a processor busy counting the primes below n, 100000 unless said, at most 20000000",
  payload: { n: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxN })), 100_000) },
  success: Schema.Struct({ primes: Schema.Int, took: DurationText })
})

/** Runs `compute`. */
export const ComputeLive = Compute.toLayer(onThread(Compute, moduleBeside(import.meta.url, "Compute.thread")))

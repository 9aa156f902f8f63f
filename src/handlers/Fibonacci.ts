/** `fibonacci` gives a Fibonacci number exactly, with all of its digits. It computes, so it runs on a worker thread. */
import { Schema } from "effect"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"

/** The largest `n`: its number has 208988 digits, which are stored with the task. */
const maxN = 1_000_000

/** The task type `fibonacci`. */
export const Fibonacci = Task.make("fibonacci", {
  description: "Gives the n-th Fibonacci number exactly, the 100th unless said, at most the 1000000th",
  payload: { n: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxN })), 100) },
  success: Schema.Struct({ value: Schema.BigInt, digits: Schema.Int })
})

/** Runs `fibonacci`. */
export const FibonacciLive = Fibonacci.toLayer(onThread(Fibonacci, moduleBeside(import.meta.url, "Fibonacci.thread")))

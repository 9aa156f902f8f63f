/**
 * `echo` gives its payload back: any JSON value. The smallest task type there is, and a first check that a queue works.
 */
import { Effect, Schema } from "effect"
import * as Task from "../Task.ts"

/** The task type `echo`. */
export const Echo = Task.make("echo", {
  description: "Gives its payload back, whatever JSON it is",
  payload: Schema.Json,
  success: Schema.Json
})

/** Runs `echo`. */
export const EchoLive = Echo.toLayer(Effect.succeed)

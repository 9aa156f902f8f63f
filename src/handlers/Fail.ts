/**
 * `fail` always fails with its declared error, so it goes through all its retries and ends among the failed tasks.
 * The error is a schema: a caller that awaits the result gets a `FailedOnPurpose` back, from whichever process ran the task.
 */
import { Effect, Schema } from "effect"
import * as Task from "../Task.ts"

/** The declared error of `fail`. */
export class FailedOnPurpose extends Schema.TaggedError<FailedOnPurpose>()("FailedOnPurpose", {
  message: Schema.String
}) {}

/** The task type `fail`. */
export const Fail = Task.make("fail", {
  description: "Always fails, with the given message",
  payload: {
    message: Schema.String.check(Schema.isMaxLength(1000)).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed("This task always fails"))
    )
  },
  error: FailedOnPurpose
})

/** Runs `fail`. */
export const FailLive = Fail.toLayer(({ message }) => Effect.fail(new FailedOnPurpose({ message })))

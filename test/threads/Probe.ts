/** A task type that does to its thread whatever a test wants. */
import { Schema } from "effect"
import * as Task from "../../src/Task.ts"

export class ProbeFailed extends Schema.TaggedError<ProbeFailed>()("ProbeFailed", { fact: Schema.Int }) {}

export const Probe = Task.make("probe", {
  payload: {
    act: Schema.Literals([
      "answer",
      "fail",
      "throw",
      "spin",
      "exit",
      "exhaust",
      "snooze",
      "unfit",
      "environment",
      "keep",
      "log"
    ])
  },
  success: Schema.Struct({ thread: Schema.Int, isMain: Schema.Boolean, attempt: Schema.Int, at: Schema.Duration }),
  error: ProbeFailed,
  retry: { times: 0 }
})

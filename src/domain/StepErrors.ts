/** What a task with steps can fail with, besides what its handler does. None of them is tried again. */
import { Schema } from "effect"
import { maxNameLength } from "./Bounds.ts"
import { shortened } from "./Quoting.ts"

/**
 * A step is about to run that no earlier attempt knew, while steps have ended that this attempt has not asked for: their names may have
 * changed, and what they did would be done once more. The task fails, and nothing was run. `steps` of its definition says what
 * has changed on purpose.
 */
export class StepsChanged extends Schema.TaggedError<StepsChanged>()("StepsChanged", {
  id: Schema.String,
  /** The step that was not run. */
  step: Schema.String,
  /** The steps that have ended and were not asked for, the first of them. */
  unasked: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const unasked = this.unasked.map((name) => JSON.stringify(name)).join(", ")
    return `The steps of task ${this.id} have changed: ${
      JSON.stringify(this.step)
    } has not run yet, and ${unasked} ended ` +
      "in an earlier attempt and was not asked for by this one. Nothing was run, for it may be the same work under another name. " +
      "Give the step its old name, or say in steps of the task's definition what is retired or that new ones may run"
  }
}

/** What a step gave cannot be kept, or what is kept cannot be read any more. It is not run again. */
export class StepUnfit extends Schema.TaggedError<StepUnfit>()("StepUnfit", {
  id: Schema.String,
  step: Schema.String,
  subject: Schema.Literals(["result", "error", "stored result", "stored error"]),
  issue: Schema.String
}) {
  override get message(): string {
    return `The ${this.subject} of step ${
      JSON.stringify(this.step)
    } of task ${this.id} does not fit its schema: ${this.issue}`
  }
}

/** A step that cannot be run where it is, or by that name. Nothing was run. */
export class StepRefused extends Schema.TaggedError<StepRefused>()("StepRefused", {
  id: Schema.String,
  step: Schema.String,
  /** Completes the sentence that begins with the step. */
  reason: Schema.String
}) {
  override get message(): string {
    return `Step ${JSON.stringify(shortened(this.step, maxNameLength))} of task ${this.id} ${this.reason}`
  }
}

/** What is kept of a task's steps is none that this version can read. Nothing was run. */
export class StepsUnreadable extends Schema.TaggedError<StepsUnreadable>()("StepsUnreadable", {
  id: Schema.String,
  issue: Schema.String
}) {
  override get message(): string {
    return `The steps of task ${this.id} cannot be read; a later version may have written them: ${this.issue}`
  }
}

/** A signal did not come within the time that the task waits for it. */
export class SignalTimedOut extends Schema.TaggedError<SignalTimedOut>()("SignalTimedOut", { token: Schema.String }) {
  override get message(): string {
    return `The signal ${JSON.stringify(shortened(this.token, maxNameLength))} did not come in time`
  }
}

/** No signal has this token: it never existed, or its task has been removed. */
export class SignalNotFound extends Schema.TaggedError<SignalNotFound>()("SignalNotFound", { token: Schema.String }) {
  override get message(): string {
    return `No signal has the token ${JSON.stringify(shortened(this.token, maxNameLength))}`
  }
}

/** The signal was completed before, otherwise: what it was completed with first is kept. */
export class SignalConflict extends Schema.TaggedError<SignalConflict>()("SignalConflict", {
  token: Schema.String,
  /** What is kept: a value, an error, or that the task waited for no longer. */
  kept: Schema.Union([
    Schema.TaggedStruct("Value", { value: Schema.Unknown }),
    Schema.TaggedStruct("Error", { error: Schema.Unknown }),
    Schema.TaggedStruct("TimedOut", {})
  ])
}) {
  override get message(): string {
    const token = JSON.stringify(shortened(this.token, maxNameLength))
    return this.kept._tag === "TimedOut"
      ? `The signal ${token} came too late: its task waits for it no longer`
      : `The signal ${token} was completed before, with another ${this.kept._tag === "Value" ? "value" : "error"}`
  }
}

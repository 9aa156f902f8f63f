/** What happens to tasks, as those who watch are told. */
import { Schema } from "effect"
import { FailureKind } from "./TaskRecord.ts"

/**
 * What happened.
 *
 * - `created`, `started`, `progress`
 * - `completed`, `failed`, `cancelled`, `expired`: the task has finished
 * - `retrying`, `snoozed`, `released`, `crashed`: the attempt has ended, the task will run again
 * - `cancelling`: it runs, and was asked to stop
 * - `rerun`: an operator runs it again
 * - `rescheduled`: it waits, and its payload, priority or time has been changed
 * - `removed`: it is not stored any more
 */
export const TaskEventName = Schema.Literals([
  "created",
  "started",
  "progress",
  "completed",
  "failed",
  "cancelled",
  "expired",
  "retrying",
  "snoozed",
  "released",
  "crashed",
  "cancelling",
  "rerun",
  "rescheduled",
  "removed"
])

export type TaskEventName = typeof TaskEventName.Type

/** An event that has not been logged yet. */
export const NewTaskEvent = Schema.Struct({
  event: TaskEventName,
  /** The task's. */
  id: Schema.String,
  type: Schema.String,
  queue: Schema.String,
  /** Which attempt, counted from 1, and who makes it. */
  attempt: Schema.optionalKey(Schema.Int),
  instance: Schema.optionalKey(Schema.String),
  /** Where in the life of its task it is: grows from claim to claim. */
  step: Schema.optionalKey(Schema.Int),
  /** The step that it comes after, where another instance may have told of that too late. */
  after: Schema.optionalKey(Schema.Int),
  /** From 0 to 1. */
  progress: Schema.optionalKey(Schema.Finite),
  /** Wait before it is due again, in milliseconds. */
  delayMs: Schema.optionalKey(Schema.Finite),
  /** Why the attempt failed. */
  error: Schema.optionalKey(Schema.Struct({ kind: FailureKind, tag: Schema.String, message: Schema.String }))
})

export type NewTaskEvent = typeof NewTaskEvent.Type

/** A logged event. */
export interface TaskEvent extends NewTaskEvent {
  /** Its number in the store's log, strictly increasing. */
  readonly seq: number
  /** When it was logged, by the store's clock. */
  readonly at: number
}

/** Whether nothing follows for this task unless it is rerun. */
export const isLast = ({ event }: NewTaskEvent): boolean =>
  event === "completed" || event === "failed" || event === "cancelled" || event === "expired" ||
  event === "removed"

/**
 * A task on the wire, in snake_case. Times are ISO 8601 in UTC, durations are milliseconds.
 */
import { Schema } from "effect"
import { AttemptOutcome, FailureKind } from "../../domain/TaskRecord.ts"
import { FinishedState, TaskState } from "../../domain/TaskState.ts"

/** An instant: `2026-01-31T12:00:00.000Z`. */
export const Timestamp = Schema.String.annotate({ format: "date-time" })

/** Why an attempt failed. */
const FailureJson = Schema.Struct({
  kind: FailureKind,
  tag: Schema.String.annotate({ description: "The error's tag or name" }),
  message: Schema.String,
  details: Schema.optionalKey(Schema.Json).annotate({ description: "The declared error, as its type encodes it" })
}).annotate({ identifier: "Failure" })

/** One earlier attempt. */
export const AttemptJson = Schema.Struct({
  claim: Schema.Int,
  attempt: Schema.Int.annotate({ description: "Its number, from 1" }),
  instance: Schema.String,
  started_at: Timestamp,
  ended_at: Timestamp,
  outcome: AttemptOutcome,
  error: Schema.NullOr(FailureJson)
}).annotate({ identifier: "Attempt" })

/** See the {@link AttemptJson} schema. */
export type AttemptJson = typeof AttemptJson.Type

/** A task. */
export const TaskJson = Schema.Struct({
  id: Schema.String,
  type: Schema.String,
  payload: Schema.Json,
  priority: Schema.Int.annotate({ description: "0 to 9, larger is more urgent" }),
  status: TaskState,
  created_at: Timestamp,
  started_at: Schema.NullOr(Timestamp).annotate({ description: "When the latest attempt began" }),
  completed_at: Schema.NullOr(Timestamp).annotate({ description: "When the task finished" }),
  result: Schema.Json,
  error: Schema.NullOr(FailureJson),
  retry_count: Schema.Int,
  max_retries: Schema.Int.annotate({ description: "-1 is unlimited" }),
  queue: Schema.String,
  key: Schema.NullOr(Schema.String),
  due_at: Timestamp,
  timeout_ms: Schema.NullOr(Schema.Int).annotate({
    description: "Limit of one attempt; null is the instance's default"
  }),
  attempts: Schema.Int.annotate({ description: "How often the task was claimed: the number of its latest attempt" }),
  failures: Schema.Int,
  crashes: Schema.Int.annotate({ description: "How often its process died or stalled while it ran" }),
  progress: Schema.NullOr(Schema.Finite).annotate({ description: "0 to 1, as its handler reports it" }),
  instance: Schema.NullOr(Schema.String).annotate({ description: "That claimed the latest attempt" }),
  cancel_requested: Schema.Boolean,
  history: Schema.Array(AttemptJson).annotate({ description: "Earlier attempts, the oldest first" })
}).annotate({ identifier: "Task" })

/** See the {@link TaskJson} schema. */
export type TaskJson = typeof TaskJson.Type

/** A task as posting it answers. */
export const CreatedTaskJson = Schema.Struct({
  ...TaskJson.fields,
  duplicate: Schema.optionalKey(Schema.Literal(true)).annotate({
    description: "The task existed already, by its id or key"
  })
}).annotate({ identifier: "CreatedTask" })

/** See the {@link CreatedTaskJson} schema. */
export type CreatedTaskJson = typeof CreatedTaskJson.Type

/** A task that existed already, where the answer has no room for what is stored of it. */
export const KnownTaskJson = Schema.Struct({
  id: Schema.String,
  duplicate: Schema.Literal(true)
}).annotate({
  identifier: "KnownTask",
  description: "A task of a batch that existed already, where those before it have filled the answer (8 MiB)"
})

/** See the {@link KnownTaskJson} schema. */
export type KnownTaskJson = typeof KnownTaskJson.Type

/** How a finished task ended, or what is known of one that has not. */
export const TaskResultJson = Schema.Struct({
  id: Schema.String,
  status: Schema.Literals([...FinishedState.literals, "unfinished", "unknown"]).annotate({
    description: "unfinished: it waits or runs. unknown: it never existed or has been removed"
  }),
  result: Schema.Json,
  error: Schema.NullOr(FailureJson)
}).annotate({ identifier: "TaskResult" })

/** See the {@link TaskResultJson} schema. */
export type TaskResultJson = typeof TaskResultJson.Type

/** What is known of the ends of several tasks. */
export const TaskResultsJson = Schema.Struct({
  results: Schema.Array(TaskResultJson).annotate({
    description: "Each id once, in the order in which they were asked"
  }),
  left_out: Schema.optionalKey(Schema.Array(Schema.String)).annotate({
    description: "The ids whose results did not fit into this answer (8 MiB): ask for them again"
  })
}).annotate({ identifier: "TaskResults" })

/** A page of tasks, newest first. */
export const TaskPageJson = Schema.Struct({
  tasks: Schema.Array(TaskJson),
  next: Schema.NullOr(Schema.String).annotate({ description: "The cursor of the next page, null on the last" })
}).annotate({ identifier: "TaskPage" })

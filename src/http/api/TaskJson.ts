/**
 * A task on the wire, in snake_case, and the way between that and the records of a queue. Times are ISO 8601 in UTC, durations
 * are milliseconds. Stacks stay in the logs.
 */
import { DateTime, Duration, Option, Schema } from "effect"
import { OnFailure } from "../../domain/Dependencies.ts"
import * as Redaction from "../../domain/Redaction.ts"
import { AttemptOutcome, FailureKind, retryCount } from "../../domain/TaskRecord.ts"
import { FinishedState, TaskState } from "../../domain/TaskState.ts"
import type { StoredAttempt, StoredFailure, StoredOutcome, StoredTask } from "../../queue/StoredTask.ts"
import type { Created } from "../../queue/TaskQueue.ts"
import type { RerunAnswer } from "../../store/TaskStore.ts"

/** An instant: `2026-01-31T12:00:00.000Z`. */
export const Timestamp = Schema.String.annotate({ format: "date-time" })

/** Why an attempt failed. */
const FailureJson = Schema.Struct({
  kind: FailureKind,
  tag: Schema.String.annotate({ description: "The error's tag or name" }),
  message: Schema.String,
  details: Schema.optionalKey(Schema.Json).annotate({ description: "The declared error, as its type encodes it" }),
  dependency: Schema.optionalKey(Schema.Struct({ id: Schema.String, status: FinishedState })).annotate({
    description: "The task that it depends on, and how that ended, where this is why"
  })
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

export type AttemptJson = typeof AttemptJson.Type

/** A task. */
export const TaskJson = Schema.Struct({
  id: Schema.String,
  type: Schema.String,
  version: Schema.optionalKey(Schema.Int).annotate({
    description: "The version of its type that the payload is of; left out for 1"
  }),
  payload: Schema.Json,
  priority: Schema.Int.annotate({ description: "0 to 9, larger is more urgent" }),
  status: TaskState,
  waits_for: Schema.optionalKey(Schema.Int).annotate({
    description: "How many of the tasks that it depends on have not ended; left out for 0. Until then it is scheduled"
  }),
  on_failure: Schema.optionalKey(OnFailure).annotate({
    description: "What becomes of it when one of these does not complete; left out where it depends on none"
  }),
  created_at: Timestamp,
  started_at: Schema.NullOr(Timestamp).annotate({ description: "When the latest attempt began" }),
  completed_at: Schema.NullOr(Timestamp).annotate({ description: "When the task finished" }),
  result: Schema.Json,
  error: Schema.NullOr(FailureJson),
  retry_count: Schema.Int,
  max_retries: Schema.Int.annotate({ description: "-1 is unlimited" }),
  queue: Schema.String,
  key: Schema.NullOr(Schema.String),
  trace_id: Schema.optionalKey(Schema.String).annotate({
    description: "The trace that it was enqueued in; left out where there was none"
  }),
  tags: Schema.optionalKey(Schema.Array(Schema.String)).annotate({
    description: "Words that it is found by; left out where it has none"
  }),
  due_at: Timestamp,
  expires_at: Schema.NullOr(Timestamp).annotate({
    description: "From when on it is not started any more; null is never"
  }),
  start_by: Schema.NullOr(Timestamp).annotate({
    description:
      "Until when it should start for the first time, or for the first time since it was run again; null where " +
      "nothing says so, and from when on it waits for a later attempt"
  }),
  timeout_ms: Schema.NullOr(Schema.Int).annotate({
    description: "Limit of one attempt; null is the instance's default"
  }),
  attempts: Schema.Int.annotate({ description: "How often the task was claimed: the number of its latest attempt" }),
  failures: Schema.Int,
  crashes: Schema.Int.annotate({ description: "How often its process died or stalled while it ran" }),
  progress: Schema.NullOr(Schema.Finite).annotate({ description: "0 to 1, as its handler reports it" }),
  instance: Schema.NullOr(Schema.String).annotate({ description: "That claimed the latest attempt" }),
  cancel_requested: Schema.Boolean,
  history: Schema.Array(AttemptJson).annotate({ description: "Earlier attempts, the oldest first" }),
  left_out: Schema.optionalKey(Schema.Array(Schema.Literals(["payload", "result"]))).annotate({
    description: "Which of these is null because it is long: of brief lists alone"
  })
}).annotate({ identifier: "Task" })

export type TaskJson = typeof TaskJson.Type

const merge = Schema.optionalKey(Schema.Literals(["replaced", "postponed"])).annotate({
  description: "What the new one has made of it: it has the new payload, and with postponed a later time"
})

/** A task as posting it answers. */
export const CreatedTaskJson = Schema.Struct({
  ...TaskJson.fields,
  duplicate: Schema.optionalKey(Schema.Literal(true)).annotate({
    description: "The task existed already, by its id or key"
  }),
  merge
}).annotate({ identifier: "CreatedTask" })

export type CreatedTaskJson = typeof CreatedTaskJson.Type

/** A task that existed already, where the answer has no room for what is stored of it. */
export const KnownTaskJson = Schema.Struct({
  id: Schema.String,
  duplicate: Schema.Literal(true),
  merge
}).annotate({
  identifier: "KnownTask",
  description: "A task of a batch that existed already, where those before it have filled the answer (8 MiB)"
})

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

/** A task on the wire. */
export const toJson = (task: StoredTask): TaskJson => {
  const createdAt = timestamp(task.createdAt)
  return {
    id: task.id,
    type: task.type,
    ...(task.version === 1 ? {} : { version: task.version }),
    payload: Redaction.json(task.payload),
    priority: task.priority,
    status: task.state,
    ...(task.waitsFor === 0 ? {} : { waits_for: task.waitsFor }),
    ...(task.onFailure === null ? {} : { on_failure: task.onFailure }),
    created_at: createdAt,
    started_at: timestampOrNull(task.startedAt),
    completed_at: timestampOrNull(task.completedAt),
    result: Option.getOrNull(task.result),
    error: failureJson(task.failure),
    retry_count: retryCount(task),
    max_retries: task.maxRetries,
    queue: task.queue,
    key: task.key,
    ...(task.traceId === null ? {} : { trace_id: task.traceId }),
    ...(task.tags.length === 0 ? {} : { tags: task.tags }),
    // Most tasks are due at once, and writing a time is what costs most here
    due_at: task.dueAt === task.createdAt ? createdAt : timestamp(task.dueAt),
    expires_at: timestampOrNull(task.expiresAt),
    start_by: timestampOrNull(task.startBy),
    timeout_ms: task.timeout === null ? null : Duration.toMillis(task.timeout),
    attempts: task.claims,
    failures: task.failures,
    crashes: task.crashes,
    // An older version stored reports that were not a number
    progress: Number.isNaN(task.progress) ? null : task.progress,
    instance: task.instance,
    cancel_requested: task.cancelRequested,
    history: task.history.map(attemptJson)
  }
}

/** Characters of JSON that a brief list shows of a payload and of a result. */
const maxBrief = 1000

/** The task without a payload and a result that are long: a list that shows many has no room for them. */
export const toBrief = (task: StoredTask): TaskJson => {
  const whole = toJson(task)
  const long = (["payload", "result"] as const).filter((name) => JSON.stringify(whole[name]).length > maxBrief)
  return long.length === 0
    ? whole
    : { ...whole, ...Object.fromEntries(long.map((name) => [name, null])), left_out: long }
}

/** What posting a task answers. */
export const createdJson = ({ duplicate, id, merge, task }: Created): CreatedTaskJson | KnownTaskJson => {
  if (!duplicate) return toJson(task!)
  const known = merge === undefined ? { duplicate } : { duplicate, merge }
  return task === null ? { id, ...known } : { ...toJson(task), ...known }
}

/** What is known of a task's end: `undefined` when it has not come, `null` when there is no such task. */
export const resultJson = (id: string, outcome: StoredOutcome | undefined | null): TaskResultJson =>
  outcome === undefined || outcome === null
    ? { id, status: outcome === null ? "unknown" : "unfinished", result: null, error: null }
    : {
      id,
      status: outcome.state,
      result: Option.getOrNull(outcome.result),
      error: failureJson(outcome.failure)
    }

/** The task that was on the wire. */
export const fromJson = (task: TaskJson): StoredTask => ({
  id: task.id,
  type: task.type,
  version: task.version ?? 1,
  queue: task.queue,
  payload: task.payload,
  priority: task.priority,
  key: task.key,
  maxRetries: task.max_retries,
  timeout: task.timeout_ms === null ? null : Duration.millis(task.timeout_ms),
  state: task.status,
  onFailure: task.on_failure ?? null,
  waitsFor: task.waits_for ?? 0,
  traceId: task.trace_id ?? null,
  tags: task.tags ?? [],
  createdAt: instant(task.created_at),
  dueAt: instant(task.due_at),
  expiresAt: instantOrNull(task.expires_at),
  startBy: instantOrNull(task.start_by),
  startedAt: instantOrNull(task.started_at),
  completedAt: instantOrNull(task.completed_at),
  failures: task.failures,
  crashes: task.crashes,
  claims: task.attempts,
  instance: task.instance,
  cancelRequested: task.cancel_requested,
  progress: task.progress,
  result: task.status === "completed" ? Option.some(task.result) : Option.none(),
  failure: failureFromJson(task.error),
  history: task.history.map((attempt) => ({
    claim: attempt.claim,
    attempt: attempt.attempt,
    instance: attempt.instance,
    startedAt: instant(attempt.started_at),
    endedAt: instant(attempt.ended_at),
    outcome: attempt.outcome,
    ...(attempt.error === null ? {} : { failure: failureFromJson(attempt.error) })
  }))
})

/** The outcome that was on the wire. */
export const outcomeFromJson = ({ error, id, result, status }: TaskResultJson): StoredOutcome | undefined | null =>
  status === "unknown"
    ? null
    : status === "unfinished"
    ? undefined
    : {
      id,
      state: status,
      result: status === "completed" ? Option.some(result) : Option.none(),
      failure: failureFromJson(error)
    }

let latest = { millis: 0, text: "1970-01-01T00:00:00.000Z" }

/** An instant on the wire. Requests of the same millisecond share the text, which costs more than all else here. */
export const timestamp = (time: DateTime.Utc): string => {
  const millis = DateTime.toEpochMillis(time)
  if (millis !== latest.millis) latest = { millis, text: DateTime.formatIso(time) }
  return latest.text
}

/** An instant on the wire, if there is one. */
export const timestampOrNull = (time: DateTime.Utc | null) => time === null ? null : timestamp(time)

const failureJson = (failure: StoredFailure | null | undefined): TaskJson["error"] => {
  if (failure === null || failure === undefined) return null
  const { dependency, error, kind, tag } = failure
  const message = Redaction.text(failure.message)
  return {
    kind,
    tag,
    message,
    // Declared errors repeat what payloads and answers had
    ...(error === undefined ? {} : { details: Redaction.json(error) }),
    ...(dependency === undefined ? {} : { dependency: { id: dependency.id, status: dependency.state } })
  }
}

function failureFromJson(failure: NonNullable<TaskJson["error"]>): StoredFailure
function failureFromJson(failure: TaskJson["error"]): StoredFailure | null
function failureFromJson(failure: TaskJson["error"]): StoredFailure | null {
  if (failure === null) return null
  const { dependency, details, kind, message, tag } = failure
  return {
    kind,
    tag,
    message,
    ...(details === undefined ? {} : { error: details }),
    ...(dependency === undefined ? {} : { dependency: { id: dependency.id, state: dependency.status } })
  }
}

/** The instant that a text on the wire names. */
export const instant = (text: string): DateTime.Utc => DateTime.makeUnsafe(text)

/** The instant that a text on the wire names, if there is one. */
export const instantOrNull = (text: string | null) => text === null ? null : instant(text)

const attemptJson = (attempt: StoredAttempt): AttemptJson => ({
  claim: attempt.claim,
  attempt: attempt.attempt,
  instance: attempt.instance,
  started_at: timestamp(attempt.startedAt),
  ended_at: timestamp(attempt.endedAt),
  outcome: attempt.outcome,
  error: failureJson(attempt.failure)
})

/** What a rerun did, on the wire. */
export const rerunAnswerJson = (answer: RerunAnswer) =>
  answer._tag === "conflict" ? { status: answer._tag, state: answer.state } : { status: answer._tag }

/** What a rerun did, as it was on the wire. */
export const rerunAnswerFromJson = (
  { state, status }: { readonly status: RerunAnswer["_tag"]; readonly state?: TaskState }
): RerunAnswer => status === "conflict" ? { _tag: status, state: state ?? "running" } : { _tag: status }

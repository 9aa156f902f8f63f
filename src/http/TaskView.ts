/** Stored tasks as clients see them. Stacks stay in the logs. */
import { DateTime, Duration, Option, type Schema } from "effect"
import * as Redaction from "../domain/Redaction.ts"
import { utc } from "../domain/StoredTime.ts"
import { retryCount, type TaskFailure } from "../domain/TaskRecord.ts"
import type { FinishedState, TaskState } from "../domain/TaskState.ts"
import type { StoredAttempt, StoredTask } from "../queue/StoredTask.ts"
import type { Created } from "../queue/TaskQueue.ts"
import type { Outcome, RerunAnswer } from "../store/TaskStore.ts"
import type { AttemptJson, CreatedTaskJson, KnownTaskJson, TaskJson, TaskResultJson } from "./api/TaskJson.ts"

/** A task on the wire. */
export const toJson = (task: StoredTask): TaskJson => {
  const createdAt = timestamp(task.createdAt)
  return {
    id: task.id,
    type: task.type,
    payload: Redaction.json(task.payload),
    priority: task.priority,
    status: task.state,
    created_at: createdAt,
    started_at: timestampOrNull(task.startedAt),
    completed_at: timestampOrNull(task.completedAt),
    result: Option.getOrNull(task.result),
    error: failureJson(task.failure),
    retry_count: retryCount(task),
    max_retries: task.maxRetries,
    queue: task.queue,
    key: task.key,
    // Most tasks are due at once, and writing a time is what costs most here
    due_at: task.dueAt === task.createdAt ? createdAt : timestamp(task.dueAt),
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

/** What posting a task answers. */
export const createdJson = ({ duplicate, id, task }: Created): CreatedTaskJson | KnownTaskJson =>
  duplicate ? task === null ? { id, duplicate } : { ...toJson(task), duplicate } : toJson(task!)

/** What is known of a task's end: `undefined` when it has not come, `null` when there is no such task. */
export const resultJson = (id: string, outcome: Outcome | undefined | null): TaskResultJson =>
  outcome === undefined || outcome === null
    ? { id, status: outcome === null ? "unknown" : "unfinished", result: null, error: null }
    : {
      id,
      status: outcome.state as typeof FinishedState.Type,
      result: outcome.result === null ? null : parse(outcome.result),
      error: failureJson(outcome.failure)
    }

/** The task that was on the wire. */
export const fromJson = (task: TaskJson): StoredTask => ({
  id: task.id,
  type: task.type,
  queue: task.queue,
  payload: task.payload,
  priority: task.priority,
  key: task.key,
  maxRetries: task.max_retries,
  timeout: task.timeout_ms === null ? null : Duration.millis(task.timeout_ms),
  state: task.status,
  createdAt: instant(task.created_at),
  dueAt: instant(task.due_at),
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
export const outcomeFromJson = ({ error, id, result, status }: TaskResultJson): Outcome | undefined | null =>
  status === "unknown"
    ? null
    : status === "unfinished"
    ? undefined
    : {
      id,
      state: status,
      result: status === "completed" ? JSON.stringify(result) : null,
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

/** An instant of a store's clock on the wire. */
export const timestampOf = (millis: number): string => timestamp(utc(millis))

const parse = (text: string): Schema.Json => JSON.parse(text)

const failureJson = (failure: TaskFailure | null | undefined): TaskJson["error"] => {
  if (failure === null || failure === undefined) return null
  const { error, kind, tag } = failure
  const message = Redaction.text(failure.message)
  return error === undefined ? { kind, tag, message } : { kind, tag, message, details: error }
}

function failureFromJson(failure: NonNullable<TaskJson["error"]>): TaskFailure
function failureFromJson(failure: TaskJson["error"]): TaskFailure | null
function failureFromJson(failure: TaskJson["error"]): TaskFailure | null {
  if (failure === null) return null
  const { details, kind, message, tag } = failure
  return details === undefined ? { kind, tag, message } : { kind, tag, message, error: details }
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

/** Stored tasks as clients see them. Stacks stay in the logs. */
import { DateTime, type Schema } from "effect"
import { type AttemptRecord, retryCount, type TaskFailure, type TaskRecord } from "../domain/TaskRecord.ts"
import type { AttemptJson, TaskJson } from "./api/TaskJson.ts"

/** A task on the wire. */
export const toJson = (task: Omit<TaskRecord, "seq">): TaskJson => {
  const createdAt = timestamp(task.createdAt)
  return {
    id: task.id,
    type: task.type,
    payload: parse(task.payload),
    priority: task.priority,
    status: task.state,
    created_at: createdAt,
    started_at: timestampOrNull(task.startedAt),
    completed_at: timestampOrNull(task.completedAt),
    result: task.result === null ? null : parse(task.result),
    error: failureJson(task.failure),
    retry_count: retryCount(task),
    max_retries: task.maxRetries,
    queue: task.queue,
    key: task.key,
    // Most tasks are due at once, and writing a time is what costs most here
    due_at: task.dueAt === task.createdAt ? createdAt : timestamp(task.dueAt),
    timeout_ms: task.timeoutMs,
    attempts: task.claims,
    failures: task.failures,
    crashes: task.crashes,
    progress: task.progress,
    worker: task.worker,
    cancel_requested: task.cancelRequested,
    history: task.history.map(attemptJson)
  }
}

let latest = { millis: 0, text: "1970-01-01T00:00:00.000Z" }

/** An instant on the wire. Requests of the same millisecond share the text, which costs more than all else here. */
export const timestamp = (millis: number): string => {
  if (millis !== latest.millis) latest = { millis, text: DateTime.formatIso(DateTime.makeUnsafe(millis)) }
  return latest.text
}

const timestampOrNull = (millis: number | null) => millis === null ? null : timestamp(millis)

const parse = (text: string): Schema.Json => JSON.parse(text)

const failureJson = (failure: TaskFailure | null | undefined): TaskJson["error"] => {
  if (failure === null || failure === undefined) return null
  const { error, kind, message, tag } = failure
  return error === undefined ? { kind, tag, message } : { kind, tag, message, details: error }
}

const attemptJson = (attempt: AttemptRecord): AttemptJson => ({
  claim: attempt.claim,
  worker: attempt.worker,
  started_at: timestamp(attempt.startedAt),
  ended_at: timestamp(attempt.endedAt),
  outcome: attempt.outcome,
  error: failureJson(attempt.failure)
})

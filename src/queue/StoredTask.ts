/** A stored task as programs read it: stores keep texts and numbers, and this is where those become values. */
import { type DateTime, Duration, Option, type Schema } from "effect"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { AttemptRecord, TaskRecord } from "../domain/TaskRecord.ts"

/** An earlier attempt at a task. Times are by the store's clock. */
export interface StoredAttempt extends Omit<AttemptRecord, "startedAt" | "endedAt"> {
  readonly startedAt: DateTime.Utc
  readonly endedAt: DateTime.Utc
}

/**
 * A stored task. Payload and result are JSON, or what the task's definition makes of that where a handle reads it. Times are
 * by the store's clock.
 */
export interface StoredTask<out Payload = Schema.Json, out Success = Schema.Json> extends
  Omit<
    TaskRecord,
    | "seq"
    | "claim"
    | "settledClaim"
    | "leaseUntil"
    | "payload"
    | "result"
    | "timeoutMs"
    | "createdAt"
    | "dueAt"
    | "startedAt"
    | "completedAt"
    | "history"
  >
{
  readonly payload: Payload
  /** `None` until the task is completed. */
  readonly result: Option.Option<Success>
  /** Time limit of one attempt; `null` is the instance's default. */
  readonly timeout: Duration.Duration | null
  readonly createdAt: DateTime.Utc
  readonly dueAt: DateTime.Utc
  /** When the latest attempt was claimed. */
  readonly startedAt: DateTime.Utc | null
  /** When the task finished. */
  readonly completedAt: DateTime.Utc | null
  /** Earlier attempts, the oldest first. */
  readonly history: ReadonlyArray<StoredAttempt>
}

/** What a store keeps, read. */
export const fromRecord = (record: Omit<TaskRecord, "seq">): StoredTask => {
  const createdAt = utc(record.createdAt)
  return {
    id: record.id,
    type: record.type,
    queue: record.queue,
    payload: JSON.parse(record.payload),
    priority: record.priority,
    key: record.key,
    maxRetries: record.maxRetries,
    timeout: record.timeoutMs === null ? null : Duration.millis(record.timeoutMs),
    state: record.state,
    createdAt,
    // Most tasks are due at once
    dueAt: record.dueAt === record.createdAt ? createdAt : utc(record.dueAt),
    startedAt: utcOrNull(record.startedAt),
    completedAt: utcOrNull(record.completedAt),
    failures: record.failures,
    crashes: record.crashes,
    claims: record.claims,
    instance: record.instance,
    cancelRequested: record.cancelRequested,
    progress: record.progress,
    result: record.result === null ? Option.none() : Option.some(JSON.parse(record.result)),
    failure: record.failure,
    history: record.history.map((attempt) => ({
      ...attempt,
      startedAt: utc(attempt.startedAt),
      endedAt: utc(attempt.endedAt)
    }))
  }
}

/** A stored task as programs read it: stores keep texts and numbers, and this is where those become values. */
import { type DateTime, Duration, Option, type Schema } from "effect"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import * as Tags from "../domain/Tags.ts"
import type { AttemptRecord, TaskFailure, TaskRecord } from "../domain/TaskRecord.ts"
import type { FinishedState } from "../domain/TaskState.ts"
import * as TraceContext from "../domain/TraceContext.ts"
import type { Outcome } from "../store/TaskStore.ts"

/** Why an attempt did not complete. */
export interface StoredFailure<out Error = Schema.Json> extends Omit<TaskFailure, "error"> {
  /** The declared error. */
  readonly error?: Error
}

/** An earlier attempt at a task. Times are by the store's clock. */
export interface StoredAttempt<out Error = Schema.Json>
  extends Omit<AttemptRecord, "startedAt" | "endedAt" | "failure">
{
  readonly startedAt: DateTime.Utc
  readonly endedAt: DateTime.Utc
  readonly failure?: StoredFailure<Error>
}

/**
 * A stored task. Payload, result and errors are JSON, or what the task's definition makes of that where a handle reads it.
 * Times are by the store's clock.
 */
export interface StoredTask<out Payload = Schema.Json, out Success = Schema.Json, out Error = Schema.Json> extends
  Omit<
    TaskRecord,
    | "seq"
    | "version"
    | "hold"
    | "claim"
    | "gate"
    | "costs"
    | "trace"
    | "tags"
    | "settledClaim"
    | "leaseUntil"
    | "payload"
    | "result"
    | "timeoutMs"
    | "startWithinMs"
    | "createdAt"
    | "expiresAt"
    | "startBy"
    | "dueAt"
    | "startedAt"
    | "completedAt"
    | "failure"
    | "history"
  >
{
  /** The version of its type's payload that it was stored with. */
  readonly version: number
  readonly payload: Payload
  /** The trace that it was enqueued in; `null` where there was none. */
  readonly traceId: string | null
  /** Words that it is found by, in Unicode's composed form. */
  readonly tags: ReadonlyArray<string>
  /** `None` until the task is completed. */
  readonly result: Option.Option<Success>
  /** Time limit of one attempt; `null` is the instance's default. */
  readonly timeout: Duration.Duration | null
  readonly createdAt: DateTime.Utc
  readonly dueAt: DateTime.Utc
  /** From when on it is not started any more; `null` is never. */
  readonly expiresAt: DateTime.Utc | null
  /**
   * Until when it should start for the first time, or for the first time since it was run again; `null` where it has no
   * `startWithin`, and from when on it waits for a later attempt.
   */
  readonly startBy: DateTime.Utc | null
  /** When the latest attempt was claimed. */
  readonly startedAt: DateTime.Utc | null
  /** When the task finished. */
  readonly completedAt: DateTime.Utc | null
  /** Why the latest attempt did not complete. */
  readonly failure: StoredFailure<Error> | null
  /** Earlier attempts, the oldest first. */
  readonly history: ReadonlyArray<StoredAttempt<Error>>
}

/** How a finished task ended. */
export interface StoredOutcome extends Pick<StoredTask, "id" | "result" | "failure"> {
  readonly state: FinishedState
}

/** What a store answers about the end of a task, read. */
export const fromOutcome = ({ failure, id, result, state }: Outcome): StoredOutcome => ({
  id,
  state: state as StoredOutcome["state"],
  result: fromText(result),
  failure
})

const fromText = (json: string | null): Option.Option<Schema.Json> =>
  json === null ? Option.none() : Option.some(JSON.parse(json))

/** What a store keeps, read. */
export const fromRecord = (record: Omit<TaskRecord, "seq">): StoredTask => {
  const createdAt = utc(record.createdAt)
  return {
    id: record.id,
    type: record.type,
    version: record.version ?? 1,
    queue: record.queue,
    payload: JSON.parse(record.payload),
    priority: record.priority,
    key: record.key,
    maxRetries: record.maxRetries,
    timeout: record.timeoutMs === null ? null : Duration.millis(record.timeoutMs),
    state: record.state,
    onFailure: record.onFailure,
    waitsFor: record.waitsFor,
    traceId: TraceContext.traceIdOf(record.trace),
    tags: Tags.fromText(record.tags),
    createdAt,
    // Most tasks are due at once
    dueAt: record.dueAt === record.createdAt ? createdAt : utc(record.dueAt),
    expiresAt: utcOrNull(record.expiresAt),
    startBy: utcOrNull(record.startBy),
    startedAt: utcOrNull(record.startedAt),
    completedAt: utcOrNull(record.completedAt),
    failures: record.failures,
    crashes: record.crashes,
    claims: record.claims,
    instance: record.instance,
    cancelRequested: record.cancelRequested,
    progress: record.progress,
    result: fromText(record.result),
    failure: record.failure,
    history: record.history.map((attempt) => ({
      ...attempt,
      startedAt: utc(attempt.startedAt),
      endedAt: utc(attempt.endedAt)
    }))
  }
}

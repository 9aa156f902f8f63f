/**
 * A task as stores keep it. All times are whole milliseconds since the epoch by the store's clock; payloads and
 * results are JSON texts, encoded and decoded at the border by the task's definition.
 */
import { Schema } from "effect"
import { defaultOnFailure, isDependent, type OnFailure } from "./Dependencies.ts"
import type { Gated } from "./Gate.ts"
import { FinishedState, type TaskState } from "./TaskState.ts"
import { type Hold, holdOf, type Unique } from "./Uniqueness.ts"

/**
 * Why an attempt did not complete.
 *
 * - `error`: the handler failed with its declared error
 * - `defect`: the handler threw or died
 * - `timeout`: the attempt ran longer than the task's timeout
 * - `invalid`: the stored payload does not decode, or the handler's result does not encode; never retried
 * - `quarantined`: the task's process died too often while it ran
 * - `dependency`: no attempt was made, because a task that it depends on did not complete
 */
export const FailureKind = Schema.Literals(["error", "defect", "timeout", "invalid", "quarantined", "dependency"])

export type FailureKind = typeof FailureKind.Type

/** What is kept of a failed attempt. */
export const TaskFailure = Schema.Struct({
  kind: FailureKind,
  /** The error's `_tag` or name. */
  tag: Schema.String,
  message: Schema.String,
  stack: Schema.optionalKey(Schema.String),
  /** The declared error, encoded by the definition's error schema. */
  error: Schema.optionalKey(Schema.Json),
  /** The task that it depends on, where that is why. */
  dependency: Schema.optionalKey(Schema.Struct({ id: Schema.String, state: FinishedState }))
})

export type TaskFailure = typeof TaskFailure.Type

/**
 * How an attempt that did not finish its task ended.
 */
export const AttemptOutcome = Schema.Literals(["failed", "crashed", "released", "snoozed", "cancelled", "completed"])

export type AttemptOutcome = typeof AttemptOutcome.Type

/** One earlier attempt. The latest attempt lives in the task's own fields until another begins. */
export const AttemptRecord = Schema.Struct({
  /** The number of the claim that began it, unique in the store. */
  claim: Schema.Int,
  /** Its number among the attempts of its task, from 1. */
  attempt: Schema.Int,
  instance: Schema.String,
  startedAt: Schema.Int,
  endedAt: Schema.Int,
  outcome: AttemptOutcome,
  failure: Schema.optionalKey(TaskFailure)
})

export type AttemptRecord = typeof AttemptRecord.Type

/** How many earlier attempts a task remembers. */
export const maxHistory = 20

/** The history with one more attempt, the oldest dropped beyond {@link maxHistory}. */
export const remember = (
  history: ReadonlyArray<AttemptRecord>,
  attempt: AttemptRecord
): ReadonlyArray<AttemptRecord> => [...history.slice(-(maxHistory - 1)), attempt]

/**
 * A history that was stored as JSON. Older versions called the instance `worker` and stored no numbers: the attempts in it
 * follow one another, and the task's latest attempt is the last of them once it has ended without finishing the task.
 */
export const historyOf = (
  stored: ReadonlyArray<AttemptRecord & { readonly worker?: string }>,
  { claim, claims }: Pick<TaskRecord, "claim" | "claims">
): ReadonlyArray<AttemptRecord> => {
  const latest = stored.at(-1)?.claim === claim ? claims : claims - 1
  return stored.map(({ worker, ...attempt }, index) => ({
    ...attempt,
    attempt: attempt.attempt ?? latest - (stored.length - 1 - index),
    instance: attempt.instance ?? worker
  }))
}

/** What `enqueue` hands to a store. The store adds the sequence, the times and the counts. */
export interface NewTask extends Gated {
  readonly id: string
  readonly type: string
  /** The version of the type's payload that it holds. Left out for the first; drivers have it in the type, see `StoredType`. */
  readonly version?: number | undefined
  readonly queue: string
  /** JSON text. */
  readonly payload: string
  readonly priority: number
  /** Unique per type while the task is kept, or as long as `unique` says. */
  readonly key: string | null
  /** How its key is unique. Left out: another payload with the key is a conflict, and the same one is the same task. */
  readonly unique?: Unique | null | undefined
  /** Retries after the first execution; `-1` is unlimited. */
  readonly maxRetries: number
  /** Time limit of one attempt; `null` is the instance's default. */
  readonly timeoutMs: number | null
  /** Wait before the task is due; ignored when `runAt` is given. */
  readonly delayMs: number
  /** The one absolute time that goes in. */
  readonly runAt: number | null
  /** How long after it is due for the first time the task is of use; `null` is for ever. */
  readonly expiresInMs: number | null
  /** Within which time after it is due the task should start; `null` says nothing. */
  readonly startWithinMs: number | null
  /**
   * The ids of the tasks that must have ended before it starts: stored ones, or others of its group. Left out where there are
   * none, as for nearly all.
   */
  readonly after?: ReadonlyArray<string> | undefined
  /** What becomes of it when one of these does not complete; `fail` when left out. */
  readonly onFailure?: OnFailure | undefined
  /** The span that it was enqueued in, see `TraceContext`. Left out where there is none. */
  readonly trace?: string | undefined
  /** Its tags, see `Tags`: JSON text of an array. Left out where it has none. */
  readonly tags?: string | undefined
}

/** A stored task: what was handed over, and what has become of it. */
export interface TaskRecord
  extends Omit<NewTask, "delayMs" | "runAt" | "expiresInMs" | "unique" | "after" | "onFailure" | "trace" | "tags">
{
  /** The span that it was enqueued in; `null` where there was none. */
  readonly trace: string | null
  /** JSON text of an array of its tags; `null` where it has none. */
  readonly tags: string | null
  /** How long it holds its key. */
  readonly hold: Hold
  /** What becomes of it when a task that it depends on does not complete; `null` where it depends on none. */
  readonly onFailure: OnFailure | null
  /**
   * How many of the tasks that it depends on have not ended. As long as there are any it is `scheduled`, whenever it is due. Once there are none
   * it is due, unless its own time is later.
   */
  readonly waitsFor: number
  /** Given by the store, strictly increasing: breaks ties of rank and orders lists. */
  readonly seq: number
  readonly state: TaskState
  readonly createdAt: number
  readonly dueAt: number
  /** From when on the task is not started any more; `null` is never. */
  readonly expiresAt: number | null
  /**
   * Until when the task should start for the first time, or for the first time since it was run again; `null` where nothing says
   * so, and from when on it waits for a later attempt.
   */
  readonly startBy: number | null
  /** When the latest attempt was claimed. */
  readonly startedAt: number | null
  /** When the task finished. */
  readonly completedAt: number | null
  /** Errors, defects and timeouts: they spend retries and drive the backoff. */
  readonly failures: number
  /** How often a lease ran out while the task was running. */
  readonly crashes: number
  /** How often the task was claimed, which is the number of its latest attempt. Nothing takes one away. */
  readonly claims: number
  /**
   * The number of the latest claim, 0 before the first: the fencing token of the current attempt. The store numbers
   * all claims of all tasks in one strictly increasing sequence and never gives a number twice.
   */
  readonly claim: number
  /** The claim number whose settlement was applied last; 0 for none. */
  readonly settledClaim: number
  readonly leaseUntil: number | null
  /** Who holds or held the latest claim. */
  readonly instance: string | null
  /** A cancel arrived while the task was running. */
  readonly cancelRequested: boolean
  /** From 0 to 1, as the handler reports it. */
  readonly progress: number | null
  /** JSON text of the encoded success. */
  readonly result: string | null
  readonly failure: TaskFailure | null
  readonly history: ReadonlyArray<AttemptRecord>
}

/** When a task that is stored now will be due. */
export const dueAtOf = (task: Pick<NewTask, "delayMs" | "runAt">, now: number): number =>
  task.runAt ?? now + Math.max(0, task.delayMs)

/** From when on a task that is stored now is not started any more. */
export const expiresAtOf = (task: NewTask, now: number): number | null =>
  task.expiresInMs === null ? null : dueAtOf(task, now) + task.expiresInMs

/** Until when a task that is stored now should start. */
export const startByOf = (task: NewTask, now: number): number | null =>
  task.startWithinMs === null ? null : dueAtOf(task, now) + task.startWithinMs

/** What becomes of a new task when one that it depends on does not complete. */
export const onFailureOf = (task: NewTask): OnFailure | null =>
  isDependent(task) ? task.onFailure ?? defaultOnFailure : null

/**
 * A task that has just been stored, without its sequence number, which the store assigns. None of those that it depends on has ended, as
 * far as it says.
 */
export const created = (task: NewTask, now: number): Omit<TaskRecord, "seq"> => {
  const dueAt = dueAtOf(task, now)
  return {
    id: task.id,
    type: task.type,
    ...(task.version === undefined ? {} : { version: task.version }),
    queue: task.queue,
    payload: task.payload,
    priority: task.priority,
    key: task.key,
    hold: holdOf(task.unique),
    onFailure: onFailureOf(task),
    trace: task.trace ?? null,
    tags: task.tags ?? null,
    waitsFor: task.after?.length ?? 0,
    maxRetries: task.maxRetries,
    timeoutMs: task.timeoutMs,
    gate: task.gate,
    costs: task.costs,
    state: dueAt > now || isDependent(task) ? "scheduled" : "pending",
    createdAt: now,
    dueAt,
    expiresAt: expiresAtOf(task, now),
    startWithinMs: task.startWithinMs,
    startBy: startByOf(task, now),
    startedAt: null,
    completedAt: null,
    failures: 0,
    crashes: 0,
    claims: 0,
    claim: 0,
    settledClaim: 0,
    leaseUntil: null,
    instance: null,
    cancelRequested: false,
    progress: null,
    result: null,
    failure: null,
    history: []
  }
}

/** What an instance needs of a task it has claimed. */
export interface ClaimedTask extends
  Omit<
    NewTask,
    | "key"
    | "unique"
    | "delayMs"
    | "runAt"
    | "expiresInMs"
    | "startWithinMs"
    | "after"
    | "onFailure"
    | "trace"
    | "tags"
  >,
  Pick<TaskRecord, "dueAt" | "startBy" | "failures" | "crashes" | "trace">
{
  /** The number of this attempt, from 1: how often the task has been claimed. */
  readonly attempt: number
  /** The number of this claim, unique in the store: the fencing token that every write of this attempt carries. */
  readonly claim: number
}

/** Retries spent so far, as shown to people: never more than the budget. */
export const retryCount = (task: { readonly failures: number; readonly maxRetries: number }): number =>
  task.maxRetries < 0 ? task.failures : Math.min(task.failures, task.maxRetries)

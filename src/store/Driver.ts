/**
 * What all drivers share: the services that one provides, the settings that belong to a stored queue rather than to a
 * process, so that all processes on it must agree, and what operations make of a task.
 */
import { Duration, Effect } from "effect"
import type { RateLimiter } from "effect/persistence"
import * as Bounds from "../domain/Bounds.ts"
import * as DurationText from "../domain/DurationText.ts"
import { type StoreError, StoreIncompatible } from "../domain/Errors.ts"
import { isOrdered } from "../domain/Gate.ts"
import * as Rank from "../domain/Rank.ts"
import { isAsSeen, restored, type TaskRef } from "../domain/Seen.ts"
import * as Settlement from "../domain/Settlement.ts"
import * as StoredType from "../domain/StoredType.ts"
import { dueAtOf, type TaskRecord } from "../domain/TaskRecord.ts"
import { isFinished } from "../domain/TaskState.ts"
import { superseded } from "../domain/Uniqueness.ts"
import type { EventLog } from "./EventLog.ts"
import type { InstanceStore } from "./InstanceStore.ts"
import type { Notifier } from "./Notifier.ts"
import type { RecordStore } from "./RecordStore.ts"
import type { RescheduleAnswer, RescheduleRequest } from "./Reschedule.ts"
import {
  type CancelAnswer,
  type ClaimAnswer,
  type ClaimRequest,
  type Expired,
  maxExpired,
  type RerunAnswer,
  type Rescued,
  type TaskStore
} from "./TaskStore.ts"

/** What the layer of a storage driver provides. */
export type StoreServices = TaskStore | RecordStore | Notifier | InstanceStore | EventLog

/** The same with the counts of rate limits, which a server asks for. */
export type ServerServices = StoreServices | RateLimiter.RateLimiterStore

/** What a store answers that knows nothing of transactions of applications. */
export const withoutTransactions: Pick<TaskStore["Service"], "inTransaction" | "afterCommit"> = {
  inTransaction: Effect.succeed(false),
  afterCommit: (effect) => effect
}

/** What a store is made with, whatever its driver is. */
export interface StoreSettings {
  /** Unfinished tasks accepted at most. */
  readonly capacity?: number | undefined
  /** Bytes that the stored tasks may have together, finished ones too: beyond them a new task is refused. */
  readonly maxBytes?: number | undefined
  /** See `Rank`. An instance that differs from the stored value is refused at start. */
  readonly headStart?: Duration.Input | undefined
  /** Crashes before a task is quarantined; `-1` is unlimited. */
  readonly maxCrashes?: number | undefined
  /**
   * For programs that only read: opening makes and changes nothing, and a store that is not there, or has an earlier layout, is
   * refused. Nothing may be enqueued or claimed. A store in memory is always new. Default `false`.
   */
  readonly readOnly?: boolean | undefined
}

/** The names of {@link StoreSettings}, which those of each driver add to. */
export const settingNames: Bounds.Names<StoreSettings> = {
  capacity: 1,
  maxBytes: 1,
  headStart: 1,
  maxCrashes: 1,
  readOnly: 1
}

/** Unfinished tasks that a store outside of the process accepts at most, unless configured. */
export const defaultCapacity = 100_000

/**
 * The settings with their defaults. Throws `InvalidOption` where one is outside of its bound or has none of the driver's
 * names. To be called by each driver before it opens a store.
 */
export const demandSettings = (settings: StoreSettings, names: object, capacityByDefault: number = defaultCapacity): {
  readonly capacity: number
  readonly headStartMs: number
  readonly maxCrashes: number
} => {
  Bounds.demandKnown(settings, names)
  const { capacity, headStart, maxBytes, maxCrashes } = settings
  Bounds.demand("capacity", Bounds.whole(1), capacity)
  Bounds.demand("maxBytes", Bounds.whole(1), maxBytes)
  Bounds.demand("headStart", Bounds.retention, headStart)
  Bounds.demand("maxCrashes", Bounds.retries, maxCrashes)
  return {
    capacity: capacity ?? capacityByDefault,
    headStartMs: Rank.headStartMillis(headStart ?? Rank.defaultHeadStart),
    maxCrashes: maxCrashes ?? Settlement.defaultMaxCrashes
  }
}

/**
 * Why a process may not use a store: its head start is not the stored one. `store` says which one is meant, and `instead`
 * what else may be used.
 */
export const refuseHeadStart = (
  store: string,
  instead: string,
  stored: number,
  configured: number
): StoreIncompatible | undefined =>
  stored === configured ? undefined : new StoreIncompatible({
    reason: `${store} was created with a head start of ${text(stored)}, but this process is configured with ` +
      `${text(configured)}: ranks would disagree. Configure ${text(stored)}, or use ${instead}`
  })

const text = (millis: number): string => DurationText.format(Duration.millis(millis))

/** The same for a store that a newer version has written. */
export const refuseLayout = (
  store: string,
  instead: string,
  found: number,
  latest: number
): StoreIncompatible | undefined =>
  found <= latest ? undefined : new StoreIncompatible({
    reason: `${store} has layout ${found}, written by a newer version; this version knows layouts up to ${latest}. ` +
      `Upgrade this process, or give it ${instead}`
  })

/** Why a store is not opened for reading only: it would have to be made, or changed, first. */
export const refuseReading = (store: string, found: number, latest: number): StoreIncompatible | undefined =>
  found === latest ? undefined : new StoreIncompatible({
    reason: found === 0
      ? `${store} does not exist. Create it with: taskforge migrate`
      : `${store} has layout ${found}, this version reads layout ${latest}, and reading changes nothing. ` +
        "Bring it up to date with: taskforge migrate"
  })

/**
 * What an operation answers about a task, the change that it makes, and what it adds to the totals besides the state that
 * the task ends in.
 */
export type Decision<A> = readonly [answer: A, change?: Settlement.Change | undefined, counts?: "retried" | "crashed"]

/** What `cancel` answers about a stored task, and what it makes of it. */
export const decideCancel = (task: Settlement.Current, now: number, ref?: TaskRef): Decision<CancelAnswer> => {
  if (ref !== undefined && !isAsSeen(task, ref)) return ["unknown"]
  const change = Settlement.cancel(task, now)
  if (change === undefined) return ["finished"]
  return [change.state === "running" ? "requested" : "cancelled", change]
}

/** The same of `rerun`, where so many of the tasks that it depends on have not ended. */
export const decideRerun = (
  task: Settlement.Current & Pick<TaskRecord, "hold">,
  now: number,
  waitsFor = 0,
  ref: TaskRef = ""
): Decision<RerunAnswer> => {
  if (!isAsSeen(task, ref)) return [{ _tag: "unknown" }]
  if (task.hold === superseded) return [{ _tag: "superseded" }]
  const restores = typeof ref !== "string" && ref.restores === true
  const change = restores ? restored(task, now, waitsFor) : Settlement.rerun(task, now, waitsFor)
  return change === undefined ? [{ _tag: "conflict", state: task.state }] : [{ _tag: "rerun" }, change]
}

/** The same of `expire`, which answers nothing about a task that may still start. */
export const decideExpire = (
  task: Settlement.Current & Pick<TaskRecord, "id" | "type" | "queue">,
  now: number
): Decision<Expired | undefined> => {
  const change = Settlement.expire(task, now)
  return change === undefined
    ? [undefined]
    : [{ id: task.id, type: task.type, queue: task.queue, attempt: task.claims }, change]
}

/** What a claim answers that takes nothing while waiting tasks have expired, and whether that was so. */
export interface Claimed {
  readonly answer: ClaimAnswer
  readonly mustExpire: boolean
}

/** A claim that ends what has expired by another operation of its store, and then asks again. */
export const afterExpiring = (
  claim: (request: ClaimRequest) => Effect.Effect<Claimed, StoreError>,
  expire: TaskStore["Service"]["expire"]
): TaskStore["Service"]["claim"] =>
  Effect.fnUntraced(function*(request): Effect.fn.Return<ClaimAnswer, StoreError> {
    const first = yield* claim(request)
    if (!first.mustExpire) return first.answer
    const expired = yield* expire(maxExpired)
    const { answer, mustExpire } = yield* claim(request)
    return { ...answer, ...mustExpire ? { nextDueAt: answer.now } : {}, expired }
  })

/** The same of `settle`. */
export const decideSettle = (
  task: Settlement.Current,
  settlement: Settlement.Settlement,
  now: number
): Decision<Settlement.SettleAnswer> => {
  const answer = Settlement.fence(task, settlement.claim)
  if (answer !== "applied") return [answer]
  const change = Settlement.settle(task, settlement, now)
  return settlement._tag === "Retry" && !isFinished(change.state) ? [answer, change, "retried"] : [answer, change]
}

/**
 * What a rescue answers about a task whose lease has run out, and what it makes of it. The engine's own tasks crash no process, they are
 * in one that dies of something else: they run again as often as it takes.
 */
export const decideRescue = (
  task: Settlement.Current & Pick<TaskRecord, "id" | "type">,
  maxCrashes: number,
  now: number
): readonly [Rescued, Settlement.Change, "crashed"] => {
  const change = Settlement.rescue(task, StoredType.isOwn(task.type) ? Bounds.unlimitedRetries : maxCrashes, now)
  const { crashes, state } = change
  return [{ id: task.id, type: task.type, state, crashes, attempt: task.claims }, change, "crashed"]
}

/** What `reschedule` answers about a stored task, and what it makes of it. */
export const decideReschedule = (
  task: Settlement.Revisable & Pick<TaskRecord, "type" | "queue" | "createdAt">,
  request: RescheduleRequest,
  now: number
): Decision<RescheduleAnswer> => {
  const { costs, delayMs, gate, payload, priority, queue, runAt = null, seen, startWithinMs, type } = request
  if (task.type !== type || task.queue !== queue) return [{ _tag: "unknown" }]
  if (seen !== undefined && !isAsSeen(task, { id: request.id, seen })) return [{ _tag: "unknown" }]
  const fields = {
    ...(payload === undefined ? {} : { payload }),
    ...(gate === undefined ? {} : { gate, costs: costs ?? null }),
    ...(priority === undefined ? {} : { priority }),
    ...(startWithinMs === undefined ? {} : { startWithinMs })
  }
  const dueAt = runAt === null && delayMs === undefined ? undefined : dueAtOf({ runAt, delayMs: delayMs ?? 0 }, now)
  const state = Settlement.stateAt(task, now)
  const change = Settlement.revise({ ...task, state }, { ...fields, dueAt }, now)
  const waits = state === "scheduled" || state === "pending"
  if (change === undefined) return [waits ? { _tag: "ordered" } : { _tag: "conflict", state }]
  const before = task.revised ?? task
  const isReordered = change.revised?.priority !== before.priority && isOrdered(change.revised?.gate ?? null)
  return isReordered ? [{ _tag: "ordered" }] : [{ _tag: "rescheduled" }, change]
}

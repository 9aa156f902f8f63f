/**
 * How an attempt ends, and what that does to the task. This is the one place where a running task's next state is
 * decided; stores only apply it, atomically and fenced by the claim number.
 */
import * as Bounds from "./Bounds.ts"
import { type EndedDependency, failureOf } from "./Dependencies.ts"
import * as Gate from "./Gate.ts"
import { type AttemptOutcome, type AttemptRecord, remember, type TaskFailure, type TaskRecord } from "./TaskRecord.ts"
import { isFinished, type TaskState } from "./TaskState.ts"

/**
 * The end of one attempt, as the instance that ran it reports it.
 *
 * - `Complete`: the handler succeeded
 * - `Retry`: it failed and has retries left; due again after the delay
 * - `Fail`: it failed for good
 * - `Cancel`: it was interrupted because a client cancelled the task
 * - `Snooze`: the handler asked to run later; spends nothing
 * - `Release`: the instance shuts down; due again at its old time, spends nothing
 *
 * A task that would be due again only when it has expired ends as `expired` instead.
 */
export type Settlement =
  & { readonly id: string; readonly claim: number }
  & (
    | { readonly _tag: "Complete"; readonly result: string }
    | { readonly _tag: "Retry"; readonly delayMs: number; readonly failure: TaskFailure }
    | { readonly _tag: "Fail"; readonly failure: TaskFailure }
    | { readonly _tag: "Cancel" }
    | { readonly _tag: "Snooze"; readonly delayMs: number }
    | { readonly _tag: "Release" }
  )

/**
 * What became of a settlement: `applied` now, `already` applied by an earlier delivery of the same claim, or `stale`
 * because the claim is no longer the task's current one; a stale settlement changes nothing. Claim numbers are unique
 * in the store, so a settlement never meets a later task of the same id.
 */
export type SettleAnswer = "applied" | "already" | "stale"

/** What a waiting task is from now on, besides its time. */
export interface Revision extends Pick<TaskRecord, "priority" | "gate" | "costs" | "hold" | "startWithinMs"> {
  /** `null` where it stays. */
  readonly payload: string | null
}

/** The fields that settle, rescue, cancel and rerun may change. A waiting task can also be revised. */
export type Change =
  & Pick<
    TaskRecord,
    | "state"
    | "dueAt"
    | "expiresAt"
    | "startBy"
    | "completedAt"
    | "failures"
    | "crashes"
    | "settledClaim"
    | "cancelRequested"
    | "result"
    | "failure"
    | "history"
    | "waitsFor"
  >
  & { readonly revised?: Revision | undefined }

/** The fields that those decisions read. */
export type Current =
  & Change
  & Pick<TaskRecord, "claim" | "claims" | "startedAt" | "instance" | "startWithinMs" | "onFailure">

/** A change that changes nothing. */
export const unchanged = (task: Current): Change => ({
  state: task.state,
  dueAt: task.dueAt,
  expiresAt: task.expiresAt,
  startBy: task.startBy,
  completedAt: task.completedAt,
  failures: task.failures,
  crashes: task.crashes,
  settledClaim: task.settledClaim,
  cancelRequested: task.cancelRequested,
  result: task.result,
  failure: task.failure,
  history: task.history,
  waitsFor: task.waitsFor
})

/** Whether a settlement may be applied to the task as it stands. */
export const fence = (task: Pick<TaskRecord, "state" | "claim" | "settledClaim">, claim: number): SettleAnswer =>
  claim > 0 && task.settledClaim === claim
    ? "already"
    : task.state === "running" && task.claim === claim
    ? "applied"
    : "stale"

const attempt = (task: Current, now: number, outcome: AttemptOutcome, failure?: TaskFailure): AttemptRecord => ({
  claim: task.claim,
  attempt: task.claims,
  instance: task.instance ?? "",
  startedAt: task.startedAt ?? now,
  endedAt: now,
  outcome,
  ...(failure === undefined ? {} : { failure: brief(failure) })
})

const waiting = (dueAt: number, now: number): TaskState => dueAt > now ? "scheduled" : "pending"

const cancelled = (task: Current, now: number, settledClaim: number, failure: TaskFailure | null = null): Change => ({
  ...unchanged(task),
  state: "cancelled",
  completedAt: now,
  settledClaim,
  failure
})

/** A task that waits for another attempt until it is due, or has expired if that is too late. */
const waitingFrom = (task: Change, dueAt: number, now: number): Change =>
  task.expiresAt !== null && Math.max(dueAt, now) >= task.expiresAt
    ? { ...task, state: "expired", dueAt, startBy: null, completedAt: now }
    : { ...task, state: waiting(dueAt, now), dueAt, startBy: null }

/** The task after an attempt that did not finish it: due again, unless it is to be cancelled or would be too old. */
const again = (
  task: Current,
  now: number,
  settledClaim: number,
  dueAt: number,
  outcome: AttemptOutcome,
  failure?: TaskFailure
): Change =>
  task.cancelRequested ? cancelled(task, now, settledClaim, failure) : waitingFrom(
    {
      ...unchanged(task),
      settledClaim,
      history: remember(task.history, attempt(task, now, outcome, failure))
    },
    dueAt,
    now
  )

/**
 * The task after a settlement that passed the {@link fence}. With a cancel requested, `Complete` and `Fail` stand,
 * because the work is done; everything that would run the task again becomes `cancelled`.
 */
export const settle = (task: Current, settlement: Settlement, now: number): Change => {
  const settledClaim = settlement.claim
  switch (settlement._tag) {
    case "Complete":
      return {
        ...unchanged(task),
        state: "completed",
        completedAt: now,
        settledClaim,
        result: settlement.result,
        failure: null
      }
    case "Fail":
      return {
        ...unchanged(task),
        state: "failed",
        completedAt: now,
        settledClaim,
        failures: task.failures + 1,
        failure: settlement.failure
      }
    case "Cancel":
      return cancelled(task, now, settledClaim)
    case "Retry": {
      const { delayMs, failure } = settlement
      const failed = { ...task, failures: task.failures + 1, failure }
      return again(failed, now, settledClaim, now + delayMs, "failed", failure)
    }
    case "Snooze":
      return again(task, now, settledClaim, now + settlement.delayMs, "snoozed")
    case "Release":
      return again(task, now, settledClaim, task.dueAt, "released")
  }
}

/** How many crashes a task may cause before it is quarantined, unless configured; `-1` is unlimited. */
export const defaultMaxCrashes = 5

/** Wait before a crashed task runs again: none after its first crash, then 1 s doubling up to a minute. */
export const crashDelayMs = (crashes: number): number =>
  crashes <= 1 ? 0 : Math.min(1000 * 2 ** Math.min(crashes - 2, 16), 60_000)

/**
 * The task after its lease ran out: due again, cancelled if that was asked for, quarantined, or too old to run again. The settled claim
 * stays what it was, so that a late settlement of the lost attempt is stale.
 */
export const rescue = (task: Current, maxCrashes: number, now: number): Change => {
  if (task.cancelRequested) return cancelled(task, now, task.settledClaim)
  const crashes = task.crashes + 1
  const history = remember(task.history, attempt(task, now, "crashed"))
  if (maxCrashes >= 0 && crashes > maxCrashes) {
    return {
      ...unchanged(task),
      state: "failed",
      completedAt: now,
      crashes,
      failure: {
        kind: "quarantined",
        tag: "TaskQuarantined",
        message: `The process running this task died ${crashes} times (maxCrashes is ${maxCrashes})`
      }
    }
  }
  return waitingFrom({ ...unchanged(task), crashes, history }, now + crashDelayMs(crashes), now)
}

/** What a cancel means for a task as it stands; `undefined` when the task has finished. */
export const cancel = (task: Current, now: number): Change | undefined => {
  switch (task.state) {
    case "scheduled":
    case "pending":
      return { ...unchanged(task), state: "cancelled", completedAt: now, waitsFor: 0 }
    case "running":
      return { ...unchanged(task), cancelRequested: true }
    default:
      return undefined
  }
}

/** What is to be changed about a task. What is left out stays. */
export interface Revisions
  extends Partial<Pick<TaskRecord, "payload" | "priority" | "gate" | "costs" | "hold" | "startWithinMs">>
{
  /** When it is due. */
  readonly dueAt?: number | undefined
}

/** A task that may be revised. */
export type Revisable = Current & Pick<TaskRecord, "priority" | "gate" | "costs" | "hold">

/**
 * A task that is due at another time is of use for as long as before. A retry waits for longer than its task was first due, which says
 * nothing about how long that is of use: brought forward, it expires no sooner.
 */
const movedBy = ({ claims, expiresAt }: Current, byMs: number): number | null =>
  expiresAt === null ? null : expiresAt + (claims === 0 ? byMs : Math.max(0, byMs))

/** Until when a task that waits should start, where it has been revised. A retry has started before. */
const startByFrom = ({ claims, startBy }: Current, dueAt: number, startWithinMs: number | null): number | null =>
  startWithinMs !== null && (startBy !== null || claims === 0) ? dueAt + startWithinMs : null

/**
 * What a revision means for a task as it stands; `undefined` unless it waits. One that has started keeps its place in an order until it
 * has ended: others wait for it.
 */
export const revise = (task: Revisable, { dueAt, payload, ...fields }: Revisions, now: number): Change | undefined => {
  if (task.state !== "scheduled" && task.state !== "pending") return undefined
  const { costs, gate, hold, priority, startWithinMs } = task.revised ?? task
  const all = { costs, gate, hold, priority, startWithinMs, ...fields }
  if (task.claims > 0 && Gate.leavesOrder(gate, all.gate)) return undefined
  const revised = { ...all, payload: payload ?? task.revised?.payload ?? null }
  const startBy = startByFrom(task, dueAt ?? task.dueAt, all.startWithinMs)
  return dueAt === undefined
    ? { ...unchanged(task), startBy, revised }
    : {
      ...unchanged(task),
      state: task.waitsFor > 0 ? "scheduled" : waiting(dueAt, now),
      dueAt,
      expiresAt: movedBy(task, dueAt - task.dueAt),
      startBy,
      revised
    }
}

/** What the store's clock means for a task as it stands; `undefined` unless it has waited for too long. */
export const expire = (task: Current, now: number): Change | undefined =>
  (task.state === "scheduled" || task.state === "pending") && task.expiresAt !== null && task.expiresAt <= now
    ? { ...unchanged(task), state: "expired", completedAt: now, waitsFor: 0 }
    : undefined

/**
 * What the ends of tasks mean for one that depends on them: so many that count as completed, or one that did not complete. `undefined`
 * where the task does not wait for any.
 *
 * A task that waits for no more of them is due now, unless its own time is later: until then it could not have started. It is of use for as
 * long as before.
 */
export const dependenciesEnded = (
  task: Current,
  ended: number | EndedDependency,
  now: number
): Change | undefined => {
  if (task.waitsFor === 0) return undefined
  if (typeof ended !== "number" && ended.state !== "completed" && task.onFailure !== "run") {
    return {
      ...unchanged(task),
      state: task.onFailure === "cancel" ? "cancelled" : "failed",
      completedAt: now,
      waitsFor: 0,
      failure: failureOf(ended)
    }
  }
  const waitsFor = Math.max(0, task.waitsFor - (typeof ended === "number" ? ended : 1))
  if (waitsFor > 0) return { ...unchanged(task), waitsFor }
  const dueAt = Math.max(task.dueAt, now)
  const startBy = startByFrom(task, dueAt, task.startWithinMs)
  return { ...unchanged(task), state: waiting(dueAt, now), dueAt, startBy, waitsFor }
}

/**
 * The state of a task by the clock: one that has waited for too long has ended, even where no write says so yet. One that is
 * stored in this moment waits, so that tasks of one write are told the same whether they are stored already or not.
 */
export const stateAt = (task: Current & Pick<TaskRecord, "createdAt">, now: number): TaskState =>
  task.createdAt === now ? task.state : expire(task, now)?.state ?? task.state

/**
 * What a rerun means for a dead letter: due now with fresh budgets; claim, claims and history stay. It expires no more: who
 * runs a task again wants it to run, however old it is. It should start within as long as before. It waits for those of its dependencies
 * that have not ended, so many; the others count as they are.
 */
export const rerun = (task: Current, now: number, waitsFor = 0): Change | undefined =>
  isFinished(task.state) && task.state !== "completed" ? startOver(task, now, waitsFor) : undefined

/** The same of any finished task. The result of one that was completed is gone. */
export const startOver = (task: Current, now: number, waitsFor: number): Change => ({
  ...unchanged(task),
  state: waitsFor > 0 ? "scheduled" : "pending",
  waitsFor,
  dueAt: now,
  expiresAt: null,
  startBy: task.startWithinMs === null ? null : now + task.startWithinMs,
  completedAt: null,
  failures: 0,
  crashes: 0,
  cancelRequested: false,
  result: null,
  failure: null,
  history: task.claim === 0 || task.history.at(-1)?.claim === task.claim
    ? task.history
    : remember(task.history, attempt(task, task.completedAt ?? now, lastOutcome(task), task.failure ?? undefined))
})

const lastOutcome = ({ state }: Current) => state === "failed" || state === "completed" ? state : "cancelled"

/** A failure as the history keeps it: without large details, which are kept once, in the task's latest failure. */
export const brief = (failure: TaskFailure): TaskFailure => {
  const { error, ...rest } = failure
  return error === undefined || Buffer.byteLength(JSON.stringify(error)) <= Bounds.maxHistoryDetailBytes
    ? failure
    : rest
}

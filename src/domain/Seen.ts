/**
 * Tasks as they were looked at. What is done to many tasks looks at them first, and has to leave alone those that others have changed
 * in between: each goes to the store with how it was, and one that is not so any more is unknown there.
 */
import * as Settlement from "./Settlement.ts"
import type { TaskRecord } from "./TaskRecord.ts"
import { type FinishedState, isFinished } from "./TaskState.ts"

/** How a task was. Whatever starts, ends, moves or repeats it makes another one of it. */
export interface Seen {
  /** A task that becomes due has not changed. */
  readonly state: "waiting" | "running" | FinishedState
  /** The number of its latest claim. */
  readonly claim: number
  /** When it is due, for one that waits. For a finished one a time until which it had ended. 0 while it runs. */
  readonly at: number
}

/** A task that is only changed as it was seen. */
export interface SeenTask {
  readonly id: string
  readonly seen: Seen
  /** For a rerun: a cancelled task is as it was before the cancel, with its time and its failures, and no other one is run. */
  readonly restores?: true | undefined
}

/** A task, however it is, or as it was seen. */
export type TaskRef = string | SeenTask

/** What tells how a task is. */
export type Looked = Pick<TaskRecord, "state" | "claim" | "dueAt" | "completedAt">

/** How a task is. */
export const seenOf = ({ claim, completedAt, dueAt, state }: Looked): Seen =>
  isFinished(state)
    ? { state, claim, at: completedAt ?? 0 }
    : state === "running"
    ? { state, claim, at: 0 }
    : { state: "waiting", claim, at: dueAt }

/** The id of a task that is named either way. */
export const idOf = (ref: TaskRef): string => typeof ref === "string" ? ref : ref.id

/** Whether a task is as it was seen. One that is named by its id alone always is. */
export const isAsSeen = (task: Looked & Pick<TaskRecord, "cancelRequested">, ref: TaskRef): boolean => {
  if (typeof ref === "string") return true
  const { at, claim, state } = ref.seen
  const now = seenOf(task)
  if (now.state !== state || now.claim !== claim) return false
  return state === "running" ? !task.cancelRequested : state === "waiting" ? now.at === at : now.at <= at
}

/** What takes a cancel back: the task waits as before. `undefined` for one that is not cancelled. */
export const restored = (
  task: Settlement.Current,
  now: number,
  waitsFor: number
): Settlement.Change | undefined => {
  const again = task.state === "cancelled" ? Settlement.rerun(task, now, waitsFor) : undefined
  if (again === undefined) return undefined
  const { crashes, dueAt, expiresAt, failure, failures, startBy } = task
  const state = waitsFor > 0 || dueAt > now ? "scheduled" : "pending"
  return { ...again, state, dueAt, expiresAt, startBy, failures, crashes, failure }
}

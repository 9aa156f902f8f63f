/** What is known of one task from the operations alone. */
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import type { TaskState } from "../../src/domain/TaskState.ts"

/** A task as it has to be. */
export interface Known {
  /** As it was stored, with what was revised since. */
  task: NewTask
  /** Ids of tasks whose payloads it has taken, the newest. */
  merged: ReadonlyArray<string>
  /** In the order of their creation. */
  readonly seq: number
  readonly createdAt: number
  /** Removed. */
  isGone: boolean
  state: TaskState
  dueAt: number
  /** From when on it may not start any more, if ever. */
  expiresAt: number
  /** Until when its first start, or that of its latest rerun, is in time; `null` where nothing says so or it has been. */
  startBy: number | null
  /** When it finished. */
  finishedAt: number
  claim: number
  /** When its lease ends by the world's time, which no clock can change. */
  lapsesAt: number
  claims: number
  failures: number
  crashes: number
  cancelRequested: boolean
  /** The claim whose settlement was applied last. */
  settledClaim: number
  /** JSON text of the last completion. */
  result: string | null
  /** How often it finished in each way: an operator may bring it back. */
  readonly ends: { completed: number; failed: number; cancelled: number; expired: number }
  /** The tasks that it depends on. */
  after: ReadonlyArray<Known>
  /** Those of them whose ends it waits for. */
  readonly open: Set<Known>
  /** The task that had this id before, and is gone: an answer about it may be on its way still. */
  readonly before: Known | undefined
}

/** Whether a task has come to an end. */
export const isFinished = ({ state }: { readonly state: TaskState }): boolean =>
  state === "completed" || state === "failed" || state === "cancelled" || state === "expired"

/** Whether a task waits for longer than it may. */
export const isOver = ({ expiresAt, state }: Pick<Known, "expiresAt" | "state">, now: number): boolean =>
  (state === "scheduled" || state === "pending") && expiresAt <= now

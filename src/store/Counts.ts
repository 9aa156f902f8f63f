/** How many tasks a store has, and what has happened to all that it has had. */
import type { TaskState } from "../domain/TaskState.ts"

/** How many tasks are in each state now, and what has happened since the store was made. */
export interface Counts extends Readonly<Record<TaskState, number>> {
  /** Unfinished tasks that the store accepts. */
  readonly capacity: number
  readonly totals: Totals
}

/** Counters of the store: shared by all instances, never going down, surviving pruning and restarts. */
export interface Totals {
  readonly created: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** Attempts that failed and were followed by a retry. */
  readonly retried: number
  /** Leases that ran out. */
  readonly crashed: number
  /** Tasks that did not start in time. */
  readonly expired: number
}

/** Totals that come in their order. */
export const totalsOf = (
  [created = 0, completed = 0, failed = 0, cancelled = 0, retried = 0, crashed = 0, expired = 0]: ReadonlyArray<number>
): Totals => ({ created, completed, failed, cancelled, retried, crashed, expired })

/**
 * The states of a task and the moves between them.
 *
 * ```text
 * scheduled ─due─► pending ─claim─► running ─┬─ completed
 *     ▲               ▲                      ├─ failed
 *     │               │                      ├─ cancelled
 *     └─ retry, snooze ◄─────────────────────┤
 *                     └─ released or rescued ┘
 * failed | cancelled | expired ─rerun─► pending
 * scheduled | pending ─cancel─► cancelled
 * scheduled | pending ─too old─► expired, as is what would have to wait again until it is
 * scheduled ─a dependency did not complete─► failed
 * failed | cancelled | expired ─rerun, dependencies open─► scheduled
 * completed ─rerun of a graph─► pending or scheduled
 * pending ─a dependency runs again with its graph─► scheduled
 * ```
 */
import { Schema } from "effect"

/**
 * Where a task stands in its life.
 *
 * - `scheduled`: waits until it is due, or until the tasks that it depends on have ended
 * - `pending`: due, waits to be claimed
 * - `running`: claimed by an instance under a lease
 * - `completed`, `failed`, `cancelled`: finished; kept until pruned
 * - `expired`: finished too, because it did not start in the time in which it was of use
 */
export const TaskState = Schema.Literals([
  "scheduled",
  "pending",
  "running",
  "completed",
  "failed",
  "cancelled",
  "expired"
])

export type TaskState = typeof TaskState.Type

/** Every state, in the order of a task's life. */
export const all: ReadonlyArray<TaskState> = TaskState.literals

/** The states from which only an operator can bring a task back. */
export const FinishedState = Schema.Literals(["completed", "failed", "cancelled", "expired"])

export type FinishedState = typeof FinishedState.Type

/** The same as a list. */
export const finished: ReadonlyArray<FinishedState> = FinishedState.literals

/** Whether a task in this state will never run again by itself. */
export const isFinished = (state: TaskState): state is FinishedState =>
  state === "completed" || state === "failed" || state === "cancelled" || state === "expired"

const moves: Record<TaskState, ReadonlyArray<TaskState>> = {
  scheduled: ["pending", "failed", "cancelled", "expired"],
  pending: ["running", "cancelled", "expired", "scheduled"],
  running: ["completed", "failed", "cancelled", "expired", "pending", "scheduled"],
  completed: ["pending", "scheduled"],
  failed: ["pending", "scheduled"],
  cancelled: ["pending", "scheduled"],
  expired: ["pending", "scheduled"]
}

/** Whether the state machine has this move. Every driver's writes are held to this table. */
export const canMove = (from: TaskState, to: TaskState): boolean => moves[from].includes(to)

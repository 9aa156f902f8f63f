/**
 * The states of a task and the moves between them.
 *
 * ```text
 * scheduled ─due─► pending ─claim─► running ─┬─ completed
 *     ▲               ▲                      ├─ failed
 *     │               │                      ├─ cancelled
 *     └─ retry, snooze ◄─────────────────────┤
 *                     └─ released or rescued ┘
 * failed | cancelled ─rerun─► pending
 * scheduled | pending ─cancel─► cancelled
 * ```
 */
import { Schema } from "effect"

/**
 * Where a task stands in its life.
 *
 * - `scheduled`: waits until it is due
 * - `pending`: due, waits to be claimed
 * - `running`: claimed by an instance under a lease
 * - `completed`, `failed`, `cancelled`: finished; kept until pruned
 */
export const TaskState = Schema.Literals(["scheduled", "pending", "running", "completed", "failed", "cancelled"])

export type TaskState = typeof TaskState.Type

/** Every state, in the order of a task's life. */
export const all: ReadonlyArray<TaskState> = TaskState.literals

/** The states from which only an operator can bring a task back. */
export const FinishedState = Schema.Literals(["completed", "failed", "cancelled"])

/** The same as a list. */
export const finished: ReadonlyArray<TaskState> = FinishedState.literals

/** Whether a task in this state will never run again by itself. */
export const isFinished = (state: TaskState): boolean =>
  state === "completed" || state === "failed" || state === "cancelled"

const moves: Record<TaskState, ReadonlyArray<TaskState>> = {
  scheduled: ["pending", "cancelled"],
  pending: ["running", "cancelled"],
  running: ["completed", "failed", "cancelled", "pending", "scheduled"],
  completed: [],
  failed: ["pending"],
  cancelled: ["pending"]
}

/** Whether the state machine has this move. Every driver's writes are held to this table. */
export const canMove = (from: TaskState, to: TaskState): boolean => moves[from].includes(to)

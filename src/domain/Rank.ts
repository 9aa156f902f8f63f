/**
 * The order of work: `rank = dueAt − priority × headStart`, smallest first, ties by the store's sequence.
 *
 * Within the head start, priorities are strict. Beyond it an old low task outranks a fresh critical one, so nothing
 * starves, and each store needs one sorted index of what is due.
 */
import { Duration } from "effect"
import { isOrdered } from "./Gate.ts"

/** Head start of one priority level over the next when none is configured. */
export const defaultHeadStart: Duration.Duration = Duration.minutes(5)

/** An infinite head start (strict priorities for ever) is stored as a century, so that ranks stay exact integers. */
const centuryMillis = 100 * 365.25 * 24 * 60 * 60 * 1000

/** The head start in whole milliseconds, as stores keep it. */
export const headStartMillis = (headStart: Duration.Input): number =>
  Math.min(Math.round(Duration.toMillis(headStart)), centuryMillis)

/** The rank of a task; smaller runs earlier. Times are milliseconds since the epoch. */
export const rank = (dueAt: number, priority: number, headStartMs: number): number => dueAt - priority * headStartMs

/** The rank of a task that waits. One that goes in the order in which it was stored keeps its rank through its retries. */
export const rankOf = (
  task: { readonly gate: string | null; readonly createdAt: number; readonly priority: number },
  dueAt: number,
  headStartMs: number
): number => rank(isOrdered(task.gate) ? task.createdAt : dueAt, task.priority, headStartMs)

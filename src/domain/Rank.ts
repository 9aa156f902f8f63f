/**
 * The order of work: `rank = dueAt − priority × headStart`, smallest first, ties by the store's sequence.
 *
 * Within the head start, priorities are strict. Beyond it an old low task outranks a fresh critical one, so nothing
 * starves, and each store needs one sorted index of what is due.
 *
 * A task that should start within a time has `startWithin − usualStart` added: it counts from its deadline, and any other
 * task counts as one that should start within the usual time. So among tasks of one priority that have such a time the
 * earliest deadline goes first, and one without goes at the latest before what becomes due the usual time after it.
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

/**
 * How long tasks without a `startWithin` may wait for those that have one, in milliseconds: the head start, but no more than this. A
 * head start may be infinite, and nothing is to wait for ever within its priority.
 */
export const maxUsualStartMs = 60 * 60 * 1000

/** Within which time a task without a `startWithin` counts as one that should start, in milliseconds. */
export const usualStartMs = (headStartMs: number): number => Math.min(headStartMs, maxUsualStartMs)

/** What is added to the rank of a task that should start within a time; nothing to that of any other. */
export const shift = (startWithinMs: number | null, headStartMs: number): number =>
  startWithinMs === null ? 0 : startWithinMs - usualStartMs(headStartMs)

/**
 * The rank of a task that waits. One that goes in the order in which it was stored keeps its rank through its retries, whenever it
 * should start.
 */
export const rankOf = (
  task: {
    readonly gate: string | null
    readonly createdAt: number
    readonly priority: number
    readonly startWithinMs: number | null
  },
  dueAt: number,
  headStartMs: number
): number =>
  isOrdered(task.gate)
    ? rank(task.createdAt, task.priority, headStartMs)
    : rank(dueAt, task.priority, headStartMs) + shift(task.startWithinMs, headStartMs)

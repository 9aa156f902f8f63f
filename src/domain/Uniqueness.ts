/**
 * How long a task keeps others with its key away, and what becomes of one that comes in that time.
 *
 * A task holds its key as long as its window says, and no longer than it is stored. That is looked up in its state when another
 * one comes, so nothing has to be written when it starts or ends. The key then passes to the newer task.
 */
import { isFinished, type TaskState } from "./TaskState.ts"

/**
 * Until when a task holds its key: it was `waiting` until its first start, it is `unfinished` until it ended, or a number of
 * milliseconds has passed since it was created. `kept` is as long as it is stored.
 */
export type Window = "waiting" | "unfinished" | "kept" | number

/**
 * What becomes of a task whose key another one holds: the other one is the answer, the new one is refused, or the other one gets
 * the new payload, with `postpone` also a later time.
 */
export type OnConflict = "return" | "refuse" | "replace" | "postpone"

/** How a new task is unique. */
export interface Unique {
  readonly window: Window
  readonly onConflict: OnConflict
  /** How far from now a task is postponed, in milliseconds. */
  readonly byMs: number
  /** How far from its creation at most; `null` without end. */
  readonly maxMs: number | null
  /** Tasks of the same write whose payloads it has taken. */
  readonly merged?: ReadonlyArray<string> | undefined
}

/** What has become of a task by a newer one with its key. */
export type Merge = "replaced" | "postponed"

/**
 * How a task holds its key, as it is stored: its window, then the ids of the newest tasks whose payloads it has taken, as a JSON
 * array. `null` for a key that is kept and for a task without one; {@link superseded} where a later task has the key, so that it
 * can't be run again.
 */
export type Hold = string | null

/** The hold of a finished task that another one has taken the key of. */
export const superseded: Hold = "superseded"

/** Ids of merged tasks that are remembered: a caller that repeats one of these enqueues, because its answer was lost, changes nothing. */
const maxMerged = 8

/** The hold of a task that is stored now. */
export const holdOf = (unique: Unique | null | undefined): Hold =>
  unique === null || unique === undefined || (unique.window === "kept" && unique.merged === undefined)
    ? null
    : JSON.stringify([unique.window, ...unique.merged ?? []])

const read = (hold: Hold): readonly [window: Window, ...merged: ReadonlyArray<string>] =>
  hold === null || hold === superseded ? ["kept"] : JSON.parse(hold)

/** Until when a task holds its key. */
export const windowOf = (hold: Hold): Window => read(hold)[0]

/** Whether a task has taken the payload of another one. */
export const hasMerged = (hold: Hold, id: string): boolean => hold !== null && read(hold).slice(1).includes(id)

/** The hold of a task that takes the payload of another one. */
export const merge = (hold: Hold, id: string): Hold => {
  const [window, ...merged] = read(hold)
  return JSON.stringify([window, ...merged.slice(1 - maxMerged), id])
}

/** The same of one that is not stored yet. */
export const withMerged = (unique: Unique, id: string): Unique => ({
  ...unique,
  merged: [...(unique.merged ?? []).slice(1 - maxMerged), id]
})

/** What tells whether a task holds its key. */
export interface Holder {
  readonly hold: Hold
  readonly state: TaskState
  readonly claims: number
  readonly createdAt: number
}

/** Whether a task that has a key holds it. */
export const holds = ({ claims, createdAt, hold, state }: Holder, now: number): boolean => {
  const window = windowOf(hold)
  switch (window) {
    case "kept":
      return true
    case "waiting":
      return claims === 0 && !isFinished(state)
    case "unfinished":
      return !isFinished(state)
    default:
      return now < createdAt + window
  }
}

/**
 * The hold of a task whose key passes to another one. If a rerun made it hold the key once more, there would be two: so it cannot
 * be run again.
 */
export const holdAfterLoss = ({ claims, hold }: Pick<Holder, "hold" | "claims">): Hold => {
  const window = windowOf(hold)
  return window === "unfinished" || (window === "waiting" && claims === 0) ? superseded : hold
}

/** When a postponed task is due. */
export const postponedTo = ({ byMs, maxMs }: Unique, createdAt: number, now: number): number =>
  Math.min(now + byMs, maxMs === null ? Infinity : createdAt + maxMs)

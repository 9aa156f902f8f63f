/** Queues and types: how many of their tasks wait and run, which of them are asked for, and which instances run. */
import * as ByteOrder from "../domain/ByteOrder.ts"

/** The unfinished tasks of one queue and type. */
export interface LaneCounts {
  readonly queue: string
  readonly type: string
  /** Tasks that are due later, and those that have become due since the store was last asked for work. */
  readonly scheduled: number
  readonly pending: number
  readonly running: number
  /** When the pending task that is the first in the order of work became due; `null` when none is pending. */
  readonly waitingSince: number | null
}

/** Part of the queues and types that have tasks, in the order of their names: see `ByteOrder`. */
export interface LaneRange {
  /** Only those of this queue. */
  readonly queue?: string | undefined
  /** Only what comes after this queue or, with a type, after this type of it. */
  readonly after?: { readonly queue: string; readonly type?: string | undefined } | undefined
  readonly limit: number
}

/** Queues and types in the order of their names. */
export interface CountedLanes {
  readonly lanes: ReadonlyArray<LaneCounts>
  /** Whether there may be more in the range: a store stops at the limit, or before it would block for too long. */
  readonly more: boolean
  /** The store's clock. */
  readonly now: number
}

/** The place that a range begins at: a queue and a type that may be part of it. */
export const startOf = ({ after, queue = "" }: LaneRange): readonly [queue: string, type: string] => {
  if (after === undefined) return [queue, ""]
  return after.type === undefined
    ? [ByteOrder.after(after.queue), ""]
    : [after.queue, ByteOrder.after(after.type)]
}

/** What an instance can run: tasks of these types, in these queues or, when left out, in all. */
export interface Runnable {
  /** A paused queue gives nothing: see `PausedQueues`. */
  readonly queues?: ReadonlyArray<string> | undefined
  readonly types: ReadonlyArray<string>
}

/** Which queues of each type instances take tasks from: some, or all. */
export type Coverage = ReadonlyMap<string, ReadonlySet<string> | "all">

/** What several instances can run together. */
export const coverageOf = (runnable: ReadonlyArray<Runnable>): Coverage => {
  const coverage = new Map<string, Set<string> | "all">()
  for (const { queues, types } of runnable) {
    for (const type of types) {
      const known = coverage.get(type)
      if (queues === undefined || known === "all") coverage.set(type, "all")
      else coverage.set(type, new Set([...known ?? [], ...queues]))
    }
  }
  return coverage
}

const sets = new WeakMap<ReadonlyArray<string>, ReadonlySet<string>>()

/** Names as a set: a claimer asks with the same arrays until its handlers change. */
export const setOf = (names: ReadonlyArray<string>): ReadonlySet<string> => {
  let set = sets.get(names)
  if (set === undefined) sets.set(names, set = new Set(names))
  return set
}

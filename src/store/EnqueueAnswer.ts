/** What a store answers about new tasks. */
import type { TaskState } from "../domain/TaskState.ts"
import type { Merge } from "../domain/Uniqueness.ts"

/**
 * What became of one group of an `enqueue`: all of its tasks are stored, or none. A group that meets a conflict and
 * does not fit either is a `Conflict`: waiting for room would not help it.
 */
export type EnqueueAnswer =
  | {
    readonly _tag: "Accepted"
    readonly tasks: ReadonlyArray<Accepted>
    /** The store's clock: when the new ones among them were created. */
    readonly now: number
  }
  | {
    readonly _tag: "Full"
    readonly capacity: number
    readonly unfinished: number
    /** Where it is not their number: the bytes that tasks may have together, those that they have, and the new ones of the group. */
    readonly size?: { readonly maxBytes: number; readonly storedBytes: number; readonly offeredBytes: number }
  }
  | {
    readonly _tag: "Conflict"
    readonly index: number
    readonly key: string
    readonly id: string
    /** Of the task that has the key, where the new one is refused whatever its payload is. */
    readonly state?: TaskState
  }
  /** The task at `index` depends on one that is not stored. */
  | { readonly _tag: "UnknownDependency"; readonly index: number; readonly id: string }
  /** Each of these depends on the next one, and the last on the first, which is at `index`. */
  | { readonly _tag: "DependencyCycle"; readonly index: number; readonly ids: ReadonlyArray<string> }

/** A stored task: a new one, or the one that already had the id or the key. */
export interface Accepted {
  readonly id: string
  readonly duplicate: boolean
  /** What the new one has made of the one that holds its key. */
  readonly merge?: Merge
}

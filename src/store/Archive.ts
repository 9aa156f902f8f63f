/**
 * What a store needs besides its two contracts so that a backup of it can be made, and put into another one: which kinds of records
 * there are, one view of everything where the store has such a thing, and making new tasks what they were elsewhere.
 */
import type { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { Pass } from "../domain/Gate.ts"
import type * as Settlement from "../domain/Settlement.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import { isFinished } from "../domain/TaskState.ts"

/** What a task was in the store that it came from, as far as enqueueing it once more does not say. A running one is given as one that waits. */
export interface Former extends
  Pick<
    TaskRecord,
    | "id"
    | "state"
    | "createdAt"
    | "dueAt"
    | "expiresAt"
    | "startBy"
    | "startedAt"
    | "completedAt"
    | "failures"
    | "crashes"
    | "claims"
    | "claim"
    | "settledClaim"
    | "instance"
    | "progress"
    | "result"
    | "failure"
    | "history"
  >
{
  /** Whether it waited for others. Then the ends of these decide what it is. */
  readonly waited: boolean
  /** The passes of orders that it held. */
  readonly holds: ReadonlyArray<Pass>
}

/** When a record was written, in the store that it came from. */
export interface Written {
  readonly id: string
  readonly writtenAt: number
}

/** The part of a driver that backups are made with. It is a part of `TaskStore`. */
export interface Archive {
  /** The kinds of all records, in no order. It may cost as much as reading all of them. */
  readonly kinds: Effect.Effect<ReadonlyArray<string>, StoreError>
  /**
   * Does reads that all see the store as it was when the first began. Left out where the store has no such view: each read then
   * sees what is there when it is made.
   */
  readonly snapshot?: <A, E, R>(reads: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /**
   * Makes stored tasks that have not been claimed here what they were elsewhere. Repeating it changes nothing. The totals of
   * the store count the ends of those that had ended. Unknown ones are left out.
   */
  readonly adopt: (tasks: ReadonlyArray<Former>) => Effect.Effect<void, StoreError>
  /** Lets all claims from now on have numbers beyond this one. */
  readonly claimBeyond: (claim: number) => Effect.Effect<void, StoreError>
  /** Dates stored records of a kind back. */
  readonly date: (kind: string, records: ReadonlyArray<Written>) => Effect.Effect<void, StoreError>
}

/** What an `adopt` makes of a task as it is stored. */
export const decideAdopt = (
  task: Settlement.Current,
  former: Former,
  now: number
): readonly [answer: undefined, change?: Settlement.Change] => {
  const ends = isFinished(former.state)
  // one that it depended on has ended otherwise than it needs, which the store that it came from had not told it yet
  if (former.waited && isFinished(task.state)) return [undefined]
  const waitsFor = ends ? 0 : task.waitsFor
  const change: Settlement.Change = {
    state: ends ? former.state : waitsFor > 0 || former.dueAt > now ? "scheduled" : "pending",
    dueAt: former.dueAt,
    expiresAt: former.expiresAt,
    startBy: former.startBy,
    completedAt: former.completedAt,
    failures: former.failures,
    crashes: former.crashes,
    settledClaim: former.settledClaim,
    cancelRequested: false,
    result: former.result,
    failure: former.failure,
    history: former.history.length === 0 ? task.history : former.history,
    waitsFor
  }
  return [undefined, change]
}

/** A backup cannot be made of the store, or put into it. */
export const unsupported = "The driver of this store does not support backups"

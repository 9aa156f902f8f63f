/** Queues that give no work, and the types and keys that start nothing. The id of a queue's record is its name. */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { pausedKeyKind, pausedQueueKind, pausedTypeKind } from "./Gates.ts"
import * as PausedRecords from "./PausedRecords.ts"
import type { RecordStore } from "./RecordStore.ts"

export { maxPaused, type Reason } from "./PausedRecords.ts"

/** The kind of these records. They are due when the queue goes on by itself. */
export const kind = pausedQueueKind

/** A paused queue. Times are by the store's clock. */
export interface PausedQueue extends Omit<PausedRecords.Paused, "id"> {
  readonly queue: string
}

const queues = PausedRecords.of(kind, "queue")

/** Paused types, by their names. */
export const types: PausedRecords.Pauses = PausedRecords.of(pausedTypeKind, "type")

/** Paused keys, by their passes. */
export const keys: PausedRecords.Pauses = PausedRecords.of(pausedKeyKind, "key")

/** Stops claims from a queue; running tasks go on. A queue that is paused already is paused as it is said now. */
export const pause: PausedRecords.Pauses["pause"] = queues.pause

/** Lets claims take from a queue again. */
export const resume: PausedRecords.Pauses["resume"] = queues.resume

/** The names of the paused queues, in their order. */
export const names: PausedRecords.Pauses["names"] = queues.names

/** Ends the pauses of queues whose time has come. */
export const resumeDue: PausedRecords.Pauses["resumeDue"] = queues.resumeDue

const read = ({ id, ...pause }: PausedRecords.Paused): PausedQueue => ({ queue: id, ...pause })

/** The paused queues, in the order of their names. */
export const paused: Effect.Effect<ReadonlyArray<PausedQueue>, StoreError, RecordStore> = Effect.map(
  queues.paused,
  (all) => all.map(read)
)

/** The pause of a queue, if it is paused. */
export const pauseOf = (queue: string): Effect.Effect<PausedQueue | null, StoreError, RecordStore> =>
  Effect.map(queues.pauseOf(queue), (paused) => paused && read(paused))

/**
 * Queues that give no work. Each is a record, and its id is the queue's name. The claim of every driver reads these ids: this
 * is the one kind of records that drivers know.
 */
import { Effect } from "effect"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import { absent, all, RecordStore, remove } from "./RecordStore.ts"

/** The kind of these records. Their ids are the names of the queues. */
export const kind = "paused-queue"

/** A put whose answer was lost may have been done. To pause or resume a queue twice does no harm, so the put is repeated. */
const repeated = {
  times: 3,
  while: ({ _tag }: { readonly _tag: string }) => _tag === "StoreError"
}

/** Stops claims from a queue; running tasks go on. */
export const pause = (queue: string): Effect.Effect<void, InvalidOption | StoreError, RecordStore> =>
  RecordStore.use((store) => store.put([{ kind, id: queue, expects: absent, document: "{}" }])).pipe(
    // it is paused already
    Effect.catchTag("RecordConflict", () => Effect.void),
    Effect.retry(repeated),
    Effect.asVoid
  )

/** Lets claims take from a queue again. */
export const resume = (queue: string): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.asVoid(Effect.retry(remove(kind, queue), repeated))

/** The paused queues, in the order of their names. */
export const paused: Effect.Effect<ReadonlyArray<string>, StoreError, RecordStore> = Effect.map(
  all(kind),
  (records) => records.map(({ id }) => id)
)

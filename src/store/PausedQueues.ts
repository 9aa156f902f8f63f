/**
 * Queues that give no work. Each is a record, and a claim of every driver reads the names of these records: a store whose
 * claims are to see more of a record, such as a limit, has to be taught that; whatever is no more than kept, has not.
 */
import { Effect } from "effect"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import { absent, all, RecordStore, remove } from "./RecordStore.ts"

/** The kind of these records. Their ids are the names of the queues. */
export const kind = "paused-queue"

/** A put whose answer was lost may have been done. To pause or resume a queue twice does no harm, so it is done again. */
const onceMore = {
  times: 3,
  while: ({ _tag }: { readonly _tag: string }) => _tag === "StoreError"
}

/** Stops claims from a queue; running tasks go on. */
export const pause = (queue: string): Effect.Effect<void, InvalidOption | StoreError, RecordStore> =>
  RecordStore.use((store) => store.put([{ kind, id: queue, expects: absent, document: "{}" }])).pipe(
    // it is paused already
    Effect.catchTag("RecordConflict", () => Effect.void),
    Effect.retry(onceMore),
    Effect.asVoid
  )

/** Lets claims take from a queue again. */
export const resume = (queue: string): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.asVoid(Effect.retry(remove(kind, queue), onceMore))

/** The paused queues, in the order of their names. */
export const paused: Effect.Effect<ReadonlyArray<string>, StoreError, RecordStore> = Effect.map(
  all(kind),
  (records) => records.map(({ id }) => id)
)

/**
 * What is noted in a store that is not whole yet, because a backup is being put into it. Servers and command lines refuse such a store.
 */
import { Effect, Exit, Schema } from "effect"
import { type StoreError, StoreIncompatible } from "../domain/Errors.ts"
import { absent, RecordStore } from "../store/RecordStore.ts"

/** The kind of the record. */
export const kind = "store-mark"

const id = "mark"

/** A mark that was written long ago. */
export const old = { id, writtenAt: 0 }

/** What a store can be marked with. */
export const Mark = Schema.Struct({
  state: Schema.Literal("restoring"),
  /** The id of the backup. */
  backup: Schema.String
})

export type Mark = typeof Mark.Type

/** A mark as it was read. */
export interface Found {
  readonly mark: Mark
  readonly version: number
  readonly writtenAt: number
}

const json = Schema.fromJsonString(Mark)
const decode = Schema.decodeUnknownExit(json)
const encode = Schema.encodeSync(json)

/** The store's clock. */
export const now: Effect.Effect<number, StoreError, RecordStore> = RecordStore.use((records) =>
  Effect.map(Effect.catchTag(records.due(kind, 1), "InvalidOption", Effect.die), ({ now }) => now)
)

/** The mark of the store, if it has one. */
export const read: Effect.Effect<Found | undefined, StoreError, RecordStore> = Effect.gen(function*() {
  const records = yield* RecordStore
  const [record] = yield* Effect.catchTag(records.get(kind, [id]), "InvalidOption", Effect.die)
  if (record === undefined) return undefined
  const { document, version, writtenAt } = record
  const mark = decode(document)
  if (Exit.isSuccess(mark)) return { mark: mark.value, version, writtenAt }
  return yield* Effect.die(new Error(`The store is marked with what this version does not know: ${document}`))
})

/** Another one has marked the store since. */
export class MarkChanged extends Schema.TaggedError<MarkChanged>()("MarkChanged", {}) {}

/** Marks the store, or takes its mark away with `null`, if its mark is still the one that was found. Answers the version of the new one. */
export const write = (
  mark: Mark | null,
  found: Pick<Found, "version"> | undefined
): Effect.Effect<number, StoreError | MarkChanged, RecordStore> =>
  RecordStore.use((records) =>
    records.put([
      { kind, id, expects: found?.version ?? absent, document: mark === null ? null : encode(mark) }
    ])
  ).pipe(
    Effect.catchTags({ InvalidOption: Effect.die, RecordConflict: () => Effect.fail(new MarkChanged()) })
  )

/** Refuses a store that is marked: to be called before anything is claimed from it. */
export const refuse = (store: string): Effect.Effect<void, StoreError | StoreIncompatible, RecordStore> =>
  Effect.flatMap(read, (found) =>
    found === undefined
      ? Effect.void
      : Effect.fail(
        new StoreIncompatible({
          reason: `${store} is not whole: a backup is being restored into it, or was not restored to its end. ` +
            "Restore it once more"
        })
      ))

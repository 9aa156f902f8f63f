/**
 * The workflows that instances on the store have run or still run: a record each, of the kind `workflow-type`. An execution of one of them
 * waits for an instance that runs it, as any task does; one that no instance has ever known is a typing error.
 */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { absent, RecordStore } from "../store/RecordStore.ts"

const kind = "workflow-type"

/** Whether an instance has ever run it. */
export const has = (type: string): Effect.Effect<boolean, StoreError, RecordStore> =>
  RecordStore.use((store) => Effect.catchTag(store.get(kind, [type]), "InvalidOption", Effect.die)).pipe(
    Effect.map(([record]) => record !== undefined)
  )

/** Says that an instance runs it. */
export const add = Effect.fnUntraced(function*(type: string): Effect.fn.Return<void, StoreError, RecordStore> {
  if (yield* has(type)) return
  const store = yield* RecordStore
  yield* Effect.catchTags(store.put([{ kind, id: type, expects: absent, document: "{}" }]), {
    InvalidOption: Effect.die,
    // Another instance has said it first
    RecordConflict: () => Effect.void
  })
})

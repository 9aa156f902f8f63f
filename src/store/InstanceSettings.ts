/**
 * What operators have set for single instances: how many slots one has, and whether it drains. Each instance has a record, and
 * its id is the instance's; it reads that record as often as it gives signs of life. The record outlives the instance: one that
 * starts again under the same name does what was said.
 */
import { Effect, Option, Schema } from "effect"
import { type InvalidOption, type StoreError } from "../domain/Errors.ts"
import type { InstanceStore } from "./InstanceStore.ts"
import { absent, all, RecordStore, remove, type StoredRecord } from "./RecordStore.ts"

/** The kind of these records. */
const kind = "instance"

/** What is set for an instance. */
export interface InstanceSettings {
  /** How many slots it has; `undefined` where it decides that by itself. */
  readonly slots?: number | undefined
  /** Whether it takes no more tasks. */
  readonly drains: boolean
}

/** Nothing is set. */
const none: InstanceSettings = { drains: false }

const Document = Schema.fromJsonString(
  Schema.Struct({ slots: Schema.optionalKey(Schema.Int), drains: Schema.optionalKey(Schema.Boolean) })
)

const decode = Schema.decodeOption(Document)

/** Records kept at most: beyond that, those of instances that are gone are forgotten. */
export const maxKept = 1000

/** A put whose answer was lost may have been done. To set the same twice does no harm, so it is repeated. */
const repeated = {
  times: 3,
  while: ({ _tag }: { readonly _tag: string }) => _tag === "StoreError"
}

/** What is set for an instance. */
export const get = (id: string): Effect.Effect<InstanceSettings, StoreError, RecordStore> =>
  RecordStore.use((store) => store.get(kind, [id])).pipe(
    Effect.map(([record]) => read(record)),
    // What cannot be stored is not set
    Effect.catchTag("InvalidOption", () => Effect.succeed(none))
  )

/** Changes what is set for an instance. */
export const change: (
  id: string,
  to: (before: InstanceSettings) => InstanceSettings
) => Effect.Effect<void, InvalidOption | StoreError, RecordStore> = Effect.fnUntraced(
  function*(id: string, to: (before: InstanceSettings) => InstanceSettings) {
    const store = yield* RecordStore
    const [known] = yield* store.get(kind, [id])
    const { drains, slots } = to(read(known))
    const document = drains || slots !== undefined ? JSON.stringify({ slots, ...drains && { drains } }) : null
    if (known === undefined && document === null) return
    yield* store.put([{ kind, id, expects: known?.version ?? absent, document }])
  },
  // Another one changed it in between
  Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
  Effect.catchTag("RecordConflict", Effect.die),
  Effect.retry(repeated)
)

/** Forgets what is set for instances that are gone, once there are too many. Most have a name that no other one will have. */
export const forgetGone = Effect.fnUntraced(function*(
  instances: InstanceStore["Service"]
): Effect.fn.Return<void, StoreError, RecordStore> {
  const records = yield* all(kind)
  if (records.length <= maxKept) return
  const living = new Set((yield* instances.list).instances.map(({ id }) => id))
  const gone = records.filter(({ id }) => !living.has(id))
  yield* Effect.forEach(gone, ({ id }) => remove(kind, id), { discard: true })
})

const read = (record: StoredRecord | undefined): InstanceSettings => {
  const { drains = false, slots }: typeof Document.Type = record === undefined
    ? {}
    : Option.getOrElse(decode(record.document), () => ({}))
  return { slots, drains }
}

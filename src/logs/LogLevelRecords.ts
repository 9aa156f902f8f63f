/**
 * What operators have set of the levels of the log, for all instances and for single ones. Each has a record; a level that holds for a time has
 * its end in it, by the store's clock. Who reads a record counts what has ended as not there.
 */
import { DateTime, Effect, Option, Schema } from "effect"
import { InvalidOption, type StoreError } from "../domain/Errors.ts"
import { type Level, levels, maxModules } from "../domain/LogLevels.ts"
import { utc } from "../domain/StoredTime.ts"
import type { InstanceStore } from "../store/InstanceStore.ts"
import { absent, all, RecordStore, remove, removeUnchanged, type StoredRecord } from "../store/RecordStore.ts"

/** The kind of these records. */
const kind = "logLevels"

/** The id of what is set for all instances. */
const ofAll = "all"

const ofInstance = "instance:"

const idOf = (instance: string | undefined): string => instance === undefined ? ofAll : ofInstance + instance

/** Instances for which something is set at most: beyond that, those that are gone are forgotten. */
const maxKept = 1000

const Entry = Schema.Struct({
  level: Schema.Literals(levels),
  by: Schema.optionalKey(Schema.String),
  since: Schema.Int,
  until: Schema.optionalKey(Schema.Int)
})

const Document = Schema.fromJsonString(Schema.Struct({ levels: Schema.Record(Schema.String, Entry) }))

const decode = Schema.decodeOption(Document)

type Entries = Readonly<Record<string, typeof Entry.Type>>

/** A level that is set. Times are by the store's clock, in milliseconds since the epoch. */
export interface SetLevel {
  readonly module: string
  readonly level: Level
  readonly by: string | null
  readonly since: number
  /** When it ends by itself; `null` when it waits to be unset. */
  readonly until: number | null
}

/** What is set, by the names of the modules, and the store's clock. */
export interface Found {
  readonly levels: ReadonlyArray<SetLevel>
  readonly now: number
}

/** How long levels hold, and who sets them. */
export interface Terms {
  readonly by?: string | undefined
  readonly forMs?: number | undefined
  readonly until?: number | undefined
}

/** A put whose answer was lost may have been done. To set the same twice does no harm, so it is repeated. */
const repeated = {
  times: 3,
  while: ({ _tag }: { readonly _tag: string }) => _tag === "StoreError"
}

const clock = RecordStore.use((store) => store.due(kind, 1)).pipe(
  Effect.map(({ now }) => now),
  Effect.catchTag("InvalidOption", Effect.die)
)

/** What is set for one instance, or for all. */
export const get = Effect.fnUntraced(function*(instance: string | undefined) {
  const { now, records: [record] } = yield* read([idOf(instance)])
  return { now, levels: levelsOf(record, now) } satisfies Found as Found
})

/** What counts for an instance: what is set for it, and what is set for all. What has ended altogether is removed. */
export const getFor = Effect.fnUntraced(function*(instance: string) {
  const { now, records } = yield* read([idOf(instance), ofAll])
  const ended = records.flatMap((record) => record !== undefined && levelsOf(record, now).length === 0 ? [record] : [])
  if (ended.length > 0) yield* removeUnchanged(kind, ended)
  const [own, common] = records.map((record) => levelsOf(record, now))
  return { now, own: own!, common: common! }
})

/** Sets levels by module; those of other modules stay. */
export const set = Effect.fnUntraced(
  function*(instance: string | undefined, said: Readonly<Record<string, Level>>, { by, forMs, until }: Terms) {
    const now = yield* clock
    if (until !== undefined && until <= now) {
      const expected = `a time after now, which is ${DateTime.formatIso(utc(now))}`
      return yield* new InvalidOption({ option: "until", found: DateTime.formatIso(utc(until)), expected, index: 0 })
    }
    const end = forMs === undefined ? until : now + forMs
    const entry = { since: now, ...by !== undefined && { by }, ...end !== undefined && { until: end } }
    yield* change(instance, now, (before) => ({
      ...before,
      ...Object.fromEntries(Object.entries(said).map(([module, level]) => [module, { level, ...entry }]))
    }))
  }
)

/** Forgets the levels of some modules, or of all when none is named. */
export const unset = Effect.fnUntraced(
  function*(instance: string | undefined, modules: ReadonlyArray<string> | undefined) {
    yield* change(instance, yield* clock, (before) =>
      modules === undefined
        ? {}
        : Object.fromEntries(Object.entries(before).filter(([module]) => !modules.includes(module))))
  }
)

/** Forgets what is set for instances that are gone, once there is too much. Most have a name that no other one will have. */
export const forgetGone = Effect.fnUntraced(function*(
  instances: InstanceStore["Service"]
): Effect.fn.Return<void, StoreError, RecordStore> {
  const records = yield* all(kind)
  if (records.length <= maxKept) return
  const living = new Set((yield* instances.list).instances.map(({ id }) => idOf(id)))
  const gone = records.filter(({ id }) => id !== ofAll && !living.has(id))
  yield* Effect.forEach(gone, ({ id }) => remove(kind, id), { discard: true })
})

/** Records, and the store's clock, which is asked only where a level has an end. */
const read = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
  const store = yield* RecordStore
  const records = yield* Effect.catchTag(store.get(kind, ids), "InvalidOption", () => Effect.succeed([]))
  return { records: ids.map((_, index) => records[index]), now: yield* clock }
})

const change: (
  instance: string | undefined,
  now: number,
  to: (before: Entries) => Entries
) => Effect.Effect<void, InvalidOption | StoreError, RecordStore> = Effect.fnUntraced(
  function*(instance: string | undefined, now: number, to: (before: Entries) => Entries) {
    const store = yield* RecordStore
    const id = idOf(instance)
    const [known] = yield* store.get(kind, [id])
    const after = to(living(known, now))
    const count = Object.keys(after).length
    if (count > maxModules) {
      const expected = `${maxModules} modules at most: unset some first`
      return yield* new InvalidOption({ option: "levels", found: `${count} modules`, expected, index: 0 })
    }
    if (known === undefined && count === 0) return
    const document = count === 0 ? null : JSON.stringify({ levels: after })
    yield* store.put([{ kind, id, expects: known?.version ?? absent, document }])
  },
  // Another one changed it in between
  Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
  Effect.catchTag("RecordConflict", Effect.die),
  Effect.retry(repeated)
)

/** What a record has that has not ended. */
const living = (record: StoredRecord | undefined, now: number): Entries =>
  record === undefined ? {} : Object.fromEntries(
    Object.entries(Option.match(decode(record.document), { onNone: () => ({}), onSome: (found) => found.levels }))
      .filter(([, { until }]) => until === undefined || until > now)
  )

const levelsOf = (record: StoredRecord | undefined, now: number): ReadonlyArray<SetLevel> =>
  Object.entries(living(record, now))
    .map(([module, { by = null, level, since, until = null }]) => ({ module, level, by, since, until }))
    .sort((a, b) => a.module < b.module ? -1 : 1)

/**
 * Breakers as they are stored. What definitions say is a record by the name of the breaker; a breaker that has failures, or is open,
 * is a record by its name and key. One that is open has a third, of the kind that claims read: none of its tasks starts before a
 * time, and then one at a time. A breaker that is closed and has no failures has nothing but its definition.
 */
import { Effect, Option, Schema } from "effect"
import * as Breaker from "../domain/Breaker.ts"
import type { StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import { limitKind, limitOfDocument } from "./Gates.ts"
import { maxRecords } from "./RecordDriver.ts"
import { absent, type Change, type Listed, RecordStore, type StoredRecord } from "./RecordStore.ts"

/** The kind of records of what definitions say. */
const breakerKind = "breaker"

/** The kind of records of breakers that have failures or are open. */
const stateKind = "breaker-state"

const Definition = Schema.Struct({ ...Breaker.Settings.fields, keyed: Schema.Boolean })

/** What a definition says. */
export type Defined = typeof Definition.Type

/** What a definition says of a breaker with this name. */
export interface StoredBreaker extends Defined {
  readonly name: string
}

/** A breaker that has failures or is open. */
export interface StoredState {
  readonly pass: Gate.Pass
  readonly state: Breaker.State
}

const decodeDefinition = Schema.decodeOption(Schema.fromJsonString(Definition))
const decodeState = Schema.decodeOption(Schema.fromJsonString(Breaker.State))

/** The id of a state: the pass without its mark. */
const idOf = (pass: Gate.Pass): string => pass.slice(Gate.breakerMark.length)

const definitionIn = (record: StoredRecord | undefined): Defined | undefined =>
  record && Option.getOrUndefined(decodeDefinition(record.document))

const stateIn = (record: StoredRecord | undefined): Breaker.State =>
  record === undefined ? Breaker.closed : Option.getOrElse(decodeState(record.document), () => Breaker.closed)

/** What another one has changed in between is decided again. */
const repeated = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
    Effect.catchIf(
      (error): error is Exclude<E, StoreError> => error._tag === "RecordConflict" || error._tag === "InvalidOption",
      // Names and keys have bounds
      Effect.die
    )
  )

/** Puts what definitions say, by names. Answers the names whose definitions have changed. */
export const register = (
  breakers: ReadonlyMap<string, Defined>
): Effect.Effect<ReadonlyArray<string>, StoreError, RecordStore> => {
  const names = [...breakers.keys()]
  const parts = Array.from(
    { length: Math.ceil(names.length / maxRecords) },
    (_, part) => names.slice(part * maxRecords, (part + 1) * maxRecords)
  )
  return Effect.map(
    Effect.forEach(parts, (part) => repeated(registerPart(part, breakers))),
    (changed) => changed.flat()
  )
}

const registerPart = Effect.fnUntraced(function*(names: ReadonlyArray<string>, breakers: ReadonlyMap<string, Defined>) {
  const store = yield* RecordStore
  const records = yield* store.get(breakerKind, names)
  const changes = names.flatMap((name, index): ReadonlyArray<Change> => {
    const defined = breakers.get(name)!
    const known = definitionIn(records[index])
    if (known !== undefined && isSame(known, defined)) return []
    const document = JSON.stringify(defined)
    return [{ kind: breakerKind, id: name, expects: records[index]?.version ?? absent, document }]
  })
  if (changes.length > 0) yield* store.put(changes)
  return changes.map(({ id }) => id)
})

const isSame = (a: Defined, b: Defined): boolean =>
  (Object.keys(Definition.fields) as Array<keyof Defined>).every((name) => a[name] === b[name])

/** What a definition says of a name. */
export const get = (name: string): Effect.Effect<StoredBreaker | undefined, StoreError, RecordStore> =>
  RecordStore.use((store) => store.get(breakerKind, [name])).pipe(
    Effect.map(([record]) => {
      const defined = definitionIn(record)
      return defined && { name, ...defined }
    }),
    // What cannot be stored is not there
    Effect.catchTag("InvalidOption", () => Effect.undefined)
  )

/** A page of what definitions say, by name. */
export const list = (
  after: string | undefined,
  limit: number
): Effect.Effect<
  { readonly breakers: ReadonlyArray<StoredBreaker>; readonly next: string | null },
  StoreError,
  RecordStore
> =>
  RecordStore.use((store) => store.list(breakerKind, { after, limit: Math.min(limit, maxRecords) })).pipe(
    Effect.catchTag("InvalidOption", Effect.die),
    Effect.map(({ more, records }) => ({
      breakers: records.flatMap((record) => {
        const defined = definitionIn(record)
        return defined === undefined ? [] : [{ name: record.id, ...defined }]
      }),
      next: more ? records.at(-1)!.id : null
    }))
  )

/** The states of keys. */
export const statesOf = (
  passes: ReadonlyArray<Gate.Pass>
): Effect.Effect<ReadonlyArray<StoredState>, StoreError, RecordStore> =>
  RecordStore.use((store) => store.get(stateKind, passes.map(idOf))).pipe(
    Effect.map((records) => passes.map((pass, index) => ({ pass, state: stateIn(records[index]) }))),
    Effect.catchTag("InvalidOption", () => Effect.succeed(passes.map((pass) => ({ pass, state: Breaker.closed }))))
  )

/** The breakers of a name that have failures or are open, as far as one page has them. */
export const statesOfName = (
  name: string
): Effect.Effect<{ readonly states: ReadonlyArray<StoredState>; readonly more: boolean }, StoreError, RecordStore> =>
  RecordStore.use((store) => store.list(stateKind, { prefix: idOf(Breaker.passOf(name, "")) })).pipe(
    Effect.catchTag("InvalidOption", Effect.die),
    Effect.map(({ more, records }) => ({
      more,
      states: records.map((record) => ({ pass: Gate.breakerMark + record.id, state: stateIn(record) }))
    }))
  )

/** Which breakers of a name are open, and until when none of their tasks starts: as far as one page has them. */
export const openOf = (
  name: string
): Effect.Effect<
  { readonly opensAt: ReadonlyArray<readonly [Gate.Pass, number]>; readonly isWhole: boolean; readonly now: number },
  StoreError,
  RecordStore
> =>
  Effect.gen(function*() {
    const store = yield* RecordStore
    const at = yield* now
    const page = yield* Effect.catchTag(
      store.list(limitKind, { prefix: Breaker.passOf(name, "") }),
      "InvalidOption",
      Effect.die
    )
    const opensAt = page.records.flatMap(({ document, id }): ReadonlyArray<readonly [Gate.Pass, number]> => {
      const limit = limitOfDocument(document)
      return limit !== undefined && "max" in limit ? [[id, limit.notBefore ?? at]] : []
    })
    return { opensAt, isWhole: !page.more, now: at }
  })

/** The store's clock. */
export const now: Effect.Effect<number, StoreError, RecordStore> = RecordStore.use((store) =>
  Effect.catchTag(store.due(breakerKind, 1), "InvalidOption", Effect.die)
).pipe(Effect.map(({ now }) => now))

/** A breaker before and after a change, and the store's clock then. */
export interface Changed {
  readonly before: Breaker.State
  readonly after: Breaker.State
  readonly now: number
}

/**
 * Changes a breaker by what `decide` makes of its state: another state, `null` to close it, or nothing. Answers the states before and
 * after that. What claims read is changed in the same put.
 */
export const change = (
  pass: Gate.Pass,
  settings: Breaker.Settings,
  decide: (state: Breaker.State, now: number) => Breaker.State | null | undefined
): Effect.Effect<Changed, StoreError, RecordStore> =>
  repeated(Effect.gen(function*() {
    const store = yield* RecordStore
    const [record] = yield* store.get(stateKind, [idOf(pass)])
    const at = yield* now
    const before = stateIn(record)
    const decided = decide(before, at)
    if (decided === undefined || (decided === null && record === undefined)) {
      return { before, after: before, now: at }
    }
    const after = decided ?? Breaker.closed
    const changes: Array<Change> = [{
      kind: stateKind,
      id: idOf(pass),
      expects: record?.version ?? absent,
      document: decided === null ? null : JSON.stringify(decided),
      dueInMs: decided === null ? undefined : Math.ceil(Breaker.keptForMs(after, settings, at))
    }]
    // whether claims have to know of it, or to forget it
    if (after.until !== before.until) {
      const [read] = yield* store.get(limitKind, [pass])
      const limit = Breaker.limitOf(after)
      if (limit !== null || read !== undefined) {
        const document = limit === null ? null : JSON.stringify(limit)
        changes.push({ kind: limitKind, id: pass, expects: read?.version ?? absent, document })
      }
    }
    yield* store.put(changes)
    return { before, after, now: at }
  }))

/** Closes all breakers of a name, page by page: also those of keys that the definition has no more. */
export const closeAll = Effect.fnUntraced(function*(
  name: string,
  settings: Breaker.Settings
): Effect.fn.Return<void, StoreError, RecordStore> {
  const store = yield* RecordStore
  const prefix = idOf(Breaker.passOf(name, ""))
  for (let after: string | undefined, more = true; more;) {
    const page: Listed = yield* Effect.catchTag(store.list(stateKind, { prefix, after }), "InvalidOption", Effect.die)
    yield* Effect.forEach(
      page.records,
      ({ id }) => change(Gate.breakerMark + id, settings, () => null),
      { concurrency: 10, discard: true }
    )
    after = page.records.at(-1)?.id
    more = page.more
  }
})

/** Forgets failures that count no more, and open breakers that no task has tried for a day. Answers how many. */
export const forgetOld: Effect.Effect<number, StoreError, RecordStore> = Effect.gen(function*() {
  const store = yield* RecordStore
  const { records } = yield* Effect.catchTag(store.due(stateKind, maxRecords), "InvalidOption", Effect.die)
  for (const record of records) {
    const { id, version } = record
    const changes: Array<Change> = [{ kind: stateKind, id, expects: version, document: null }]
    if (stateIn(record).until !== null) {
      const pass = Gate.breakerMark + id
      const [read] = yield* Effect.catchTag(store.get(limitKind, [pass]), "InvalidOption", Effect.die)
      if (read !== undefined) changes.push({ kind: limitKind, id: pass, expects: read.version, document: null })
    }
    // One that has changed in between is not old any more
    yield* Effect.catchTags(store.put(changes), { RecordConflict: () => Effect.void, InvalidOption: Effect.die })
  }
  return records.length
})

/**
 * Limits as they are stored: each is a record of the kind `Gates.limitKind`, whose id is the name of the limit, or the pass of a key
 * that has one of its own. Instances put what their definitions say before their first claim. What an operator sets holds instead
 * until it is reset, and what the definition says is kept next to it.
 */
import { Effect, Option, Schema } from "effect"
import { InvalidOption, type RecordConflict, type StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import { limitKind as kind } from "./Gates.ts"
import { maxRecords } from "./RecordDriver.ts"
import { absent, all, type Change, type Listed, RecordStore, type StoredRecord } from "./RecordStore.ts"

/** What a document has besides the limit itself. */
const Document = Schema.fromJsonString(Schema.Struct({
  from: Schema.optionalKey(Schema.Literals(["definition", "operator"])),
  by: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String),
  definition: Schema.optionalKey(Gate.Limit),
  keyed: Schema.optionalKey(Schema.Boolean)
}))

const decodeLimit = Schema.decodeOption(Schema.fromJsonString(Gate.Limit))
const decode = Schema.decodeOption(Document)

/** A limit, and who set it. Times are by the store's clock. */
export interface StoredLimit {
  /** The name of the limit, or the pass of a key. */
  readonly id: string
  readonly limit: Gate.Limit
  readonly from: "definition" | "operator"
  readonly by: string | null
  readonly reason: string | null
  /** What the definition says; `null` where none says anything. */
  readonly definition: Gate.Limit | null
  /** Whether the definition makes keys of payloads. */
  readonly keyed: boolean
  readonly changedAt: number
}

/** What a definition says. */
export interface Defined {
  readonly limit: Gate.Limit
  readonly keyed: boolean
}

/** Who changes a limit, and why. */
export interface Author {
  readonly by?: string | undefined
  readonly reason?: string | undefined
}

/** Limits that are stored at a time. */
export const maxLimits = 10_000

const read = ({ document, id, writtenAt }: StoredRecord): StoredLimit | undefined => {
  const limit = Option.getOrUndefined(decodeLimit(document))
  if (limit === undefined) return undefined
  const { by, definition, from = "operator", keyed = true, reason }: typeof Document.Type = Option.getOrElse(
    decode(document),
    () => ({})
  )
  return {
    id,
    limit,
    from,
    by: by ?? null,
    reason: reason ?? null,
    definition: from === "definition" ? limit : definition ?? null,
    keyed,
    changedAt: writtenAt
  }
}

const ofDefinition = ({ keyed, limit }: Defined): string => JSON.stringify({ ...limit, from: "definition", keyed })

const ofOperator = (limit: Gate.Limit, { by, reason }: Author, defined: Defined | undefined): string =>
  JSON.stringify({ ...limit, from: "operator", by, reason, definition: defined?.limit, keyed: defined?.keyed })

/** What the definition of a stored limit says, if there is one. */
const definedOf = (known: StoredLimit | undefined): Defined | undefined =>
  known === undefined || known.definition === null ? undefined : { limit: known.definition, keyed: known.keyed }

/** A change that others made in between is met by deciding again; a put whose answer was lost is done again. */
const repeated = <A, E extends InvalidOption | RecordConflict | StoreError, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
    Effect.catchIf((error): error is Extract<E, RecordConflict> => error._tag === "RecordConflict", Effect.die)
  )

/** The limits with these ids, as far as they are there. At most {@link maxRecords}. */
export const get = (
  ids: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<StoredLimit | undefined>, StoreError, RecordStore> =>
  RecordStore.use((store) => store.get(kind, ids)).pipe(
    Effect.map((records) => records.map((record) => record && read(record))),
    // What cannot be stored is not there
    Effect.catchTag("InvalidOption", () => Effect.succeed(ids.map(() => undefined)))
  )

/** A page of all limits whose ids begin with the prefix, those of single keys too, in the order of their ids. */
export const list = (
  after: string | undefined,
  limit: number,
  prefix: string = ""
): Effect.Effect<
  { readonly limits: ReadonlyArray<StoredLimit>; readonly next: string | null },
  StoreError,
  RecordStore
> =>
  Effect.gen(function*() {
    const store = yield* RecordStore
    const found: Array<StoredLimit> = []
    let last = after
    for (let more = true; more && found.length < limit;) {
      const size = Math.min(limit - found.length, maxRecords)
      const page = yield* Effect.catchTag(
        store.list(kind, { prefix, after: last, limit: size }),
        "InvalidOption",
        Effect.die
      )
      for (const record of page.records) {
        last = record.id
        const limit = read(record)
        // that of an open breaker is not one that people set
        if (limit !== undefined && !record.id.startsWith(Gate.breakerMark)) found.push(limit)
      }
      more = page.more
      if (!more) return { limits: found, next: null }
    }
    return { limits: found, next: last ?? null }
  })

/**
 * Puts what definitions say. What an operator set stays, and is told what the definition says now. Answers the ids of limits whose
 * definition has changed.
 */
export const register = Effect.fnUntraced(function*(
  limits: ReadonlyMap<string, Defined>
): Effect.fn.Return<ReadonlyArray<string>, StoreError, RecordStore> {
  const ids = [...limits.keys()]
  const changed: Array<string> = []
  for (let start = 0; start < ids.length; start += maxRecords) {
    const part = ids.slice(start, start + maxRecords)
    const { mayHaveKeys, put } = yield* repeated(registerPart(part, limits))
    changed.push(...put)
    for (const id of mayHaveKeys) changed.push(...yield* repeated(forgetKeys(id, limits)))
  }
  return changed
})

/** Takes back what an earlier definition said of single keys and this one does not: their weights. What an operator set stays. */
const forgetKeys = Effect.fnUntraced(function*(id: string, limits: ReadonlyMap<string, Defined>) {
  const store = yield* RecordStore
  const forgotten: Array<string> = []
  let after: string | undefined
  for (let more = true; more;) {
    const page: Listed = yield* Effect.catchTag(
      store.list(kind, { prefix: Gate.passOf(id, ""), after, limit: maxRecords }),
      "InvalidOption",
      Effect.die
    )
    const changes = page.records.flatMap((record): ReadonlyArray<Change> => {
      const known = read(record)
      if (known === undefined || known.definition === null || limits.has(record.id)) return []
      const document = known.from === "definition" ? null : ofOperator(known.limit, authorOf(known), undefined)
      return [{ kind, id: record.id, expects: record.version, document }]
    })
    if (changes.length > 0) yield* Effect.catchTag(store.put(changes), "InvalidOption", Effect.die)
    forgotten.push(...changes.map(({ id }) => id))
    after = page.records.at(-1)?.id
    more = page.more && after !== undefined
  }
  return forgotten
})

const authorOf = ({ by, reason }: StoredLimit): Author => ({ by: by ?? undefined, reason: reason ?? undefined })

const registerPart = Effect.fnUntraced(function*(ids: ReadonlyArray<string>, limits: ReadonlyMap<string, Defined>) {
  const store = yield* RecordStore
  // Names and keys have bounds
  const records = yield* Effect.catchTag(store.get(kind, ids), "InvalidOption", Effect.die)
  const changes: Array<Change> = []
  const mayHaveKeys: Array<string> = []
  ids.forEach((id, index) => {
    const record = records[index]
    const defined = limits.get(id)!
    const known = record && read(record)
    const before = definedOf(known)
    const isKept = before !== undefined && before.keyed === defined.keyed && isSame(before.limit, defined.limit)
    if (known !== undefined && !id.includes("=") && (!isKept || "fair" in defined.limit)) mayHaveKeys.push(id)
    if (isKept) return
    const document = known === undefined || known.from === "definition"
      ? ofDefinition(defined)
      : ofOperator(known.limit, authorOf(known), defined)
    changes.push({ kind, id, expects: record?.version ?? absent, document })
  })
  if (changes.length > 0) yield* Effect.catchTag(store.put(changes), "InvalidOption", Effect.die)
  return { put: changes.map(({ id }) => id), mayHaveKeys }
})

const isSame = (a: Gate.Limit, b: Gate.Limit): boolean => {
  const values = b as Readonly<Record<string, unknown>>
  const entries = Object.entries(a)
  return entries.length === Object.keys(values).length && entries.every(([name, value]) => values[name] === value)
}

/** Sets a limit. It holds until it is set again or reset. */
export const set = (
  id: string,
  limit: Gate.Limit,
  author: Author
): Effect.Effect<void, InvalidOption | StoreError, RecordStore> =>
  repeated(Effect.gen(function*() {
    const store = yield* RecordStore
    const [record] = yield* store.get(kind, [id])
    if (record === undefined && (yield* all(kind)).length >= maxLimits) {
      const expected = `one of at most ${maxLimits} limits: reset another one first`
      return yield* new InvalidOption({ option: "name", found: id, expected, index: 0 })
    }
    const document = ofOperator(limit, author, definedOf(record && read(record)))
    yield* store.put([{ kind, id, expects: record?.version ?? absent, document }])
  }))

/**
 * Lets a limit be again what its definition says. It is gone where none says anything, and where the definition is one that no living
 * instance has: the next one that has it puts it again before its first claim.
 */
export const reset = (id: string, isDefined = true): Effect.Effect<void, StoreError, RecordStore> =>
  repeated(Effect.gen(function*() {
    const store = yield* RecordStore
    const [record] = yield* store.get(kind, [id])
    const known = record && read(record)
    if (record === undefined || (known?.from === "definition" && isDefined)) return
    const defined = isDefined ? definedOf(known) : undefined
    const document = defined === undefined ? null : ofDefinition(defined)
    yield* store.put([{ kind, id, expects: record.version, document }])
  })).pipe(
    // What cannot be stored is not set
    Effect.catchTag("InvalidOption", () => Effect.void)
  )

/**
 * What all drivers of {@link RecordStore} share: what is asked is checked and packed here once, so that a driver only
 * reads and writes.
 */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as ByteOrder from "../domain/ByteOrder.ts"
import { type InvalidOption, RecordConflict, type StoreError } from "../domain/Errors.ts"
import { absent, type Change, type Due, type RecordStore, type StoredRecord } from "./RecordStore.ts"

/** Bytes of UTF-8 in a kind. */
export const maxKindBytes = 64

/** Bytes of UTF-8 in an id: PostgreSQL holds 2,704 in an entry of an index, with the kind and a time. */
export const maxIdBytes = 2048

/** Bytes of UTF-8 in a document. */
export const maxDocumentBytes: number = 256 * 1024

/** Changes of one put. */
export const maxChanges = 1000

/** Bytes of UTF-8 in all documents of one put. */
export const maxPutBytes: number = 8 * 1024 * 1024

/** Records in one answer: 25 MiB, were all of them as large as they may be. */
export const maxRecords = 100

/** How long a nonce is remembered, in milliseconds: an hour is promised, the others are for a clock that is set forward. */
const nonceForMs = 4 * 60 * 60 * 1000

/** The kind of the records that nonces are remembered by: each has the version that its put has. */
const nonceKind = "put"

/** A change with all that it may have. */
export interface PackedChange {
  readonly kind: string
  readonly id: string
  readonly expects: number
  readonly document: string | null
  readonly dueAt: number | null
  readonly dueInMs: number | null
}

/** What a put found: its version, or the first change that met another version, and that version. */
export type PutAnswer =
  | { readonly version: number }
  | { readonly index: number; readonly found: number }

/** Part of the ids of a kind, in the order of their bytes. */
export interface Range {
  readonly from: string
  /** Whether `from` itself is in it. */
  readonly inclusive: boolean
  /** The first id behind it. */
  readonly until: string
}

/** What a driver has to give. `atomically` is what `Atomically` makes. */
export interface RecordDriver extends Pick<RecordStore["Service"], "atomically"> {
  /** The records that are there, in any order. One id at least, and none comes twice. */
  readonly get: (kind: string, ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<StoredRecord>, StoreError>
  /** Decides and writes in one step. No record comes twice. */
  readonly put: (changes: ReadonlyArray<PackedChange>) => Effect.Effect<PutAnswer, StoreError>
  /** The first `limit` records of a range, in order. */
  readonly list: (kind: string, range: Range, limit: number) => Effect.Effect<ReadonlyArray<StoredRecord>, StoreError>
  /**
   * The first `limit` due records, by the time since which they are due, then by id; taken, where there is a lease.
   * `nextDueAt` is the next time after now when a record, or the lease of one, is due.
   */
  readonly due: (kind: string, limit: number, leaseForMs: number | undefined) => Effect.Effect<Due, StoreError>
}

/** The service that a driver is. */
export const make = (driver: RecordDriver): RecordStore["Service"] => {
  const due = (kind: string, limit: number, leaseForMs?: number): Effect.Effect<Due, InvalidOption | StoreError> =>
    unless(
      refuseKind(kind) ?? Bounds.refuse("limit", count, limit) ?? Bounds.refuse("leaseForMs", lease, leaseForMs),
      () =>
        Effect.map(
          driver.due(kind, limit, leaseForMs),
          (answer) => answer.records.length < limit ? answer : { ...answer, nextDueAt: answer.now }
        )
    )
  return {
    get: (kind, ids) =>
      unless(
        refuseKind(kind) ?? Bounds.refuse("ids", Bounds.whole(0, maxRecords), ids.length) ?? first(ids, refuseId),
        () =>
          ids.length === 0 ? Effect.succeed([]) : Effect.map(driver.get(kind, [...new Set(ids)]), (records) => {
            const byId = new Map(records.map((record) => [record.id, record]))
            return ids.map((id) => byId.get(id))
          })
      ),
    put: (given, nonce) => {
      const changes = nonce === undefined ? given : [noteOf(nonce), ...given]
      const added = changes.length - given.length
      return unless(
        Bounds.refuse("changes", Bounds.whole(1, maxChanges), given.length) ?? refuseNonce(nonce) ??
          refuseChanges(given),
        () =>
          Effect.flatMap(driver.put(changes.map(packed)), (answer) => {
            if ("version" in answer) return Effect.succeed(answer.version)
            if (answer.index < added) return Effect.succeed(answer.found)
            const { expects: expected, id, kind } = changes[answer.index]!
            const conflict = new RecordConflict({
              kind,
              id,
              index: answer.index - added,
              expected,
              found: answer.found
            })
            // a store may have seen what the same put has written before it saw its note
            return nonce === undefined ? Effect.fail(conflict) : Effect.flatMap(
              driver.get(nonceKind, [nonce]),
              ([note]) => note === undefined ? Effect.fail(conflict) : Effect.succeed(note.version)
            )
          })
      )
    },
    list: (kind, { after, limit = maxRecords, prefix = "" } = {}) =>
      unless(
        refuseKind(kind) ?? Bounds.refuse("limit", count, limit) ??
          Bounds.refuse("prefix", id, prefix === "" ? undefined : prefix) ?? Bounds.refuse("after", id, after),
        () =>
          Effect.map(driver.list(kind, rangeOf(prefix, after), limit + 1), (records) => ({
            records: records.slice(0, limit),
            more: records.length > limit
          }))
      ),
    due: (kind, limit) => due(kind, limit),
    take: due,
    atomically: driver.atomically
  }
}

/** Does something unless it is refused. */
export const unless = <A, E>(
  refusal: InvalidOption | undefined,
  effect: () => Effect.Effect<A, E>
): Effect.Effect<A, E | InvalidOption> => refusal === undefined ? Effect.suspend(effect) : Effect.fail(refusal)

/** The first thing that is found in an item. */
export const first = <A, B>(
  items: ReadonlyArray<A>,
  find: (item: A, index: number) => B | undefined
): B | undefined => {
  for (const [index, item] of items.entries()) {
    const found = find(item, index)
    if (found !== undefined) return found
  }
  return undefined
}

const text = (maxBytes: number): Bounds.Bound<string> => ({
  expected: `1 to ${maxBytes} bytes of UTF-8, without U+0000 and lone surrogates`,
  accepts: (value) =>
    typeof value === "string" && value !== "" && value.length <= maxBytes && Buffer.byteLength(value) <= maxBytes &&
    Bounds.isStorable(value)
})

const kind = text(maxKindBytes)
const id = text(maxIdBytes)
const json = text(maxDocumentBytes)
const count = Bounds.whole(1, maxRecords)
const time = Bounds.whole(Bounds.minRunAt, Bounds.maxRunAt)
const wait = Bounds.whole(0, Bounds.maxRunAt)
const lease = Bounds.whole(1, Bounds.maxRunAt)

const refuseKind = (value: string, index = 0) => Bounds.refuse("kind", kind, value, index)
const refuseId = (value: string, index: number) => Bounds.refuse("id", id, value, index)

/** Why a nonce is refused, if it is. */
export const refuseNonce = (nonce: string | undefined) => Bounds.refuse("nonce", id, nonce)

/** Why changes are refused, if they are. */
export const refuseChanges = (changes: ReadonlyArray<Change>): InvalidOption | undefined => {
  const seen = new Set<string>()
  let bytes = 0
  return first(changes, (change, index) => {
    const refusal = refuseChange(change, index)
    if (refusal !== undefined) return refusal
    const name = `${change.kind}\u0000${change.id}`
    if (seen.has(name)) return Bounds.refuse("id", once, change.id, index)
    seen.add(name)
    bytes += Buffer.byteLength(change.document ?? "")
    return bytes > maxPutBytes ? Bounds.refuse("document", together, change.document!, index) : undefined
  })
}

const refuseChange = ({ document, dueAt, dueInMs, expects, id, kind }: Change, index: number) =>
  refuseKind(kind, index) ?? refuseId(id, index) ??
    Bounds.refuse("expects", Bounds.whole(document === null ? absent + 1 : absent), expects, index) ??
    Bounds.refuse("document", json, document ?? undefined, index) ?? Bounds.refuse("dueAt", time, dueAt, index) ??
    Bounds.refuse("dueInMs", dueAt === undefined ? wait : alone, dueInMs, index)

const never = <A>(expected: string): Bounds.Bound<A> => ({ expected, accepts: () => false })
const alone = never<number>("no dueAt with it")
const once = never<string>("no record that the put changes already")
const together = never<string>(`at most ${maxPutBytes} bytes of UTF-8 in all documents of a put`)

/** The record that remembers a nonce. Its document is what an answer needs besides the version. */
export const noteOf = (nonce: string, document = "null"): Change => ({
  kind: nonceKind,
  id: nonce,
  expects: absent,
  document,
  dueInMs: nonceForMs
})

/**
 * Forgets nonces whose time is over, as many as fit into an answer. Answers how long there is nothing more to forget, in
 * milliseconds. Harmless when two do it.
 */
export const forgetNonces = (records: RecordStore["Service"]): Effect.Effect<number, StoreError> =>
  Effect.gen(function*() {
    const { nextDueAt, now, records: old } = yield* records.due(nonceKind, maxRecords)
    const deletions = old.map(({ id, version }) => ({ kind: nonceKind, id, expects: version, document: null }))
    if (deletions.length > 0) yield* records.put(deletions)
    return nextDueAt === null ? nonceForMs : nextDueAt - now
  }).pipe(
    // with a conflict, another one was faster
    Effect.catchTags({ RecordConflict: () => Effect.succeed(0), InvalidOption: Effect.die })
  )

/** A change as drivers have it. */
export const packed = ({ document, dueAt, dueInMs, expects, id, kind }: Change): PackedChange => ({
  kind,
  id,
  expects,
  document,
  dueAt: dueAt ?? null,
  dueInMs: dueInMs ?? null
})

/** A record as a row, as the stores in SQL read it. */
export type Row = [id: string, version: number, document: string, dueAt: number | null, writtenAt: number]

/** The record of a row. */
export const recordOf = ([id, version, document, dueAt, writtenAt]: Row): StoredRecord => ({
  id,
  version,
  document,
  dueAt,
  writtenAt
})

/** The first change that meets another version than it expects. */
export const conflictOf = (
  changes: ReadonlyArray<PackedChange>,
  versionOf: (kind: string, id: string) => number | undefined
): Extract<PutAnswer, { readonly index: number }> | undefined =>
  first(changes, ({ expects, id, kind }, index) => {
    const found = versionOf(kind, id) ?? absent
    return found === expects ? undefined : { index, found }
  })

/** When a change makes its record due. */
export const dueAtOf = ({ dueAt, dueInMs }: PackedChange, now: number): number | null =>
  dueAt ?? (dueInMs === null ? null : now + dueInMs)

/** The first millisecond whose number is no version: 2023-11-14. */
export const versionEpoch = 1_700_000_000_000

/** The last millisecond that versions follow: in the year 2286. */
export const versionEnd = 10_000_000_000_000

/** Versions of one millisecond. */
export const versionsPerMs = 1024

/**
 * The number of the next put or take. It follows the clock, so that a store that has lost its last writes, to a power
 * failure or because an older copy took its place, gives none of their numbers again.
 */
export const nextVersion = (last: number, now: number): number =>
  Math.max(last + 1, (Math.min(now, versionEnd) - versionEpoch) * versionsPerMs)

/** The ids that begin with a text and are behind another one. */
const rangeOf = (prefix: string, after: string | undefined): Range => {
  const until = behind(prefix)
  return after === undefined || ByteOrder.compare(after, prefix) < 0
    ? { from: prefix, inclusive: true, until }
    : { from: after, inclusive: false, until }
}

/** Behind every id. */
const endOfIds = "\u{10ffff}".repeat(maxIdBytes / 4 + 1)

/** The first text behind all that begin with a prefix: its last character is the next one. */
const behind = (prefix: string): string => {
  const points = Array.from(prefix, (character) => character.codePointAt(0)!)
  while (points.length > 0) {
    const last = points.pop()!
    // between the two there are surrogates, which are no characters
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
  }
  return endOfIds
}

/**
 * What is kept of the steps of a task: a record of the kind `step`, whose id is the task's. It has the claim of the attempt that owns
 * it and the ends of the latest steps. Each write names the version that was read before, so an attempt that lost its task to
 * a later one can write nothing more. When the ends in it are many, they move to a page of their own, which is never written again: so
 * a write costs the same, however many steps a task has.
 */
import { Array, type Cause, Duration, Effect, Exit, Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import { StepsUnreadable } from "../domain/StepErrors.ts"
import { maxHistory, type TaskRecord } from "../domain/TaskRecord.ts"
import * as RecordDriver from "../store/RecordDriver.ts"
import { type Change, RecordStore, removeUnchanged, type StoredRecord } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** The kind of the record that a task's steps have. It is due when it has to be looked whether its task is still there. */
export const kind = "step"

/** The kind of the pages behind it. */
export const pageKind = "step-page"

/** A kind without records: asked for them, a store tells its clock. */
export const clockKind = "clock"

/** Steps of one task at most. */
export const maxSteps = 10_000

/** Bytes of UTF-8 in the JSON text of a step's result or error. */
export const maxResultBytes: number = 128 * 1024

/** The same of all steps of a task together. */
export const maxTaskBytes: number = 8 * 1024 * 1024

/** Bytes of ends in the record itself, from which on they move to a page. */
const maxTailBytes = 16 * 1024

/** When it is looked again whether the task is still there, in milliseconds. */
const checkInMs = 60 * 60 * 1000

/** How long a wait without an end is for the store, in milliseconds: the longest that it takes. */
export const forEverMs: number = Duration.toMillis(Bounds.maxDelay)

/** Names of steps that an error lists at most. */
export const maxNamed = 10

/** The name of a step. */
export const name: Bounds.Bound<string> = Bounds.name

/** How a step ended: what it gave, what it failed with, or why neither can be kept. */
const End = Schema.Union([
  Schema.TaggedStruct("Value", { value: Schema.Unknown }),
  Schema.TaggedStruct("Error", { error: Schema.Unknown }),
  /** It ends by itself: a time of the store's clock. `over` once an attempt has gone on, so that it stays so when that clock is set back. */
  Schema.TaggedStruct("Sleep", { until: Schema.Int, over: Schema.optionalKey(Schema.Literal(true)) }),
  /** It has not ended: it waits for a signal, since and until when. */
  Schema.TaggedStruct("Wait", { token: Schema.String, since: Schema.Int, until: Schema.NullOr(Schema.Int) }),
  /** The signal did not come in time. */
  Schema.TaggedStruct("TimedOut", { token: Schema.String }),
  Schema.TaggedStruct("Unfit", { subject: Schema.Literals(["result", "error"]), issue: Schema.String })
])

/** See {@link End}. */
export type End = typeof End.Type

const Entry = Schema.Struct({
  name: Schema.String,
  /** The attempt that ended it. */
  attempt: Schema.Int,
  /** By the clock of its instance, in milliseconds. */
  startedAt: Schema.Int,
  /** How long it took. */
  ms: Schema.Finite,
  end: End
})

/** A step that has ended. */
export type Entry = typeof Entry.Type

const Head = Schema.Struct({
  claim: Schema.Int,
  attempt: Schema.Int,
  /** What the ids of the pages end with, in their order. */
  pages: Schema.Array(Schema.String),
  /** Steps that have ended, and the bytes of their ends, those on pages among them. */
  count: Schema.Int,
  bytes: Schema.Int,
  /** Steps that had begun, and had not ended, when this was written. */
  running: Schema.Array(Schema.String),
  /** Steps that had ended and that the last attempt that completed did not ask for. */
  unasked: Schema.Array(Schema.String),
  steps: Schema.Array(Entry)
})

/** The record, without what is on pages. */
export type Head = typeof Head.Type

const decodeHead = Schema.decodeUnknownExit(Schema.fromJsonString(Head))
const decodePage = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.Array(Entry)))

/** What is kept of a task's steps. */
export interface Kept {
  readonly version: number
  /** By the store's clock. */
  readonly writtenAt: number
  readonly head: Head
  /** All that have ended, in the order in which their ends were kept. */
  readonly entries: ReadonlyArray<Entry>
}

/** Before the first step. */
export const empty: Head = {
  claim: 0,
  attempt: 0,
  pages: [],
  count: 0,
  bytes: 0,
  running: [],
  unasked: [],
  steps: []
}

const pageId = (id: string, page: string): string => `${id}/${page}`

/** Reads what is kept of a task's steps. */
export const read = Effect.fnUntraced(function*(
  id: string
): Effect.fn.Return<Kept | undefined, StoreError, RecordStore> {
  for (let turn = 1; turn <= maxReads; turn++) {
    const [record] = yield* get(kind, [id])
    if (record === undefined) return undefined
    const head = yield* readable(id, decodeHead(record.document))
    const entries: Array<Entry> = []
    let isWhole = true
    for (const pages of Array.chunksOf(head.pages, RecordDriver.maxRecords)) {
      for (const page of yield* get(pageKind, pages.map((page) => pageId(id, page)))) {
        if (page === undefined) isWhole = false
        else entries.push(...yield* readable(id, decodePage(page.document)))
      }
    }
    // Pages go together with the record that names them: another one is there by now, or none
    if (isWhole) {
      const { version, writtenAt } = record
      return { version, writtenAt, head, entries: [...entries, ...head.steps] }
    }
  }
  return yield* Effect.die(new StepsUnreadable({ id, issue: "some of their pages are missing" }))
})

/** How often they are read while others write them. */
const maxReads = 10

/** Documents come from stores, and a later version may have written them. */
const readable = <A>(id: string, exit: Exit.Exit<A, Schema.SchemaError>): Effect.Effect<A> =>
  Exit.match(exit, {
    onSuccess: Effect.succeed,
    onFailure: (cause) => Effect.die(new StepsUnreadable({ id, issue: issueOf(cause) }))
  })

/** What a schema says of a value. */
export const issueOf = (cause: Cause.Cause<Schema.SchemaError>): string => {
  const reason = cause.reasons[0]
  return reason?._tag === "Fail" ? reason.error.message : "it cannot be decoded"
}

const get = (kind: string, ids: ReadonlyArray<string>) =>
  RecordStore.use((store) => Effect.catchTag(store.get(kind, ids), "InvalidOption", Effect.die))

/**
 * Whether steps are those of this task, and not of a removed one that had the same id: an attempt of the task wrote them. Where it
 * had more attempts than it remembers, they are too young to be those of another one.
 */
export const areOf = ({ head, writtenAt }: Kept, task: TaskRecord): boolean =>
  head.claim === task.claim || task.history.some(({ claim }) => claim === head.claim) ||
  (task.claims > maxHistory && writtenAt >= task.createdAt)

/** Whether an end is known, or another one of its step that stands. */
export const isIn = (ends: ReadonlyMap<string, End>, { end, name }: Entry): boolean => {
  const known = ends.get(name)
  return known !== undefined && (known._tag !== "Wait" || JSON.stringify(known) === JSON.stringify(end))
}

/** Whether it says that a sleep is over, which has an entry already. */
const isOver = ({ end }: Entry): boolean => end._tag === "Sleep" && end.over === true

/** Bytes of UTF-8 in what is kept of an end. */
export const sizeOf = ({ end }: Entry): number => Buffer.byteLength(JSON.stringify(end))

/** The changes that add ends to what is kept and what is kept then. */
export const added = (
  id: string,
  version: number,
  head: Head,
  entries: ReadonlyArray<Entry>
): { readonly changes: ReadonlyArray<Change>; readonly head: Head } => {
  const steps = [...head.steps, ...entries]
  const text = JSON.stringify(steps)
  const isFull = Buffer.byteLength(text) > maxTailBytes
  const page = `${head.claim}.${head.pages.length}`
  const next: Head = {
    ...head,
    count: head.count + entries.filter((entry) => !isOver(entry)).length,
    bytes: head.bytes + entries.reduce((sum, { end }) => sum + Buffer.byteLength(JSON.stringify(end)), 0),
    pages: isFull ? [...head.pages, page] : head.pages,
    steps: isFull ? [] : steps
  }
  const document = JSON.stringify(next)
  return {
    head: next,
    changes: [
      { kind, id, expects: version, document, dueInMs: checkInMs },
      ...isFull ? [{ kind: pageKind, id: pageId(id, page), expects: 0, document: text }] : []
    ]
  }
}

/** Deletes pages; those that another one has deleted are gone. */
export const removePages = (id: string, { pages }: Head): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.forEach(
    Array.chunksOf(pages, RecordDriver.maxRecords),
    (pages) =>
      Effect.flatMap(
        get(pageKind, pages.map((page) => pageId(id, page))),
        (records) => removeUnchanged(pageKind, records.filter((record) => record !== undefined))
      ),
    { discard: true }
  )

/** Records that are deleted at a time: their documents are read with them. */
const batchSize = 25

/** Forgets the steps of removed tasks. */
export const remove = (ids: ReadonlyArray<string>): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.forEach(
    Array.chunksOf([...new Set(ids)], batchSize),
    (ids) => Effect.flatMap(get(kind, ids), (records) => forget(records.filter((record) => record !== undefined))),
    { discard: true }
  )

/** Deletes records with their pages; the pages first, so that nothing is left that no record names. */
const forget = (records: ReadonlyArray<StoredRecord>): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.forEach(
    records,
    ({ document, id }) => {
      const head = decodeHead(document)
      return Exit.isSuccess(head) && head.value.pages.length > 0 ? removePages(id, head.value) : Effect.void
    },
    { discard: true }
  ).pipe(Effect.andThen(removeUnchanged(kind, records)))

/**
 * Looks at some records that are due: forgets those whose tasks are gone. The others are due again after `againInMs`. Answers how many
 * went, and how long nothing is due, in milliseconds; `Infinity` where no record is left.
 */
export const sweep = Effect.fnUntraced(function*(
  tasks: Pick<TaskStore["Service"], "results">,
  againInMs: number
): Effect.fn.Return<{ readonly removed: number; readonly nextInMs: number }, StoreError, RecordStore> {
  const store = yield* RecordStore
  const taken = yield* Effect.catchTag(store.take(kind, batchSize, againInMs), "InvalidOption", Effect.die)
  const gone: Array<StoredRecord> = []
  let left = taken.records
  while (left.length > 0) {
    const outcomes = yield* tasks.results(left.map(({ id }) => id), RecordDriver.maxPutBytes)
    outcomes.forEach((outcome, index) => {
      if (outcome === null) gone.push(left[index]!)
    })
    left = left.slice(outcomes.length)
  }
  yield* forget(gone)
  const nextInMs = taken.nextDueAt === null ? Infinity : Math.max(0, taken.nextDueAt - taken.now)
  return { removed: gone.length, nextInMs }
})

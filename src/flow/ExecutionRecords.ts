/**
 * What comes to an execution of a workflow from outside: a record of the kind `workflow`, whose id is the execution's, and its durable
 * deferreds, a record each. Whatever comes replaces the version of the first one, and an execution suspends by replacing the version that
 * it has read. So nothing that comes while it runs is missed, and nothing has to be asked for again and again.
 *
 * ```text
 * the execution                          what comes: a deferred, an interrupt, the end of a child
 *   reads the record                       replaces the record, and says that there is news
 *   runs, and has to wait                  brings the task forward, if it is suspended
 *   replaces the record and ends its
 *   attempt, in one write; or runs again
 * ```
 *
 * If a process dies after it has replaced the record, `Waker` finds that there is news and brings the task forward.
 */
import { Effect, Option, Schema } from "effect"
import type { RecordConflict, StoreError } from "../domain/Errors.ts"
import { absent, type Change, RecordStore, removeUnchanged, type StoredRecord } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { goneOf } from "./SignalRecords.ts"

/** The kind of the record that an execution has once something came to it, or it was suspended. */
const kind = "workflow"

/** The kind of the records of its deferreds. */
const deferredKind = "workflow-deferred"

/** What begins the types of tasks that are executions. */
export const typePrefix = "workflow:"

/** Where a task is found that is to be brought forward. */
export const Address = Schema.Struct({ id: Schema.String, type: Schema.String, queue: Schema.String })

/** See {@link Address}. */
export type Address = typeof Address.Type

const Wait = Schema.Union([
  Schema.TaggedStruct("Deferred", { name: Schema.String }),
  Schema.TaggedStruct("Child", { id: Schema.String, workflow: Schema.String })
])

/** What an execution is suspended for: a deferred, or the end of another execution. */
export type Wait = typeof Wait.Type

/** Waits of one execution that are kept at most. */
export const maxWaits = 10

const Document = Schema.Struct({
  /** Of the execution, since it was suspended for the first time. */
  address: Schema.NullOr(Address),
  /** Whether something came since it was suspended. */
  news: Schema.Boolean,
  /** `now` does not wait for an activity that runs. */
  interrupt: Schema.NullOr(Schema.Literals(["safely", "now"])),
  /** Why only an explicit resume lets it go on: the cause, as JSON. */
  failed: Schema.NullOr(Schema.Struct({ cause: Schema.Unknown })),
  /** Executions that wait for its end, besides its parent. */
  waiters: Schema.Array(Address),
  /** What it was suspended for, besides sleeps: {@link maxWaits} of it, for people. */
  waits: Schema.optionalKey(Schema.Array(Wait)),
  /** When the first of the sleeps ends that it was suspended for; `null` where there is none. */
  sleepsUntil: Schema.optionalKey(Schema.NullOr(Schema.Int))
})

/** What is kept of an execution besides its steps. */
export type Document = typeof Document.Type

/** Before anything came. */
export const empty: Document = { address: null, news: false, interrupt: null, failed: null, waiters: [] }

/** Executions that may wait for the end of another one. */
export const maxWaiters = 1000

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Document))

/** An execution's record as it was read. */
export interface Read {
  readonly version: number
  readonly document: Document
}

/** How soon it is looked whether a task was brought forward for news, in milliseconds. */
const repairInMs = 1000

/** When it is looked whether the task is still there, in milliseconds. */
const checkInMs = 24 * 60 * 60 * 1000

/** How long what came to an execution that never was is kept, in milliseconds. */
const keepForMs = 30 * checkInMs

const readOf = (record: StoredRecord | undefined): Read =>
  record === undefined
    ? { version: absent, document: empty }
    : { version: record.version, document: Option.getOrElse(decode(record.document), () => empty) }

const get = (kind: string, ids: ReadonlyArray<string>) =>
  RecordStore.use((store) => Effect.catchTag(store.get(kind, ids), "InvalidOption", Effect.die))

/** What has come to executions. */
export const read = (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Read>, StoreError, RecordStore> =>
  Effect.map(get(kind, ids), (records) => records.map(readOf))

/** The change that replaces an execution's record. */
export const replaced = (id: string, version: number, document: Document): Change => ({
  kind,
  id,
  expects: version,
  document: JSON.stringify(document),
  dueInMs: document.news && document.address !== null ? repairInMs : checkInMs
})

/** Begins with the execution, and is the beginning of no other one's. */
const prefixOf = (id: string): string => `${encodeURIComponent(id)}/`

const deferredId = (id: string, name: string): string => `${prefixOf(id)}${name}`

/** What a deferred was completed with, as JSON; nothing while it was not. */
export const deferred = (id: string, name: string): Effect.Effect<unknown, StoreError, RecordStore> =>
  Effect.map(
    get(deferredKind, [deferredId(id, name)]),
    ([record]) => record === undefined ? undefined : JSON.parse(record.document) as unknown
  )

/** Tells an execution something, and brings it forward. Answers the version that was replaced, and the new one; nothing where it has to stay as it is. */
export const tell = Effect.fnUntraced(function*(
  id: string,
  change: (known: Document) => Document | undefined,
  more: ReadonlyArray<Change> = []
): Effect.fn.Return<
  { readonly before: number; readonly after: number } | undefined,
  StoreError,
  RecordStore | TaskStore
> {
  const store = yield* RecordStore
  for (;;) {
    const [known] = yield* read([id])
    const { document, version: before } = known!
    const next = change(document)
    if (next === undefined) return undefined
    const put = store.put([replaced(id, before, { ...next, news: true }), ...more])
    const after = yield* Effect.catchTags(put, {
      InvalidOption: Effect.die,
      RecordConflict: (conflict): Effect.Effect<undefined, RecordConflict> =>
        conflict.kind === kind ? Effect.undefined : Effect.fail(conflict)
    }).pipe(Effect.catchTag("RecordConflict", () => Effect.succeed("known" as const)))
    if (after === "known") return undefined
    if (after === undefined) continue
    yield* bringForward([next])
    return { before, after }
  }
})

/** Completes a deferred; the first one counts. */
export const complete = (id: string, name: string, exit: unknown) =>
  tell(id, (document) => document, [
    { kind: deferredKind, id: deferredId(id, name), expects: absent, document: JSON.stringify(exit) }
  ])

/** Brings suspended executions forward, unless they wait for an explicit resume. One that runs finds what came when it suspends. */
export const bringForward = (documents: ReadonlyArray<Document>): Effect.Effect<void, StoreError, TaskStore> => {
  const found = documents.flatMap(({ address, failed }) => address === null || failed !== null ? [] : [address])
  return found.length === 0
    ? Effect.void
    : TaskStore.use((tasks) => Effect.asVoid(tasks.reschedule(found.map((address) => ({ ...address, delayMs: 0 })))))
}

/** Executions that are looked at at a time. */
const batchSize = 25

/** How long one look holds them, in milliseconds. */
const lookForMs = 5000

/** Brings those forward that have news, and forgets those whose tasks are gone. Answers how long nothing is due. */
export const lookAtExecutions: Effect.Effect<number, StoreError, RecordStore | TaskStore> = Effect.gen(function*() {
  const store = yield* RecordStore
  const taken = yield* Effect.catchTag(store.take(kind, batchSize, lookForMs), "InvalidOption", Effect.die)
  const gone = yield* goneOf(taken.records.map(({ id }) => id))
  const known = taken.records.filter(({ id }) => !gone.has(id))
  yield* bringForward(known.map((record) => readOf(record).document).filter(({ news }) => news))
  for (const record of taken.records) {
    const { document } = readOf(record)
    const isOld = gone.has(record.id) && (document.address !== null || record.writtenAt + keepForMs <= taken.now)
    if (isOld) yield* forget(record)
    else yield* later(record)
  }
  return taken.nextDueAt === null ? Infinity : Math.max(0, taken.nextDueAt - taken.now)
})

/** One that another one has replaced since is left to it. */
const later = ({ document, id, version }: StoredRecord) =>
  RecordStore.use((store) => store.put([{ kind, id, expects: version, document, dueInMs: checkInMs }])).pipe(
    Effect.asVoid,
    Effect.catchTags({ InvalidOption: Effect.die, RecordConflict: () => Effect.void })
  )

/** Deletes an execution's deferreds, and then its record. */
const forget = Effect.fnUntraced(function*(
  record: StoredRecord
): Effect.fn.Return<void, StoreError, RecordStore> {
  const store = yield* RecordStore
  for (let more = true; more;) {
    const request = { prefix: prefixOf(record.id), limit: batchSize }
    const page = yield* Effect.catchTag(store.list(deferredKind, request), "InvalidOption", Effect.die)
    yield* removeUnchanged(deferredKind, page.records)
    more = page.more
  }
  yield* removeUnchanged(kind, [record])
})

/**
 * What is kept of signals and of those that wait for them, and what finds what a crash has left between the two. See `Signals` for how they
 * meet.
 */
import { Effect, Option, Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import { absent, type Change, RecordStore, type StoredRecord } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"

/** The kind of signals. */
export const kind = "signal"

/** The kind of the records of those that wait. */
export const waiterKind = "signal-waiter"

/** How a signal was completed. */
const End = Schema.Union([
  Schema.TaggedStruct("Value", { value: Schema.Unknown }),
  Schema.TaggedStruct("Error", { error: Schema.Unknown }),
  /** The task waited for no longer. */
  Schema.TaggedStruct("TimedOut", {})
])

/** What a signal is completed with. */
export type SignalEnd =
  | { readonly _tag: "Value"; readonly value: unknown }
  | { readonly _tag: "Error"; readonly error: unknown }

const Document = Schema.Struct({
  name: Schema.String,
  /** The task whose token it is; `null` for an event. */
  task: Schema.NullOr(Schema.String),
  end: Schema.NullOr(End),
  /** By the store's clock. */
  completedAt: Schema.NullOr(Schema.Int)
})

export type Document = typeof Document.Type

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Document))

/** Whether a signal was completed. */
export const hasEnded = (
  document: Document | undefined
): document is Document & { readonly end: NonNullable<Document["end"]> } =>
  document !== undefined && document.end !== null

/** A signal as it is stored; one that cannot be read is as none. */
export const documentOf = (record: StoredRecord | undefined): Document | undefined =>
  record === undefined ? undefined : Option.getOrUndefined(decode(record.document))

/** A name of signals. */
export const name: Bounds.Bound<string> = Bounds.signalName

/** The key of an event among those of a name. */
export const key: Bounds.Bound<string> = Bounds.signalKey

/** A token: of a task, `name.random`, or of an event, `name:key`. */
export const tokenPattern = /^([A-Za-z0-9_-]{1,64})([.:])[A-Za-z0-9_.~:-]{1,128}$/

/** The token of an event. */
export const eventToken = (name: string, key: string): string => `${name}:${key}`

/** The token of a task, which cannot be guessed. */
export const taskToken = (name: string, random: string): string => `${name}.${random}`

/** Whether a value is a token of a task for signals of a name. */
export const isTokenOf = (name: string, value: unknown): value is string =>
  typeof value === "string" && value.startsWith(taskToken(name, ""))

/** What may be shown of a token: an event has no other name, and who has the token of a task may complete its signal. */
export const shownOf = (token: string): string => {
  const [, name, separator] = tokenPattern.exec(token) ?? []
  // What is no token may be a mistyped one
  return name === undefined ? "unknown" : separator === ":" ? token : name
}

/** Whether a signal belongs to no task. */
export const isEvent = (token: string): boolean => tokenPattern.exec(token)?.[2] === ":"

/** Tasks that are brought forward in one write at most. */
const pageSize = 100

/** How soon it is looked whether all that waited have been brought forward, in milliseconds. */
export const repairInMs = 1000

/** When it is looked whether a task is still there, in milliseconds. */
const checkInMs = 6 * 60 * 60 * 1000

/** How long an event is kept once it was completed, in milliseconds: so long a task may begin to wait for it later. */
const keepForMs = 30 * 24 * 60 * 60 * 1000

/** The records of one signal as a step reads and writes them. */
export const waiterId = (token: string, task: string): string => `${token}/${task}`

/** The change that notes that a task waits. It is due until it has been seen that the signal has no end. */
export const waiting = (
  token: string,
  { id, queue, type }: { readonly id: string; readonly type: string; readonly queue: string },
  expects: number
): Change => ({
  kind: waiterKind,
  id: waiterId(token, id),
  expects,
  document: JSON.stringify({ task: id, type, queue }),
  dueInMs: 5 * repairInMs
})

/** The change that stores the signal of a task's token. */
export const made = (token: string, name: string, task: string): Change => ({
  kind,
  id: token,
  expects: absent,
  document: JSON.stringify({ name, task, end: null, completedAt: null } satisfies Document),
  dueInMs: checkInMs
})

/** The change that closes a signal whose task waits no longer. */
export const closed = (token: string, version: number, document: Document, now: number): Change => ({
  kind,
  id: token,
  expects: version,
  document: JSON.stringify({ ...document, end: { _tag: "TimedOut" }, completedAt: now } satisfies Document),
  dueInMs: checkInMs
})

const Waiter = Schema.fromJsonString(Schema.Struct({ task: Schema.String, type: Schema.String, queue: Schema.String }))
const decodeWaiter = Schema.decodeUnknownOption(Waiter)

/** Deletes or moves records; those that another one has written since are left to it. */
const putEach = (changes: ReadonlyArray<Change>): Effect.Effect<void, StoreError, RecordStore> =>
  changes.length === 0 ? Effect.void : RecordStore.use((store) => store.put(changes)).pipe(
    Effect.asVoid,
    Effect.catchTags({
      InvalidOption: Effect.die,
      RecordConflict: () =>
        changes.length === 1 ? Effect.void : Effect.forEach(changes, (change) => putEach([change]), { discard: true })
    })
  )

/** Brings tasks forward that wait. Answers the records of those that run and have to be looked at again. */
const bringForward = Effect.fnUntraced(function*(
  records: ReadonlyArray<StoredRecord>
): Effect.fn.Return<number, StoreError, RecordStore | TaskStore> {
  const tasks = yield* TaskStore
  const waiters = records.map(({ document }) => Option.getOrUndefined(decodeWaiter(document)))
  const found = waiters.filter((waiter) => waiter !== undefined)
  const answers = found.length === 0
    ? []
    : yield* tasks.reschedule(found.map(({ queue, task: id, type }) => ({ id, type, queue, delayMs: 0 })))
  const running = new Set(
    found.filter((_, index) => {
      const answer = answers[index]!
      return answer._tag === "conflict" && answer.state === "running"
    })
  )
  const done = records.filter((_, index) => waiters[index] === undefined || !running.has(waiters[index]))
  yield* putEach(done.map(({ id, version }) => ({ kind: waiterKind, id, expects: version, document: null })))
  return running.size
})

/** Brings all tasks forward that wait for a signal; answers how many run, and have to be looked at again. */
export const wake = Effect.fnUntraced(function*(
  token: string
): Effect.fn.Return<number, StoreError, RecordStore | TaskStore> {
  const store = yield* RecordStore
  let left = 0
  let after: string | undefined
  for (let more = true; more;) {
    const request = { prefix: `${token}/`, after, limit: pageSize }
    const page = yield* Effect.catchTag(store.list(waiterKind, request), "InvalidOption", Effect.die)
    after = page.records.at(-1)?.id
    more = page.more
    left += yield* bringForward(page.records)
  }
  return left
})

/** Signals and waiters that are looked at at a time. */
const batchSize = 25

/** How long one look holds them, in milliseconds. */
const lookForMs = 5000

/** The tasks that are gone. */
export const goneOf = Effect.fnUntraced(function*(
  ids: ReadonlyArray<string>
): Effect.fn.Return<ReadonlySet<string>, StoreError, TaskStore> {
  const tasks = yield* TaskStore
  const gone = new Set<string>()
  let left = [...new Set(ids)]
  while (left.length > 0) {
    const outcomes = yield* tasks.results(left, Bounds.maxAnswerBytes)
    outcomes.forEach((outcome, index) => {
      if (outcome === null) gone.add(left[index]!)
    })
    left = left.slice(outcomes.length)
  }
  return gone
})

/** Finishes what was begun for signals that are due, and deletes those that are of no use. Answers how long nothing is due. */
export const lookAtSignals: Effect.Effect<number, StoreError, RecordStore | TaskStore> = Effect.gen(function*() {
  const store = yield* RecordStore
  const taken = yield* Effect.catchTag(store.take(kind, batchSize, lookForMs), "InvalidOption", Effect.die)
  const documents = taken.records.map((record) => [record, documentOf(record)] as const)
  const gone = yield* goneOf(documents.flatMap(([, document]) => document?.task ?? []))
  const changes: Array<Change> = []
  for (const [{ document: text, id, version }, document] of documents) {
    if (hasEnded(document) && (yield* wake(id)) > 0) continue
    const isOld = document === undefined || (document.task === null
      ? document.completedAt !== null && document.completedAt + keepForMs <= taken.now
      : gone.has(document.task))
    changes.push({ kind, id, expects: version, document: isOld ? null : text, ...isOld ? {} : { dueInMs: checkInMs } })
  }
  yield* putEach(changes)
  return taken.nextDueAt === null ? Infinity : Math.max(0, taken.nextDueAt - taken.now)
})

/** Brings those forward that began to wait when their signal was completed, and forgets those that are gone. */
export const lookAtWaiters: Effect.Effect<number, StoreError, RecordStore | TaskStore> = Effect.gen(function*() {
  const store = yield* RecordStore
  const taken = yield* Effect.catchTag(store.take(waiterKind, batchSize, lookForMs), "InvalidOption", Effect.die)
  const tokens = [...new Set(taken.records.map(({ id }) => id.slice(0, id.indexOf("/"))))]
  const signals = new Map(
    (yield* Effect.catchTag(store.get(kind, tokens), "InvalidOption", Effect.die)).map((record, index) => [
      tokens[index]!,
      documentOf(record)
    ])
  )
  const isOver = ({ id }: StoredRecord) => hasEnded(signals.get(id.slice(0, id.indexOf("/"))))
  const ended = taken.records.filter(isOver)
  const open = taken.records.filter((record) => !isOver(record))
  yield* bringForward(ended)
  const idOf = ({ id }: StoredRecord) => id.slice(id.indexOf("/") + 1)
  const gone = yield* goneOf(open.map(idOf))
  yield* putEach(open.map((record): Change => {
    const { document, id, version: expects } = record
    const isGone = gone.has(idOf(record))
    return {
      kind: waiterKind,
      id,
      expects,
      document: isGone ? null : document,
      ...isGone ? {} : { dueInMs: checkInMs }
    }
  }))
  return taken.nextDueAt === null ? Infinity : Math.max(0, taken.nextDueAt - taken.now)
})

/**
 * Queues that give no work. Each is a record, and its id is the queue's name. The claim of every driver reads these ids: this
 * is the one kind of records that drivers know.
 */
import { DateTime, Effect, Option, Schema } from "effect"
import { InvalidOption, type StoreError } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import { absent, all, RecordStore, remove, type StoredRecord } from "./RecordStore.ts"

/** The kind of these records. Their ids are the names of the queues, and they are due when the queue goes on by itself. */
export const kind = "paused-queue"

/** What is kept of a pause. */
const Document = Schema.fromJsonString(Schema.Struct({
  by: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String)
}))

const decode = Schema.decodeOption(Document)

/** Why a queue is paused, by whom, and for how long. */
export interface Reason {
  readonly by?: string | undefined
  readonly reason?: string | undefined
  /** When it goes on by itself: milliseconds since the epoch. */
  readonly until?: number | undefined
  /** The same in milliseconds from now on, by the store's clock. */
  readonly forMs?: number | undefined
}

/** A paused queue. Times are by the store's clock. */
export interface PausedQueue {
  readonly queue: string
  readonly by: string | null
  readonly reason: string | null
  readonly since: number
  readonly until: number | null
}

/** A put whose answer was lost may have been done. To pause or resume a queue twice does no harm, so the put is repeated. */
const repeated = {
  times: 3,
  while: ({ _tag }: { readonly _tag: string }) => _tag === "StoreError"
}

/** Queues that are paused at a time: each instance asks for their names, and every answer about queues has them. */
export const maxPaused = 1000

/** Stops claims from a queue; running tasks go on. A queue that is paused already is paused as it is said now. */
export const pause: (
  queue: string,
  reason?: Reason
) => Effect.Effect<void, InvalidOption | StoreError, RecordStore> = Effect.fnUntraced(
  function*(queue: string, { by, forMs, reason, until }: Reason = {}) {
    const store = yield* RecordStore
    const document = JSON.stringify({ by, reason })
    if (until !== undefined) {
      const { now } = yield* store.due(kind, 1)
      // A year that was mistyped would let a paused queue go on
      if (until <= now) {
        const expected = `a time after now, which is ${formatted(now)}`
        return yield* new InvalidOption({ option: "until", found: formatted(until), expected, index: 0 })
      }
    }
    const [known] = yield* store.get(kind, [queue])
    if (known === undefined && (yield* all(kind)).length >= maxPaused) {
      const expected = `one of at most ${maxPaused} paused queues: resume another one first`
      return yield* new InvalidOption({ option: "queue", found: queue, expected, index: 0 })
    }
    yield* store.put([{ kind, id: queue, expects: known?.version ?? absent, document, dueAt: until, dueInMs: forMs }])
  },
  // Another one paused or resumed it in between
  Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
  Effect.catchTag("RecordConflict", Effect.die),
  Effect.retry(repeated)
)

const formatted = (millis: number): string => DateTime.formatIso(utc(millis))

/** Lets claims take from a queue again. */
export const resume = (queue: string): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.asVoid(Effect.retry(remove(kind, queue), repeated))

/** The paused queues, in the order of their names. */
export const paused: Effect.Effect<ReadonlyArray<PausedQueue>, StoreError, RecordStore> = Effect.map(
  all(kind),
  (records) => records.map(read)
)

/** Their names alone. */
export const names: Effect.Effect<ReadonlyArray<string>, StoreError, RecordStore> = Effect.map(
  all(kind),
  (records) => records.map(({ id }) => id)
)

/** A pause that a queue is given, if it is paused. */
export const pauseOf = (queue: string): Effect.Effect<PausedQueue | null, StoreError, RecordStore> =>
  RecordStore.use((store) => store.get(kind, [queue])).pipe(
    Effect.map(([record]) => record === undefined ? null : read(record)),
    // What cannot be stored is not paused
    Effect.catchTag("InvalidOption", () => Effect.succeed(null))
  )

/** Queues that go on at a time. */
const batch = 100

/** Lets queues go on whose time has come, and answers their names and how many milliseconds the next one has left. */
export const resumeDue: Effect.Effect<
  { readonly resumed: ReadonlyArray<string>; readonly nextInMs: number },
  StoreError,
  RecordStore
> = Effect.gen(function*() {
  const store = yield* RecordStore
  const { nextDueAt, now, records } = yield* Effect.catchTag(store.due(kind, batch), "InvalidOption", Effect.die)
  /** All at once, or each for itself where one was resumed, or paused for longer, in between. */
  const end = (due: typeof records): Effect.Effect<ReadonlyArray<string>, StoreError> =>
    store.put(due.map(({ id, version }) => ({ kind, id, expects: version, document: null }))).pipe(
      Effect.as(due.map(({ id }) => id)),
      Effect.catchTags({
        RecordConflict: () =>
          due.length === 1
            ? Effect.succeed([])
            : Effect.map(Effect.forEach(due, (one) => end([one])), (ended) => ended.flat()),
        InvalidOption: Effect.die
      })
    )
  const resumed = records.length === 0 ? [] : yield* end(records)
  return { resumed, nextInMs: nextDueAt === null ? Infinity : Math.max(0, nextDueAt - now) }
})

const read = ({ document, dueAt, id, writtenAt }: StoredRecord): PausedQueue => {
  const { by, reason }: typeof Document.Type = Option.getOrElse(decode(document), () => ({}))
  return { queue: id, by: by ?? null, reason: reason ?? null, since: writtenAt, until: dueAt }
}

/**
 * What is paused: queues, types and keys. Each is a record, whose id is the name. The claim of every driver reads these ids; see
 * `Gates` for their kinds.
 */
import { DateTime, Effect, Option, Schema } from "effect"
import { InvalidOption, type StoreError } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import { absent, all, RecordStore, remove, type StoredRecord } from "./RecordStore.ts"

/** What is kept of a pause. */
const Document = Schema.fromJsonString(Schema.Struct({
  by: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String)
}))

const decode = Schema.decodeOption(Document)

/** Why something is paused, by whom, and for how long. */
export interface Reason {
  readonly by?: string | undefined
  readonly reason?: string | undefined
  /** When it goes on by itself: milliseconds since the epoch. */
  readonly until?: number | undefined
  /** The same in milliseconds from now on, by the store's clock. */
  readonly forMs?: number | undefined
}

/** Something that is paused. Times are by the store's clock. */
export interface Paused {
  readonly id: string
  readonly by: string | null
  readonly reason: string | null
  readonly since: number
  readonly until: number | null
}

/** What ended by itself, and how many milliseconds the next pause has left. */
export interface Ended {
  readonly resumed: ReadonlyArray<string>
  readonly nextInMs: number
}

/** Pauses of one kind. */
export interface Pauses {
  /** Stops claims; running tasks go on. What is paused already is paused as it is said now. */
  readonly pause: (id: string, reason?: Reason) => Effect.Effect<void, InvalidOption | StoreError, RecordStore>
  /** The same for so many milliseconds, unless it is paused for longer. */
  readonly pauseFor: (
    id: string,
    forMs: number,
    reason: Pick<Reason, "by" | "reason">
  ) => Effect.Effect<void, InvalidOption | StoreError, RecordStore>
  /** Lets claims go on. */
  readonly resume: (id: string) => Effect.Effect<void, StoreError, RecordStore>
  /** All that are paused, in the order of their ids. */
  readonly paused: Effect.Effect<ReadonlyArray<Paused>, StoreError, RecordStore>
  /** Their ids alone. */
  readonly names: Effect.Effect<ReadonlyArray<string>, StoreError, RecordStore>
  /** The pause of one, if it is paused. */
  readonly pauseOf: (id: string) => Effect.Effect<Paused | null, StoreError, RecordStore>
  /** Ends the pauses whose time has come. */
  readonly resumeDue: Effect.Effect<Ended, StoreError, RecordStore>
}

/** A put whose answer was lost may have been done. To pause or resume twice does no harm, so the put is repeated. */
const repeated = {
  times: 3,
  while: ({ _tag }: { readonly _tag: string }) => _tag === "StoreError"
}

/** Pauses of a kind at a time: each instance asks for their names. */
export const maxPaused = 1000

/** Pauses that end at a time. */
const batch = 100

const formatted = (millis: number): string => DateTime.formatIso(utc(millis))

/** Pauses of a kind. `option` is what its name is called where it is refused. */
export const of = (kind: string, option: "queue" | "type" | "key"): Pauses => {
  const pause = Effect.fnUntraced(
    function*(id: string, { by, forMs, reason, until }: Reason, keepsLonger: boolean) {
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
      const [known] = yield* store.get(kind, [id])
      if (keepsLonger && known !== undefined) {
        const { now } = yield* store.due(kind, 1)
        if (known.dueAt === null || known.dueAt >= now + (forMs ?? 0)) return
      }
      if (known === undefined && (yield* all(kind)).length >= maxPaused) {
        const expected = `one of at most ${maxPaused} paused ${option}s: resume another one first`
        return yield* new InvalidOption({ option, found: id, expected, index: 0 })
      }
      yield* store.put([{ kind, id, expects: known?.version ?? absent, document, dueAt: until, dueInMs: forMs }])
    },
    // Another one paused or resumed it in between
    Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict" }),
    Effect.catchTag("RecordConflict", Effect.die),
    Effect.retry(repeated)
  )
  return {
    pause: (id, reason = {}) => pause(id, reason, false),
    pauseFor: (id, forMs, reason) => pause(id, { ...reason, forMs }, true),
    resume: (id) => Effect.asVoid(Effect.retry(remove(kind, id), repeated)),
    paused: Effect.map(all(kind), (records) => records.map(read)),
    names: Effect.map(all(kind), (records) => records.map(({ id }) => id)),
    pauseOf: (id) =>
      RecordStore.use((store) => store.get(kind, [id])).pipe(
        Effect.map(([record]) => record === undefined ? null : read(record)),
        // What cannot be stored is not paused
        Effect.catchTag("InvalidOption", () => Effect.succeed(null))
      ),
    resumeDue: Effect.gen(function*() {
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
  }
}

const read = ({ document, dueAt, id, writtenAt }: StoredRecord): Paused => {
  const { by, reason }: typeof Document.Type = Option.getOrElse(decode(document), () => ({}))
  return { id, by: by ?? null, reason: reason ?? null, since: writtenAt, until: dueAt }
}

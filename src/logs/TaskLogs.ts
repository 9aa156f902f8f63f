/**
 * What the attempts at tasks have logged: a record per task, whose id is the task's. It goes with its task: `remove` takes it away at
 * once, and {@link sweep} finds the records of tasks that retention has removed, and those that are too old.
 *
 * Each instance writes the lines of the attempts that it runs. Two of them may write to one record, when a task was taken from an
 * instance that stood still: each replaces the entry of its own attempt and keeps the others.
 */
import { Array, type DateTime, Duration, Effect, Option, Schema } from "effect"
import { type InvalidOption, type RecordConflict, type StoreError } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import { maxHistory, type TaskRecord } from "../domain/TaskRecord.ts"
import { maxPutBytes, maxRecords } from "../store/RecordDriver.ts"
import { absent, type Change, RecordStore, removeUnchanged, type StoredRecord } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { LogBuffer } from "./LogBuffer.ts"
import { type Level, LogLine } from "./LogLine.ts"

export type { Level }

/** The kind of these records. They are due when it has to be looked whether their tasks are still there. */
export const kind = "task-log"

/** How long lines are kept, unless an engine says otherwise: as long as dead letters. */
export const defaultKeepFor: Duration.Duration = Duration.days(14)

/** Attempts of one task whose lines are kept at most: those that the task itself remembers, and the latest. */
const maxAttempts = maxHistory + 1

/** Bytes of UTF-8 in the lines that are kept of one task: those of its oldest attempts go first. */
export const maxTaskBytes: number = 192 * 1024

/** A line that a handler has logged. */
export interface LoggedLine {
  /** Its number among the lines of its attempt, from 1. Numbers that are missing are those of lines that were left out. */
  readonly number: number
  /** By the clock of the instance that ran the attempt. */
  readonly at: DateTime.Utc
  readonly level: Level
  readonly text: string
  readonly annotations: Readonly<Record<string, string | number | boolean>>
  /** Open log spans, in milliseconds. */
  readonly spans: Readonly<Record<string, number>>
  readonly cause: string | null
  /** Whether some of it was too long to be kept. */
  readonly isCut: boolean
}

/** What one attempt has logged. */
export interface LoggedAttempt {
  readonly attempt: number
  readonly claim: number
  readonly instance: string
  /** How many lines it has logged. */
  readonly logged: number
  /** How many of them are not kept: the first and the latest are. */
  readonly leftOut: number
  readonly lines: ReadonlyArray<LoggedLine>
}

const Entry = Schema.Struct({
  claim: Schema.Int,
  attempt: Schema.Int,
  instance: Schema.String,
  logged: Schema.Int,
  lines: Schema.Array(LogLine)
})

type Entry = typeof Entry.Type

/** Each entry is read by itself: one that a newer version has written does not hide the others. */
const Document = Schema.fromJsonString(Schema.Struct({ attempts: Schema.Array(Schema.Unknown) }))
const decode = Schema.decodeUnknownOption(Document)
const decodeEntry = Schema.decodeUnknownOption(Entry)

/** What an attempt has logged until now, to be written. */
export interface Part {
  readonly id: string
  readonly claim: number
  readonly attempt: number
  /** JSON text of its {@link Entry}. */
  readonly entry: string
  /** The version of the record, where it is known and has no other attempt in it. */
  readonly version: number | undefined
}

/** The JSON of an entry, from the JSON of its lines. */
export const entryOf = (
  { attempt, claim, instance }: { readonly attempt: number; readonly claim: number; readonly instance: string },
  logged: number,
  lines: string
): string =>
  `{"claim":${claim},"attempt":${attempt},"instance":${JSON.stringify(instance)},"logged":${logged},"lines":${lines}}`

/** A record that is to be written, and whether it has other attempts than those that write it. */
interface Draft {
  readonly change: Change
  readonly isShared: boolean
}

/** Bytes of documents in a put, below what a store takes. */
const maxBatchBytes = maxPutBytes / 2

/**
 * Writes what attempts have logged; repeating it changes nothing. Answers the versions by which the next write of a part needs no
 * read, by the id of the task.
 */
export const write = Effect.fnUntraced(function*(
  parts: ReadonlyArray<Part>,
  dueInMs: number
): Effect.fn.Return<ReadonlyMap<string, number>, InvalidOption | RecordConflict | StoreError, RecordStore> {
  const store = yield* RecordStore
  const versions = new Map<string, number>()
  const byTask = [...Map.groupBy(parts, ({ id }) => id).values()]
  const put = Effect.fnUntraced(function*(drafts: ReadonlyArray<Draft>) {
    const version = yield* store.put(drafts.map(({ change }) => change))
    for (const { change, isShared } of drafts) if (!isShared) versions.set(change.id, version)
  })
  /** With what is stored now, at the same time as others. */
  const alone = (group: ReadonlyArray<Part>) =>
    Effect.flatMap(drafted(store, [group], dueInMs, true), put).pipe(
      Effect.retry({ times: 5, while: ({ _tag }) => _tag === "RecordConflict" })
    )
  for (const groups of Array.chunksOf(byTask, maxRecords)) {
    for (const drafts of batches(yield* drafted(store, groups, dueInMs, false))) {
      yield* Effect.catchTag(put(drafts), "RecordConflict", () => {
        const ids = new Set(drafts.map(({ change }) => change.id))
        return Effect.forEach(groups.filter(([part]) => ids.has(part!.id)), alone, { discard: true })
      })
    }
  }
  return versions
})

/** What the records become, with the attempts that are in them already. */
const drafted = Effect.fnUntraced(function*(
  store: RecordStore["Service"],
  groups: ReadonlyArray<ReadonlyArray<Part>>,
  dueInMs: number,
  readAll: boolean
) {
  const mustRead = (parts: ReadonlyArray<Part>) => readAll || parts.length > 1 || parts[0]!.version === undefined
  const ids = groups.filter(mustRead).map(([part]) => part!.id)
  const found = new Map((yield* store.get(kind, ids)).map((record, index) => [ids[index]!, record]))
  return groups.map((parts): Draft => {
    const { id, version } = parts[0]!
    const record = found.get(id)
    const others = record === undefined ? [] : othersIn(record, parts)
    const attempts = newest([...others, ...parts]).map(({ entry }) => entry)
    const document = `{"attempts":[${attempts.join(",")}]}`
    const expects = mustRead(parts) ? record?.version ?? absent : version!
    return { change: { kind, id, expects, document, dueInMs }, isShared: others.length > 0 || parts.length > 1 }
  })
})

/** The attempt whose lines are added to those that are stored of it. */
export interface Addition {
  readonly id: string
  readonly claim: number
  readonly attempt: number
  readonly instance: string
  /** Adds the lines. */
  readonly addTo: (buffer: LogBuffer) => void
}

/** Adds to what an attempt has logged, also where another process has written that. */
export const append = Effect.fnUntraced(function*(
  addition: Addition,
  dueInMs: number
): Effect.fn.Return<void, InvalidOption | RecordConflict | StoreError, RecordStore> {
  const store = yield* RecordStore
  const { attempt, claim, id } = addition
  const [record] = yield* store.get(kind, [id])
  const known = record === undefined ? undefined : entriesOf(record).find((entry) => entry.claim === claim)
  const buffer = LogBuffer.from(known?.lines ?? [], known?.logged ?? 0)
  addition.addTo(buffer)
  const part = { id, claim, attempt, entry: entryOf(addition, buffer.logged, buffer.toJson()) }
  const others = record === undefined ? [] : othersIn(record, [{ ...part, version: undefined }])
  const document = `{"attempts":[${newest([...others, part]).map(({ entry }) => entry).join(",")}]}`
  yield* store.put([{ kind, id, expects: record?.version ?? absent, document, dueInMs }])
}, Effect.retry({ times: 10, while: (error) => error._tag === "RecordConflict" }))

type Kept = Pick<Part, "claim" | "attempt" | "entry">

/**
 * The entries of other attempts. A later attempt with an earlier claim belongs to a removed task that had the same id.
 */
const othersIn = (record: StoredRecord, parts: ReadonlyArray<Part>): ReadonlyArray<Kept> =>
  entriesOf(record)
    .filter(({ attempt, claim }) =>
      parts.every((part) =>
        part.claim !== claim && part.claim < claim === part.attempt < attempt && part.attempt !== attempt
      )
    )
    .map((entry) => ({ claim: entry.claim, attempt: entry.attempt, entry: JSON.stringify(entry) }))

/** The latest attempts that there is room for, the oldest first; the latest is always among them. */
const newest = (entries: ReadonlyArray<Kept>): ReadonlyArray<Kept> => {
  const latestFirst = entries.toSorted((a, b) => b.claim - a.claim).slice(0, maxAttempts)
  let bytes = 0
  const end = latestFirst.findIndex(({ entry }) => (bytes += Buffer.byteLength(entry)) > maxTaskBytes)
  return latestFirst.slice(0, end < 0 ? undefined : Math.max(1, end)).toReversed()
}

const entriesOf = ({ document }: StoredRecord): ReadonlyArray<Entry> =>
  Option.match(decode(document), {
    onNone: () => [],
    onSome: ({ attempts }) => attempts.flatMap((attempt) => Option.toArray(decodeEntry(attempt)))
  })

/** Parts of a list that a store takes in one put each. */
const batches = (drafts: ReadonlyArray<Draft>): ReadonlyArray<ReadonlyArray<Draft>> => {
  const found: Array<Array<Draft>> = []
  let bytes = Infinity
  for (const draft of drafts) {
    bytes += Buffer.byteLength(draft.change.document!)
    if (bytes > maxBatchBytes) {
      found.push([])
      bytes = Buffer.byteLength(draft.change.document!)
    }
    found.at(-1)!.push(draft)
  }
  return found
}

/**
 * What the attempts at a task have logged, the oldest attempt first: those that the task remembers. An attempt of a removed task that
 * had the same id is not one of them.
 */
export const read = (task: TaskRecord): Effect.Effect<ReadonlyArray<LoggedAttempt>, StoreError, RecordStore> =>
  RecordStore.use((store) => store.get(kind, [task.id])).pipe(
    Effect.catchTag("InvalidOption", Effect.die),
    Effect.map(([record]) => {
      const claims = new Set([task.claim, ...task.history.map(({ claim }) => claim)])
      return record === undefined ? [] : entriesOf(record).filter(({ claim }) => claims.has(claim)).map(loggedOf)
    })
  )

const loggedOf = ({ lines, ...entry }: Entry): LoggedAttempt => ({
  ...entry,
  leftOut: Math.max(0, entry.logged - lines.length),
  lines: lines.map(({ annotations = {}, at, cause = null, cut, level, n, spans = {}, text }) => ({
    number: n,
    at: utc(at),
    level,
    text,
    annotations,
    spans,
    cause,
    isCut: cut === true
  }))
})

/** Records that are deleted at a time: their documents are read with them. */
const batchSize = 25

/** Forgets what the attempts at removed tasks have logged. */
export const remove = (ids: ReadonlyArray<string>): Effect.Effect<void, StoreError, RecordStore> =>
  Effect.forEach(
    Array.chunksOf([...new Set(ids)], batchSize),
    (ids) =>
      RecordStore.use((store) => store.get(kind, ids)).pipe(
        Effect.catchTag("InvalidOption", Effect.die),
        Effect.flatMap((records) => removeUnchanged(kind, records.filter((record) => record !== undefined)))
      ),
    { discard: true }
  )

/** What a sweep has done. */
export interface Swept {
  readonly removed: number
  /** How long nothing is due, in milliseconds; `Infinity` where no record is left. */
  readonly nextInMs: number
}

/**
 * Looks at some records that are due: deletes those whose tasks are gone, and those that nothing was written to for `keepForMs`. The
 * others are due again after `againInMs`.
 */
export const sweep = Effect.fnUntraced(function*(
  tasks: Pick<TaskStore["Service"], "results">,
  { againInMs, keepForMs }: { readonly againInMs: number; readonly keepForMs: number }
): Effect.fn.Return<Swept, StoreError, RecordStore> {
  const store = yield* RecordStore
  const taken = yield* Effect.catchTag(store.take(kind, batchSize, againInMs), "InvalidOption", Effect.die)
  const gone: Array<StoredRecord> = []
  let left = taken.records.filter((record) => {
    const isOld = record.writtenAt + keepForMs <= taken.now
    if (isOld) gone.push(record)
    return !isOld
  })
  while (left.length > 0) {
    const outcomes = yield* tasks.results(left.map(({ id }) => id), maxPutBytes)
    outcomes.forEach((outcome, index) => {
      if (outcome === null) gone.push(left[index]!)
    })
    left = left.slice(outcomes.length)
  }
  yield* removeUnchanged(kind, gone)
  return {
    removed: gone.length,
    nextInMs: taken.nextDueAt === null ? Infinity : Math.max(0, taken.nextDueAt - taken.now)
  }
})

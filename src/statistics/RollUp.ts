/**
 * Adds up each level of statistics from the one before, a chunk at a time, and removes what is older than it is kept. The leader does it.
 *
 * A record says how far each level was added up. It is written together with each chunk, so that two instances that both think they lead
 * add up no chunk twice, and a lost reply makes no chunk come twice.
 */
import { Effect, Layer, Option, Schema } from "effect"
import type { InvalidOption, RecordConflict, StoreError } from "../domain/Errors.ts"
import { Leader } from "../maintenance/Leader.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { absent, RecordStore, removeUnchanged, type StoredRecord } from "../store/RecordStore.ts"
import * as Bucket from "./Bucket.ts"
import * as Chunk from "./Chunk.ts"
import * as Levels from "./Levels.ts"
import * as StatisticsRecords from "./StatisticsRecords.ts"

/** How often it is looked whether there is something to add up, in milliseconds. */
const everyMs = 60_000

/** Until when each level was added up, in milliseconds since the epoch; the first one says nothing. */
export interface Progress {
  readonly untilMs: ReadonlyArray<number>
  /** Of the record. */
  readonly version: number
}

const Document = Schema.fromJsonString(Schema.Struct({ until: Schema.Array(Schema.Finite) }))
const decode = Schema.decodeUnknownOption(Document)

/**
 * Adds up while this instance leads, until the scope closes: also where it records nothing itself, since others may, and what was recorded
 * before has its time.
 */
export const layer: Layer.Layer<never, never, RecordStore | Supervisor | Leader> = Layer.effectDiscard(
  Effect.gen(function*() {
    const leader = yield* Leader
    const supervisor = yield* Supervisor
    const records = yield* RecordStore
    yield* supervisor.rounds(
      "statistics roll-up",
      Effect.gen(function*() {
        if (yield* leader.leads) yield* rollUp(records)
        return everyMs
      })
    )
  })
)

/** How far the levels were added up; `undefined` where none was yet. */
export const progress = (
  records: RecordStore["Service"]
): Effect.Effect<Progress | undefined, StoreError> =>
  Effect.map(
    Effect.catchTag(records.get(StatisticsRecords.kind, [StatisticsRecords.progressId]), "InvalidOption", Effect.die),
    ([record]) =>
      record === undefined ? undefined : {
        version: record.version,
        untilMs: Option.match(decode(record.document), { onNone: () => [], onSome: ({ until }) => until })
      }
  )

/** Adds up all that is complete, and removes what is old. Another one may do it at the same time. */
export const rollUp = (
  records: RecordStore["Service"]
): Effect.Effect<void, StoreError | InvalidOption> =>
  Effect.gen(function*() {
    const now = yield* StatisticsRecords.clock(records)
    let done = yield* progress(records)
    if (done === undefined) {
      const first = yield* StatisticsRecords.firstFrom(records, 0, 0)
      return first === undefined ? undefined : yield* begin(records, StatisticsRecords.startOf(first.id))
    }
    done = yield* takeBack(records, done, now)
    for (let level = 1; level < Levels.levels.length; level++) {
      for (let more = true; more;) {
        const next: Progress | undefined = yield* rollUpNext(records, level, done, now)
        more = next !== undefined
        done = next ?? done
      }
    }
    for (let level = 0; level < Levels.levels.length; level++) yield* sweep(records, level, done, now)
  }).pipe(
    // Another one has done it, or this one whose reply was lost
    Effect.catchTag("RecordConflict", () => Effect.void)
  )

const begin = (records: RecordStore["Service"], firstMs: number) =>
  Effect.asVoid(records.put([
    changeOf({ untilMs: Levels.levels.map(({ chunkMs }) => Levels.startOf(firstMs, chunkMs)), version: absent })
  ]))

/**
 * Forgets what was added up in times that are still to come: the store's clock was far ahead, and was set back. What happens in these
 * times would never be added up otherwise.
 */
const takeBack = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  done: Progress,
  now: number
): Effect.fn.Return<Progress, StoreError | InvalidOption | RecordConflict> {
  if (!Levels.levels.some(({ chunkMs }, level) => level > 0 && (done.untilMs[level] ?? 0) > now + chunkMs)) return done
  for (let level = 1; level < Levels.levels.length; level++) {
    const from = Levels.startOf(now, Levels.levels[level]!.chunkMs)
    yield* remove(records, yield* StatisticsRecords.between(records, level, from, Infinity))
  }
  const untilMs = Levels.levels.map(({ chunkMs }, level) =>
    Math.min(done.untilMs[level] ?? Infinity, Levels.startOf(now, chunkMs))
  )
  return { untilMs, version: yield* records.put([changeOf({ untilMs, version: done.version })]) }
})

const changeOf = ({ untilMs, version }: Progress) => ({
  kind: StatisticsRecords.kind,
  id: StatisticsRecords.progressId,
  expects: version,
  document: JSON.stringify({ until: untilMs })
})

/** Adds up the next chunk of a level, or leaves out the time before it in which nothing was recorded. */
const rollUpNext = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  level: number,
  done: Progress,
  now: number
): Effect.fn.Return<Progress | undefined, StoreError | InvalidOption | RecordConflict> {
  const { chunkMs, stepMs } = Levels.levels[level]!
  const knownUntil = level === 1 ? now - Levels.graceMs : done.untilMs[level - 1] ?? 0
  const end = Levels.startOf(knownUntil, chunkMs)
  const from = Levels.startOf(done.untilMs[level] ?? end, chunkMs)
  if (from >= end) return undefined
  const first = yield* StatisticsRecords.firstFrom(records, level - 1, from)
  const start = first === undefined ? end : Levels.startOf(StatisticsRecords.startOf(first.id), chunkMs)
  if (start >= end) return yield* put(records, level, done, end, [])
  const found = yield* StatisticsRecords.between(records, level - 1, start, start + chunkMs)
  const chunk = summed(found.map(({ document }) => Chunk.decode(document)), stepMs)
  const id = StatisticsRecords.idOf(level, start)
  const change = { kind: StatisticsRecords.kind, id, expects: absent, document: Chunk.encode(chunk) }
  return yield* put(records, level, done, start + chunkMs, [change])
})

const put = (
  records: RecordStore["Service"],
  level: number,
  { untilMs, version }: Progress,
  until: number,
  changes: Parameters<RecordStore["Service"]["put"]>[0]
) => {
  const next = Levels.levels.map((_, index) => index === level ? until : untilMs[index] ?? until)
  return Effect.map(
    records.put([...changes, changeOf({ untilMs: next, version })]),
    (version): Progress => ({ untilMs: next, version })
  )
}

/** Chunks in buckets of another width: first those of the same time together, then the times one behind the other. */
export const summed = (chunks: ReadonlyArray<Chunk.Chunk>, stepMs: number): Map<number, Bucket.Bucket> => {
  const joined = new Map<number, Bucket.Bucket>()
  for (const chunk of chunks) {
    for (const [at, bucket] of chunk) {
      const known = joined.get(at)
      if (known === undefined) joined.set(at, bucket)
      else Bucket.join(known, bucket)
    }
  }
  const sums = new Map<number, Bucket.Bucket>()
  for (const at of [...joined.keys()].sort((a, b) => a - b)) {
    const start = Levels.startOf(at, stepMs)
    let sum = sums.get(start)
    if (sum === undefined) sums.set(start, sum = Bucket.empty())
    Bucket.addTime(sum, joined.get(at)!)
  }
  return sums
}

/** Removes chunks of a level that are older than they are kept, and were added up. */
const sweep = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  level: number,
  { untilMs }: Progress,
  now: number
): Effect.fn.Return<void, StoreError> {
  const { chunkMs, keepMs } = Levels.levels[level]!
  const addedUntil = untilMs[level + 1] ?? Infinity
  const until = Math.min(now - keepMs, addedUntil) - chunkMs + 1
  const first = yield* StatisticsRecords.firstFrom(records, level, 0)
  if (first === undefined || StatisticsRecords.startOf(first.id) >= until) return
  yield* remove(records, yield* StatisticsRecords.between(records, level, 0, until))
})

const remove = Effect.fnUntraced(function*(records: RecordStore["Service"], old: ReadonlyArray<StoredRecord>) {
  for (let index = 0; index < old.length; index += pageSize) {
    yield* Effect.provideService(
      removeUnchanged(StatisticsRecords.kind, old.slice(index, index + pageSize)),
      RecordStore,
      records
    )
  }
})

/** Records that are removed at a time. */
const pageSize = 100

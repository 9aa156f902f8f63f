/**
 * What has happened in a time, up to a month ago: how many tasks were enqueued, started and ended, how many waited and for how long, how
 * long they ran, and how busy the slots were. It is kept in the store, so every process on the store gives the same answer, also after
 * all of them were started again.
 *
 * ```text
 * store, pool ─► Tally ─► StatisticsRecorder: 10 s ─► RecordStore ─► RollUp: 1 min, 10 min, 1 h ─► Statistics
 *                              ▲ DepthSampler, where it leads
 * ```
 */
import { Context, DateTime, Duration, Effect, Layer } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { InvalidOption, StoreError } from "../domain/Errors.ts"
import * as Fingerprint from "../domain/Fingerprint.ts"
import { utc } from "../domain/StoredTime.ts"
import { RecordStore } from "../store/RecordStore.ts"
import type * as Bucket from "./Bucket.ts"
import * as Chunk from "./Chunk.ts"
import * as ErrorGroups from "./ErrorGroups.ts"
import * as Levels from "./Levels.ts"
import * as RollUp from "./RollUp.ts"
import * as Series from "./Series.ts"
import * as StatisticsRecords from "./StatisticsRecords.ts"

/** What time is asked about. */
export interface StatisticsOptions {
  /** Where it begins, 31 days before now at most. */
  readonly from?: DateTime.Utc | undefined
  /** How long before its end it begins, where `from` is left out. Default one hour. */
  readonly last?: Duration.Input | undefined
  /** Where it ends: now, when left out. */
  readonly to?: DateTime.Utc | undefined
  /** The width of a point: it is rounded up to one that was kept, and so that there are {@link Series.maxPoints} points at most. */
  readonly step?: Duration.Input | undefined
  /** The instance whose slots are told apart. */
  readonly instance?: string | undefined
}

/** What has happened. */
export interface StatisticsView extends Series.Series {
  /** Where the first point begins, and where the last one ends. */
  readonly from: DateTime.Utc
  readonly to: DateTime.Utc
  /** The width of a point. */
  readonly step: Duration.Duration
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** What failed in a time, by what the failures have in common. */
export interface ErrorsView {
  readonly from: DateTime.Utc
  readonly to: DateTime.Utc
  /** The width of a column: 60 of them tell how often each happened. */
  readonly step: Duration.Duration
  /** The store's clock. */
  readonly now: DateTime.Utc
  /** Those that happened most first. */
  readonly groups: ReadonlyArray<ErrorView>
  /** Failures that have no group of their own: a hundred have. */
  readonly others: number
}

/** Failures of attempts that differ in ids and numbers alone. */
export interface ErrorView extends Fingerprint.Fingerprint {
  /** Attempts that failed for good, and those that were followed by another one. */
  readonly failed: number
  readonly retried: number
  /** When they were first and last seen in this time: within ten seconds. */
  readonly firstAt: DateTime.Utc
  readonly lastAt: DateTime.Utc
  /** The id of a task that failed so last. */
  readonly latest: string
  /** Both kinds together, in each column. */
  readonly columns: ReadonlyArray<number>
}

/** The time that is told of, unless another one is asked for. */
const defaultSpan = Duration.hours(1)

/** Points of an answer, unless another step is asked for. */
const usualPoints = 360

const names: Bounds.Names<StatisticsOptions> = { from: 1, to: 1, last: 1, step: 1, instance: 1 }
const errorNames: Bounds.Names<Pick<StatisticsOptions, "from" | "to" | "last">> = { from: 1, to: 1, last: 1 }

/** Columns that tell how often an error happened; there may be one more. */
const errorColumns = 60

const alone: Bounds.Bound<Duration.Input> = { expected: "either from or last, not both", accepts: () => false }
const before: Bounds.Bound<DateTime.Utc> = { expected: "a time before the end", accepts: () => false }
const recent: Bounds.Bound<DateTime.Utc> = { expected: "a time within the last 31 days", accepts: () => false }

/** Tells what has happened. */
export class Statistics extends Context.Service<Statistics, {
  /**
   * What has happened in a time.
   *
   * @example
   * ```ts
   * const failedInTheLastHour = Statistics.use((statistics) =>
   *   Effect.map(statistics.read(), ({ counts }) => counts.failed.reduce((sum, count) => sum + count, 0))
   * )
   * ```
   */
  readonly read: (options?: StatisticsOptions) => Effect.Effect<StatisticsView, InvalidOption | StoreError>
  /** Which failures happened in a time, and how often. */
  readonly errors: (
    options?: Pick<StatisticsOptions, "from" | "to" | "last">
  ) => Effect.Effect<ErrorsView, InvalidOption | StoreError>
}>()("taskforge/statistics/Statistics") {
  /** Reads a store. */
  static readonly layer: Layer.Layer<Statistics, never, RecordStore> = Layer.effect(
    Statistics,
    Effect.map(RecordStore, (records) =>
      Statistics.of({
        read: (options = {}) => read(records, options),
        errors: (options = {}) => errors(records, options)
      }))
  )
}

const read = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  options: StatisticsOptions
): Effect.fn.Return<StatisticsView, InvalidOption | StoreError> {
  const invalid = Bounds.refuseUnknown(options, names) ?? Bounds.refuse("step", Bounds.timeout, options.step) ??
    Bounds.refuse("instance", Bounds.name, options.instance)
  if (invalid !== undefined) return yield* invalid
  const { buckets, grid, now } = yield* look(
    records,
    options,
    (spanMs) => options.step === undefined ? spanMs / usualPoints : Duration.toMillis(options.step)
  )
  return { ...viewOf(grid, now), ...Series.make(buckets, grid, options.instance) }
})

const errors = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  options: Pick<StatisticsOptions, "from" | "to" | "last">
): Effect.fn.Return<ErrorsView, InvalidOption | StoreError> {
  const invalid = Bounds.refuseUnknown(options, errorNames)
  if (invalid !== undefined) return yield* invalid
  const { buckets, grid, now } = yield* look(records, options, (spanMs) => spanMs / errorColumns)
  const all: ErrorGroups.ErrorGroups = new Map()
  for (const { errors } of buckets.values()) ErrorGroups.addAll(all, errors)
  const sum = new Map(ErrorGroups.bounded(all))
  const starts = Array.from(
    { length: (grid.toMs - grid.fromMs) / grid.stepMs },
    (_, column) => buckets.get(grid.fromMs + column * grid.stepMs)
  )
  const rest = sum.get(ErrorGroups.nameOfOthers)
  sum.delete(ErrorGroups.nameOfOthers)
  return {
    ...viewOf(grid, now),
    groups: ErrorGroups.byCount(sum).map(({ firstMs, lastMs, ...group }) => ({
      ...group,
      firstAt: utc(firstMs),
      lastAt: utc(lastMs),
      columns: starts.map((bucket) => {
        const found = bucket?.errors.get(Fingerprint.nameOf(group))
        return found === undefined ? 0 : ErrorGroups.countOf(found)
      })
    })),
    others: rest === undefined ? 0 : ErrorGroups.countOf(rest)
  }
})

const viewOf = (grid: Series.Grid, now: number) => ({
  from: utc(grid.fromMs),
  to: utc(grid.toMs),
  step: Duration.millis(grid.stepMs),
  now: utc(now)
})

/** The buckets of a time, as wide as `widthOf` wants them for how long it is, in milliseconds. */
const look = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  options: StatisticsOptions,
  widthOf: (spanMs: number) => number
): Effect.fn.Return<
  { readonly buckets: Map<number, Bucket.Bucket>; readonly grid: Series.Grid; readonly now: number },
  InvalidOption | StoreError
> {
  const invalid = Bounds.refuse("from", Bounds.runAt, options.from) ?? Bounds.refuse("to", Bounds.runAt, options.to) ??
    Bounds.refuse("last", options.from === undefined ? Bounds.span : alone, options.last)
  if (invalid !== undefined) return yield* invalid
  const now = yield* StatisticsRecords.clock(records)
  const to = Math.min(options.to === undefined ? now : DateTime.toEpochMillis(options.to), now)
  const asked = options.from === undefined
    ? to - Duration.toMillis(options.last ?? defaultSpan)
    : DateTime.toEpochMillis(options.from)
  const from = Math.max(asked, now - Levels.maxSpanMs)
  const refused = asked >= to
    ? Bounds.refuse("from", before, options.from)
    : from >= to
    ? Bounds.refuse("to", recent, options.to)
    : undefined
  if (refused !== undefined) return yield* refused
  const wanted = widthOf(to - from)
  const level = Levels.levelFor(from, wanted, now)
  const grid = gridOf(from, to, Math.max(wanted, (to - from) / Series.maxPoints), Levels.levels[level]!.stepMs)
  const chunks = yield* chunksOf(records, level, grid.fromMs, grid.toMs)
  return { buckets: RollUp.summed(chunks, grid.stepMs), grid, now }
})

/** The points of a time: as wide as asked for, in whole buckets, and as a clock has them. */
const gridOf = (from: number, to: number, wantedMs: number, levelMs: number): Series.Grid => {
  const stepMs = Math.max(1, Math.ceil(wantedMs / levelMs - 0.001)) * levelMs
  return { fromMs: Levels.startOf(from, stepMs), toMs: Levels.startOf(to - 1, stepMs) + stepMs, stepMs }
}

/** What was added up of a time, and of what was not yet, what there is to be added up. */
const chunksOf = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  level: number,
  fromMs: number,
  toMs: number
): Effect.fn.Return<ReadonlyArray<Chunk.Chunk>, StoreError> {
  const done = level === 0 ? undefined : yield* RollUp.progress(records)
  const found: Array<Chunk.Chunk> = []
  let start = fromMs
  for (let each = level; each >= 0 && start < toMs; each--) {
    const { chunkMs } = Levels.levels[each]!
    const until = each === 0 ? toMs : Math.min(toMs, done?.untilMs[each] ?? start)
    if (until <= start) continue
    const inTime = yield* StatisticsRecords.between(records, each, Levels.startOf(start, chunkMs), until)
    for (const { document } of inTime) found.push(within(Chunk.decode(document), start, until))
    start = until
  }
  return found
})

const within = (chunk: Chunk.Chunk, fromMs: number, untilMs: number): Map<number, Bucket.Bucket> =>
  new Map([...chunk].filter(([at]) => at >= fromMs && at < untilMs))

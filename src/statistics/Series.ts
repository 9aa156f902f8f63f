/** What charts show of buckets: a number for each point in time, and a table of queues and types. */
import { quantiles } from "../observability/LogHistogram.ts"
import { type Counted, counted, type SlotTally } from "../observability/Tally.ts"
import * as Bucket from "./Bucket.ts"

/** Points of an answer at most. */
export const maxPoints = 750

/** Points of what is told of each instance, and of each queue and type, at most. */
export const maxColumns = 60

/** Which points there are. */
export interface Grid {
  readonly fromMs: number
  readonly toMs: number
  readonly stepMs: number
}

/** The times, in milliseconds, below which half, 95 and 99 of a hundred are; `null` where there was none. */
export interface Quantiles<A> {
  readonly p50: A
  readonly p95: A
  readonly p99: A
}

/** Counts of things that happened. */
export type Counts<A> = { readonly [What in Counted | "crashed"]: A }

/** Unfinished tasks; `null` where they were not counted. */
export interface Depths<A> {
  readonly scheduled: A
  readonly pending: A
  readonly running: A
}

/** How busy the slots of an instance were. */
export interface InstanceSeries {
  readonly id: string
  /** The share of the time of all slots, from 0 to 1, for each column; `null` where it was not there. */
  readonly busy: ReadonlyArray<number | null>
  /** The same of each slot, the first one first, where that was asked for. */
  readonly slots?: ReadonlyArray<ReadonlyArray<number | null>> | undefined
}

/** What has happened to the tasks of a queue and type. */
export interface TypeSeries {
  readonly queue: string
  readonly type: string
  /** In all the time. */
  readonly counts: { readonly [What in Counted]: number }
  readonly wait: Quantiles<number | null>
  readonly run: Quantiles<number | null>
  /** Those that waited, on average in the last point in which they were counted; `null` where they never were. */
  readonly pending: number | null
  readonly scheduled: number | null
  readonly running: number | null
  /** How long the first of those that waited had waited then, at most. */
  readonly oldestMs: number | null
  /** How long it would take to start those that waited, if no other came and as many started as in the last columns. */
  readonly drainMs: number | null
  /** For each column. */
  readonly started: ReadonlyArray<number>
  readonly failed: ReadonlyArray<number>
  readonly waiting: ReadonlyArray<number | null>
}

/** What has happened in a time. */
export interface Series {
  /** For each point. */
  readonly counts: Counts<ReadonlyArray<number>>
  readonly depth: Depths<ReadonlyArray<number | null>>
  readonly oldestMs: ReadonlyArray<number | null>
  readonly wait: Quantiles<ReadonlyArray<number | null>>
  readonly run: Quantiles<ReadonlyArray<number | null>>
  /** Points that make a column of what follows. */
  readonly pointsPerColumn: number
  readonly instances: ReadonlyArray<InstanceSeries>
  /** Those to which most has happened first. */
  readonly types: ReadonlyArray<TypeSeries>
}

/** Columns by which it is judged how fast tasks start. */
const drainColumns = 3

const shares = [0.5, 0.95, 0.99]

/** The series of buckets, whose steps are those of the grid. */
export const make = (buckets: ReadonlyMap<number, Bucket.Bucket>, grid: Grid, instance?: string): Series => {
  const pointsPerColumn = Math.ceil((grid.toMs - grid.fromMs) / grid.stepMs / maxColumns)
  const points = sequence(buckets, grid)
  const wide = new Map<number, Bucket.Bucket>()
  const columnMs = grid.stepMs * pointsPerColumn
  for (const [index, bucket] of points.entries()) {
    const at = grid.fromMs + Math.floor(index / pointsPerColumn) * columnMs
    let column = wide.get(at)
    if (column === undefined) wide.set(at, column = Bucket.empty())
    if (bucket !== undefined) Bucket.addTime(column, bucket)
  }
  const columns = [...wide.values()]
  const sum = Bucket.empty()
  for (const column of columns) Bucket.addTime(sum, column)
  return {
    counts: {
      ...byCounted((what) => points.map((bucket) => totalOf(bucket, what))),
      crashed: points.map((bucket) => bucket?.crashed ?? 0)
    },
    depth: {
      scheduled: points.map((bucket) => average(bucket?.depth.scheduled, bucket?.depth.samples)),
      pending: points.map((bucket) => average(bucket?.depth.pending, bucket?.depth.samples)),
      running: points.map((bucket) => average(bucket?.depth.running, bucket?.depth.samples))
    },
    oldestMs: points.map((bucket) => oldestOf(bucket)),
    wait: byPoint(points, "wait"),
    run: byPoint(points, "run"),
    pointsPerColumn,
    instances: [...sum.instances.keys()].sort().map((id) => instanceOf(id, columns, id === instance)),
    types: Bucket.byActivity(sum).map((lane) => laneOf(lane, points, columns, columnMs))
  }
}

const byCounted = <A>(value: (what: Counted) => A): { readonly [What in Counted]: A } =>
  Object.fromEntries(counted.map((what) => [what, value(what)])) as { readonly [What in Counted]: A }

/** The bucket of each point, where anything is known of it. */
const sequence = (
  buckets: ReadonlyMap<number, Bucket.Bucket>,
  { fromMs, stepMs, toMs }: Grid
): ReadonlyArray<Bucket.Bucket | undefined> =>
  Array.from({ length: Math.round((toMs - fromMs) / stepMs) }, (_, index) => buckets.get(fromMs + index * stepMs))

const totalOf = (bucket: Bucket.Bucket | undefined, what: Counted): number => {
  let total = what === "cancelled" ? bucket?.cancelled ?? 0 : 0
  for (const lane of bucket?.lanes.values() ?? []) total += lane[what]
  return total
}

const average = (sum: number | undefined = 0, samples: number | undefined = 0): number | null =>
  samples === 0 ? null : Math.round(sum / samples * 10) / 10

const oldestOf = (bucket: Bucket.Bucket | undefined): number | null => {
  if (bucket === undefined || bucket.laneSamples === 0) return null
  let oldest = 0
  for (const { oldestMs } of bucket.lanes.values()) oldest = Math.max(oldest, oldestMs)
  return Math.round(oldest)
}

const quantilesOf = (histogram: Parameters<typeof quantiles>[0]): Quantiles<number | null> => {
  const [p50 = null, p95 = null, p99 = null] = quantiles(histogram, shares).map(rounded)
  return { p50, p95, p99 }
}

/** A quantile is known to some percent. */
const rounded = (ms: number | null): number | null => ms === null ? null : Number(ms.toPrecision(3))

const byPoint = (
  points: ReadonlyArray<Bucket.Bucket | undefined>,
  which: "wait" | "run"
): Quantiles<ReadonlyArray<number | null>> => {
  const found = points.map((bucket) => quantilesOf(bucket?.[which] ?? new Map()))
  return { p50: found.map(({ p50 }) => p50), p95: found.map(({ p95 }) => p95), p99: found.map(({ p99 }) => p99) }
}

const instanceOf = (id: string, columns: ReadonlyArray<Bucket.Bucket>, withSlots: boolean): InstanceSeries => {
  const tallies = columns.map(({ instances }) => instances.get(id))
  const count = Math.max(0, ...tallies.map((tally) => tally?.bySlot.length ?? 0))
  return {
    id,
    busy: tallies.map((tally) => shareOf(tally?.busyMs, tally?.slotMs)),
    ...withSlots && {
      slots: Array.from({ length: count }, (_, slot) => tallies.map((tally) => slotShare(tally, slot)))
    }
  }
}

const slotShare = (tally: SlotTally | undefined, slot: number): number | null =>
  tally?.bySlot[slot] === undefined ? null : shareOf(tally.bySlot[slot], tally.forMs)

const shareOf = (ms: number | undefined = 0, of: number | undefined = 0): number | null =>
  of === 0 ? null : Math.round(Math.min(1, ms / of) * 1000) / 1000

const laneOf = (
  lane: Bucket.Lane,
  points: ReadonlyArray<Bucket.Bucket | undefined>,
  columns: ReadonlyArray<Bucket.Bucket>,
  columnMs: number
): TypeSeries => {
  const name = `${lane.queue}\u0000${lane.type}`
  const found = columns.map(({ lanes }) => lanes.get(name))
  const started = found.map((lane) => lane?.started ?? 0)
  const sampled = points.findLast((bucket) => bucket !== undefined && bucket.laneSamples > 0)
  const last = sampled?.lanes.get(name)
  const depthOf = (which: "pending" | "scheduled" | "running") => average(last?.[which], sampled?.laneSamples)
  const pending = depthOf("pending")
  const recent = started.slice(-drainColumns).reduce((sum, count) => sum + count, 0)
  return {
    queue: lane.queue,
    type: lane.type,
    counts: byCounted((what) => lane[what]),
    wait: quantilesOf(lane.wait),
    run: quantilesOf(lane.run),
    pending,
    scheduled: depthOf("scheduled"),
    running: depthOf("running"),
    oldestMs: sampled === undefined ? null : Math.round(last?.oldestMs ?? 0),
    drainMs: pending === null || pending === 0
      ? pending
      : recent === 0
      ? null
      : Math.round(pending / recent * Math.min(drainColumns, columns.length) * columnMs),
    started,
    failed: found.map((lane) => (lane?.failed ?? 0) + (lane?.retried ?? 0)),
    waiting: found.map((lane, index) => average(lane?.pending, columns[index]!.laneSamples))
  }
}

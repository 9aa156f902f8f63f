/**
 * What happened in a stretch of time: of one instance, or of all together. Buckets are added up: those of several instances in the same
 * time, and those of several times.
 */
import { other } from "../observability/ErrorTally.ts"
import { addAll, type LogHistogram } from "../observability/LogHistogram.ts"
import {
  counted,
  emptyLane as emptyTally,
  type LaneTally,
  maxLanes,
  maxSlots,
  type SlotTally,
  type Taken
} from "../observability/Tally.ts"
import * as ErrorGroups from "./ErrorGroups.ts"

/** How many tasks were not finished. Each number is the sum of so many samples. */
export interface Depth {
  samples: number
  scheduled: number
  pending: number
  running: number
}

/** The tasks of a queue and type. */
export interface Lane extends LaneTally {
  /** Sums of the samples that {@link Bucket.laneSamples} counts. */
  pending: number
  running: number
  scheduled: number
  /** How long the first of those that wait had waited, at most, in milliseconds. */
  oldestMs: number
}

/** What happened in a stretch of time. */
export interface Bucket {
  readonly lanes: Map<string, Lane>
  /** Of each instance, by its name, that has slots. */
  readonly instances: Map<string, SlotTally>
  /** Failures of attempts, by what they have in common. */
  readonly errors: ErrorGroups.ErrorGroups
  readonly depth: Depth
  /** Of all queues and types, as in {@link LaneTally}. */
  readonly wait: LogHistogram
  readonly run: LogHistogram
  /** How often the unfinished tasks were counted by queue and type. */
  laneSamples: number
  /** Waiting tasks that were cancelled. */
  cancelled: number
  /** Leases that ran out. */
  crashed: number
}

/** What the leader has found in the store. */
export interface DepthSample {
  readonly scheduled: number
  readonly pending: number
  readonly running: number
  /** By queue and type, where they were counted. */
  readonly lanes:
    | ReadonlyArray<{
      readonly queue: string
      readonly type: string
      readonly scheduled: number
      readonly pending: number
      readonly running: number
      readonly oldestMs: number
    }>
    | undefined
}

/** Instances that are told apart at most. */
const maxInstances = 50

/** Nothing happened. */
export const empty = (): Bucket => ({
  lanes: new Map(),
  instances: new Map(),
  errors: new Map(),
  depth: { samples: 0, scheduled: 0, pending: 0, running: 0 },
  wait: new Map(),
  run: new Map(),
  laneSamples: 0,
  cancelled: 0,
  crashed: 0
})

/** A queue and type of a bucket; beyond {@link maxLanes} of them one for all others. */
export const laneOf = (bucket: Bucket, queue: string, type: string): Lane => {
  const name = `${queue}\u0000${type}`
  const known = bucket.lanes.get(name)
  if (known !== undefined) return known
  if (bucket.lanes.size >= maxLanes && (queue !== other || type !== other)) return laneOf(bucket, other, other)
  const lane = emptyLane(queue, type)
  bucket.lanes.set(name, lane)
  return lane
}

const emptyLane = (queue: string, type: string): Lane => ({
  ...emptyTally(queue, type),
  pending: 0,
  running: 0,
  scheduled: 0,
  oldestMs: 0
})

/** What an instance has seen in a stretch of time that begins then, and what it has found in the store where it leads. */
export const ofInstance = (
  instance: string,
  startMs: number,
  taken: Taken,
  sample: DepthSample | undefined
): Bucket => {
  const bucket: Bucket = { ...empty(), errors: ErrorGroups.seenAt(taken.errors, startMs) }
  bucket.cancelled = taken.cancelled
  bucket.crashed = taken.crashed
  if (taken.slots !== undefined) bucket.instances.set(instance, taken.slots)
  for (const tally of taken.lanes) {
    addTally(laneOf(bucket, tally.queue, tally.type), tally)
    addAll(bucket.wait, tally.wait)
    addAll(bucket.run, tally.run)
  }
  if (sample === undefined) return bucket
  addDepth(bucket.depth, { ...sample, samples: 1 })
  if (sample.lanes === undefined) return bucket
  bucket.laneSamples = 1
  for (const { oldestMs, pending, queue, running, scheduled, type } of sample.lanes) {
    addLaneDepth(laneOf(bucket, queue, type), { pending, running, scheduled, oldestMs })
  }
  return bucket
}

/** Whether it tells of nothing. */
export const isEmpty = ({ cancelled, crashed, depth, instances, lanes }: Bucket): boolean =>
  lanes.size === 0 && instances.size === 0 && depth.samples === 0 && cancelled === 0 && crashed === 0

/** Adds what happened in the same time, seen by another instance: the depth is that of one of them, as both saw the same tasks. */
export const join = (bucket: Bucket, other: Bucket): void => {
  const isSampled = bucket.depth.samples > 0
  const isSampledByLane = bucket.laneSamples > 0
  addEvents(bucket, other)
  if (!isSampled) addDepth(bucket.depth, other.depth)
  if (!isSampledByLane) addLaneDepths(bucket, other)
}

/** Adds what happened in another stretch of time. */
export const addTime = (bucket: Bucket, other: Bucket): void => {
  addEvents(bucket, other)
  addDepth(bucket.depth, other.depth)
  addLaneDepths(bucket, other)
}

const addEvents = (bucket: Bucket, other: Bucket): void => {
  bucket.cancelled += other.cancelled
  bucket.crashed += other.crashed
  addAll(bucket.wait, other.wait)
  addAll(bucket.run, other.run)
  for (const lane of byActivity(other)) addTally(laneOf(bucket, lane.queue, lane.type), lane)
  ErrorGroups.addAll(bucket.errors, other.errors)
  for (const [instance, slots] of other.instances) addSlots(bucket.instances, instance, slots)
}

/** Those to which most has happened first, so that they keep their names. */
export const byActivity = ({ lanes }: Bucket): ReadonlyArray<Lane> =>
  [...lanes.values()].sort((a, b) => activityOf(b) - activityOf(a))

const activityOf = ({ enqueued, pending, started }: Lane): number => enqueued + started + pending

const addTally = (lane: LaneTally, tally: LaneTally): void => {
  for (const what of counted) lane[what] += tally[what]
  addAll(lane.wait, tally.wait)
  addAll(lane.run, tally.run)
}

/** Adds all that is known of other tasks to a queue and type. */
export const addLane = (lane: Lane, other: Lane): void => {
  addTally(lane, other)
  addLaneDepth(lane, other)
}

const addDepth = (depth: Depth, other: Depth): void => {
  depth.samples += other.samples
  depth.scheduled += other.scheduled
  depth.pending += other.pending
  depth.running += other.running
}

const addLaneDepths = (bucket: Bucket, other: Bucket): void => {
  bucket.laneSamples += other.laneSamples
  for (const lane of byActivity(other)) {
    if (lane.pending + lane.running + lane.scheduled > 0) addLaneDepth(laneOf(bucket, lane.queue, lane.type), lane)
  }
}

const addLaneDepth = (
  lane: Lane,
  { oldestMs, pending, running, scheduled }: Pick<Lane, "pending" | "running" | "scheduled" | "oldestMs">
): void => {
  lane.pending += pending
  lane.running += running
  lane.scheduled += scheduled
  lane.oldestMs = Math.max(lane.oldestMs, oldestMs)
}

const addSlots = (instances: Map<string, SlotTally>, instance: string, slots: SlotTally): void => {
  const known = instances.get(instance)
  if (known === undefined) {
    if (instances.size < maxInstances) instances.set(instance, { ...slots, bySlot: [...slots.bySlot] })
    return
  }
  known.forMs += slots.forMs
  known.slotMs += slots.slotMs
  known.busyMs += slots.busyMs
  for (let slot = 0; slot < Math.min(maxSlots, slots.bySlot.length); slot++) {
    known.bySlot[slot] = (known.bySlot[slot] ?? 0) + slots.bySlot[slot]!
  }
}

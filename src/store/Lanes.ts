/** Queues and types: how many of their tasks wait and run, which of them are asked for, and the order of those with work. */
import * as ByteOrder from "../domain/ByteOrder.ts"
import { byRank, type Fileable, type Filed, Heap, Order, type Place } from "./Order.ts"
import { OfType, type OrderedLane } from "./OrderedLane.ts"

/** The unfinished tasks of one queue and type. */
export interface LaneCounts {
  readonly queue: string
  readonly type: string
  /** Of the type's payload, left out by drivers, which have it in the type: see `StoredType`. */
  readonly version?: number | undefined
  /** Tasks that are due later, and those that have become due since the store was last asked for work. */
  readonly scheduled: number
  readonly pending: number
  readonly running: number
  /** When the pending task that is the first in the order of work became due; `null` when none is pending. */
  readonly waitingSince: number | null
}

/** Part of the queues and types that have tasks, in the order of their names: see `ByteOrder`. */
export interface LaneRange {
  /** Only those of this queue. */
  readonly queue?: string | undefined
  /** Only what comes after this queue or, with a type, after this type of it. */
  readonly after?: {
    readonly queue: string
    readonly type?: string | undefined
    readonly version?: number | undefined
  } | undefined
  readonly limit: number
}

/** Queues and types in the order of their names. */
export interface CountedLanes {
  readonly lanes: ReadonlyArray<LaneCounts>
  /** Whether there may be more in the range: a store stops at the limit, or before it would block for too long. */
  readonly more: boolean
  /** The store's clock. */
  readonly now: number
}

/** A queue and a type as one text. */
export const nameOf = (queue: string, type: string): string => `${queue}\u0000${type}`

/** The place that a range begins at: a queue and a type that may be part of it. */
export const startOf = ({ after, queue = "" }: LaneRange): readonly [queue: string, type: string] => {
  if (after === undefined) return [queue, ""]
  return after.type === undefined
    ? [ByteOrder.after(after.queue), ""]
    : [after.queue, ByteOrder.after(after.type)]
}

/** What an instance can run: tasks of these types, in these queues or, when left out, in all. */
export interface Runnable {
  /** A paused queue gives nothing, nor does a paused type: see `PausedQueues` and `Gates`. */
  readonly queues?: ReadonlyArray<string> | undefined
  /** As they are stored, each version of one by itself: see `StoredType`. */
  readonly types: ReadonlyArray<string>
}

/** Which queues of each type instances take tasks from: some, or all. */
export type Coverage = ReadonlyMap<string, ReadonlySet<string> | "all">

/** What several instances can run together. */
export const coverageOf = (runnable: ReadonlyArray<Runnable>): Coverage => {
  const coverage = new Map<string, Set<string> | "all">()
  for (const { queues, types } of runnable) {
    for (const type of types) {
      const known = coverage.get(type)
      if (queues === undefined || known === "all") coverage.set(type, "all")
      else coverage.set(type, new Set([...known ?? [], ...queues]))
    }
  }
  return coverage
}

/** Which lanes a claim takes from. */
export interface Wanted {
  readonly types: ReadonlySet<string>
  /** All of them when left out. */
  readonly queues: ReadonlySet<string> | undefined
  readonly isPaused: (queue: string) => boolean
  readonly isTypePaused: (type: string) => boolean
}

/** What a claim asks for. */
export const wantedOf = (
  { except = [], queues, types }: Runnable & { readonly except?: ReadonlyArray<string> | undefined },
  { isPaused, isTypePaused }: Pick<Wanted, "isPaused" | "isTypePaused">
): Wanted => ({
  types: setOf(types),
  queues: queues === undefined ? undefined : setOf(queues),
  isPaused: except.length === 0 ? isPaused : (queue) => except.includes(queue) || isPaused(queue),
  isTypePaused
})

const sets = new WeakMap<ReadonlyArray<string>, ReadonlySet<string>>()

/** Names as a set: a claimer asks with the same arrays until its handlers change. */
const setOf = (names: ReadonlyArray<string>): ReadonlySet<string> => {
  let set = sets.get(names)
  if (set === undefined) sets.set(names, set = new Set(names))
  return set
}

/**
 * The lanes that have pending tasks, in this process's memory, each filed under a place that none of its tasks is before.
 * They are ordered twice: types by their first lane, and the lanes of each type by their first task. So a claim looks at what
 * it gives, and steps over a type or a queue that it may not take once, however many lanes there are.
 */
export class LaneOrder<Task extends Place, Lane extends OrderedLane<Task, Lane>> {
  private readonly types = new Map<string, OfType<Lane>>()
  private readonly order = new Order<OfType<Lane>>()
  private readonly make: (queue: string, ofType: OfType<Lane>) => Lane
  private lastFiled: Lane | undefined
  private count = 0

  constructor(make: (queue: string, ofType: OfType<Lane>) => Lane) {
    this.make = make
  }

  /** How many there are. */
  get size(): number {
    return this.count
  }

  /** The lane of a task that becomes pending, filed so that it is found for it. */
  file(queue: string, type: string, task: Place): Lane {
    let lane = this.lastFiled
    if (lane === undefined || lane.queue !== queue || lane.type !== type) {
      lane = this.lastFiled = this.laneOf(queue, type)
    }
    const { filed, ofType } = lane
    if (filed === undefined || byRank(task, filed)) {
      ofType.order.before(lane, task)
      this.order.before(ofType, task)
    }
    return lane
  }

  /** To be called for a lane that has no pending tasks. One that is not removed is looked at in vain later. */
  remove(lane: Lane): void {
    if (this.lastFiled === lane) this.lastFiled = undefined
    const { ofType, queue } = lane
    ofType.order.remove(lane)
    if (ofType.byQueue.delete(queue)) this.count--
    lane.abandon()
    if (ofType.byQueue.size > 0) return
    this.order.remove(ofType)
    this.types.delete(ofType.type)
  }

  /** Takes a lane out of the order that has nothing to start now; it stays known as long as it has tasks that are parked. */
  private retire(lane: Lane): void {
    if (lane.hasParked) lane.ofType.order.remove(lane)
    else this.remove(lane)
  }

  /** The pending tasks of a queue and type, if there are any. */
  find(queue: string, type: string): Lane | undefined {
    return this.types.get(type)?.byQueue.get(queue)
  }

  /** Up to `limit` lanes that are not covered; `since` says when the first task of one became due. */
  stranded(
    coverage: Coverage,
    limit: number,
    since: (lane: Lane) => number | undefined
  ): ReadonlyArray<{ readonly queue: string; readonly type: string; readonly since: number }> {
    const found = []
    for (const { byQueue, type } of this.types.values()) {
      const queues = coverage.get(type)
      if (queues === "all") continue
      for (const lane of byQueue.values()) {
        if (found.length >= limit) return found
        const { queue } = lane
        if (queues?.has(queue) === true) continue
        const dueAt = since(lane)
        if (dueAt === undefined) this.remove(lane)
        else found.push({ queue, type, since: dueAt })
      }
    }
    return found
  }

  /** Takes up to `limit` tasks of the lanes that are wanted, by rank; fewer where a lane is halted. */
  take(wanted: Wanted, limit: number): Array<Task> {
    return wanted.queues === undefined ? this.takeOfTypes(wanted, limit) : this.takeNamed(wanted.queues, wanted, limit)
  }

  private takeOfTypes({ isPaused, isTypePaused, types }: Wanted, limit: number): Array<Task> {
    const taken: Array<Task> = []
    const aside: Array<Filed<OfType<Lane>>> = []
    const asideOf = new Map<OfType<Lane>, Array<Filed<Lane>>>()
    while (taken.length < limit) {
      const first = this.order.first()
      if (first === undefined) break
      const ofType = first.of
      const lane = types.has(ofType.type) && !isTypePaused(ofType.type)
        ? firstOpen(ofType, isPaused, asideOf)
        : undefined
      if (lane === undefined) {
        aside.push(this.order.setAside())
        continue
      }
      if (byRank(first, lane)) {
        this.order.moveFirst(first, lane)
        continue
      }
      let task = lane.of.first()
      for (; task !== undefined && taken.length < limit; task = lane.of.first()) {
        // as long as no other lane can have a task before it; a look at this one may have brought others forward
        if (ofType.filed !== first || lane.of.filed !== lane) break
        const place = lane.of.placeOf(task)
        if (isAfter(place, ofType.order.second()) || isAfter(place, this.order.second())) break
        lane.of.shift(task)
        taken.push(task)
      }
      if (task === undefined && lane.of.isHalted) break
      if (task === undefined) this.retire(lane.of)
      else {
        const place = lane.of.placeOf(task)
        if (lane.of.filed === lane) ofType.order.move(lane, place)
        // its line may stand before where it stood
        this.order.before(ofType, place)
      }
    }
    this.order.putBack(aside)
    for (const [ofType, lanes] of asideOf) {
      ofType.order.putBack(lanes)
      // it may have been filed where the first open lane is
      this.order.before(ofType, ofType.order.first()!)
    }
    return taken
  }

  /** Looks at no lane but those of these queues, however many there are of others. */
  private takeNamed(
    queues: ReadonlySet<string>,
    { isPaused, isTypePaused, types }: Wanted,
    limit: number
  ): Array<Task> {
    const lanes = new Heap<Filed<Lane>>(byRank)
    const places = [...types].flatMap((type) => isTypePaused(type) ? [] : this.named(queues, type))
      .filter(({ filed, queue }) => filed !== undefined && !isPaused(queue))
      .map((lane): Filed<Lane> => ({ ...lane.filed! }))
    for (const place of places) lanes.push(place)
    const taken: Array<Task> = []
    for (let first = lanes.first(); first !== undefined && taken.length < limit; first = lanes.first()) {
      const lane = first.of
      let task = lane.first()
      if (task !== undefined && !byRank(first, lane.placeOf(task))) {
        lane.shift(task)
        taken.push(task)
        task = lane.first()
      }
      if (task === undefined && lane.isHalted) break
      if (task === undefined) {
        lanes.shift()
        this.retire(lane)
      } else {
        const place = lane.placeOf(task)
        first.rank = place.rank
        first.seq = place.seq
        lanes.sinkFirst()
      }
    }
    for (const place of places) {
      const { filed, ofType } = place.of
      if (filed === undefined) continue
      if (byRank(filed, place)) ofType.order.move(filed, place)
      else if (byRank(place, filed)) {
        ofType.order.before(place.of, place)
        this.order.before(ofType, place)
      }
    }
    return taken
  }

  private named(queues: ReadonlySet<string>, type: string): ReadonlyArray<Lane> {
    const byQueue = this.types.get(type)?.byQueue
    if (byQueue === undefined) return []
    return byQueue.size < queues.size
      ? [...byQueue.values()].filter(({ queue }) => queues.has(queue))
      : [...queues].flatMap((queue) => byQueue.get(queue) ?? [])
  }

  private laneOf(queue: string, type: string): Lane {
    let ofType = this.types.get(type)
    if (ofType === undefined) this.types.set(type, ofType = new OfType(type))
    let lane = ofType.byQueue.get(queue)
    if (lane === undefined) {
      ofType.byQueue.set(queue, lane = this.make(queue, ofType))
      this.count++
    }
    return lane
  }
}

const isAfter = (task: Place, other: Place | undefined): boolean => other !== undefined && byRank(other, task)

/** The first lane of a queue that is not paused; those before it are set aside. */
const firstOpen = <Lane extends Fileable<Lane> & { readonly queue: string }>(
  ofType: OfType<Lane>,
  isPaused: (queue: string) => boolean,
  asideOf: Map<OfType<Lane>, Array<Filed<Lane>>>
): Filed<Lane> | undefined => {
  let lane = ofType.order.first()
  while (lane !== undefined && isPaused(lane.of.queue)) {
    const aside = asideOf.get(ofType)
    if (aside === undefined) asideOf.set(ofType, [ofType.order.setAside()])
    else aside.push(ofType.order.setAside())
    lane = ofType.order.first()
  }
  return lane
}

/**
 * What waits: scheduled tasks by due time, and pending ones in lanes, which are queues and types in the order of work.
 */
import * as ByteOrder from "../../domain/ByteOrder.ts"
import * as Rank from "../../domain/Rank.ts"
import { type CountedLanes, type Coverage, type LaneCounts, type LaneRange, startOf } from "../Lanes.ts"
import { byRank, countBefore, type Filed, Heap, Order, type Place } from "../Order.ts"
import { maxPromoted, type Stranded } from "../TaskStore.ts"
import type { Entry, Tasks } from "./Task.ts"

/** All tasks that wait: scheduled ones by due time, pending ones in lanes. */
export class Waiting {
  private readonly scheduled = new Heap<Entry>(byDueAt)
  /** The pending ones. */
  readonly lanes = new Lanes()
  private readonly headStartMs: number
  private leftScheduled = 0

  constructor(headStartMs: number) {
    this.headStartMs = headStartMs
  }

  /** Files a task under its state. */
  add(entry: Entry): void {
    if (entry.state === "scheduled") {
      this.scheduled.push(entry)
      return
    }
    entry.rank = Rank.rank(entry.dueAt, entry.priority, this.headStartMs)
    this.lanes.add(entry)
  }

  /** To be called when a scheduled task is cancelled: its place is given up lazily, but not for ever. */
  leave(): void {
    this.leftScheduled++
    if (this.leftScheduled > 1000 && this.leftScheduled * 2 > this.scheduled.size) {
      this.scheduled.filter((entry) => entry.state === "scheduled" && !entry.dead)
      this.leftScheduled = 0
    }
  }

  /** Makes due tasks pending, a bounded number at a time, and answers which. */
  promote(now: number): ReadonlyArray<Entry> {
    const promoted: Array<Entry> = []
    while (promoted.length < maxPromoted) {
      const entry = this.nextScheduled()
      if (entry === undefined || entry.dueAt > now) break
      this.scheduled.shift()
      entry.state = "pending"
      this.add(entry)
      promoted.push(entry)
    }
    return promoted
  }

  /** When the next scheduled task is due. */
  nextDueAt(): number | null {
    return this.nextScheduled()?.dueAt ?? null
  }

  private nextScheduled(): Entry | undefined {
    let entry = this.scheduled.first()
    while (entry !== undefined && (entry.state !== "scheduled" || entry.dead)) {
      this.scheduled.shift()
      this.leftScheduled = Math.max(0, this.leftScheduled - 1)
      entry = this.scheduled.first()
    }
    return entry
  }
}

const byDueAt = (a: Entry, b: Entry): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.seq < b.seq)

/**
 * The lanes that have pending tasks, and nothing of those that have none. They are ordered twice: types by their first
 * lane, and the lanes of each type by their first task. So a claim looks at what it gives, and steps over a type or a
 * queue that it may not take once, however many lanes there are.
 */
class Lanes {
  private readonly types = new Map<string, OfType>()
  private readonly order = new Order<OfType>()
  private lastAdded: Lane | undefined

  /** Files a pending task. */
  add(entry: Entry): void {
    let lane = this.lastAdded
    if (lane === undefined || lane.queue !== entry.queue || lane.type !== entry.type) {
      lane = this.lastAdded = this.laneOf(entry.queue, entry.type)
    }
    lane.push(entry)
    const { filed, ofType } = lane
    if (filed !== undefined && !byRank(entry, filed)) return
    ofType.order.before(lane, entry)
    this.order.before(ofType, entry)
  }

  /** To be called when a pending task is cancelled. */
  leave({ queue, type }: Entry): void {
    const ofType = this.types.get(type)
    const lane = ofType?.byQueue.get(queue)
    if (ofType === undefined || lane === undefined) return
    lane.size--
    if (lane.size === 0) this.remove(ofType, lane)
  }

  /** Takes up to `limit` tasks of the types and queues that are wanted, by rank. */
  take(wantsType: (type: string) => boolean, wantsQueue: (queue: string) => boolean, limit: number): Array<Entry> {
    const taken: Array<Entry> = []
    const aside: Array<Filed<OfType>> = []
    const asideOf = new Map<OfType, Array<Filed<Lane>>>()
    while (taken.length < limit) {
      const first = this.order.first()
      if (first === undefined) break
      const ofType = first.of
      const lane = wantsType(ofType.type) ? firstWanted(ofType, wantsQueue, asideOf) : undefined
      if (lane === undefined) {
        aside.push(this.order.setAside())
        continue
      }
      if (byRank(first, lane)) {
        this.order.moveFirst(first, lane)
        continue
      }
      // as long as no other lane can have a task before its next one
      const ofSameType = ofType.order.second()
      const ofOtherType = this.order.second()
      const bound = ofSameType === undefined || isAfter(ofSameType, ofOtherType) ? ofOtherType : ofSameType
      let entry = lane.of.first()
      for (; entry !== undefined && taken.length < limit; entry = lane.of.first()) {
        if (isAfter(entry, bound)) break
        lane.of.shift(entry)
        taken.push(entry)
      }
      if (entry === undefined) this.remove(ofType, lane.of)
      else ofType.order.moveFirst(lane, entry)
    }
    this.order.putBack(aside)
    for (const [ofType, lanes] of asideOf) {
      ofType.order.putBack(lanes)
      // it may have been filed where the first wanted lane is
      this.order.before(ofType, ofType.order.first()!)
    }
    return taken
  }

  /** The pending tasks of a queue and type, if there are any. */
  find(queue: string, type: string): Lane | undefined {
    return this.types.get(type)?.byQueue.get(queue)
  }

  /** Up to `limit` lanes that are not covered. */
  stranded(coverage: Coverage, limit: number): ReadonlyArray<Stranded> {
    const found: Array<Stranded> = []
    for (const { byQueue, type } of this.types.values()) {
      const queues = coverage.get(type)
      if (queues === "all") continue
      for (const lane of byQueue.values()) {
        if (found.length >= limit) return found
        if (queues?.has(lane.queue) !== true) found.push({ queue: lane.queue, type, since: lane.first()!.dueAt })
      }
    }
    return found
  }

  private laneOf(queue: string, type: string): Lane {
    let ofType = this.types.get(type)
    if (ofType === undefined) this.types.set(type, ofType = new OfType(type))
    let lane = ofType.byQueue.get(queue)
    if (lane === undefined) ofType.byQueue.set(queue, lane = new Lane(queue, ofType))
    return lane
  }

  private remove(ofType: OfType, lane: Lane): void {
    if (this.lastAdded === lane) this.lastAdded = undefined
    ofType.order.remove(lane)
    ofType.byQueue.delete(lane.queue)
    if (ofType.byQueue.size > 0) return
    this.order.remove(ofType)
    this.types.delete(ofType.type)
  }
}

const isAfter = (entry: Place, other: Place | undefined): boolean => other !== undefined && byRank(other, entry)

/** The first lane of a wanted queue; those before it are set aside. */
const firstWanted = (
  ofType: OfType,
  wantsQueue: (queue: string) => boolean,
  asideOf: Map<OfType, Array<Filed<Lane>>>
): Filed<Lane> | undefined => {
  let lane = ofType.order.first()
  while (lane !== undefined && !wantsQueue(lane.of.queue)) {
    const aside = asideOf.get(ofType)
    if (aside === undefined) asideOf.set(ofType, [ofType.order.setAside()])
    else aside.push(ofType.order.setAside())
    lane = ofType.order.first()
  }
  return lane
}

/** The lanes of one type. */
class OfType {
  filed: Filed<OfType> | undefined
  readonly type: string
  readonly byQueue = new Map<string, Lane>()
  readonly order = new Order<Lane>()

  constructor(type: string) {
    this.type = type
  }
}

/**
 * The pending tasks of one queue, type and priority. Within one priority the order of ranks is the order of due
 * times, and nearly every task arrives in that order: the deque holds those, at a cost that does not grow with the
 * backlog, and the heap the few that come back with an earlier due time.
 */
class Line {
  private readonly inOrder = new Deque<Entry>()
  private readonly outOfOrder = new Heap<Entry>(byRank)

  push(entry: Entry): void {
    const last = this.inOrder.last()
    if (last === undefined || byRank(last, entry)) this.inOrder.push(entry)
    else this.outOfOrder.push(entry)
  }

  /** The first task that is still pending; those that have been cancelled since are dropped. */
  first(): Entry | undefined {
    let a = this.inOrder.first()
    while (a !== undefined && a.state !== "pending") {
      this.inOrder.shift()
      a = this.inOrder.first()
    }
    let b = this.outOfOrder.first()
    while (b !== undefined && b.state !== "pending") {
      this.outOfOrder.shift()
      b = this.outOfOrder.first()
    }
    return a === undefined || (b !== undefined && byRank(b, a)) ? b : a
  }

  shift(entry: Entry): void {
    if (this.inOrder.first() === entry) this.inOrder.shift()
    else this.outOfOrder.shift()
  }
}

/** The pending tasks of one queue and type, by rank. */
class Lane {
  readonly queue: string
  readonly type: string
  readonly ofType: OfType
  filed: Filed<Lane> | undefined
  /** How many there are. */
  size = 0
  private readonly lines: Array<Line | undefined> = []
  private only: Line | undefined

  constructor(queue: string, ofType: OfType) {
    this.queue = queue
    this.type = ofType.type
    this.ofType = ofType
  }

  push(entry: Entry): void {
    let line = this.lines[entry.priority]
    if (line === undefined) {
      line = this.lines[entry.priority] = new Line()
      this.only = Object.keys(this.lines).length === 1 ? line : undefined
    }
    line.push(entry)
    this.size++
  }

  /** The first task in the order of work. */
  first(): Entry | undefined {
    if (this.only !== undefined) return this.only.first()
    let best: Entry | undefined
    for (const line of this.lines) {
      const first = line?.first()
      if (first !== undefined && (best === undefined || byRank(first, best))) best = first
    }
    return best
  }

  /** Takes the first task out. */
  shift(entry: Entry): void {
    this.lines[entry.priority]!.shift(entry)
    this.size--
  }
}

/** A first-in, first-out list with constant cost at both ends, however long it is. */
export class Deque<A> {
  private items: Array<A | undefined> = []
  private head = 0

  get size(): number {
    return this.items.length - this.head
  }

  push(item: A): void {
    this.items.push(item)
  }

  first(): A | undefined {
    return this.items[this.head]
  }

  last(): A | undefined {
    return this.size === 0 ? undefined : this.items[this.items.length - 1]
  }

  shift(): A | undefined {
    if (this.size === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head++
    // Copying half after half has been taken keeps the amortized cost constant.
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }
}

/** What there is by name. Names are sorted when they are asked for, and again only after some have come or gone. */
class ByName<A> {
  private readonly values = new Map<string, A>()
  private sorted: ReadonlyArray<string> | undefined

  get size(): number {
    return this.values.size
  }

  get(name: string): A | undefined {
    return this.values.get(name)
  }

  set(name: string, value: A): void {
    this.values.set(name, value)
    this.sorted = undefined
  }

  delete(name: string): void {
    this.values.delete(name)
    this.sorted = undefined
  }

  /** The names in order, from the first that does not come before this one. */
  *from(first: string): Generator<readonly [name: string, value: A]> {
    const names = this.sorted ??= [...this.values.keys()].sort(ByteOrder.compare)
    for (let at = countBefore(names, (name) => ByteOrder.compare(name, first) < 0); at < names.length; at++) {
      yield [names[at]!, this.values.get(names[at]!)!]
    }
  }
}

/** A queue and a type. */
interface StoredLane {
  readonly queue: string
  readonly type: string
  /** Tasks in whatever state. */
  stored: number
  scheduled: number
}

/** The queues and types of all stored tasks. One comes with its first task and goes with the last. */
export class StoredLanes {
  private readonly queues = new ByName<ByName<StoredLane>>()
  private last: StoredLane | undefined

  /** To be called for each task that is stored. */
  add({ queue, type }: Entry): void {
    let lane = this.last
    if (lane === undefined || lane.queue !== queue || lane.type !== type) {
      let types = this.queues.get(queue)
      if (types === undefined) this.queues.set(queue, types = new ByName())
      lane = types.get(type)
      if (lane === undefined) types.set(type, lane = { queue, type, stored: 0, scheduled: 0 })
      this.last = lane
    }
    lane.stored++
  }

  /** To be called for each task that is taken away. */
  remove({ queue, type }: Entry): void {
    const types = this.queues.get(queue)
    const lane = types?.get(type)
    if (types === undefined || lane === undefined || --lane.stored > 0) return
    if (this.last === lane) this.last = undefined
    types.delete(type)
    if (types.size === 0) this.queues.delete(queue)
  }

  /** To be called for a stored task that becomes scheduled (1), or was and is no more (-1). */
  schedule({ queue, type }: Entry, change: 1 | -1): void {
    this.queues.get(queue)!.get(type)!.scheduled += change
  }

  /** Those of a range, without regard to its limit. */
  *in(range: LaneRange): Generator<StoredLane, void> {
    const [firstQueue, firstType] = startOf(range)
    for (const [queue, types] of this.queues.from(firstQueue)) {
      if (range.queue !== undefined && queue !== range.queue) return
      for (const [, lane] of types.from(queue === firstQueue ? firstType : "")) yield lane
    }
  }
}

/**
 * Counts the lanes of a range. How many are pending the lanes of the claims know, and those that run are looked through when a
 * client asks: a task that is claimed and completed pays for no counter on its way.
 */
export const laneCounts = (tasks: Tasks, range: LaneRange, now: number): CountedLanes => {
  const running = countsOf(tasks.running.all())
  const lanes: Array<LaneCounts> = []
  for (const { queue, scheduled, type } of tasks.lanes.in(range)) {
    if (lanes.length >= range.limit) return { lanes, more: true, now }
    const pending = tasks.waiting.lanes.find(queue, type)
    lanes.push({
      queue,
      type,
      scheduled,
      pending: pending?.size ?? 0,
      running: running.get(keyOf(queue, type)) ?? 0,
      waitingSince: pending?.first()?.dueAt ?? null
    })
  }
  return { lanes, more: false, now }
}

const countsOf = (entries: Iterable<Entry>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { queue, type } of entries) {
    const key = keyOf(queue, type)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

const keyOf = (queue: string, type: string): string => `${queue}\u0000${type}`

/**
 * The queues and types that have tasks, by name. How many are pending the lanes of the claims know, and those that run are
 * looked through when a client asks: a task that is claimed and completed pays for no counter on its way.
 */
import * as ByteOrder from "../../domain/ByteOrder.ts"
import { type CountedLanes, type LaneCounts, type LaneRange, startOf } from "../LaneCounts.ts"
import type { Entry, Tasks } from "./Task.ts"

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
    let low = 0
    for (let high = names.length; low < high;) {
      const middle = (low + high) >> 1
      if (ByteOrder.compare(names[middle]!, first) < 0) low = middle + 1
      else high = middle
    }
    for (; low < names.length; low++) yield [names[low]!, this.values.get(names[low]!)!]
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

/** Counts the lanes of a range. */
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

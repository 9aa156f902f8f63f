/** The lanes, which are queues and types: the pending tasks of each, and which of them have any tasks. */
import * as ByteOrder from "../../domain/ByteOrder.ts"
import type { TaskState } from "../../domain/TaskState.ts"
import { type LaneRange, OrderedLane, startOf } from "../Lanes.ts"
import { byRank, countBefore, Deque, Heap, type Place } from "../Order.ts"

/** A task that was pending when it was filed. */
interface Pending extends Place {
  readonly priority: number
  readonly state: TaskState
}

/** The pending tasks of one queue and type, by rank. */
export class Lane<Task extends Pending> extends OrderedLane<Task, Lane<Task>> {
  /** How many there are. */
  size = 0
  private readonly lines: Array<Line<Task> | undefined> = []
  private only: Line<Task> | undefined

  push(task: Task): void {
    let line = this.lines[task.priority]
    if (line === undefined) {
      line = this.lines[task.priority] = new Line()
      this.only = Object.keys(this.lines).length === 1 ? line : undefined
    }
    line.push(task)
    this.size++
  }

  first(): Task | undefined {
    if (this.only !== undefined) return this.only.first()
    let best: Task | undefined
    for (const line of this.lines) {
      const first = line?.first()
      if (first !== undefined && (best === undefined || byRank(first, best))) best = first
    }
    return best
  }

  shift(task: Task): void {
    this.lines[task.priority]!.shift(task)
    this.size--
  }
}

/**
 * The pending tasks of one queue, type and priority. Within one priority the order of ranks is the order of due
 * times, and nearly every task arrives in that order: the deque holds those, at a cost that does not grow with the
 * backlog, and the heap the few that come back with an earlier due time.
 */
class Line<Task extends Pending> {
  private readonly inOrder = new Deque<Task>()
  private readonly outOfOrder = new Heap<Task>(byRank)

  push(task: Task): void {
    const last = this.inOrder.last()
    if (last === undefined || byRank(last, task)) this.inOrder.push(task)
    else this.outOfOrder.push(task)
  }

  /** The first task that is still pending; those that have been cancelled since are dropped. */
  first(): Task | undefined {
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

  shift(task: Task): void {
    if (this.inOrder.first() === task) this.inOrder.shift()
    else this.outOfOrder.shift()
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

interface OfLane {
  readonly queue: string
  readonly type: string
}

/** A queue and a type. */
interface StoredLane extends OfLane {
  /** Tasks in whatever state. */
  stored: number
  scheduled: number
}

/** The queues and types of all stored tasks. One comes with its first task and goes with the last. */
export class StoredLanes {
  private readonly queues = new ByName<ByName<StoredLane>>()
  private last: StoredLane | undefined

  /** To be called for each task that is stored. */
  add({ queue, type }: OfLane): void {
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
  remove({ queue, type }: OfLane): void {
    const types = this.queues.get(queue)
    const lane = types?.get(type)
    if (types === undefined || lane === undefined || --lane.stored > 0) return
    if (this.last === lane) this.last = undefined
    types.delete(type)
    if (types.size === 0) this.queues.delete(queue)
  }

  /** To be called for a stored task that becomes scheduled (1), or was and is no more (-1). */
  schedule({ queue, type }: OfLane, change: 1 | -1): void {
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

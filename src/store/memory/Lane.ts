import { Heap } from "../Heap.ts"
import { byRank } from "../Order.ts"
import { Deque } from "./Deque.ts"
import type { Entry } from "./Entry.ts"

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
export class Lane {
  readonly queue: string
  readonly type: string
  /** How many there are. */
  size = 0
  private readonly lines: Array<Line | undefined> = []
  private only: Line | undefined

  constructor(queue: string, type: string) {
    this.queue = queue
    this.type = type
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

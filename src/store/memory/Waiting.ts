import * as Rank from "../../domain/Rank.ts"
import { promoteLimit } from "../TaskStore.ts"
import { Deque } from "./Deque.ts"
import type { Entry } from "./Entry.ts"
import { Heap } from "./Heap.ts"

const byRank = (a: Entry, b: Entry): boolean => a.rank < b.rank || (a.rank === b.rank && a.seq < b.seq)
const byDueAt = (a: Entry, b: Entry): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.seq < b.seq)

/**
 * The pending tasks of one queue, type and priority. Within one priority the order of ranks is the order of due
 * times, and nearly every task arrives in that order: the deque holds those, at a cost that does not grow with the
 * backlog, and the heap the few that come back with an earlier due time.
 */
class Lane {
  private readonly inOrder = new Deque<Entry>()
  private readonly outOfOrder = new Heap<Entry>(byRank)

  push(entry: Entry): void {
    const last = this.inOrder.last()
    if (last === undefined || byRank(last, entry)) this.inOrder.push(entry)
    else this.outOfOrder.push(entry)
  }

  /** The first task that is still pending; those that have been cancelled meanwhile are dropped. */
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

/** All tasks that wait: scheduled ones by due time, pending ones in lanes. */
export class Waiting {
  private readonly scheduled = new Heap<Entry>(byDueAt)
  private readonly lanes = new Map<string, Map<string, Array<Lane | undefined>>>()
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
    let types = this.lanes.get(entry.queue)
    if (types === undefined) this.lanes.set(entry.queue, types = new Map())
    let lanes = types.get(entry.type)
    if (lanes === undefined) types.set(entry.type, lanes = [])
    const lane = lanes[entry.priority] ??= new Lane()
    lane.push(entry)
  }

  /** To be called when a scheduled task is cancelled: its place is given up lazily, but not for ever. */
  leave(): void {
    this.leftScheduled++
    if (this.leftScheduled > 1000 && this.leftScheduled * 2 > this.scheduled.size) {
      this.scheduled.filter((entry) => entry.state === "scheduled" && !entry.dead)
      this.leftScheduled = 0
    }
  }

  /** Makes due tasks pending, a bounded number at a time, and answers how many. */
  promote(now: number): number {
    let promoted = 0
    while (promoted < promoteLimit) {
      const entry = this.nextScheduled()
      if (entry === undefined || entry.dueAt > now) break
      this.scheduled.shift()
      entry.state = "pending"
      this.add(entry)
      promoted++
    }
    return promoted
  }

  /** When the next scheduled task is due. */
  nextDueAt(): number | null {
    return this.nextScheduled()?.dueAt ?? null
  }

  /** Takes up to `limit` pending tasks of these queues and types, by rank. */
  take(queues: ReadonlyArray<string>, types: ReadonlyArray<string>, limit: number): Array<Entry> {
    const candidates: Array<Lane> = []
    for (const queue of queues) {
      const byType = this.lanes.get(queue)
      if (byType === undefined) continue
      for (const type of types) {
        for (const lane of byType.get(type) ?? []) if (lane !== undefined) candidates.push(lane)
      }
    }
    const taken: Array<Entry> = []
    while (taken.length < limit) {
      let best: Entry | undefined
      let bestLane: Lane | undefined
      for (const lane of candidates) {
        const first = lane.first()
        if (first !== undefined && (best === undefined || byRank(first, best))) {
          best = first
          bestLane = lane
        }
      }
      if (best === undefined || bestLane === undefined) break
      bestLane.shift(best)
      taken.push(best)
    }
    return taken
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

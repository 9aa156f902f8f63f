import * as Rank from "../../domain/Rank.ts"
import { Heap } from "../Heap.ts"
import { maxPromoted } from "../TaskStore.ts"
import type { Entry } from "./Entry.ts"
import { Lanes } from "./Lanes.ts"

const byDueAt = (a: Entry, b: Entry): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.seq < b.seq)

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

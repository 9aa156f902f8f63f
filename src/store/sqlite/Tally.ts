/**
 * The counters of the store: one stored row, known from the transaction before or read at the start of the next one,
 * changed in memory, and written at its end.
 */
import type { DatabaseSync } from "node:sqlite"
import type { TaskState } from "../../domain/TaskState.ts"
import type { Counts, Totals } from "../TaskStore.ts"
import { prepare, type Statement } from "./Database.ts"

type Row = [
  seq: number,
  claim: number,
  scheduled: number,
  pending: number,
  running: number,
  completed: number,
  failed: number,
  cancelled: number,
  totalCreated: number,
  totalCompleted: number,
  totalFailed: number,
  totalCancelled: number,
  totalRetried: number,
  totalCrashed: number
]

/** Counts by state, totals, and the last sequence and claim numbers given. */
export class Tally {
  private readonly select: Statement<Row>
  private readonly update: Statement<readonly []>
  private changed = false
  /** Of the file, when the counters were those of the stored row. */
  private version: number | undefined
  private seq = 0
  private claim = 0
  private size: Record<TaskState, number> = none()
  private totals: { -readonly [Name in keyof Totals]: number } = noTotals()

  constructor(database: DatabaseSync) {
    this.select = prepare(database, "SELECT * FROM tally")
    this.update = prepare(
      database,
      `UPDATE tally SET seq = ?, claim = ?, scheduled = ?, pending = ?, running = ?, completed = ?, failed = ?,
        cancelled = ?, total_created = ?, total_completed = ?, total_failed = ?, total_cancelled = ?, total_retried = ?,
        total_crashed = ?`
    )
  }

  /** To be called when a transaction has been rolled back. */
  forget(): void {
    this.version = undefined
  }

  /** Reads the row, unless the file has the version of the last time: then no other process has changed it. */
  load(version?: number): void {
    this.changed = false
    if (version !== undefined && version === this.version) return
    this.version = version
    const row = this.select.get()!
    this.seq = row[0]
    this.claim = row[1]
    this.size = {
      scheduled: row[2],
      pending: row[3],
      running: row[4],
      completed: row[5],
      failed: row[6],
      cancelled: row[7]
    }
    this.totals = {
      created: row[8],
      completed: row[9],
      failed: row[10],
      cancelled: row[11],
      retried: row[12],
      crashed: row[13]
    }
  }

  /** Writes the row if this transaction changed it. */
  save(): void {
    if (!this.changed) return
    const { size, totals } = this
    this.update.run(
      this.seq,
      this.claim,
      size.scheduled,
      size.pending,
      size.running,
      size.completed,
      size.failed,
      size.cancelled,
      totals.created,
      totals.completed,
      totals.failed,
      totals.cancelled,
      totals.retried,
      totals.crashed
    )
  }

  /** A sequence number that was never given before. */
  nextSeq(): number {
    this.changed = true
    return ++this.seq
  }

  /** Takes claim numbers that were never given before, and answers the first of them. */
  nextClaims(count: number): number {
    this.changed = true
    const first = this.claim + 1
    this.claim += count
    return first
  }

  /** Tasks that are not finished. */
  get unfinished(): number {
    return this.size.scheduled + this.size.pending + this.size.running
  }

  /** Tasks that are finished and still stored. */
  get finished(): number {
    return this.size.completed + this.size.failed + this.size.cancelled
  }

  /** New tasks. */
  create(state: "scheduled" | "pending", count: number): void {
    this.changed = true
    this.size[state] += count
    this.totals.created += count
  }

  /** Tasks that went from one state to another. */
  move(from: TaskState, to: TaskState, count: number): void {
    if (from === to || count === 0) return
    this.changed = true
    this.size[from] -= count
    this.size[to] += count
    if (to === "completed" || to === "failed" || to === "cancelled") this.totals[to] += count
  }

  /** Tasks that are not stored any more. */
  remove(state: TaskState, count: number): void {
    if (count === 0) return
    this.changed = true
    this.size[state] -= count
  }

  /** An attempt that is followed by a retry, or a lease that ran out. */
  count(total: "retried" | "crashed"): void {
    this.changed = true
    this.totals[total]++
  }

  /** What the counters say. */
  counts(capacity: number): Counts {
    return { ...this.size, capacity, totals: { ...this.totals } }
  }
}

const none = (): Record<TaskState, number> => ({
  scheduled: 0,
  pending: 0,
  running: 0,
  completed: 0,
  failed: 0,
  cancelled: 0
})

const noTotals = (): Totals => ({ created: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, crashed: 0 })

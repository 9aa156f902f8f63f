/**
 * The counters of the store: one stored row, known from the transaction before or read at the start of the next one,
 * changed in memory, and written at its end.
 */
import type { DatabaseSync } from "node:sqlite"
import { all, isFinished, type TaskState } from "../../domain/TaskState.ts"
import { type Counts, type Totals, totalsOf } from "../Counts.ts"
import { prepare, type Statement } from "./Database.ts"

/** The columns of the row, in its order: the last numbers given, then counts by state, then totals. */
const columns = [
  "seq",
  "claim",
  ...all,
  "total_created",
  "total_completed",
  "total_failed",
  "total_cancelled",
  "total_retried",
  "total_crashed",
  "total_expired"
]

const place = Object.fromEntries(columns.map((name, index) => [name, index])) as Record<
  "seq" | "claim" | TaskState | `total_${keyof Totals}`,
  number
>

/** Counts by state, totals, and the last sequence and claim numbers given. */
export class Tally {
  private readonly select: Statement<Array<number>>
  private readonly update: Statement<readonly []>
  private changed = false
  /** Of the file, when the counters were those of the stored row. */
  private version: number | undefined
  private row: Array<number> = columns.map(() => 0)

  constructor(database: DatabaseSync) {
    this.select = prepare(database, `SELECT ${columns.join(", ")} FROM tally`)
    this.update = prepare(database, `UPDATE tally SET ${columns.map((name) => `${name} = ?`).join(", ")}`)
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
    this.row = this.select.get()!
  }

  /** Writes the row if this transaction changed it. */
  save(): void {
    if (this.changed) this.update.run(...this.row)
  }

  /** A sequence number that was never given before. */
  nextSeq(): number {
    return this.add(place.seq, 1)
  }

  /** Takes claim numbers that were never given before, and answers the first of them. */
  nextClaims(count: number): number {
    return this.add(place.claim, count) - count + 1
  }

  /** Lets claims from now on have numbers beyond this one. */
  claimBeyond(claim: number): void {
    if (claim > this.row[place.claim]!) this.add(place.claim, claim - this.row[place.claim]!)
  }

  /** Tasks that are not finished. */
  get unfinished(): number {
    return this.row[place.scheduled]! + this.row[place.pending]! + this.row[place.running]!
  }

  /** Tasks that are in a state. */
  size(state: TaskState): number {
    return this.row[place[state]]!
  }

  /** New tasks. */
  create(state: "scheduled" | "pending", count: number): void {
    this.add(place[state], count)
    this.add(place.total_created, count)
  }

  /** Tasks that went from one state to another. */
  move(from: TaskState, to: TaskState, count: number): void {
    if (from === to || count === 0) return
    this.add(place[from], -count)
    this.add(place[to], count)
    if (isFinished(to)) this.add(place[`total_${to}`], count)
  }

  /** Tasks that are not stored any more. */
  remove(state: TaskState, count: number): void {
    if (count > 0) this.add(place[state], -count)
  }

  /** An attempt that is followed by a retry, or a lease that ran out. */
  count(of: "retried" | "crashed"): void {
    this.add(place[`total_${of}`], 1)
  }

  /** What the counters say. */
  counts(capacity: number): Counts {
    const sizes = Object.fromEntries(all.map((state) => [state, this.row[place[state]]!])) as Record<TaskState, number>
    return { ...sizes, capacity, totals: totalsOf(this.row.slice(place.total_created)) }
  }

  private add(at: number, count: number): number {
    this.changed = true
    return this.row[at]! += count
  }
}

/**
 * The first pending tasks of a lane or line, as a claim has read them or as they were told when they became pending. They are
 * kept for the next claims, so that it costs one read for many tasks, and none for those that this process stored itself.
 */
import type { Waiting } from "../Lines.ts"
import { byRank, countBefore, type Place } from "../Order.ts"

/**
 * Tasks that all lists keep together, besides what one claim reads: 10 MB with long ids. A list may have as many as are left for
 * the others, so that one long line does not take the room of all.
 */
const maxKept = 50_000

/** Tasks that are read at once at most. */
const maxRead = 1024

/** Tasks that stay known behind one that comes between others: moving more costs more than to read them again. */
const maxBehind = 128

/** What the lists of a file share. */
export class Kept {
  /** Tasks in all lists. */
  count = 0
  /** The number of the claim that takes tasks now, and has not written yet which. */
  claim = 0
  private readers: Array<Heads<Place>> = []
  private outOfTurn: Array<Heads<Place>> = []

  get hasRoom(): boolean {
    return this.count < maxKept
  }

  /** Whether more than half of the room is taken. */
  get isCrowded(): boolean {
    return this.count > maxKept / 2
  }

  /** To be called for a list that the claim has read. */
  read(heads: Heads<Place>): void {
    this.readers.push(heads)
  }

  /** To be called for a list of which the claim takes a task that is not the first. */
  steppedOver(heads: Heads<Place>): void {
    this.outOfTurn.push(heads)
  }

  /** To be called when the claim knows what it takes. */
  end(): void {
    this.claim++
    for (const heads of this.outOfTurn) heads.forget()
    if (this.count > maxKept) { for (const heads of this.readers) heads.forget() }
    this.outOfTurn = []
    this.readers = []
  }
}

/** Where lists are read from. One serves many of them: there may be a list for each task. */
export interface Source<Row> {
  /** How many are read first. */
  readonly firstAmount: () => number
  /** Tasks of a line, or those without a gate where that is an empty text, without so many first ones. */
  readonly read: (gate: string, amount: number, offset: number) => Array<Row>
}

/** The first tasks of one lane or line, in the order of work. */
export class Heads<Row extends Place> implements Waiting<Row> {
  private readonly kept: Kept
  private readonly source: Source<Row>
  private readonly gate: string
  private rows: Array<Row> = []
  /** The first of them that is not taken. */
  private next = 0
  /** Whether no pending task is behind the last one. */
  private isWhole: boolean
  /** How many the last read asked for. */
  private amount = 0
  /** How many this claim has taken: they are still pending in the file. */
  private taken = 0
  private claim = -1

  /** A list that is whole begins with a lane or line that has no tasks. */
  constructor(kept: Kept, isWhole: boolean, source: Source<Row>, gate: string) {
    this.kept = kept
    this.isWhole = isWhole
    this.source = source
    this.gate = gate
  }

  /** The first tasks of a list of which nothing is known, and whether there are no others. */
  begin(rows: Array<Row>, isWhole: boolean): void {
    if (!this.kept.hasRoom) return
    this.rows = rows
    this.isWhole = isWhole
    this.kept.count += rows.length
  }

  first(): Row | undefined {
    if (this.next < this.rows.length) return this.rows[this.next]
    return this.isWhole ? undefined : this.readOn()
  }

  private readOn(): Row | undefined {
    this.amount = this.amount === 0
      ? this.source.firstAmount()
      : Math.min(this.amount * 2, Math.max(this.amount, maxRead))
    const rows = this.source.read(this.gate, this.amount, this.claim === this.kept.claim ? this.taken : 0)
    this.isWhole = rows.length < this.amount
    this.rows = rows
    this.next = 0
    this.kept.count += rows.length
    this.kept.read(this)
    return rows[0]
  }

  shift(): void {
    this.kept.count--
    if (this.claim !== this.kept.claim) {
      this.claim = this.kept.claim
      this.taken = 0
    }
    this.taken++
    this.next++
    if (this.next === this.rows.length) this.clear()
    else if (this.next >= maxRead && this.next * 2 >= this.rows.length) {
      this.rows = this.rows.slice(this.next)
      this.next = 0
    }
  }

  /** To be called when the first one stands elsewhere in the file: unlike one that is taken, it is not read again. */
  drop(): void {
    this.shift()
    this.taken--
  }

  stepOver(): void {
    this.kept.steppedOver(this)
  }

  left(): void {
    this.forget()
  }

  /** Lists of which claims take tasks need the room more, however many wait where none may start. */
  parked(): void {
    if (this.kept.isCrowded) this.forget()
  }

  /** To be called for a task that has become pending, unless it was read since: then this changes nothing. */
  add(row: Row): void {
    const { length } = this.rows
    if (length === 0 || byRank(this.rows[length - 1]!, row)) {
      // it may be behind others that are not known
      if (!this.isWhole) return
      if (length - this.next < maxKept - this.kept.count) {
        this.rows.push(row)
        this.kept.count++
      } else this.isWhole = false
      return
    }
    const at = countBefore(this.rows, (other) => byRank(other, row), this.next)
    if (this.rows[at]!.seq === row.seq) return
    if (length - at > maxBehind) {
      this.rows.length = at + maxBehind
      this.isWhole = false
    }
    this.rows.splice(at, 0, row)
    this.kept.count += this.rows.length - length
  }

  /** To be called when the file has other tasks than are known. */
  forget(): void {
    this.kept.count -= this.rows.length - this.next
    this.clear()
    this.amount = 0
    this.isWhole = false
  }

  private clear(): void {
    this.rows = []
    this.next = 0
  }
}

import type { Entry } from "./Entry.ts"

/** Tasks that one page looks at: a few milliseconds. */
const maxLooked = 100_000

/** All tasks, by id and in the order of their sequence numbers. */
export class TaskLog {
  private readonly byId = new Map<string, Entry>()
  private bySeq: Array<Entry> = []
  private dead = 0

  get(id: string): Entry | undefined {
    return this.byId.get(id)
  }

  has(id: string): boolean {
    return this.byId.has(id)
  }

  add(entry: Entry): void {
    this.byId.set(entry.id, entry)
    this.bySeq.push(entry)
  }

  /** Puts a new entry in the place of one with the same id and sequence. */
  replace(old: Entry, fresh: Entry): void {
    this.byId.set(fresh.id, fresh)
    const index = this.indexFrom(old.seq)
    this.bySeq[index] = fresh
  }

  /** To be called once per entry; its place in the order is given up lazily. */
  delete(entry: Entry): void {
    this.byId.delete(entry.id)
    this.dead++
    if (this.dead > 1000 && this.dead * 2 > this.bySeq.length) {
      this.bySeq = this.bySeq.filter((kept) => !kept.dead)
      this.dead = 0
    }
  }

  /** Up to `limit` matching entries below a sequence number, newest first, and below which there may be more. */
  newest(before: number | undefined, limit: number, matches: (entry: Entry) => boolean): {
    readonly found: ReadonlyArray<Entry>
    readonly next: number | undefined
  } {
    const found: Array<Entry> = []
    let index = (before === undefined ? this.bySeq.length : this.indexFrom(before)) - 1
    const last = Math.max(0, index + 1 - maxLooked)
    for (; index >= last && found.length < limit; index--) {
      const entry = this.bySeq[index]!
      if (!entry.dead && matches(entry)) found.push(entry)
    }
    return { found, next: index < 0 ? undefined : this.bySeq[index]!.seq + 1 }
  }

  /** The first position whose sequence is not below `seq`. */
  private indexFrom(seq: number): number {
    let low = 0
    let high = this.bySeq.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.bySeq[middle]!.seq < seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

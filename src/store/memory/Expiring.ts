/** Which of the tasks in memory expire, and when. */
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { Heap } from "../Order.ts"

/** A task as far as its expiry goes. */
interface Waiting extends Pick<TaskRecord, "expiresAt" | "seq" | "state"> {
  /** Removed or replaced. */
  readonly dead: boolean
}

/**
 * The waiting tasks that expire, by that time. One that was claimed keeps its place until then, or until those that wait are
 * few among them: most tasks start in time.
 */
export class Expiring<Entry extends Waiting> {
  private readonly entries = new Heap<Expiry<Entry>>((a, b) =>
    a.at < b.at || (a.at === b.at && a.entry.seq < b.entry.seq)
  )
  private added = 0

  /** To be called for each task that waits from now on and expires. */
  add(entry: Entry): void {
    this.entries.push({ at: entry.expiresAt!, entry })
    if (++this.added <= 1000 || this.added * 2 <= this.entries.size) return
    this.entries.filter(isAwaited)
    this.added = 0
  }

  /** Takes one that has expired. */
  takeExpired(now: number): Entry | undefined {
    for (let first = this.entries.first(); first !== undefined && first.at <= now; first = this.entries.first()) {
      this.entries.shift()
      if (isAwaited(first)) return first.entry
    }
    return undefined
  }
}

/** A time at which a task expires, as it was when this was noted. */
interface Expiry<Entry> {
  readonly at: number
  readonly entry: Entry
}

const isAwaited = ({ at, entry }: Expiry<Waiting>): boolean =>
  !entry.dead && entry.expiresAt === at && (entry.state === "scheduled" || entry.state === "pending")

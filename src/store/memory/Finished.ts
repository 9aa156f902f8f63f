import { keyedForMs, type Retention } from "../TaskStore.ts"
import { Deque } from "./Deque.ts"
import type { Entry } from "./Entry.ts"

const isCurrent = (entry: Entry): boolean => !entry.dead && entry.completedAt !== null

/** The finished tasks in the order they finished, so that pruning only ever looks at the oldest. */
export class Finished {
  private readonly done = { plain: new Deque<Entry>(), keyed: new Deque<Entry>() }
  private readonly failed = { plain: new Deque<Entry>(), keyed: new Deque<Entry>() }

  add(entry: Entry): void {
    const lists = entry.state === "failed" ? this.failed : this.done
    lists[entry.key === null ? "plain" : "keyed"].push(entry)
  }

  /** The next task that retention does not keep, given how many finished tasks there are; it leaves the lists. */
  expired(retention: Retention, count: number, now: number): Entry | undefined {
    for (const list of [this.done.plain, this.done.keyed]) {
      if (age(list, now) >= retention.finishedForMs) return list.shift()
    }
    for (const list of [this.failed.plain, this.failed.keyed]) {
      if (age(list, now) >= retention.failedForMs) return list.shift()
    }
    return (count > retention.maxFinished ? this.oldest(now, keyedForMs) : undefined) ??
      (count > retention.maxKeyedFinished ? this.oldest(now, 0) : undefined)
  }

  /** The oldest task, without keyed ones that are younger than this; it leaves the lists. */
  oldest(now: number, keyedFromMs: number): Entry | undefined {
    let oldest: Deque<Entry> | undefined
    let oldestAge = -1
    for (const list of [this.done.plain, this.failed.plain, this.done.keyed, this.failed.keyed]) {
      const listAge = age(list, now)
      const protectedByKey = (list === this.done.keyed || list === this.failed.keyed) && listAge < keyedFromMs
      if (listAge > oldestAge && !protectedByKey) {
        oldest = list
        oldestAge = listAge
      }
    }
    return oldest?.shift()
  }
}

/** The age of the list's oldest task in milliseconds, or −1 when it is empty. */
const age = (list: Deque<Entry>, now: number): number => {
  let first = list.first()
  while (first !== undefined && !isCurrent(first)) {
    list.shift()
    first = list.first()
  }
  return first === undefined ? -1 : Math.max(0, now - first.completedAt!)
}

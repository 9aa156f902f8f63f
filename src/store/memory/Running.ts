import { rescuable, type RescueRequest } from "../TaskStore.ts"
import type { Entry } from "./Entry.ts"

/**
 * The running tasks, in no order. An entry knows its place, so that coming and going cost the same however many tasks
 * are stored: a map by id would have to touch a cold string for each (measured: three quarters of a claim's time).
 */
export class Running {
  private readonly entries: Array<Entry> = []

  all(): Iterable<Entry> {
    return this.entries
  }

  add(entry: Entry): void {
    entry.place = this.entries.length
    this.entries.push(entry)
  }

  delete(entry: Entry): void {
    const last = this.entries.pop()
    if (last !== undefined && last !== entry) {
      this.entries[entry.place] = last
      last.place = entry.place
    }
    entry.place = -1
  }

  /** The tasks whose leases have run out. */
  expired(request: RescueRequest, now: number): ReadonlyArray<Entry> {
    const leases = rescuable(request, now)
    if (leases === undefined) return []
    const found: Array<Entry> = []
    for (const entry of this.entries) {
      if (found.length >= request.limit) break
      const leaseUntil = entry.leaseUntil!
      if (leaseUntil <= leases.until || leaseUntil > leases.after) found.push(entry)
    }
    return found
  }
}

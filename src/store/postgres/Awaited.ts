/**
 * Ids of tasks that some process awaits, for a while: a process that still waits says so again. Ends of other tasks are announced
 * to none, for they would fill the channel.
 */

/** How long a word is good for, in milliseconds. */
const validForMs = 15_000

/** How long before it is said again. */
const repeatAfterMs = 5000

/** Ids remembered at most; those beyond are found by polling. */
const maxAwaited = 20_000

export class Awaited {
  /** Until when each is awaited, oldest first. */
  private readonly until = new Map<string, number>()

  get isEmpty(): boolean {
    return this.until.size === 0
  }

  /** Takes ids note of; answers those that were not known, or only known for a time that is nearly over. */
  add(ids: ReadonlyArray<string>, now: number): ReadonlyArray<string> {
    this.forget(now)
    return ids.filter((id) => {
      const until = this.until.get(id)
      if (until !== undefined && until - validForMs + repeatAfterMs > now) return false
      if (until === undefined && this.until.size >= maxAwaited) return false
      // to the end of the order
      this.until.delete(id)
      this.until.set(id, now + validForMs)
      return true
    })
  }

  /** Those of some ids that are awaited. */
  among(ids: ReadonlyArray<string>, now: number): ReadonlyArray<string> {
    if (this.isEmpty) return []
    this.forget(now)
    return ids.filter((id) => this.until.has(id))
  }

  private forget(now: number): void {
    for (const [id, until] of this.until) {
      if (until > now) return
      this.until.delete(id)
    }
  }
}

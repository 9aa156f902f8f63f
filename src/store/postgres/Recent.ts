/**
 * Ids of tasks that ended here a moment ago. Word that one of them is awaited may have been on its way by then.
 */

/** How long an id is known at least, in milliseconds; at most twice as long. */
const knownForMs = 1000

/** Ids known at most. */
const maxRecent = 20_000

export class Recent {
  private current = new Set<string>()
  private before = new Set<string>()
  private since = -Infinity

  add(ids: ReadonlyArray<string>, now: number): void {
    this.turn(now)
    for (const id of ids) if (this.current.size < maxRecent) this.current.add(id)
  }

  /** Those of some ids that ended a moment ago. */
  among(ids: ReadonlyArray<string>, now: number): ReadonlyArray<string> {
    this.turn(now)
    return ids.filter((id) => this.current.has(id) || this.before.has(id))
  }

  private turn(now: number): void {
    if (now - this.since < knownForMs) return
    this.before = now - this.since < 2 * knownForMs ? this.current : new Set()
    this.current = new Set()
    this.since = now
  }
}

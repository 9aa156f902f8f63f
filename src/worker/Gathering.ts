/**
 * Which attempts of a pool wait in batches for other tasks. When no other task can come, all batches go: all slots are
 * occupied by attempts that wait, or the pool closes.
 */
export class Gathering {
  /** The attempts that wait, each with how its batch goes. */
  private readonly waiting = new Map<object, () => void>()
  private closed = false
  /** Whether no other task can come while so many attempts wait. */
  private readonly isFull: (waiting: number) => boolean

  constructor(isFull: (waiting: number) => boolean) {
    this.isFull = isFull
  }

  /** An attempt waits for others. `go` is called, perhaps at once, when none can come. */
  wait(attempt: object, go: () => void): void {
    this.waiting.set(attempt, go)
    if (this.closed || this.isFull(this.waiting.size)) this.goAll()
  }

  /** The attempt waits no longer: its batch has gone, or the attempt is about to end. */
  done(attempt: object): void {
    this.waiting.delete(attempt)
  }

  /** Nothing is claimed any more: what waits goes, and what still comes does not wait. */
  close(): void {
    this.closed = true
    this.goAll()
  }

  private goAll(): void {
    for (const go of new Set(this.waiting.values())) go()
  }
}

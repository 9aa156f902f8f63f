/**
 * Which attempts of a pool wait in batches for other tasks. Where every running attempt does and no slot is free, no other
 * task can come: all batches go then, as they do when the pool closes.
 */
import type { Attempt } from "./Attempt.ts"
import type { Attempts } from "./Attempts.ts"
import type { Slots } from "./Slots.ts"

/** The attempts of a pool that wait in batches, each with how its batch goes. */
export class Gathering {
  private readonly waiting = new Map<Attempt, () => void>()
  private closed = false
  private readonly attempts: Attempts
  private readonly slots: Slots

  constructor(attempts: Attempts, slots: Slots) {
    this.attempts = attempts
    this.slots = slots
  }

  /** An attempt waits for others. `go` is called, perhaps at once, when none can come. */
  wait(attempt: Attempt, go: () => void): void {
    this.waiting.set(attempt, go)
    if (this.closed || (this.slots.free === 0 && this.waiting.size >= this.attempts.active)) this.goAll()
  }

  /** The attempt waits no longer: its batch has gone, or the attempt is about to end. */
  done(attempt: Attempt): void {
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

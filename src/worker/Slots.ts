import { type Effect, Latch } from "effect"

/**
 * The numbered slots of a pool, from 1 to `size`: each holds one running task. The number freed last is the next one taken.
 *
 * A `Semaphore` would do, and costs an effect for each task that ends: decision 74 has the figures.
 */
export class Slots {
  readonly size: number
  private readonly available: Array<number>
  private readonly some = Latch.makeUnsafe(true)
  /** Whether slots are freed now that are to be seen together. */
  private together = false

  constructor(size: number) {
    this.size = size
    this.available = Array.from({ length: size }, (_, index) => size - index)
  }

  /** How many are free. */
  get free(): number {
    return this.available.length
  }

  /** Waits until one is free. */
  get awaitFree(): Effect.Effect<void> {
    return this.some.await
  }

  /** Takes a free slot; to be called only while {@link free} is positive. */
  take(): number {
    const slot = this.available.pop()
    if (slot === undefined) throw new Error("No free slot to take")
    if (this.available.length === 0) this.some.closeUnsafe()
    return slot
  }

  /** Frees a slot whose task has ended. */
  release(slot: number): void {
    this.available.push(slot)
    if (!this.together) this.some.openUnsafe()
  }

  /** Shows all slots that are freed in this call in one step to those who wait, so that one claim is for all of them. */
  freeTogether(free: () => void): void {
    this.together = true
    try {
      free()
    } finally {
      this.together = false
      if (this.available.length > 0) this.some.openUnsafe()
    }
  }
}

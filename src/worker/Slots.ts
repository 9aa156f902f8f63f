import { type Effect, Latch } from "effect"
import type { Shares } from "./Shares.ts"

/**
 * The numbered slots of a pool, from 1 to `size`: each holds one running task. The number freed last is the next one taken.
 * Slots that are taken away while they are busy are gone when their task has ended.
 *
 * A `Semaphore` would do, and costs an effect for each task that ends: decision 74 has the figures.
 */
export class Slots {
  private count: number
  private taken = 0
  private highest = 0
  private held = false
  /** Numbers up to the size that are not busy. */
  private available: Array<number>
  /** Busy numbers beyond the size. */
  private readonly beyond = new Set<number>()
  private readonly some = Latch.makeUnsafe(true)
  /** Whether slots are freed now that are to be seen together. */
  private together = false

  private readonly shares: Shares | undefined

  /** `shares` are told which queues have them. */
  constructor(size: number, shares?: Shares) {
    this.count = size
    this.shares = shares
    this.available = Array.from({ length: size }, (_, index) => size - index)
  }

  /** How many there are. More may be busy, for a while, after some were taken away. */
  get size(): number {
    return this.count
  }

  /** How many are free; none while they are held. */
  get free(): number {
    return this.held ? 0 : Math.max(0, this.count - this.taken)
  }

  /** Whether nothing starts: see {@link hold}. */
  get isHeld(): boolean {
    return this.held
  }

  /** Waits until one is free. */
  get awaitFree(): Effect.Effect<void> {
    return this.some.await
  }

  /** Takes a free slot for a task of a queue. What was claimed before slots were taken away gets a number beyond the size. */
  take(queue: string): number {
    if (this.shares !== undefined) this.shares.started(queue)
    const slot = this.available.pop() ?? this.further()
    if (++this.taken > this.highest) this.highest = this.taken
    if (this.free === 0) this.some.closeUnsafe()
    return slot
  }

  /** Frees a slot whose task, of this queue, has ended. */
  release(slot: number, queue: string): void {
    this.taken--
    if (!this.beyond.delete(slot)) this.available.push(slot)
    if (!this.together && this.free > 0) this.some.openUnsafe()
    if (this.shares !== undefined) this.shares.ended(queue)
  }

  /** Shows all slots that are freed in this call in one step to those who wait, so that one claim is for all of them. */
  freeTogether(free: () => void): void {
    this.together = true
    try {
      free()
    } finally {
      this.together = false
      this.turn()
    }
  }

  /** Adds slots, or takes some away. Tasks that run go on. */
  resize(size: number): void {
    const before = this.count
    this.count = size
    if (size < before) {
      const free = new Set(this.available)
      for (let slot = size + 1; slot <= before; slot++) if (!free.has(slot)) this.beyond.add(slot)
      this.available = this.available.filter((slot) => slot <= size)
    } else {
      const added: Array<number> = []
      for (let slot = size; slot > before; slot--) if (!this.beyond.delete(slot)) added.push(slot)
      this.available = [...added, ...this.available]
    }
    this.turn()
  }

  /** While they are held, none counts as free: nothing starts, and what runs goes on. */
  hold(held: boolean): void {
    this.held = held
    this.turn()
  }

  /** How many were busy at the same time, at most, since this was asked last. */
  takePeak(): number {
    const peak = this.highest
    this.highest = this.taken
    return peak
  }

  private further(): number {
    let slot = this.count + 1
    while (this.beyond.has(slot)) slot++
    this.beyond.add(slot)
    return slot
  }

  private turn(): void {
    if (this.free > 0) this.some.openUnsafe()
    else this.some.closeUnsafe()
  }
}

import { type Effect, Latch } from "effect"

/** The numbered workers of a pool: permits for running attempts, the last one freed is the next one taken. */
export class WorkerSlots {
  readonly size: number
  private readonly available: Array<number>
  private readonly some: Latch.Latch

  constructor(size: number) {
    this.size = size
    this.some = Latch.makeUnsafe(size > 0)
    this.available = Array.from({ length: size }, (_, index) => size - index)
  }

  /** How many workers are idle. */
  get free(): number {
    return this.available.length
  }

  /** Waits until a worker is idle. */
  get awaitFree(): Effect.Effect<void> {
    return this.some.await
  }

  /** Takes an idle worker; to be called only while {@link free} is positive. */
  take(): number {
    const number = this.available.pop()
    if (number === undefined) throw new Error("No idle worker to take")
    if (this.available.length === 0) this.some.closeUnsafe()
    return number
  }

  release(number: number): void {
    this.available.push(number)
    this.some.openUnsafe()
  }
}

/**
 * Whether there is room for more tasks. An exact counter would be a row that an application's transaction keeps
 * locked, so this process counts what it adds itself and asks the store for the rest: once a second, and always before
 * it refuses anything.
 */
import { type Clock, Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import type { Tally } from "./Tally.ts"

/** How old the count may be, in milliseconds. */
const freshForMs = 1000

/** Room for unfinished tasks. */
export class Capacity {
  readonly capacity: number
  /** Tasks that were not finished when they were counted, and those added since. */
  unfinished = 0
  private countedAt = -Infinity
  private readonly tally: Tally
  private readonly now: () => number

  constructor(capacity: number, tally: Tally, clock: Clock.Clock) {
    this.capacity = capacity
    this.tally = tally
    this.now = () => MonotonicClock.millis(clock)
  }

  /** Whether so many more fit, as far as this process knows. */
  hasRoomFor(tasks: number): boolean {
    return this.unfinished + tasks <= this.capacity
  }

  /** Counts again when the count is old or would refuse so many tasks. */
  countFor(tasks: number): Effect.Effect<void, StoreError> {
    return Effect.suspend(() =>
      this.hasRoomFor(tasks) && this.now() - this.countedAt < freshForMs ? Effect.void : this.count
    )
  }

  private get count(): Effect.Effect<void, StoreError> {
    const at = this.now()
    return Effect.map(this.tally.unfinished, (unfinished) => {
      this.unfinished = unfinished
      this.countedAt = at
    })
  }

  /** Tasks that have been stored. */
  add(tasks: number): void {
    this.unfinished += tasks
  }
}

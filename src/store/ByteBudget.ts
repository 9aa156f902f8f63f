/**
 * The bytes that the tasks of a store may have together, where the store has to be asked how many they have. Keeping count
 * would cost every write something, so the answer is up to a second old, and what this process has stored since is added.
 */
import { type Clock, Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { NewTask } from "../domain/TaskRecord.ts"

/** How old a measurement may be, in milliseconds, if it was quick. */
const maxAgeMs = 1000

/** How many times as long as measuring takes is waited before it is done again: it takes 2 % of the time at most. */
const pauses = 50

/** Bytes of UTF-8 in the payloads of tasks: what is offered. */
export const offeredBytes = (tasks: Iterable<Pick<NewTask, "payload">>): number => {
  let bytes = 0
  for (const { payload } of tasks) bytes += Buffer.byteLength(payload)
  return bytes
}

/** Room for bytes. */
export class ByteBudget {
  readonly maxBytes: number
  /** Bytes that were measured, and those stored since. */
  bytes = 0
  private added = 0
  private measuredAt = -Infinity
  private tookMs = 0
  private readonly measure: Effect.Effect<number, StoreError>
  private readonly now: () => number

  constructor(maxBytes: number, measure: Effect.Effect<number, StoreError>, clock: Clock.Clock) {
    this.maxBytes = maxBytes
    this.measure = measure
    this.now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  /** Whether so many more fit, as far as this process knows. */
  fits(bytes: number): boolean {
    return this.bytes + bytes <= this.maxBytes
  }

  /** Measures again when that was long ago, or not just now and so many more would be refused. */
  measureFor(bytes: number): Effect.Effect<void, StoreError> {
    return Effect.suspend(() => {
      const now = this.now()
      const pauseMs = Math.max(this.fits(bytes) ? maxAgeMs : 0, this.tookMs * pauses)
      if (now - this.measuredAt < pauseMs) return Effect.void
      this.measuredAt = now
      const before = this.added
      return Effect.map(this.measure, (measured) => {
        // what was stored in between may be in it or not
        this.bytes = measured + this.added - before
        this.tookMs = this.now() - now
      })
    })
  }

  /** Bytes that have been stored. */
  add(bytes: number): void {
    this.bytes += bytes
    this.added += bytes
  }
}

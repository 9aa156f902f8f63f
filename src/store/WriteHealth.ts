/**
 * What keeps a store from taking writes. Reads may well work then, so that nothing else would tell.
 */
import type { Clock, Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"

/** Bytes that a probe writes: what the largest request brings. Where less fits, most tasks may still be refused. */
export const probeBytes: number = 1024 * 1024

/** Writes that the store refused, and none that it has taken since. */
export interface Refusal {
  /** The last of them. */
  readonly error: StoreError
  /** When the first was refused, in milliseconds since the epoch. */
  readonly since: number
  /** How many there were. */
  readonly failures: number
}

/** How many bytes are free where a store writes, and how many there are. */
export interface Room {
  readonly free: number
  readonly total: number
}

/** Whether a store takes writes. */
export interface WriteHealth {
  /** What it still has room for, where that can be known at once; `undefined` where it cannot. */
  readonly room?: (() => Room | undefined) | undefined
  /** What it knows without trying a write. */
  readonly refusal: Effect.Effect<Refusal | undefined>
  /**
   * Looks whether the store is still the one that was opened, and tries a write while the last one was refused. Fails
   * while writes are refused. To be called every now and then: only its success ends a {@link Refusal}.
   */
  readonly probe: Effect.Effect<void, StoreError>
}

/** Remembers refused writes. It costs nothing where a write succeeds. */
export class Refusals {
  private readonly clock: Clock.Clock
  private refusal: Refusal | undefined

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  get current(): Refusal | undefined {
    return this.refusal
  }

  /** To be told of each failed write. Only an error with advice will last until an operator acts. */
  note(error: StoreError): void {
    if (error.advice === undefined) return
    this.refusal = {
      error,
      since: this.refusal?.since ?? this.clock.currentTimeMillisUnsafe(),
      failures: (this.refusal?.failures ?? 0) + 1
    }
  }

  /** To be called when a write that needs what others need has succeeded. */
  end(): void {
    this.refusal = undefined
  }
}

import { type Duration, Effect, Iterable, Latch, Option } from "effect"
import type { Attempt } from "./Attempt.ts"
import type { PoolLoad } from "./PoolLoad.ts"

/** The attempts of a pool, from their start until the store has answered for their ending. Their leases are extended. */
export class Attempts implements Iterable<Attempt> {
  private readonly held = new Set<Attempt>()
  private readonly idle = Latch.makeUnsafe(true)
  private running = 0
  private readonly load: PoolLoad

  constructor(load: PoolLoad) {
    this.load = load
  }

  /** How many run now; one that has ended and is not settled yet does not. */
  get active(): number {
    return this.running
  }

  /** How many have ended and are not settled yet. */
  get unsettled(): number {
    return this.held.size - this.running
  }

  /** Whether it is one of them. */
  has(attempt: Attempt): boolean {
    return this.held.has(attempt)
  }

  /** The attempt at a task that runs, if one does. */
  find(task: string): Attempt | undefined {
    return Option.getOrUndefined(Iterable.findFirst(this, ({ ended, id }) => id === task && !ended))
  }

  /** Whether one of these tasks is among them. */
  hasAny(ids: ReadonlyArray<string>): boolean {
    const wanted = new Set(ids)
    return Iterable.some(this, ({ id }) => wanted.has(id))
  }

  /** Adds an attempt that starts. */
  started(attempt: Attempt): void {
    this.held.add(attempt)
    this.load.started(attempt.startedAt)
    if (++this.running === 1) this.idle.closeUnsafe()
  }

  /** A handler ended, or was given up, at a time of the monotonic clock. */
  ended(at: number): void {
    this.load.ended(at)
    if (--this.running === 0) this.idle.openUnsafe()
  }

  /** The store has answered for its ending, or it has none to be stored. */
  forget(attempt: Attempt): void {
    this.held.delete(attempt)
  }

  /** Waits until none runs; answers whether that came to pass within the duration. */
  idleWithin(duration: Duration.Input): Effect.Effect<boolean> {
    return Effect.map(Effect.timeoutOption(this.idle.await, duration), Option.isSome)
  }

  [Symbol.iterator](): Iterator<Attempt> {
    return this.held.values()
  }
}

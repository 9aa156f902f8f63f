import type { AttemptSpans } from "../observability/Tracing.ts"

/** What a batch knows of an attempt. It stands apart from the attempt itself, of which a program that only enqueues needs nothing. */
export abstract class Gathered {
  /** Monotonic milliseconds. */
  abstract readonly startedAt: number
  /** When the attempt times out, on the same clock. */
  abstract readonly deadline: number
  /** Its spans, where the program has a tracer. */
  abstract readonly spans: AttemptSpans | undefined
  /** What the attempts of its pool wait in. */
  abstract readonly gathering: Gathering
}

/** The pool whose attempts are gathered. */
export interface GatheringPool {
  /** Whether no other task can come while so many attempts wait. */
  readonly isFull: (waiting: number) => boolean
  /** Frees slots in one step. */
  readonly freeTogether: (free: () => void) => void
}

/**
 * Which attempts of a pool wait in batches for other tasks. When no other task can come, all batches go: all slots are
 * occupied by attempts that wait, or the pool drains or closes.
 */
export class Gathering {
  /** The attempts that wait, each with how its batch goes. */
  private readonly waiting = new Map<object, () => void>()
  private closed = false
  private readonly pool: GatheringPool

  constructor(pool: GatheringPool) {
    this.pool = pool
  }

  /** An attempt waits for others. `go` is called, perhaps at once, when none can come. */
  wait(attempt: object, go: () => void): void {
    this.waiting.set(attempt, go)
    this.look()
  }

  /** To be called when the pool has fewer slots, or takes no more tasks: perhaps none can come now. */
  look(): void {
    if (this.closed || this.pool.isFull(this.waiting.size)) this.goAll()
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

  /** Ends the attempts of a batch: the slots that they free bring the next one. */
  end(ends: () => void): void {
    this.pool.freeTogether(ends)
  }

  private goAll(): void {
    for (const go of new Set(this.waiting.values())) go()
  }
}

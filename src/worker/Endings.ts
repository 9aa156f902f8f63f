/**
 * The way from running to settled: a bounded list of endings. When the store is slow the list fills, attempts that end
 * wait for room in their slots, and the claimer finds no free slot: what the pool holds has a bound in count and in bytes.
 *
 * A bounded `Queue` would do, and costs a task a tenth of its CPU time: decision 74 has the figures.
 */
import { Effect, Latch } from "effect"
import type { Settlement } from "../domain/Settlement.ts"
import type { Attempt } from "./Attempt.ts"
import type { Attempts } from "./Attempts.ts"
import type { Slots } from "./Slots.ts"

/** What is told of an attempt that has ended, in this process or in another one. */
export interface EndedAttempt extends
  Pick<
    Attempt,
    | "id"
    | "claim"
    | "type"
    | "queue"
    | "slot"
    | "startedAt"
    | "endedAt"
    | "definition"
    | "completion"
    | "annotations"
    | "isProtecting"
  >
{
  readonly task: Pick<Attempt["task"], "queue" | "gate" | "failures" | "maxRetries">
}

/** How an attempt ended that ran anywhere. */
export interface Ended {
  readonly attempt: EndedAttempt
  readonly settlement: Settlement
}

/** How an attempt of this pool ended, on its way to the store. */
export interface Ending extends Ended {
  readonly attempt: Attempt
}

/** Endings that may be unsettled before attempts wait. */
const maxUnsettled = 2048

/** Characters that their results may have together before attempts wait. */
const maxUnsettledSize = 64 * 1024 * 1024

/** How many characters an ending brings. Failures are cut short and count as nothing. */
export const sizeOf = ({ settlement }: Ending): number => settlement._tag === "Complete" ? settlement.result.length : 0

/** The endings of a pool that are not settled yet. */
export class Endings {
  private waiting: Array<Ending> = []
  /** Of those that wait and those that the settler has taken. */
  private count = 0
  private size = 0
  private starting = false
  private readonly some = Latch.makeUnsafe(false)
  private readonly room = Latch.makeUnsafe(true)
  private readonly attempts: Attempts
  private readonly slots: Slots
  /** Whether those that come while tasks are started are settled together; see `TaskStore.answersAtOnce`. */
  private readonly gathers: boolean

  constructor(attempts: Attempts, slots: Slots, gathers: boolean) {
    this.attempts = attempts
    this.slots = slots
    this.gathers = gathers
  }

  /**
   * The end of an attempt, whose handler ended or was given up: keeps what became of it and frees its slot. Answers what is
   * left to do: nothing, or to wait for room. The first end of an attempt counts.
   */
  end(attempt: Attempt, settlement: Settlement | undefined, now: number): Effect.Effect<void> | undefined {
    if (attempt.ended) return undefined
    attempt.end(now)
    this.attempts.ended(now)
    if (settlement === undefined) {
      this.attempts.forget(attempt)
      attempt.spans?.settled("lost", false)
      this.slots.release(attempt.slot, attempt.queue)
      return undefined
    }
    const ending = { attempt, settlement }
    // Nearly all find room, and need no fiber to wait in
    if (!this.isFull) return this.add(ending)
    return Effect.map(this.room.await, () => this.add(ending))
  }

  /** Starts the tasks of a claim. If it gathers, the settler sleeps until all have been started. */
  together(start: () => void): void {
    this.starting = this.gathers
    start()
    this.starting = false
    if (this.waiting.length > 0) this.some.openUnsafe()
  }

  /** Waits until there is an ending. */
  get await(): Effect.Effect<void> {
    return this.some.await
  }

  /** The one that has waited longest. */
  get first(): Ending | undefined {
    return this.waiting[0]
  }

  /** Takes as many as there are, up to `max`. */
  take(max: number): ReadonlyArray<Ending> {
    const taken = this.waiting.slice(0, max)
    this.waiting = this.waiting.slice(max)
    if (this.waiting.length === 0) this.some.closeUnsafe()
    return taken
  }

  /** The store has answered for endings that were taken: makes room for others. */
  settled(endings: ReadonlyArray<Ending>): void {
    this.count -= endings.length
    for (const ending of endings) {
      this.size -= sizeOf(ending)
      this.attempts.forget(ending.attempt)
    }
    if (!this.isFull) this.room.openUnsafe()
  }

  /** Lets go of the attempts that wait for room. Their endings are lost to this pool: their leases will run out. */
  release(): void {
    this.room.openUnsafe()
  }

  private get isFull(): boolean {
    return this.count >= maxUnsettled || this.size >= maxUnsettledSize
  }

  private add(ending: Ending): undefined {
    this.waiting.push(ending)
    this.count++
    this.size += sizeOf(ending)
    if (this.isFull) this.room.closeUnsafe()
    this.slots.release(ending.attempt.slot, ending.attempt.queue)
    if (!this.starting) this.some.openUnsafe()
    return undefined
  }
}

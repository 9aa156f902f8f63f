/**
 * Timeouts for all running attempts with one sleeping fiber instead of one timer per task. It also notices attempts
 * that go on after they were told to stop: after `abandonAfterMs` they are given up, and end without their fiber.
 */
import { type Clock, Effect, Latch } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Attempt, InterruptReason } from "./Attempt.ts"
import type { Attempts } from "./Attempts.ts"

/** How long an interrupted attempt may run its finalizers before it is given up. */
const abandonAfterMs = 5000

/** Starts the watch, which ends with the scope. */
export const start = Effect.fnUntraced(function*(options: {
  readonly supervisor: Supervisor["Service"]
  readonly clock: Clock.Clock
  readonly attempts: Attempts
  /** Ends an attempt whose fiber does not end. */
  readonly abandon: (attempt: Attempt) => Effect.Effect<void>
}) {
  const { attempts, clock } = options
  const earlier = Latch.makeUnsafe(true)
  let armedFor = Infinity

  const step = Effect.gen(function*() {
    earlier.closeUnsafe()
    const now = MonotonicClock.exactMillis(clock)
    armedFor = Infinity
    for (const attempt of attempts) {
      if (attempt.ended) continue
      if (attempt.reason === undefined && attempt.deadline <= now) attempt.interrupt("timeout", now)
      if (attempt.ended) continue
      if (attempt.interruptedAt + abandonAfterMs <= now) {
        yield* options.abandon(attempt)
        continue
      }
      armedFor = Math.min(armedFor, nextDeadline(attempt))
    }
  })
  const due = Effect.suspend(() => {
    const wait = armedFor - MonotonicClock.exactMillis(clock)
    return Number.isFinite(wait)
      ? Effect.timeoutOption(earlier.await, Math.max(1, Math.ceil(wait)))
      : earlier.await
  })
  yield* options.supervisor.loop("deadlines", step, { when: due })

  /** To be called when an attempt starts: the next deadline may be earlier now. */
  const watch = (attempt: Attempt): void => {
    if (!attempt.ended && nextDeadline(attempt) < armedFor) earlier.openUnsafe()
  }
  return {
    watch,
    /** Interrupts an attempt, and gives it up if it goes on all the same. The first reason counts. */
    stop: (attempt: Attempt, reason: InterruptReason): void => {
      attempt.interrupt(reason, MonotonicClock.exactMillis(clock))
      watch(attempt)
    }
  }
})

/** The watch over the attempts of a pool. */
export type Deadlines = Effect.Success<ReturnType<typeof start>>

const nextDeadline = (attempt: Attempt): number =>
  attempt.reason === undefined ? attempt.deadline : attempt.interruptedAt + abandonAfterMs

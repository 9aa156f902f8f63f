/**
 * Timeouts for all running attempts with one sleeping fiber instead of one timer per task. It also notices attempts
 * that go on after they were told to stop: after `abandonAfterMs` they are settled without their fiber.
 */
import { type Clock, Effect, Latch } from "effect"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Attempt } from "./Attempt.ts"

/** How long an interrupted attempt may run its finalizers before it is given up. */
const abandonAfterMs = 5000

/** The monotonic clock in milliseconds. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1000n) / 1000

/** Starts the watch. Call `watch` for each new attempt. */
export const start = Effect.fnUntraced(function*(options: {
  readonly supervisor: Supervisor["Service"]
  readonly clock: Clock.Clock
  readonly attempts: ReadonlySet<Attempt>
  /** Settles an attempt whose fiber does not end. */
  readonly abandon: (attempt: Attempt) => Effect.Effect<void>
}) {
  const earlier = Latch.makeUnsafe(false)
  let armedFor = Infinity

  const step = Effect.gen(function*() {
    earlier.closeUnsafe()
    const now = monotonicMillis(options.clock)
    armedFor = Infinity
    for (const attempt of options.attempts) {
      if (attempt.settled) continue
      if (attempt.reason === undefined && attempt.deadline <= now) attempt.interrupt("timeout", now)
      if (attempt.settled) continue
      if (attempt.interruptedAt + abandonAfterMs <= now) {
        yield* options.abandon(attempt)
        continue
      }
      armedFor = Math.min(armedFor, nextDeadline(attempt))
    }
    const wait = armedFor - now
    yield* Number.isFinite(wait)
      ? Effect.timeoutOption(earlier.await, Math.max(1, Math.ceil(wait)))
      : earlier.await
  })
  yield* options.supervisor.loop("deadlines", step)

  return {
    /** To be called when an attempt starts or is interrupted: the next deadline may be earlier now. */
    watch: (attempt: Attempt): void => {
      if (nextDeadline(attempt) < armedFor) earlier.openUnsafe()
    }
  }
})

const nextDeadline = (attempt: Attempt): number =>
  attempt.reason === undefined ? attempt.deadline : attempt.interruptedAt + abandonAfterMs

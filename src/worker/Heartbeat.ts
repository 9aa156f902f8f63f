/**
 * Extends the leases of all running attempts in one call, three times per lease. An attempt stays in the heartbeat
 * until its settlement is acknowledged. What it learns: the lease is lost, or the task is to be cancelled.
 */
import { Effect, Latch } from "effect"
import { StoreError } from "../domain/Errors.ts"
import type { Recorder } from "../observability/Metrics.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { ClaimRef, ExtendAnswer, TaskStore } from "../store/TaskStore.ts"
import type { Attempts } from "./Attempts.ts"
import type { Deadlines } from "./Deadlines.ts"

/**
 * Starts the heartbeat, which ends with the scope. Answers how to bring the next beat forward: a hint says that a task
 * is to be cancelled. Only the store knows whether that is still true of the attempt that runs now.
 */
export const start = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly attempts: Attempts
  readonly deadlines: Deadlines
  readonly recorder: Recorder
  readonly leaseForMs: number
}) {
  const hurry = Latch.makeUnsafe(true)
  yield* options.supervisor.loop(
    "heartbeat",
    Effect.gen(function*() {
      hurry.closeUnsafe()
      const attempts = [...options.attempts]
      if (attempts.length > 0) {
        const answers = yield* extend(options.store, attempts, options.leaseForMs)
        for (const [index, attempt] of attempts.entries()) {
          const answer = answers[index]
          if (answer === "lost") {
            if (attempt.isLostByBeingDone()) continue
            // It may go on for a while, and is found lost again
            if (attempt.reason === undefined) options.recorder.lost(attempt.type)
            options.deadlines.stop(attempt, "lost")
          } else if (answer === "cancel") options.deadlines.stop(attempt, "cancelled")
        }
      }
    }),
    { when: Effect.timeoutOption(hurry.await, options.leaseForMs / 3), maxBackoff: options.leaseForMs / 3 }
  )
  return (): void => {
    hurry.openUnsafe()
  }
})

/** Prolongs leases. A call that is never answered must not outlast what it was to prolong: it has a third of a lease. */
export const extend = (
  store: TaskStore["Service"],
  refs: ReadonlyArray<ClaimRef>,
  leaseForMs: number
): Effect.Effect<ReadonlyArray<ExtendAnswer>, StoreError> =>
  Effect.timeoutOrElse(store.extend(refs.map(({ claim, id }) => ({ id, claim })), leaseForMs), {
    duration: leaseForMs / 3,
    orElse: () =>
      Effect.fail(new StoreError({ operation: "extend", reason: "it did not answer within a third of a lease" }))
  })

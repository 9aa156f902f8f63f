/** Stores the progress that handlers report, merged and batched: many reports cost one write. */
import { Effect, Latch } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { ProgressReport, TaskStore } from "../store/TaskStore.ts"
import type { Attempt } from "./Attempt.ts"

/** Starts the reporter; it ends with the scope. */
export const make = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly supervisor: Supervisor["Service"]
}) {
  const latest = new Map<Attempt, number>()
  const some = Latch.makeUnsafe(false)

  /** Reports that the store refuses for their content are left out: repeating them would hold up all others. */
  const store = (reports: ReadonlyArray<ProgressReport>): Effect.Effect<void, StoreError> =>
    Effect.catchIf(
      options.store.report(reports),
      ({ refused }) => refused === true,
      () => reports.length === 1 ? Effect.void : Effect.forEach(reports, (report) => store([report]), { discard: true })
    )

  yield* options.supervisor.loop(
    "progress",
    Effect.gen(function*() {
      some.closeUnsafe()
      const sent = [...latest]
      const reports: Array<ProgressReport> = []
      for (const [attempt, progress] of sent) {
        if (!attempt.ended) reports.push({ id: attempt.id, claim: attempt.claim, progress })
      }
      if (reports.length > 0) yield* store(reports)
      for (const [attempt, progress] of sent) if (latest.get(attempt) === progress) latest.delete(attempt)
    }),
    { when: Effect.andThen(some.await, Effect.sleep("200 millis")) }
  )

  return (attempt: Attempt, progress: number): void => {
    latest.set(attempt, progress)
    some.openUnsafe()
  }
})

/** Stores the progress that handlers report, merged and batched: many reports cost one write. */
import { Effect, Latch } from "effect"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Note, TaskStore } from "../store/TaskStore.ts"
import type { Attempt } from "./Attempt.ts"

/** Starts the reporter; it ends with the scope. */
export const make = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly supervisor: Supervisor["Service"]
}) {
  const latest = new Map<Attempt, number>()
  const some = Latch.makeUnsafe(false)

  yield* options.supervisor.loop(
    "progress",
    Effect.gen(function*() {
      yield* some.await
      yield* Effect.sleep("200 millis")
      some.closeUnsafe()
      const sent = [...latest]
      const notes: Array<Note> = []
      for (const [attempt, progress] of sent) {
        if (!attempt.settled) notes.push({ id: attempt.id, claim: attempt.claim, progress })
      }
      if (notes.length > 0) {
        yield* Effect.tapError(options.store.note(notes), () => Effect.sync(() => some.openUnsafe()))
      }
      for (const [attempt, progress] of sent) if (latest.get(attempt) === progress) latest.delete(attempt)
    })
  )

  return (attempt: Attempt, progress: number): void => {
    latest.set(attempt, progress)
    some.openUnsafe()
  }
})

/**
 * Waits for tasks to finish. However many fibers wait, one batched read per round answers them all: at once after a hint,
 * and otherwise after the poll interval.
 */
import { Clock, Deferred, Duration, Effect, Latch } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { ResultInTransaction, TaskNotFound } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Notifier } from "../store/Notifier.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { fromOutcome, type StoredOutcome } from "./StoredTask.ts"

/** Ids read together at most. */
const batchSize = 1000

/** Starts the waiter; it ends with the scope. */
export const make = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly notifier: Notifier["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly pollInterval: Duration.Input
}) {
  type Waiting = Deferred.Deferred<StoredOutcome, TaskNotFound>
  const waiting = new Map<string, Set<Waiting>>()
  const fresh = new Set<string>()
  const some = Latch.makeUnsafe(false)
  const clock = yield* Clock.Clock
  const pollMs = Duration.toMillis(options.pollInterval)
  const now = () => MonotonicClock.millis(clock)
  let polledAt = now()

  yield* options.notifier.listen((hint) => {
    if (hint._tag !== "Finished" || waiting.size === 0) return
    for (const id of hint.ids) if (waiting.has(id)) fresh.add(id)
    if (fresh.size > 0) some.openUnsafe()
  })

  const read = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
    let start = 0
    while (start < ids.length) {
      const batch = ids.slice(start, start + batchSize)
      const outcomes = yield* options.store.awaitResults(batch, Bounds.maxAnswerBytes)
      start += Math.max(1, outcomes.length)
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome === undefined) continue
        const id = batch[index]!
        const waiters = waiting.get(id)
        waiting.delete(id)
        for (const waiter of waiters ?? []) {
          Deferred.doneUnsafe(
            waiter,
            // Each waiter decodes it for itself
            outcome === null ? Effect.fail(new TaskNotFound({ id })) : Effect.sync(() => fromOutcome(outcome))
          )
        }
      }
    }
  })

  const asked = Effect.gen(function*() {
    if (waiting.size === 0) {
      yield* some.await
      polledAt = now()
    }
    // Counted from the last poll: hints for some must not put off the poll for the others.
    const wait = polledAt + pollMs - now()
    if (wait > 0) yield* Effect.timeoutOption(some.await, wait)
    // Others of the same turn of the scheduler are read with it
    yield* Effect.yieldNow
  })
  yield* options.supervisor.loop(
    "results",
    Effect.gen(function*() {
      const due = now() >= polledAt + pollMs
      some.closeUnsafe()
      const ids = due ? [...waiting.keys()] : [...fresh]
      if (due) polledAt = now()
      fresh.clear()
      yield* Effect.onError(read(ids), () =>
        Effect.sync(() => {
          // All are read when it is tried again
          polledAt = -Infinity
        }))
    }),
    { when: asked, maxBackoff: pollMs }
  )

  const leave = (ids: ReadonlyArray<string>, waiter: Waiting): void => {
    for (const id of ids) {
      const left = waiting.get(id)
      left?.delete(waiter)
      if (left?.size === 0) waiting.delete(id)
    }
  }

  /** However many ids there are, it is one waiter. */
  const wait = (ids: readonly [string, ...Array<string>]): Effect.Effect<StoredOutcome, TaskNotFound> =>
    Effect.suspend(() => {
      const waiter = Deferred.makeUnsafe<StoredOutcome, TaskNotFound>()
      for (const id of ids) {
        const waiters = waiting.get(id)
        if (waiters === undefined) waiting.set(id, new Set([waiter]))
        else waiters.add(waiter)
        fresh.add(id)
      }
      some.openUnsafe()
      return Effect.ensuring(Deferred.await(waiter), Effect.sync(() => leave(ids, waiter)))
    })

  /** The outcome of the first of these tasks that has finished. */
  return (ids: readonly [string, ...Array<string>]): Effect.Effect<StoredOutcome, TaskNotFound | ResultInTransaction> =>
    Effect.flatMap(
      options.store.inTransaction,
      (inside): Effect.Effect<StoredOutcome, TaskNotFound | ResultInTransaction> =>
        inside ? Effect.fail(new ResultInTransaction({ id: ids[0] })) : wait(ids)
    )
})

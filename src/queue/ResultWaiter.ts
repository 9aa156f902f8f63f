/**
 * Waits for tasks to finish, for any number of waiters at the cost of one batched read per round: a hint brings the
 * read forward, polling stands behind it.
 */
import { Clock, Deferred, Duration, Effect, Latch } from "effect"
import { ResultInTransaction, TaskGone } from "../domain/Errors.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Notifier } from "../store/Notifier.ts"
import type { Outcome, TaskStore } from "../store/TaskStore.ts"

/** Ids read together at most. */
const batchSize = 1000

/** Starts the waiter; it ends with the scope. */
export const make = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly notifier: Notifier["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly pollInterval: Duration.Input
}) {
  type Waiting = Deferred.Deferred<Outcome, TaskGone>
  const waiting = new Map<string, Set<Waiting>>()
  const fresh = new Set<string>()
  const some = Latch.makeUnsafe(false)
  const clock = yield* Clock.Clock
  const pollMs = Duration.toMillis(options.pollInterval)
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  let polledAt = now()

  yield* options.notifier.listen((signal) => {
    if (signal._tag !== "Finished" || waiting.size === 0) return
    for (const id of signal.ids) if (waiting.has(id)) fresh.add(id)
    if (fresh.size > 0) some.openUnsafe()
  })

  const read = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
    for (let start = 0; start < ids.length; start += batchSize) {
      const batch = ids.slice(start, start + batchSize)
      const outcomes = yield* options.store.results(batch)
      for (const [index, id] of batch.entries()) {
        const outcome = outcomes[index]
        if (outcome === undefined) continue
        const waiters = waiting.get(id)
        waiting.delete(id)
        for (const waiter of waiters ?? []) {
          Deferred.doneUnsafe(waiter, outcome === null ? Effect.fail(new TaskGone({ id })) : Effect.succeed(outcome))
        }
      }
    }
  })

  yield* options.supervisor.loop(
    "results",
    Effect.gen(function*() {
      if (waiting.size === 0) {
        yield* some.await
        polledAt = now()
      }
      // Counted from the last poll: hints for some must not put off the poll for the others.
      const wait = polledAt + pollMs - now()
      if (wait > 0) yield* Effect.timeoutOption(some.await, wait)
      const due = now() >= polledAt + pollMs
      some.closeUnsafe()
      const ids = due ? [...waiting.keys()] : [...fresh]
      if (due) polledAt = now()
      fresh.clear()
      yield* read(ids)
    }),
    pollMs
  )

  const wait = (id: string): Effect.Effect<Outcome, TaskGone> =>
    Effect.suspend(() => {
      const waiter = Deferred.makeUnsafe<Outcome, TaskGone>()
      const waiters = waiting.get(id)
      if (waiters === undefined) waiting.set(id, new Set([waiter]))
      else waiters.add(waiter)
      fresh.add(id)
      some.openUnsafe()
      return Effect.onInterrupt(Deferred.await(waiter), () =>
        Effect.sync(() => {
          const left = waiting.get(id)
          left?.delete(waiter)
          if (left?.size === 0) waiting.delete(id)
        }))
    })

  const { inTransaction } = options.store
  /** The outcome of a task once it has finished. */
  return (id: string): Effect.Effect<Outcome, TaskGone | ResultInTransaction> =>
    inTransaction === undefined
      ? wait(id)
      : Effect.flatMap(inTransaction, (inside) =>
        Effect.andThen(inside ? Effect.fail(new ResultInTransaction({ id })) : Effect.void, wait(id)))
})

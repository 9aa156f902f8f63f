/**
 * Waits for tasks of a server to finish: one request at a time asks for the results of all that are awaited, and the
 * server answers it once one of them has finished. A task that is awaited while a request is open joins by a new request.
 */
import { Deferred, Duration, Effect, Latch, Schedule } from "effect"
import { type StoreError, TaskNotFound } from "../../domain/Errors.ts"
import type { StoredOutcome } from "../../queue/StoredTask.ts"
import { maxResults } from "../api/TasksApi.ts"

/** How long the server waits before it answers that nothing has finished; less than what proxies allow. */
const wait = Duration.seconds(20)

/** Others that are awaited within this time share the request. */
const gather = Duration.millis(20)

/** Waits while the server does not answer: doubling from 200 ms to 5 s. */
const backoff = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

/** Reads the results of as many ids as fit into an answer, by id, once the first of them is there. */
type Read = (
  ids: ReadonlyArray<string>,
  wait: Duration.Duration
) => Effect.Effect<ReadonlyArray<readonly [id: string, outcome: StoredOutcome | undefined | null]>, StoreError>

/** Starts waiting; it ends with the scope. */
export const make = Effect.fnUntraced(function*(read: Read) {
  type Waiting = Deferred.Deferred<StoredOutcome, TaskNotFound>
  const waiting = new Map<string, Set<Waiting>>()
  const more = Latch.makeUnsafe(false)

  const finish = (id: string, outcome: StoredOutcome | null) => {
    const waiters = waiting.get(id)
    waiting.delete(id)
    for (const waiter of waiters ?? []) {
      Deferred.doneUnsafe(waiter, outcome === null ? Effect.fail(new TaskNotFound({ id })) : Effect.succeed(outcome))
    }
  }

  /** Those asked first are asked last next time, so that more than fit into a request take turns. */
  const take = () => {
    const ids: Array<string> = []
    for (const [id, waiters] of waiting) {
      if (ids.length === maxResults) break
      ids.push(id)
      waiting.delete(id)
      waiting.set(id, waiters)
    }
    return ids
  }

  const round = Effect.gen(function*() {
    if (waiting.size === 0) yield* more.await
    yield* Effect.sleep(gather)
    more.closeUnsafe()
    const ids = take()
    if (ids.length === 0) return
    const crowded = waiting.size > maxResults
    const outcomes = yield* Effect.raceFirst(
      read(ids, crowded ? Duration.zero : wait),
      Effect.as(more.await, [])
    )
    for (const [id, outcome] of outcomes) {
      if (outcome !== undefined) finish(id, outcome)
    }
    if (crowded) yield* Effect.sleep("200 millis")
  })

  yield* round.pipe(
    Effect.tapError((error) => Effect.logWarning(`Waiting for results: ${error.message}`)),
    Effect.retry(backoff),
    Effect.forever,
    Effect.forkScoped
  )

  /** The outcome of a task once it has finished. */
  return (id: string): Effect.Effect<StoredOutcome, TaskNotFound> =>
    Effect.suspend(() => {
      const waiter = Deferred.makeUnsafe<StoredOutcome, TaskNotFound>()
      const waiters = waiting.get(id)
      if (waiters === undefined) {
        waiting.set(id, new Set([waiter]))
        more.openUnsafe()
      } else waiters.add(waiter)
      return Effect.onInterrupt(Deferred.await(waiter), () =>
        Effect.sync(() => {
          const left = waiting.get(id)
          left?.delete(waiter)
          if (left?.size === 0) waiting.delete(id)
        }))
    })
})

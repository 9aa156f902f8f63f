/**
 * Settles the ends of attempts in batches. An ending stays in the list until the store has answered for it: a batch
 * that the store refuses is tried again until it is through, nothing is dropped, and meanwhile the bounded list holds
 * back the workers.
 */
import { Effect, Latch, Schedule } from "effect"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import type { Attempt } from "./Attempt.ts"

/** A settlement on its way, and the attempt it belongs to. */
export interface Ending {
  readonly attempt: Attempt
  readonly settlement: Settlement
}

/** Endings that may wait before workers are held back. */
const capacity = 2048

/** Endings sent to the store together at most. */
const batchSize = 1024

/** Waits between attempts to flush a batch at shutdown: doubling from 20 ms to 500 ms. */
const flushBackoff = Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("500 millis")])

/** Starts the settler; closing the scope flushes what waits, for `flushForMs` at most. */
export const make = Effect.fnUntraced(function*(options: {
  readonly store: TaskStore["Service"]
  readonly supervisor: Supervisor["Service"]
  /** The longest wait before a batch that was refused is tried again, in milliseconds. */
  readonly retryWithinMs: number
  readonly flushForMs: number
  readonly onSettled: (batch: ReadonlyArray<Ending>, answers: ReadonlyArray<SettleAnswer>) => Effect.Effect<void>
}) {
  let draining = false
  let waiting: Array<Ending> = []
  const some = Latch.makeUnsafe(false)
  const room = Latch.makeUnsafe(true)

  const add = (ending: Ending): void => {
    waiting.push(ending)
    some.openUnsafe()
    if (waiting.length >= capacity && !draining) room.closeUnsafe()
  }

  const settleBatch = Effect.gen(function*() {
    const batch = waiting.slice(0, batchSize)
    const answers = yield* options.store.settle(batch.map((ending) => ending.settlement))
    waiting = waiting.slice(batch.length)
    if (waiting.length === 0) some.closeUnsafe()
    if (waiting.length < capacity) room.openUnsafe()
    yield* options.onSettled(batch, answers)
  })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      while (waiting.length > 0) yield* Effect.ignore(Effect.retry(settleBatch, flushBackoff))
    }).pipe(
      Effect.timeoutOrElse({
        duration: options.flushForMs,
        orElse: () =>
          Effect.logError(
            `${waiting.length} finished attempts could not be settled before shutdown; ` +
              "their leases will run out and the tasks will run again"
          )
      }),
      Effect.interruptible
    )
  )
  yield* options.supervisor.loop("settler", Effect.andThen(some.await, settleBatch), options.retryWithinMs)

  return {
    /** Whether another ending may be added now. */
    hasRoom: (): boolean => draining || waiting.length < capacity,
    awaitRoom: room.await,
    /** From now on there is always room: nothing new is claimed any more. */
    drain: (): void => {
      draining = true
      room.openUnsafe()
    },
    add
  }
})

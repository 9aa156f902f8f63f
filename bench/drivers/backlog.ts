import { Context, Effect, Schedule } from "effect"
import type { Queue } from "../Contender.ts"
import { makePayload, makePayloads } from "../Payload.ts"

const chunk = 1000

/** Enqueues `count` tasks as fast as the queue offers, outside of any measured time. */
export const fill = (queue: Queue, from: number, count: number): Effect.Effect<void, unknown> => {
  const { enqueueMany } = queue
  const indices = Array.from({ length: enqueueMany === undefined ? count : Math.ceil(count / chunk) }, (_, i) => i)
  const filled = enqueueMany === undefined
    ? Effect.forEach(indices, (i) => queue.enqueue(makePayload(from + i)), { concurrency: 100, discard: true })
    : Effect.forEach(
      indices,
      (i) => enqueueMany(makePayloads(from + i * chunk, Math.min(chunk, count - i * chunk))),
      { discard: true }
    )
  return Effect.provideContext(filled, queue.services ?? Context.empty())
}

/**
 * Fails the round unless the queue holds exactly that many unfinished tasks. The short patience is for contenders that
 * release a lock just after they tell of the completion; it is too short to hide a store that lags behind.
 */
export const expectUnfinished = (queue: Queue, expected: number): Effect.Effect<void, unknown> =>
  queue.unfinished.pipe(
    Effect.filterOrFail(
      (unfinished) => unfinished === expected,
      (unfinished) => new Error(`expected ${expected} unfinished tasks, found ${unfinished}`)
    ),
    Effect.retry(Schedule.spaced("5 millis").pipe(Schedule.upTo({ duration: "100 millis" }))),
    Effect.asVoid
  )

import { Context, Effect } from "effect"
import type { Drive } from "../Contender.ts"
import { makePayload, makePayloads } from "../Payload.ts"
import { expectUnfinished } from "./backlog.ts"

const noop = () => {}

/** `concurrency` callers, each waiting for its acknowledgement before it enqueues again. */
export const driveSingle: Drive = Effect.fnUntraced(function*(contender, parameters) {
  const { concurrency, count } = parameters
  const queue = yield* contender({ ...parameters, capacity: count, onStarted: noop, onCompleted: noop })
  const indices = Array.from({ length: count }, (_, i) => i)
  const startedAt = performance.now()
  yield* Effect.forEach(indices, (i) => queue.enqueue(makePayload(i)), { concurrency, discard: true }).pipe(
    Effect.provideContext(queue.services ?? Context.empty())
  )
  const seconds = (performance.now() - startedAt) / 1000
  yield* expectUnfinished(queue, count)
  return { perSecond: count / seconds }
})

/** One caller, batches of `options.batch`, each acknowledged before the next. */
export const driveBulk: Drive = Effect.fnUntraced(function*(contender, parameters) {
  const { count, options } = parameters
  const batch = Number(options["batch"])
  const queue = yield* contender({ ...parameters, capacity: count, onStarted: noop, onCompleted: noop })
  const { enqueueMany } = queue
  if (enqueueMany === undefined) return yield* Effect.die("this contender has no enqueueMany")
  const batches = Array.from({ length: count / batch }, (_, i) => makePayloads(i * batch, batch))
  const startedAt = performance.now()
  yield* Effect.forEach(batches, (payloads) => enqueueMany(payloads), { discard: true }).pipe(
    Effect.provideContext(queue.services ?? Context.empty())
  )
  const seconds = (performance.now() - startedAt) / 1000
  yield* expectUnfinished(queue, batches.length * batch)
  return { perSecond: batches.length * batch / seconds }
})

import { Context, Deferred, Effect, Exit } from "effect"
import type { Drive } from "../Contender.ts"
import { makePayload } from "../Payload.ts"
import { percentile } from "../statistics.ts"

/** On an idle system: from the call of `enqueue` to the handler's first instruction, one task at a time. */
export const drive: Drive = Effect.fnUntraced(function*(contender, parameters) {
  const { count, options } = parameters
  const gapMs = Number(options["gapMs"] ?? 20)
  const warmUp = Math.min(300, count)
  let pickedUp = Deferred.makeUnsafe<number>()
  const queue = yield* contender({
    ...parameters,
    capacity: warmUp + count,
    onStarted: () => Deferred.doneUnsafe(pickedUp, Exit.succeed(performance.now())),
    onCompleted: () => {}
  })
  const services = queue.services ?? Context.empty()
  yield* queue.start

  const latencies: Array<number> = []
  for (let index = 0; index < warmUp + count; index++) {
    // A random gap, so that no polling interval is met in step.
    yield* Effect.sleep(5 + Math.random() * gapMs)
    pickedUp = Deferred.makeUnsafe<number>()
    const enqueuedAt = performance.now()
    yield* Effect.provideContext(queue.enqueue(makePayload(index)), services)
    const latency = (yield* Deferred.await(pickedUp)) - enqueuedAt
    if (index >= warmUp) latencies.push(latency)
  }
  return { p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) }
})

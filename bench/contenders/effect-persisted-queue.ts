import { Effect, Layer } from "effect"
import { PersistedQueue } from "effect/persistence"
import { run } from "../drivers/run.ts"
import { Payload } from "../Payload.ts"

run(Effect.fnUntraced(function*({ concurrency, onCompleted, onStarted }) {
  const context = yield* Layer.build(PersistedQueue.layer.pipe(Layer.provide(PersistedQueue.layerStoreMemory)))
  const queue = yield* PersistedQueue.make({ name: "bench", schema: Payload }).pipe(Effect.provide(context))
  // The queue tells nobody how many elements it holds.
  let unfinished = 0
  const takeOne = queue.take(() => Effect.sync(onStarted)).pipe(
    Effect.andThen(Effect.sync(() => {
      unfinished -= 1
      onCompleted(1)
    }))
  )
  return {
    enqueue: (payload) =>
      queue.offer(payload).pipe(Effect.tap(() => {
        unfinished += 1
        return Effect.void
      })),
    start: Effect.forEach(
      Array.from({ length: concurrency }),
      () => takeOne.pipe(Effect.forever, Effect.forkScoped),
      { discard: true }
    ),
    unfinished: Effect.sync(() => unfinished)
  }
}))

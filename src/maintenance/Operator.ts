/**
 * Goes on with operations on many tasks. The leader does it; harmless when another one does too, because each operation is taken under a
 * lease, and each of its tasks is changed as it was seen.
 */
import { Duration, Effect, Layer } from "effect"
import { Supervisor } from "../observability/Supervisor.ts"
import { step } from "../operation/OperationSteps.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { Leader } from "./Leader.ts"
import { Interval } from "./Resumer.ts"

/** Goes on with operations while this instance leads, until the scope closes. */
export const layer: Layer.Layer<never, never, TaskStore | RecordStore | Supervisor | Leader> = Layer.effectDiscard(
  Effect.gen(function*() {
    const leader = yield* Leader
    const supervisor = yield* Supervisor
    const maxMs = Duration.toMillis(yield* Interval)
    const stores = yield* Effect.context<TaskStore | RecordStore>()
    const goOn = Effect.provideContext(step, stores)
    yield* supervisor.rounds(
      "operator",
      Effect.gen(function*() {
        const nextInMs = (yield* leader.leads) ? yield* goOn : Infinity
        return Math.min(maxMs, nextInMs)
      })
    )
  })
)

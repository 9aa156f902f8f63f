/**
 * Lets paused queues go on when their time has come. The leader does it; harmless when another one does too, because each
 * pause is taken back by its version.
 */
import { Duration, Effect, Layer } from "effect"
import { Supervisor } from "../observability/Supervisor.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import { Leader } from "./Leader.ts"

/** How late a queue may go on, unless another instance becomes the leader. */
const interval = Duration.seconds(1)

/** Runs the resumer until the scope closes. */
export const layer: Layer.Layer<never, never, RecordStore | Supervisor | Leader> = Layer.effectDiscard(
  Effect.gen(function*() {
    const leader = yield* Leader
    const supervisor = yield* Supervisor
    const onRecords = yield* Effect.context<RecordStore>()
    yield* supervisor.loop(
      "resumer",
      Effect.gen(function*() {
        const { nextInMs, resumed } = (yield* leader.leads)
          ? yield* Effect.provideContext(PausedQueues.resumeDue, onRecords)
          : { nextInMs: Infinity, resumed: [] }
        for (const queue of resumed) yield* Effect.logInfo(`the queue ${queue} goes on: its pause has ended`)
        yield* Effect.sleep(Duration.min(interval, Duration.millis(nextInMs)))
      })
    )
  })
)

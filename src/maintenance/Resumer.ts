/**
 * Lets paused queues, types and keys go on when their time has come. The leader does it; harmless when another one does too, because each
 * pause is taken back by its version.
 */
import { Duration, Effect, Layer } from "effect"
import { Supervisor } from "../observability/Supervisor.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import { Leader } from "./Leader.ts"

const pauses = [
  ["queue", PausedQueues.resumeDue],
  ["type", PausedQueues.types.resumeDue],
  ["key", PausedQueues.keys.resumeDue]
] as const

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
        let next = interval
        if (yield* leader.leads) {
          for (const [what, resumeDue] of pauses) {
            const { nextInMs, resumed } = yield* Effect.provideContext(resumeDue, onRecords)
            for (const name of resumed) yield* Effect.logInfo(`the ${what} ${name} goes on: its pause has ended`)
            next = Duration.min(next, Duration.millis(nextInMs))
          }
        }
        yield* Effect.sleep(next)
      })
    )
  })
)

/**
 * Lets paused queues, types and keys go on when their time has come. The leader does it; harmless when another one does too, because each
 * pause is taken back by its version.
 */
import { Context, Duration, Effect, Layer } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import { Leader } from "./Leader.ts"

const pauses = [
  ["queue", PausedQueues.resumeDue],
  ["type", PausedQueues.types.resumeDue],
  ["key", PausedQueues.keys.resumeDue]
] as const

/**
 * How late a queue may go on, unless another instance becomes the leader. Default 1 s. Tests that let days pass look less often.
 *
 * @example
 * ```ts
 * Effect.provideService(program, Resumer.Interval, Duration.days(1))
 * ```
 */
export class Interval extends Context.Reference<Duration.Duration>("taskforge/maintenance/Resumer/Interval", {
  defaultValue: () => Duration.seconds(1)
}) {}

/** Ends the pauses whose time has come; answers how many milliseconds the next one has left. */
export const resumeDue: Effect.Effect<number, StoreError, RecordStore> = Effect.gen(function*() {
  let next = Infinity
  for (const [what, resumeDue] of pauses) {
    const { nextInMs, resumed } = yield* resumeDue
    for (const name of resumed) yield* Effect.logInfo(`the ${what} ${name} goes on: its pause has ended`)
    next = Math.min(next, nextInMs)
  }
  return next
})

/** Runs the resumer until the scope closes. */
export const layer: Layer.Layer<never, never, RecordStore | Supervisor | Leader> = Layer.effectDiscard(
  Effect.gen(function*() {
    const leader = yield* Leader
    const supervisor = yield* Supervisor
    const maxMs = Duration.toMillis(yield* Interval)
    const resume = Effect.provideContext(resumeDue, yield* Effect.context<RecordStore>())
    yield* supervisor.rounds(
      "resumer",
      Effect.gen(function*() {
        const nextInMs = (yield* leader.leads) ? yield* resume : Infinity
        return Math.min(maxMs, nextInMs)
      })
    )
  })
)

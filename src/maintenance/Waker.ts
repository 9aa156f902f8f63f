/**
 * Brings tasks forward whose signals were completed, and executions of workflows that something came to, where the one that did it died
 * before it brought them forward, and removes signals and waiters that are of no use. The leader does it; harmless when another one does too.
 */
import { Duration, Effect, Layer } from "effect"
import * as Executions from "../flow/ExecutionRecords.ts"
import * as Signals from "../flow/SignalRecords.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import { Leader } from "./Leader.ts"
import { Interval } from "./Resumer.ts"

/** Runs the waker until the scope closes. */
export const layer: Layer.Layer<never, never, TaskStore | RecordStore | Supervisor | Leader> = Layer.effectDiscard(
  Effect.gen(function*() {
    const leader = yield* Leader
    const supervisor = yield* Supervisor
    const maxMs = Duration.toMillis(yield* Interval)
    const stores = yield* Effect.context<TaskStore | RecordStore>()
    const look = Effect.map(
      Effect.all([Signals.lookAtSignals, Signals.lookAtWaiters, Executions.lookAtExecutions]),
      (nextInMs) => Math.min(...nextInMs)
    ).pipe(Effect.provideContext(stores))
    yield* supervisor.rounds(
      "waker",
      Effect.gen(function*() {
        const nextInMs = (yield* leader.leads) ? yield* look : Infinity
        return Math.min(maxMs, nextInMs)
      })
    )
  })
)

/**
 * Looks after the store's writes, so that health is red while they are refused, even where no process writes, and turns
 * green by itself.
 */
import { Effect, Layer } from "effect"
import { Supervisor } from "../observability/Supervisor.ts"
import { TaskStore } from "../store/TaskStore.ts"

/** The name of the loop, and of the trouble. */
export const part = "store writes"

/** How often the store is asked. */
const interval = "1 second"

/** Watches until the scope closes. Does nothing for a store that cannot refuse writes. */
export const layer: Layer.Layer<never, never, TaskStore | Supervisor> = Layer.effectDiscard(
  Effect.gen(function*() {
    const { writeHealth } = yield* TaskStore
    const supervisor = yield* Supervisor
    if (writeHealth === undefined) return
    yield* supervisor.loop(part, Effect.andThen(writeHealth.probe, Effect.sleep(interval)), interval)
  })
)

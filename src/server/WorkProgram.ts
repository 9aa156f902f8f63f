/** Runs tasks without a server: settings, a store, and the engine with the handlers that ship with it. */
import { Effect, Layer } from "effect"
import { InvalidSettings } from "../config/InvalidSettings.ts"
import * as Settings from "../config/Settings.ts"
import * as StoreUrl from "../config/StoreUrl.ts"
import * as UnknownVariables from "../config/UnknownVariables.ts"
import { WorkerPool } from "../worker/WorkerPool.ts"
import * as ConfiguredEngine from "./ConfiguredEngine.ts"
import * as ConfiguredLog from "./ConfiguredLog.ts"
import * as SelectedStore from "./SelectedStore.ts"
import * as ShutdownLog from "./ShutdownLog.ts"
import * as StartupMemory from "./StartupMemory.ts"
import * as StoreOutOfReach from "./StoreOutOfReach.ts"

/** Reads the configuration and runs tasks until it is interrupted. */
export const program = Effect.gen(function*() {
  const settings = yield* Settings.load
  if (settings.store._tag === "Memory") {
    return yield* new InvalidSettings({
      problems: [
        "STORE_URL=memory: no other process could put tasks into the memory of this one; name a store that is shared"
      ]
    })
  }
  yield* StoreOutOfReach.check(settings)
  return yield* Effect.provide(
    Effect.onInterrupt(Layer.launch(pool(settings)), () => Effect.logInfo("stopped")),
    ConfiguredLog.layer(settings)
  )
})

const pool = (settings: Settings.Settings) =>
  announcement(settings).pipe(
    Layer.provide(ConfiguredEngine.layer(settings)),
    Layer.provide(SelectedStore.layer(settings))
  )

/** Says whose tasks it runs, and what it waits for when it is told to stop. */
const announcement = (settings: Settings.Settings) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const pool = yield* WorkerPool
    for (const sentence of yield* UnknownVariables.find) yield* Effect.logWarning(sentence)
    const store = StoreUrl.format(settings.store)
    yield* Effect.annotateLogs(
      Effect.logInfo(`taskforge works on ${store}`),
      { store, slots: settings.workers, instance: pool.instance }
    )
    yield* StartupMemory.giveBack
    yield* ShutdownLog.make(settings.shutdown)
  }))

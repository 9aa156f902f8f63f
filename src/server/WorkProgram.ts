/** Runs tasks without a server: settings, a store, and the engine with the handlers that ship with it. */
import { Effect, Layer } from "effect"
import { InvalidSettings } from "../config/InvalidSettings.ts"
import type * as Settings from "../config/Settings.ts"
import * as StoreUrl from "../config/StoreUrl.ts"
import { WorkerPool } from "../worker/WorkerPool.ts"
import * as ConfiguredEngine from "./ConfiguredEngine.ts"
import * as ProgramLife from "./ProgramLife.ts"
import * as SelectedStore from "./SelectedStore.ts"

/** Reads the configuration and runs tasks until it is interrupted. */
export const program = ProgramLife.launch((settings) =>
  Layer.unwrap(Effect.gen(function*() {
    if (settings.store._tag === "Memory") {
      return yield* new InvalidSettings({
        problems: [
          "STORE_URL=memory: no other process could put tasks into the memory of this one; name a store that is shared"
        ]
      })
    }
    return announcement(settings).pipe(
      Layer.provide(ConfiguredEngine.layer(settings)),
      Layer.provide(SelectedStore.layer(settings))
    )
  }))
)

/** Says whose tasks it runs. */
const announcement = (settings: Settings.Settings) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { instance } = yield* WorkerPool
    const store = StoreUrl.format(settings.store)
    const facts = { store, slots: settings.workers, instance }
    yield* Effect.annotateLogs(Effect.logInfo(`taskforge works on ${store}`), facts)
    yield* ProgramLife.stand(settings.shutdown)
  }))

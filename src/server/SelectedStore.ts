/** The store that the settings name. */
import type { Settings } from "../config/Settings.ts"
import * as MemoryStore from "../store/memory/MemoryStore.ts"
import * as SqliteStore from "../store/sqlite/SqliteStore.ts"

/** What the choice of a store depends on. */
export type Choice = Pick<Settings, "headStart" | "maxCrashes" | "queueSize" | "sqliteSync" | "store">

/** The driver of the store, open as long as its scope. */
export const layer = ({ headStart, maxCrashes, queueSize, sqliteSync, store }: Choice) => {
  const shared = { capacity: queueSize, headStart, maxCrashes }
  return store._tag === "Memory"
    ? MemoryStore.layer(shared)
    : SqliteStore.layer({ ...shared, path: store.path, synchronous: sqliteSync })
}

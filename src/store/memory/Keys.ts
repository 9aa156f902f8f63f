/** API keys in this process's memory. */
import { type Clock, type Context, Effect } from "effect"
import type { StoredKey } from "../../domain/ApiKey.ts"
import type { KeyStore } from "../KeyStore.ts"

export const make = (clock: Clock.Clock): Context.Service.Shape<typeof KeyStore> => {
  const keys = new Map<string, StoredKey>()
  return {
    create: (key) =>
      Effect.sync(() => {
        const stored = keys.get(key.id) ?? { ...key, createdAt: clock.currentTimeMillisUnsafe() }
        keys.set(key.id, stored)
        const { hash: _hash, ...shown } = stored
        return shown
      }),
    list: Effect.sync(() => [...keys.values()]),
    revoke: (id) => Effect.sync(() => keys.delete(id))
  }
}

/** API keys in Redis. */
import { type Context, Effect } from "effect"
import type { ApiKey, NewKey, StoredKey } from "../../domain/ApiKey.ts"
import type { KeyStore } from "../KeyStore.ts"
import { type Runner, script } from "./Runner.ts"
import * as Scripts from "./scripts/Keys.ts"

const runCreate = script<string>(Scripts.createKey)
const runList = script<ReadonlyArray<string>>(Scripts.listKeys)
const runRevoke = script<number>(Scripts.revokeKey)

/** The keys of one deployment. */
export const make = (runner: Runner): Context.Service.Shape<typeof KeyStore> => ({
  create: (key) =>
    Effect.map(
      runner("create the key", runCreate, [key.id, JSON.stringify(key).slice(1, -1)]),
      (text): ApiKey => {
        const { hash: _hash, ...shown } = keyOf(text)
        return shown
      }
    ),
  list: Effect.map(
    Effect.suspend(() => runner("list the keys", runList, [])),
    (texts) => texts.map(keyOf).sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
  ),
  revoke: (id) => Effect.map(runner("revoke the key", runRevoke, [id]), (removed) => removed === 1)
})

const keyOf = (text: string): StoredKey => {
  // written by `create` only
  const { createdAt, hash, id, name, role } = JSON.parse(text) as NewKey & StoredKey
  return { id, name, role, hash, createdAt }
}

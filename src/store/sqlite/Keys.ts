/** API keys in the file. */
import type { Context } from "effect"
import { Effect } from "effect"
import type { DatabaseSync } from "node:sqlite"
import type { NewKey, Role, StoredKey } from "../../domain/ApiKey.ts"
import type { KeyStore } from "../KeyStore.ts"
import { prepare } from "./Statement.ts"
import type { Writer } from "./Writer.ts"

type Row = [id: string, name: string, role: string, hash: string, createdAt: number]

export const make = (database: DatabaseSync, writer: Writer): Context.Service.Shape<typeof KeyStore> => {
  const insert = prepare(
    database,
    "INSERT INTO api_key (id, name, role, hash, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
  )
  const byId = prepare<Row>(database, "SELECT id, name, role, hash, created_at FROM api_key WHERE id = ?")
  const all = prepare<Row>(database, "SELECT id, name, role, hash, created_at FROM api_key ORDER BY created_at, id")
  const remove = prepare(database, "DELETE FROM api_key WHERE id = ?")

  const create = (key: NewKey, now: number) => {
    insert.run(key.id, key.name, key.role, key.hash, now)
    const { hash: _hash, ...shown } = keyOf(byId.get(key.id)!)
    return shown
  }

  return {
    create: (key) => writer.write("create the key", ({ now }) => create(key, now)),
    list: writer.read("list the keys", () => all.all().map(keyOf)),
    revoke: (id) => Effect.map(writer.write("revoke the key", () => remove.run(id).changes), (changes) => changes > 0)
  }
}

const keyOf = ([id, name, role, hash, createdAt]: Row): StoredKey => ({
  id,
  name,
  // written by `create` only
  role: role as Role,
  hash,
  createdAt
})

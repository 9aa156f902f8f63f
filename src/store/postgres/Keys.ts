/** API keys in the schema. */
import { type Context, Effect } from "effect"
import type { Role, StoredKey } from "../../domain/ApiKey.ts"
import type { KeyStore } from "../KeyStore.ts"
import type { Database } from "./Database.ts"

type Row = [id: string, name: string, role: string, hash: string, createdAt: number]

/** Prepares the operations. */
export const make = ({ query, schema }: Database): Context.Service.Shape<typeof KeyStore> => {
  const columns = "id, name, role, hash, created_at::float8"
  const insert = `INSERT INTO ${schema}.api_key (id, name, role, hash, created_at)
    VALUES ($1, $2, $3, $4, ${schema}.now_ms()) ON CONFLICT (id) DO NOTHING`
  const byId = `SELECT ${columns} FROM ${schema}.api_key WHERE id = $1`
  const all = `SELECT ${columns} FROM ${schema}.api_key ORDER BY created_at, id`
  const remove = `DELETE FROM ${schema}.api_key WHERE id = $1 RETURNING id`
  return {
    create: Effect.fnUntraced(function*({ hash, id, name, role }) {
      yield* query("create the key", insert, [id, name, role, hash])
      const [row] = yield* query<Row>("create the key", byId, [id])
      const { hash: _hash, ...shown } = keyOf(row!)
      return shown
    }),
    list: Effect.map(query<Row>("list the keys", all), (rows) => rows.map(keyOf)),
    revoke: (id) => Effect.map(query("revoke the key", remove, [id]), (rows) => rows.length > 0)
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

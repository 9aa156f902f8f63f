/**
 * What the server and its database must be. A store that cannot work there says so when it opens.
 */
import { Effect } from "effect"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import type { Database } from "./Database.ts"

/** The oldest PostgreSQL that has what the driver uses. */
const oldestServer = 14

/** Fails with `StoreIncompatible` when the server is too old, or when its database cannot hold every text. */
export const check = Effect.fnUntraced(function*(
  { query }: Database
): Effect.fn.Return<void, StoreError | StoreIncompatible> {
  const [row] = yield* query<[version: number, database: string, encoding: string]>(
    "open",
    "SELECT current_setting('server_version_num')::int, current_database()::text, current_setting('server_encoding')"
  )
  const [version, database, encoding] = row!
  if (version < oldestServer * 10_000) {
    return yield* new StoreIncompatible({
      reason: `The server is PostgreSQL ${Math.floor(version / 10_000)}; the store needs ${oldestServer} or newer`
    })
  }
  if (encoding !== "UTF8") {
    return yield* new StoreIncompatible({
      reason:
        `The database ${JSON.stringify(database)} has the encoding ${encoding}, which does not hold every text. ` +
        "The store needs UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    })
  }
})

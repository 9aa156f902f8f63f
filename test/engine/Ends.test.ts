import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { ends } from "./ends.ts"

/** Only drivers could be given such a thing, and only past the types. */
const noText = Symbol("no text") as unknown as string

ends("The memory store", { layer: () => MemoryStore.layer(), refusedText: undefined })
ends("The SQLite store", { layer: () => SqliteStore.layer({ path: ":memory:" }), refusedText: noText })

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { layer } = new Schemas(server)
  ends("The PostgreSQL store", { layer, refusedText: "\u0000" })
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { layer } = await connect(server)
  ends("The Redis store", { layer, refusedText: noText })
})

import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { batches } from "./batches.ts"

batches("The memory store", () => MemoryStore.layer())
batches("The SQLite store", () => SqliteStore.layer({ path: ":memory:" }))

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { layer } = new Schemas(server)
  batches("The PostgreSQL store", layer)
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { layer } = await connect(server)
  batches("The Redis store", layer)
})

import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { SqliteStore } from "../../src/store/sqlite/index.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { bounds, unbounded } from "./stores.ts"

bounds("The bounds on memory", () => MemoryStore.layer())

unbounded("Tasks of a version without bounds, on memory", () => MemoryStore.layer())

bounds("The bounds on SQLite", () => SqliteStore.layer({ path: ":memory:" }))

await withServer("PostgreSQL", Postgres.find, (server) => {
  const schemas = new Schemas(server)
  bounds("The bounds on PostgreSQL", () => schemas.layer())
  unbounded("Tasks of a version without bounds, on PostgreSQL", () => schemas.layer())
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { layer } = await connect(server)
  bounds("The bounds on Redis", () => layer())
  unbounded("Tasks of a version without bounds, on Redis", () => layer())
})

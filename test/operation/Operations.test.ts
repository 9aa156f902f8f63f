import { TestClock } from "effect/testing"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { operatesOn } from "./operating.ts"

operatesOn("Operations on memory", { layer: MemoryStore.layer, advance: TestClock.adjust })

operatesOn("Operations on SQLite", {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
})

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { advance, layer } = new Schemas(server)
  operatesOn("Operations on PostgreSQL", { layer, advance, live: true })
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer } = await connect(server)
  operatesOn("Operations on Redis", { layer, advance, live: true })
})

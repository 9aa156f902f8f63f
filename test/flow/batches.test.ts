import { TestClock } from "effect/testing"
import * as PlainStore from "../../examples/PlainStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { keepsBatches } from "./batches.ts"

keepsBatches("Batches on memory", { layer: MemoryStore.layer, advance: TestClock.adjust })

keepsBatches("Batches on SQLite", {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
})

keepsBatches("Batches on a plain store", { layer: PlainStore.layer, advance: TestClock.adjust })

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { advance, layer } = new Schemas(server)
  keepsBatches("Batches on PostgreSQL", { layer, advance, live: true })
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer } = await connect(server)
  keepsBatches("Batches on Redis", { layer, advance, live: true })
})

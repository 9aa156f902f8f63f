import { TestClock } from "effect/testing"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { actsOnBranches } from "./branches.ts"

actsOnBranches("Branches on memory", { layer: MemoryStore.layer, advance: TestClock.adjust }, { seeds: 20 })

actsOnBranches("Branches on SQLite", {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
}, { seeds: 8 })

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { advance, layer } = new Schemas(server)
  actsOnBranches("Branches on PostgreSQL", { layer, advance, live: true }, { seeds: 4 })
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer } = await connect(server)
  actsOnBranches("Branches on Redis", { layer, advance, live: true }, { seeds: 4 })
})

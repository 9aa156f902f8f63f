import { TestClock } from "effect/testing"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import type { Driver } from "../store/conformance/driver.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { explains, verdicts } from "./stores.ts"

const memory = { layer: MemoryStore.layer, advance: TestClock.adjust }
explains("An explanation on memory", memory)
verdicts("A verdict on memory", memory)

const sqlite: Driver = {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
}
explains("An explanation on SQLite", sqlite)
verdicts("A verdict on SQLite", sqlite)

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { advance, layer } = new Schemas(server)
  explains("An explanation on PostgreSQL", { layer, advance, live: true })
  verdicts("A verdict on PostgreSQL", { layer, advance, live: true })
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer } = await connect(server)
  explains("An explanation on Redis", { layer, advance, live: true })
  verdicts("A verdict on Redis", { layer, advance, live: true })
})

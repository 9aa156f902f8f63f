import { describe } from "@effect/vitest"
import { Effect } from "effect"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import type { Driver } from "../store/conformance/driver.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { runsActivities } from "./activities.ts"
import { explains } from "./explained.ts"
import { completesByItself } from "./ownDeferreds.ts"
import { proxies } from "./proxies.ts"
import { repeats } from "./repeats.ts"
import { effects, ours, type Subject } from "./subjects.ts"
import { takesOver } from "./takeover.ts"
import { waits } from "./waits.ts"

const advance = () => Effect.void

const claims = (name: string, subject: Subject) =>
  describe(name, () => {
    runsActivities(subject)
    repeats(subject)
    waits(subject)
    proxies(subject)
    explains(subject)
  })

const claimsOn = (name: string, driver: Driver) => {
  claims(name, ours(driver))
  describe(name, () => {
    takesOver(driver)
    completesByItself(driver)
  })
}

claims("Workflows on Effect's engine in memory", effects)
claimsOn("Workflows on memory", { layer: MemoryStore.layer, advance })
claimsOn("Workflows on SQLite", { layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }), advance })

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  claimsOn("Workflows on PostgreSQL", new Schemas(server))
})

await withServer("Redis", RedisServer.find, async (server) => {
  claimsOn("Workflows on Redis", await connect(server))
})

import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as PlainStore from "../../examples/PlainStore.ts"
import { Signals } from "../../src/flow/Signals.ts"
import * as StepCodec from "../../src/flow/StepCodec.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import * as PostgresServer from "../servers/Postgres.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { record, running, settled, takeOne } from "../store/conformance/fixtures.ts"
import { Schemas } from "../store/postgres/fixtures.ts"
import { connect } from "../store/redis/fixtures.ts"
import { begin, type Ledger } from "./attempts.ts"
import { keepsSteps } from "./stores.ts"

keepsSteps("Steps on memory", { layer: MemoryStore.layer, advance: TestClock.adjust })

keepsSteps("Steps on SQLite", {
  layer: (settings) => SqliteStore.layer({ path: ":memory:", ...settings }),
  advance: TestClock.adjust
})

keepsSteps("Steps on a plain store", { layer: PlainStore.layer, advance: TestClock.adjust })

await withServer("PostgreSQL", PostgresServer.find, (server) => {
  const { advance, layer } = new Schemas(server)
  keepsSteps("Steps on PostgreSQL", { layer, advance, live: true })

  it.live("A step inside a transaction is refused, and one that has a transaction in it is kept", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const ledger: Ledger = []
      const { step, stepOf } = yield* begin(yield* running(), ledger)
      const inside = yield* Effect.exit(sql.withTransaction(step("a")))
      assert.match(String(inside), /"a" of task .* is inside a transaction/)
      assert.deepStrictEqual(ledger, [])
      assert.strictEqual(yield* step("a"), "a")
      yield* stepOf("b", Effect.orDie(sql.withTransaction(sql`SELECT 1`)))
    }).pipe(Effect.provide(layer())))

  it.live("A completion inside a transaction wakes the task after the commit, and not if it is rolled back", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const signals = yield* Signals
      const task = yield* running()
      const { steps } = yield* begin(task, [])
      const token = yield* steps.token("approval")
      yield* Effect.exit(steps.waitFor("wait", { name: "approval" }, StepCodec.make()))
      yield* settled({ _tag: "Snooze", id: task.id, claim: task.claim, delayMs: 60_000 })
      const complete = signals.complete(token, { _tag: "Value", value: null })
      yield* Effect.exit(sql.withTransaction(Effect.andThen(complete, Effect.fail("rolled back"))))
      assert.strictEqual((yield* record(task.id)).state, "scheduled")
      assert.isNull((yield* signals.get(token)).end)
      yield* sql.withTransaction(complete)
      assert.strictEqual((yield* takeOne()).id, task.id)
    }).pipe(Effect.provide(Layer.provideMerge(Signals.layer, layer()))))
})

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer } = await connect(server)
  keepsSteps("Steps on Redis", { layer, advance, live: true })
})

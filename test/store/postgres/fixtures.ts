/**
 * Stores in schemas of their own on a real server, with a clock that tests move: the schema's own function for the time
 * is replaced, so that nothing in the driver knows of it.
 */
import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { randomBytes } from "node:crypto"
import { afterAll } from "vitest"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import type { StoreServices } from "../../../src/store/StoreServices.ts"
import type { StoreSettings } from "../../../src/store/TaskStore.ts"
import type { PostgresServer } from "../../servers/Postgres.ts"

const tables = [
  "task",
  "last_claim",
  "tally",
  "paused_queue",
  "setting",
  "api_key",
  "instance",
  "lead",
  "event_batch",
  "rate_limit"
]

/** Schemas on one server for the tests of one file; they are dropped after them. */
export class Schemas {
  readonly name = `taskforge_test_${randomBytes(6).toString("hex")}`
  /** Those that there may be: as many as one test has open. */
  private readonly names = Array.from({ length: 8 }, (_, index) => `${this.name}_${index}`)
  private readonly url: string
  private readonly scope = Scope.makeUnsafe()
  private readonly all: Array<string> = []
  private readonly free: Array<string> = []
  private opened: Context.Context<PgClient.PgClient> | undefined

  constructor({ url }: PostgresServer) {
    this.url = url
    afterAll(() => Effect.runPromise(this.close))
  }

  /** An empty store in a schema of its own, on the server's clock. */
  readonly layer = (settings: StoreSettings = {}): Layer.Layer<StoreServices | PgClient.PgClient, unknown> =>
    this.layerWith(settings, "NULL")

  /** The same on a clock that stands at the test's time and only moves when it is moved. */
  readonly layerStopped = (settings: StoreSettings = {}): Layer.Layer<StoreServices | PgClient.PgClient, unknown> =>
    Layer.unwrap(Effect.map(Clock.currentTimeMillis, (now) => this.layerWith(settings, String(now))))

  /** Moves the clock of all stores of this file. */
  readonly advance = (duration: Duration.Input): Effect.Effect<void> =>
    Effect.orDie(this.query(`UPDATE "${this.name}".clock SET ahead = ahead + ${Duration.toMillis(duration)},
      stopped_at = stopped_at + ${Duration.toMillis(duration)}`))

  /** One statement, beside the store. */
  readonly query = <Row extends object = Record<string, unknown>>(statement: string) =>
    Effect.flatMap(this.client, (context) => Context.get(context, PgClient.PgClient).unsafe<Row>(statement))

  private layerWith(settings: StoreSettings, stoppedAt: string) {
    return Layer.unwrap(Effect.gen({ self: this }, function*() {
      const client = Layer.succeedContext(yield* this.client)
      yield* this.query(`UPDATE "${this.name}".clock SET stopped_at = ${stoppedAt}`)
      const schema = yield* Effect.acquireRelease(this.take, (name) => Effect.sync(() => this.free.push(name)))
      return PostgresStore.layer({ ...settings, schema }).pipe(Layer.provideMerge(client), Layer.fresh)
    }))
  }

  /** The client that all stores of this file share. */
  private readonly client = Effect.suspend(() =>
    this.opened !== undefined ? Effect.succeed(this.opened) : Effect.gen({ self: this }, function*() {
      const pool = PgClient.layer({
        url: Redacted.make(this.url),
        maxConnections: 12,
        // the model counts claims: no session skips numbers, as if all had claimed before
        startupParameters: { "taskforge.numbered": this.names.map((name) => `"${name}";`).join("") }
      })
      this.opened = yield* Layer.buildWithMemoMap(pool, Layer.makeMemoMapUnsafe(), this.scope)
      const sql = Context.get(this.opened, PgClient.PgClient)
      yield* sql.unsafe(`CREATE SCHEMA "${this.name}"`)
      yield* sql.unsafe(`CREATE TABLE "${this.name}".clock AS SELECT 0::bigint AS ahead, NULL::bigint AS stopped_at`)
      return this.opened
    })
  )

  private readonly take = Effect.suspend(() => {
    const used = this.free.pop()
    return used === undefined ? this.create : Effect.as(this.empty(used), used)
  })

  private readonly create = Effect.gen({ self: this }, function*() {
    const schema = this.names[this.all.length] ?? assert.fail("Too many stores at once")
    this.all.push(schema)
    const client = Layer.succeedContext(yield* this.client)
    // the store makes its own layout; the head start goes, for each test has its own
    yield* Effect.scoped(Layer.build(Layer.provide(PostgresStore.layer({ schema }), client)))
    yield* this.query(`CREATE OR REPLACE FUNCTION "${schema}".now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS
      'SELECT coalesce(stopped_at, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + ahead)
       FROM "${this.name}".clock'`)
    yield* this.empty(schema)
    return schema
  })

  private empty(schema: string) {
    const deletions = tables.map((table) => `d_${table} AS (DELETE FROM "${schema}".${table})`).join(", ")
    return this.query(
      `WITH ${deletions}, head AS (
        UPDATE "${schema}".event_head SET seq = 0, floor = 0, attended_from = 0, attended_until = 0
      ) SELECT setval('"${schema}".task_seq', 1, false), setval('"${schema}".claim_number', 1, false)`
    )
  }

  private get close() {
    return Effect.gen({ self: this }, function*() {
      if (this.opened === undefined) return
      for (const schema of [...this.all, this.name]) yield* this.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
      yield* Scope.close(this.scope, Exit.void)
    })
  }
}

/**
 * Stores in schemas of their own on a real server, with a clock that tests move: the schema's own function for the time
 * is replaced, so that nothing in the driver knows of it. The stores work as a role that has the documented rights and no
 * others; an administrator makes their schemas.
 */
import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { randomBytes } from "node:crypto"
import { afterAll } from "vitest"
import type { StoreServices, StoreSettings } from "../../../src/store/Driver.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import type { PostgresServer } from "../../servers/Postgres.ts"
import * as rights from "./rights.ts"
import { Wire } from "./Wire.ts"

const tables = [
  "task",
  "edge",
  "last_claim",
  "tally",
  "tally_expired",
  "lane",
  "setting",
  "instance",
  "lead",
  "event_batch",
  "rate_limit",
  "record",
  "line",
  "line_news",
  "pass_news",
  "end_news",
  "lot",
  "bucket",
  "holder"
]

/** A server that was found waits for its disk at every commit; no test here asks what its crash would leave. */
const hasty = { synchronous_commit: "off" }

/** What makes a layout one of those before there were records. */
export const withoutRecords = (schema: string): ReadonlyArray<string> => [
  `DROP TABLE "${schema}".record`,
  `CREATE TABLE "${schema}".api_key (
    id text COLLATE "C" PRIMARY KEY, name text NOT NULL, role text NOT NULL, hash text NOT NULL, created_at bigint NOT NULL
  )`,
  withPausedQueues(schema)
]

/** What makes a layout one of those before paused queues were records. */
export const withPausedQueues = (schema: string): string =>
  `CREATE TABLE "${schema}".paused_queue (queue text COLLATE "C" PRIMARY KEY)`

/** Schemas on one server for the tests of one file; they are dropped after them. */
export class Schemas {
  readonly name = `taskforge_test_${randomBytes(6).toString("hex")}`
  /** Those that there may be: as many as one test has open. */
  private readonly names = Array.from({ length: 8 }, (_, index) => `${this.name}_${index}`)
  /** What the stores have asked of the server. */
  readonly wire: Wire
  private readonly url: string
  private readonly pooler: string | undefined
  private readonly scope = Scope.makeUnsafe()
  private readonly all: Array<string> = []
  private readonly free: Array<string> = []
  private opened: { readonly admin: PgClient.PgClient; readonly app: Context.Context<PgClient.PgClient> } | undefined

  /** With a pooler, the stores reach the server through it, as the user that it connects as. */
  constructor({ url }: PostgresServer, pooler?: PostgresServer) {
    this.url = url
    this.wire = new Wire(url)
    this.pooler = pooler?.url
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

  /** One statement of the administrator, beside the store. */
  readonly query = <Row extends object = Record<string, unknown>>(statement: string) =>
    Effect.flatMap(this.clients, ({ admin }) => admin.unsafe<Row>(statement))

  /** The types that the server gives the parameters of a statement, where the given ones leave it to the server. */
  readonly parameterTypes = (given: ReadonlyArray<string>, statement: string) =>
    Effect.flatMap(this.clients, ({ admin }) =>
      admin.withTransaction(Effect.gen(function*() {
        yield* admin.unsafe(`PREPARE described (${given.join(", ")}) AS ${statement}`)
        const [row] = yield* admin.unsafe<{ types: ReadonlyArray<string> }>(
          "SELECT parameter_types::text[] AS types FROM pg_prepared_statements WHERE name = 'described'"
        )
        yield* admin.unsafe("DEALLOCATE described")
        return row!.types
      })))

  private layerWith(settings: StoreSettings, stoppedAt: string) {
    return Layer.unwrap(Effect.gen({ self: this }, function*() {
      const { app } = yield* this.clients
      const client = Layer.succeedContext(app)
      yield* this.query(`UPDATE "${this.name}".clock SET stopped_at = ${stoppedAt}`)
      const schema = yield* Effect.acquireRelease(this.take, (name) => Effect.sync(() => this.free.push(name)))
      return PostgresStore.layer({ ...settings, schema }).pipe(Layer.provideMerge(client), Layer.fresh)
    }))
  }

  /** The clients that all stores of this file share. */
  private readonly clients = Effect.suspend(() =>
    this.opened !== undefined ? Effect.succeed(this.opened) : Effect.gen({ self: this }, function*() {
      const admin = yield* this.connect({ url: Redacted.make(this.url), maxConnections: 4, startupParameters: hasty })
      const sql = Context.get(admin, PgClient.PgClient)
      const url = new URL(this.url)
      url.username = this.name
      url.password = this.name
      yield* sql.unsafe(`CREATE ROLE "${this.name}" LOGIN PASSWORD '${this.name}'`)
      // Tables of the application's own are made in it
      yield* sql.unsafe(`CREATE SCHEMA "${this.name}" AUTHORIZATION "${this.name}"`)
      yield* sql.unsafe(`CREATE TABLE "${this.name}".clock AS SELECT 0::bigint AS ahead, NULL::bigint AS stopped_at`)
      yield* sql.unsafe(`GRANT SELECT ON "${this.name}".clock TO "${this.name}"`)
      // the model counts claims: no session skips numbers, as if all had claimed before
      const numbered = this.names.map((name) => `"${name}";`).join("")
      if (this.pooler !== undefined) {
        const database = url.pathname.slice(1)
        yield* sql.unsafe(`ALTER DATABASE "${database}" SET taskforge.numbered = '${numbered}'`)
        yield* sql.unsafe(`ALTER DATABASE "${database}" SET synchronous_commit = off`)
      }
      const app = yield* this.connect({
        maxConnections: 12,
        ...(this.pooler === undefined
          ? {
            url: Redacted.make(url.href),
            // A connection with TLS cannot be listened to
            stream: url.searchParams.has("sslmode") ? undefined : this.wire.stream,
            startupParameters: { ...hasty, "taskforge.numbered": numbered }
          }
          : { url: Redacted.make(this.pooler), prepare: false })
      })
      return this.opened = { admin: sql, app }
    })
  )

  private connect(config: PgClient.PgPoolConfig) {
    return Layer.buildWithMemoMap(PgClient.layer(config), Layer.makeMemoMapUnsafe(), this.scope)
  }

  private readonly take = Effect.suspend(() => {
    const used = this.free.pop()
    return used === undefined ? this.create : Effect.as(this.empty(used), used)
  })

  private readonly create = Effect.gen({ self: this }, function*() {
    const schema = this.names[this.all.length] ?? assert.fail("Too many stores at once")
    this.all.push(schema)
    const { admin } = yield* this.clients
    // the store makes its own layout; the head start goes, for each test has its own
    yield* Effect.scoped(
      Layer.build(Layer.provide(PostgresStore.layer({ schema }), Layer.succeed(PgClient.PgClient, admin)))
    )
    const [database] = yield* this.query<{ owner: string; database: string }>(
      "SELECT current_user::text AS owner, current_database()::text AS database"
    )
    yield* Effect.forEach(rights.afterwards({ ...database!, app: this.name, schema }), this.query)
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
      yield* this.query(`DROP OWNED BY "${this.name}"`)
      yield* this.query(`DROP ROLE "${this.name}"`)
      yield* Scope.close(this.scope, Exit.void)
    })
  }
}

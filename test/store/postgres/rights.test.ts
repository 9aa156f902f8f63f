import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Redacted, Schema, type Scope } from "effect"
import { RateLimiterStore } from "effect/persistence/RateLimiter"
import { randomBytes } from "node:crypto"
import { Engine, Task, TaskStore } from "../../../src/index.ts"
import { EventLog } from "../../../src/store/EventLog.ts"
import { InstanceStore } from "../../../src/store/InstanceStore.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { absent, RecordStore } from "../../../src/store/RecordStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { retention } from "../conformance/fixtures.ts"
import * as rights from "./rights.ts"

const Double = Task.make("double", { payload: { n: Schema.Int }, success: Schema.Int })

await withServer("PostgreSQL", Postgres.find, (server) => {
  /**
   * A database in which PUBLIC may do nothing, with two roles that have no rights yet. They end with the scope, the
   * database first.
   */
  const hardened = Effect.gen(function*() {
    const name = `taskforge_test_${randomBytes(6).toString("hex")}`
    const roles = { owner: `${name}_owner`, app: `${name}_app` }
    yield* Effect.acquireRelease(
      Effect.forEach(
        Object.values(roles),
        (role) => Postgres.query(server.url, `CREATE ROLE "${role}" LOGIN PASSWORD '${name}'`)
      ),
      () =>
        Effect.ignore(Effect.forEach(Object.values(roles), (role) => Postgres.query(server.url, `DROP ROLE "${role}"`)))
    )
    const admin = yield* Postgres.scratchDatabase(server)
    const database = new URL(admin).pathname.slice(1)
    const urlOf = (role: string) => {
      const url = new URL(admin)
      url.username = role
      url.password = name
      return url.href
    }
    const names = { ...roles, database, schema: "taskforge" }
    const run = (url: string, statements: ReadonlyArray<string>) =>
      Effect.forEach(statements, (statement) => Postgres.query(url, statement), { discard: true })
    yield* run(admin, [
      `REVOKE ALL ON DATABASE "${database}" FROM PUBLIC`,
      "REVOKE ALL ON SCHEMA public FROM PUBLIC",
      `ALTER DEFAULT PRIVILEGES FOR ROLE "${roles.owner}" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`
    ])
    const openAs = (url: string) => Layer.build(Layer.fresh(PostgresStore.layerUrl({ url, maxConnections: 4 })))
    return {
      names,
      admin,
      run,
      asAdmin: (...statements: ReadonlyArray<string>) => run(admin, statements),
      app: urlOf(roles.app),
      owner: urlOf(roles.owner),
      migrate: Effect.scoped(openAs(urlOf(roles.owner))),
      openAs,
      refused: Effect.map(Effect.flip(Effect.scoped(openAs(urlOf(roles.app)))), (error) => {
        assert.strictEqual(error._tag, "StoreIncompatible")
        return error.message
      })
    }
  })

  type Hardened = Effect.Success<typeof hardened>
  const test = (name: string, body: (database: Hardened) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.live(name, () => Effect.scoped(Effect.flatMap(hardened, body)))

  /** The engine and every service of the store, as a role. */
  const works = (url: string) =>
    Effect.gen(function*() {
      const client = PgClient.layer({ url: Redacted.make(url), maxConnections: 4 })
      const handlers = Double.toLayer(({ n }) => Effect.succeed(2 * n))
      const services = yield* Layer.build(Layer.fresh(
        Engine.layer(handlers).pipe(Layer.provideMerge(PostgresStore.layer()), Layer.provideMerge(client))
      ))
      const handle = yield* Effect.provide(Double.enqueue({ n: 21 }), services)
      assert.strictEqual(yield* handle.result, 42)
      yield* Context.get(services, TaskStore).prune(retention({ maxFinished: 0 }), 10)
      yield* Context.get(services, EventLog).append([])
      yield* Context.get(services, InstanceStore).list
      const records = Context.get(services, RecordStore)
      yield* records.put([{ kind: "k", id: "a", expects: absent, document: "1", dueInMs: 0 }])
      const [taken] = (yield* records.take("k", 1, 1)).records
      yield* records.put([{ kind: "k", id: "a", expects: taken!.version, document: null }])
      const limits = Context.get(services, RateLimiterStore)
      yield* limits.fixedWindow({ key: "k", tokens: 1, limit: 1, refillRate: Duration.seconds(1) })
      const listening = yield* Context.get(services, PgClient.PgClient).listen("taskforge")
      assert.isDefined(listening)
    })

  test("a role with the documented rights, granted before the owner migrates, runs everything", (database) =>
    Effect.gen(function*() {
      yield* database.asAdmin(...rights.beforehand(database.names))
      yield* database.migrate
      yield* works(database.app)
    }))

  test("a role with the documented rights, granted in a schema that has its tables, runs everything", (database) =>
    Effect.gen(function*() {
      const { app, names } = database
      yield* database.asAdmin(
        `CREATE SCHEMA taskforge AUTHORIZATION "${names.owner}"`,
        `GRANT CONNECT ON DATABASE "${names.database}" TO "${names.owner}", "${names.app}"`
      )
      yield* database.migrate
      yield* database.run(database.owner, rights.afterwards(names))
      yield* works(app)
    }))

  test("a role with CREATE on the database needs nothing else", (database) =>
    Effect.gen(function*() {
      const { app, names } = database
      yield* database.asAdmin(`GRANT CONNECT, CREATE ON DATABASE "${names.database}" TO "${names.app}"`)
      yield* works(app)
    }))

  test("a role that lacks rights is refused at start, and told which", (database) =>
    Effect.gen(function*() {
      const { names } = database
      yield* database.asAdmin(...rights.beforehand(names))
      yield* database.migrate
      yield* database.asAdmin(`REVOKE UPDATE ON ALL SEQUENCES IN SCHEMA taskforge FROM "${names.app}"`)
      assert.match(
        yield* database.refused,
        /_app" lacks rights .*UPDATE on claim_number, UPDATE on record_version, UPDATE on task_seq\. docs/
      )
      yield* database.asAdmin(...rights.afterwards(names), `REVOKE DELETE ON taskforge.lead FROM "${names.app}"`)
      assert.match(yield* database.refused, /DELETE on lead/)
      yield* database.asAdmin(
        ...rights.afterwards(names),
        `REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA taskforge FROM "${names.app}"`
      )
      assert.match(yield* database.refused, /EXECUTE on claim_/)
      yield* database.asAdmin(...rights.afterwards(names), `REVOKE USAGE ON SCHEMA taskforge FROM "${names.app}"`)
      assert.match(yield* database.refused, /USAGE on the schema/)
      yield* database.asAdmin(`REVOKE ALL ON ALL TABLES IN SCHEMA taskforge FROM "${names.app}"`)
      assert.match(yield* database.refused, /and \d+ more/)
    }))

  test("a role that may not change the layout is told who may, and nothing is changed", (database) =>
    Effect.gen(function*() {
      const { names } = database
      yield* database.asAdmin(`GRANT CONNECT ON DATABASE "${names.database}" TO "${names.app}"`)
      assert.match(yield* database.refused, /has no layout.*may not make it.*taskforge migrate/)
      yield* database.asAdmin(...rights.beforehand(names))
      assert.match(yield* database.refused, /has no layout.*may not make it.*taskforge migrate/)
      yield* database.migrate
      // From there on, tables would be made
      yield* database.asAdmin(
        "ALTER TABLE taskforge.layout ADD latest integer",
        "UPDATE taskforge.layout SET latest = version, version = 1"
      )
      assert.match(yield* database.refused, /has layout \d+, this version needs layout \d+.*taskforge migrate/)
      yield* database.asAdmin("UPDATE taskforge.layout SET version = latest")
      yield* works(database.app)
    }))
})

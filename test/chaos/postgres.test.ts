/** Faults of instances, of the network and of the server, while three instances share one PostgreSQL. */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import { readFileSync } from "node:fs"
import { installed, type OwnPostgres, query, start as startPostgres } from "../servers/Postgres.ts"
import { withServer } from "../servers/withServer.ts"
import * as Bundle from "./Bundle.ts"
import * as Cluster from "./Cluster.ts"
import * as Page from "./Page.ts"
import * as Proxy from "./Proxy.ts"
import * as Scenario from "./Scenario.ts"

await withServer("a PostgreSQL of its own", installed, () => {
  describe("three instances on one PostgreSQL", () => {
    const scope = Scope.makeUnsafe()
    const rows: Array<Scenario.Row> = []
    let postgres: OwnPostgres
    let proxy: Proxy.Proxy
    let cluster: Cluster.Cluster

    beforeAll(() =>
      Effect.runPromise(Scope.provide(
        Effect.gen(function*() {
          postgres = yield* startPostgres()
          // The instances are no superusers, whom no limit holds back
          yield* query(postgres.url, "CREATE ROLE instance LOGIN")
          yield* query(postgres.url, "GRANT CREATE ON DATABASE postgres TO instance")
          proxy = yield* Proxy.make(postgres.port)
          cluster = yield* Cluster.start({
            file: yield* Bundle.build,
            size: 3,
            environment: { STORE_URL: `postgres://instance@127.0.0.1:${proxy.port}/postgres` }
          })
        }),
        scope
      ))
    )

    afterAll(async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      Scenario.save("PostgreSQL", rows)
    })

    const survives = (name: string, what: string, strike: () => Effect.Effect<void, unknown>, keeps?: number) =>
      it.live(`survive ${what}`, () =>
        Effect.gen(function*() {
          const fault = { name, what, strike: Effect.suspend(strike), ...(keeps === undefined ? {} : { keeps }) }
          rows.push(yield* Scenario.run("PostgreSQL", cluster, fault))
        }))

    const ask = (statement: string) => query(postgres.url, statement)

    const terminateAll =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'instance' AND pid <> pg_backend_pid()"

    survives(
      "kill",
      "SIGKILL of one instance after the other",
      () => Effect.forEach(cluster.members, cluster.kill, { discard: true })
    )

    survives(
      "freeze",
      "SIGSTOP of an instance for longer than its lease, then SIGCONT",
      () => cluster.freeze(cluster.members[0]!, Cluster.leaseMs * 1.75)
    )

    survives("restart", "a crash of PostgreSQL and its recovery", () =>
      Effect.gen(function*() {
        yield* postgres.kill("SIGQUIT")
        yield* Effect.sleep("1 second")
        yield* postgres.start
      }))

    survives(
      "terminate",
      "pg_terminate_backend of every connection, three times",
      () => Effect.repeat(Effect.andThen(ask(terminateAll), Effect.sleep("400 millis")), { times: 2 })
    )

    survives(
      "reset",
      "connections that the network resets, three times",
      () => Effect.repeat(Effect.andThen(proxy.reset, Effect.sleep("400 millis")), { times: 2 })
    )

    survives(
      "half-open",
      "connections that die silently",
      () => Effect.andThen(proxy.forget, Effect.sleep("100 millis"))
    )

    survives("black-hole", "a network that loses everything for longer than a lease", () =>
      Effect.gen(function*() {
        yield* proxy.blackHole
        yield* Effect.sleep(Cluster.leaseMs * 1.5)
        yield* proxy.heal
      }))

    survives("slow", "a network with 50 ms more delay each way", () =>
      Effect.gen(function*() {
        yield* proxy.delay(50)
        yield* Effect.sleep("2 seconds")
        yield* proxy.heal
      }))

    survives("read-only", "a database that is read-only", () =>
      Effect.gen(function*() {
        yield* ask("ALTER SYSTEM SET default_transaction_read_only = on")
        yield* ask("SELECT pg_reload_conf()")
        yield* Effect.sleep("1500 millis")
        yield* query(`${postgres.url}?options=-c%20default_transaction_read_only%3Doff`, "ALTER SYSTEM RESET ALL")
        yield* ask("SELECT pg_reload_conf()")
      }))

    survives(
      "no-connection",
      "no free connections: open ones are ended, new ones refused",
      () =>
        Effect.gen(function*() {
          yield* ask("ALTER ROLE instance CONNECTION LIMIT 0")
          yield* ask(terminateAll)
          yield* Effect.sleep("1500 millis")
          yield* ask("ALTER ROLE instance CONNECTION LIMIT -1")
        })
    )

    survives(
      "few-connections",
      "two connections for each instance instead of ten",
      () =>
        Effect.gen(function*() {
          yield* ask("ALTER ROLE instance CONNECTION LIMIT 6")
          yield* ask(terminateAll)
          yield* Effect.sleep("2 seconds")
          yield* ask("ALTER ROLE instance CONNECTION LIMIT -1")
        })
    )

    survives(
      "vacuum",
      "a transaction that stays open and holds back vacuum",
      () =>
        PgClient.PgClient.use((sql) =>
          sql.withTransaction(Effect.gen(function*() {
            yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`
            yield* sql`SELECT count(*) FROM taskforge.task`
            yield* sql`SELECT pg_sleep(4)`
          }))
        ).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(postgres.url) }))),
      0.6
    )

    it("are told of on the page about it", () => {
      assert.lengthOf(rows, 12)
      if (process.env["CHAOS_PAGE"] === "write") return
      const page = readFileSync(Page.path, "utf8")
      assert.deepStrictEqual(rows.map(Page.beginningOf).filter((line) => !page.includes(line)), [])
    })
  })
})

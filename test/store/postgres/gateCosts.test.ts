/**
 * What gates cost a claim, in rows and index entries that it reads. On a server of its own that removes and analyses nothing by itself: as
 * long as a session has an old snapshot, index entries of rows that are gone stay, and a claim reads them too.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import type { RecordStore } from "../../../src/store/RecordStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { complete, request, setLimit, task, through } from "../conformance/fixtures.ts"

await withServer("PostgreSQL", Postgres.installed, () => {
  const schema = "taskforge"

  const keyed = (count: number, keys: number, limit = "tenant") =>
    Array.from({ length: count }, (_, index) => task(through(`${limit}=${index % keys}`)))

  /** Rows and index entries that a claim reads. */
  const looking = (client: PgClient.PgClient, limit: number) =>
    client.withTransaction(Effect.gen(function*() {
      const looks = Effect.map(
        client.unsafe<{ rows: number }>(
          `SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid))::int AS rows
            FROM pg_class WHERE relnamespace = '"${schema}"'::regnamespace AND relkind IN ('r', 'i')`
        ),
        ([row]) => row!.rows
      )
      const before = yield* looks
      const claimed = yield* client.unsafe(
        `SELECT out_id FROM "${schema}".claim_6(NULL, '{work}', ${limit}, 'looking', 60000, ${++nonce}, true)
          WHERE out_id IS NOT NULL`
      )
      return { claimed: claimed.length, rows: (yield* looks) - before }
    }))
  let nonce = 0

  const measure = (
    name: string,
    body: (
      opened: {
        readonly client: PgClient.PgClient
        readonly services: Context.Context<TaskStore | RecordStore>
        readonly store: TaskStore["Service"]
      },
      sql: (text: string) => Effect.Effect<unknown, unknown>
    ) => Effect.Effect<void, unknown, Scope.Scope>
  ) =>
    it.live(name, () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.start(["fsync=off", "autovacuum=off"])
        const services = yield* Layer.build(
          Layer.fresh(PostgresStore.layerUrl({ url, schema, maxConnections: 4, capacity: 1_000_000 }))
        )
        const opened = {
          services,
          store: Context.get(services, TaskStore),
          client: Context.get(services, PgClient.PgClient)
        }
        yield* body(opened, (text) => Postgres.query(url, text))
      }).pipe(Effect.scoped), 300_000)

  measure(
    "gates that are closed cost a claim nothing, in one line or in thousands",
    ({ client, services, store }) =>
      Effect.gen(function*() {
        yield* store.enqueue([Array.from({ length: 1000 }, () => task())])
        yield* looking(client, 100)
        const without = yield* looking(client, 100)
        const single = yield* looking(client, 1)
        yield* Effect.provide(setLimit("closed", { max: 0 }), services)
        for (const keys of [1, 3000]) {
          // urgent: they stand before all the others
          yield* store.enqueue([keyed(3000, keys, "closed").map((one) => ({ ...one, priority: 9 }))])
          while ((yield* looking(client, 1)).rows > single.rows * 1.5) yield* Effect.void
          const behind = yield* looking(client, 100)
          assert.strictEqual(behind.claimed, without.claimed)
          assert.isAtMost(behind.rows, without.rows * 1.5)
        }
      })
  )

  measure(
    "gates of thousands of keys cost what those of ten cost",
    ({ client, services, store }, sql) =>
      Effect.gen(function*() {
        yield* Effect.provide(setLimit("tenant", { max: 1000 }), services)
        const costs = yield* Effect.forEach([10, 5000], (keys) =>
          Effect.gen(function*() {
            yield* store.enqueue([keyed(5000, keys)])
            // takes note of them
            for (let times = 0; times < 6; times++) yield* looking(client, 1)
            const { claimed, rows } = yield* looking(client, 100)
            assert.strictEqual(claimed, 100)
            yield* sql(`DELETE FROM taskforge.task`)
            yield* sql(`VACUUM taskforge.task`)
            for (let times = 0; times < 6; times++) yield* looking(client, 1)
            // as autovacuum does, at a time when there is nothing: plans must not trust that
            yield* sql(`ANALYZE`)
            return rows
          }))
        assert.isAtMost(costs[1]!, costs[0]! * 3)
      })
  )

  measure(
    "gates cost a claim what it takes, however many tasks wait",
    ({ client, store }) =>
      Effect.gen(function*() {
        yield* store.enqueue([keyed(10_000, 2000)])
        for (let times = 0; times < 6; times++) {
          const { tasks } = yield* store.claim(request({ limit: 100 }))
          assert.lengthOf(tasks, 100)
          yield* store.settle(tasks.map((one) => complete(one)))
        }
        const { claimed, rows } = yield* looking(client, 100)
        assert.strictEqual(claimed, 100)
        assert.isAtMost(rows, 4000)
      })
  )
})

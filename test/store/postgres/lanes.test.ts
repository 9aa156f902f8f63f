/** How PostgreSQL knows which queues and types have tasks, beside versions that did not know. */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { complete, fail, idsOf, request, retention, tasks } from "../conformance/fixtures.ts"
import { withPausedQueues } from "./fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { url } = server

  const open = (schema: string) =>
    Effect.map(
      Layer.build(Layer.fresh(PostgresStore.layerUrl({ url, schema, maxConnections: 4 }))),
      (context) => ({ store: Context.get(context, TaskStore), client: Context.get(context, PgClient.PgClient) })
    )
  type Store = TaskStore["Service"]
  const sql = (text: string) => Postgres.query(url, text)
  const test = (name: string, body: (schema: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.live(name, () => Effect.scoped(Effect.flatMap(Postgres.scratchSchema(server), body)), 60_000)

  const listed = (store: Store) =>
    Effect.map(
      store.laneCounts({ limit: 100 }),
      ({ lanes }) => lanes.map(({ pending, queue, running, type }) => `${queue}/${type} ${pending} ${running}`)
    )
  const stored = (schema: string) =>
    Effect.map(
      sql(`SELECT queue, type, stored::int FROM "${schema}".lane ORDER BY queue, type`),
      (rows) => rows.map(({ queue, stored, type }) => `${queue}/${type} ${stored}`)
    )

  /** Two tasks of `a` have finished, one of `b` is pending, one of `c` runs. */
  const fill = Effect.fnUntraced(function*(store: Store) {
    yield* store.enqueue([[...tasks(2, { queue: "a" }), ...tasks(1, { queue: "c" })]])
    const { tasks: claimed } = yield* store.claim(request({ queues: undefined }))
    yield* store.settle([complete(claimed[0]!), fail(claimed[1]!)])
    yield* store.enqueue([tasks(1, { queue: "b", type: "other" })])
    return idsOf(claimed)
  })
  const all = ["a/work 0 0", "b/other 1 0", "c/work 0 1"]
  const sums = ["a/work 2", "b/other 1", "c/work 1"]

  /** Rows as an earlier version would have folded them: they name no queue. */
  const foldAsBefore = (schema: string) =>
    sql(`WITH gone AS (DELETE FROM "${schema}".tally RETURNING *)
      INSERT INTO "${schema}".tally (unfinished, scheduled, completed, failed, cancelled, total_created)
      SELECT sum(unfinished), sum(scheduled), sum(completed), sum(failed), sum(cancelled), sum(total_created) FROM gone`)

  describe("Queues and types in PostgreSQL", () => {
    test("are known before and after what was stored is added up, and forgotten with the last task", (schema) =>
      Effect.gen(function*() {
        const { store } = yield* open(schema)
        const [first, second] = yield* fill(store)
        assert.deepStrictEqual(yield* listed(store), all)
        assert.deepStrictEqual(yield* stored(schema), [])
        yield* store.prune(retention(), 0)
        assert.deepStrictEqual(yield* listed(store), all)
        assert.deepStrictEqual(yield* stored(schema), sums)
        yield* store.remove([first!])
        assert.deepStrictEqual(yield* listed(store), all)
        yield* store.remove([second!])
        assert.deepStrictEqual(yield* listed(store), all.slice(1))
        yield* store.prune(retention(), 0)
        assert.deepStrictEqual(yield* listed(store), all.slice(1))
        assert.deepStrictEqual(yield* stored(schema), sums.slice(1))
        const lane = (yield* store.list({ limit: 1 })).tasks[0]!
        yield* store.cancel([lane.id])
        yield* store.prune(retention({ maxFinished: 0 }), 10)
        assert.deepStrictEqual(yield* listed(store), ["c/work 0 1"])
        yield* store.prune(retention(), 0)
        assert.deepStrictEqual(yield* stored(schema), ["c/work 1"])
      }))

    test("of an earlier layout are counted once it is folded", (schema) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.flatMap(open(schema), ({ store }) => fill(store)))
        yield* sql(`DROP TABLE "${schema}".lane`)
        yield* sql(`ALTER TABLE "${schema}".tally DROP COLUMN queue, DROP COLUMN type, DROP COLUMN in_lanes`)
        yield* sql(withPausedQueues(schema))
        yield* sql(`UPDATE "${schema}".layout SET version = 7`)
        const { store } = yield* open(schema)
        assert.deepStrictEqual(yield* listed(store), all.slice(1))
        yield* store.prune(retention(), 0)
        assert.deepStrictEqual(yield* listed(store), all)
        assert.deepStrictEqual(yield* stored(schema), sums)
      }))

    test("are put right after an earlier version has stored, removed and folded beside this one", (schema) =>
      Effect.gen(function*() {
        const { store } = yield* open(schema)
        const ids = yield* fill(store)
        yield* store.prune(retention(), 0)
        // one is stored, two are removed, and what is to be added up is folded without its names
        yield* sql(
          `INSERT INTO "${schema}".task (seq, id, type, queue, payload, priority, state, max_retries, created_at,
          due_at, rank, completed_at) VALUES (900, 'old', 'work', 'old', '{}', 1, 3, 0, 0, 0, 0, 0)`
        )
        yield* sql(`INSERT INTO "${schema}".tally (completed, total_created) VALUES (1, 1)`)
        yield* sql(`DELETE FROM "${schema}".task WHERE queue = 'a'`)
        yield* sql(`INSERT INTO "${schema}".tally (completed, failed) VALUES (-1, -1)`)
        yield* store.enqueue([tasks(1, { queue: "b", type: "other" })])
        yield* foldAsBefore(schema)
        // another process, because one counts all tasks once a minute at most
        const { store: other } = yield* open(schema)
        yield* Effect.all([store.prune(retention(), 0), other.prune(retention(), 0)], { concurrency: "unbounded" })
        yield* other.prune(retention(), 0)
        assert.deepStrictEqual(yield* listed(store), ["b/other 2 0", "c/work 0 1", "old/work 0 0"])
        assert.deepStrictEqual(yield* stored(schema), ["b/other 2", "c/work 1", "old/work 1"])
        assert.strictEqual((yield* store.results(ids))[0], null)
        assert.deepStrictEqual(yield* sql(`SELECT in_lanes FROM "${schema}".tally WHERE queue IS NULL`), [
          { in_lanes: true }
        ])
      }))

    test("cost no look at finished tasks, whatever the statistics say", (schema) =>
      Effect.gen(function*() {
        const { client, store } = yield* open(schema)
        yield* sql(`ALTER TABLE "${schema}".task SET (autovacuum_enabled = off)`)
        yield* sql(`ANALYZE "${schema}".task`)
        yield* sql(
          `INSERT INTO "${schema}".task (seq, id, type, queue, payload, priority, state, max_retries, created_at,
          due_at, rank, completed_at) SELECT -g, 'old-' || g, 'work', 'q' || g % 7, '{}', 1, 3, 0, 0, 0, 0, 0
          FROM generate_series(1, 20000) g`
        )
        yield* sql(`INSERT INTO "${schema}".tally (queue, type, completed, total_created)
          SELECT 'q' || g, 'work', 2000, 2000 FROM generate_series(0, 6) g`)
        yield* store.enqueue([[...tasks(40, { queue: "q3" }), ...tasks(10, { queue: "q3", delayMs: 60_000 })]])
        yield* store.claim(request({ queues: ["q3"], limit: 5 }))
        const look = client.withTransaction(Effect.gen(function*() {
          const { lanes } = yield* store.laneCounts({ limit: 100 })
          assert.strictEqual(lanes.length, 7)
          assert.deepInclude(lanes[3], { queue: "q3", scheduled: 10, pending: 35, running: 5 })
          const [read] = yield* client.unsafe<{ rows: number }>(
            `SELECT (seq_tup_read + idx_tup_fetch)::int AS rows FROM pg_stat_xact_user_tables
              WHERE relid = '"${schema}".task'::regclass`
          )
          return read!.rows
        }))
        assert.isBelow(yield* look, 200)
        yield* sql(`ANALYZE "${schema}".task`)
        assert.isBelow(yield* look, 200)
      }))
  })
})

import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Redacted, type Scope } from "effect"
import { ApiKeys } from "../../../src/index.ts"
import * as PausedQueues from "../../../src/store/PausedQueues.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { complete, refOf, request, task, tasks } from "../conformance/fixtures.ts"
import { hearsWhatItAwaits } from "../sharing.ts"
import { withoutRecords } from "./fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { url } = server

  /** A store of another process would be opened like this. */
  const open = (schema: string, options: Partial<PostgresStore.ConnectionOptions> = {}) =>
    Layer.build(Layer.fresh(PostgresStore.layerUrl({ url, schema, maxConnections: 4, ...options })))
  const storeOf = Effect.map((context: Context.Context<TaskStore>) => Context.get(context, TaskStore))
  const refused = (schema: string, options: Partial<PostgresStore.ConnectionOptions> = {}) =>
    Effect.map(Effect.flip(Effect.scoped(open(schema, options))), (error) => {
      assert.strictEqual(error._tag, "StoreIncompatible")
      return error.message
    })
  const sql = (text: string) => Postgres.query(url, text)
  const test = (name: string, body: (schema: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.live(name, () => Effect.scoped(Effect.flatMap(Postgres.scratchSchema(server), body)))

  test("processes that start together make one layout", (schema) =>
    Effect.gen(function*() {
      const opened = yield* Effect.all(Array.from({ length: 5 }, () => storeOf(open(schema))), {
        concurrency: "unbounded"
      })
      yield* Effect.forEach(opened, (store) => store.enqueue([[task()]]), { concurrency: "unbounded" })
      assert.strictEqual((yield* opened[0]!.counts).pending, 5)
    }))

  test("a schema that a newer version wrote is refused, and stays as it is", (schema) =>
    Effect.gen(function*() {
      yield* Effect.scoped(open(schema))
      yield* sql(`UPDATE "${schema}".layout SET version = 99`)
      assert.match(yield* refused(schema), /layout 99, written by a newer version/)
      assert.deepStrictEqual(yield* sql(`SELECT version FROM "${schema}".layout`), [{ version: 99 }])
    }))

  test("a schema of another program is refused, and stays as it is", (schema) =>
    Effect.gen(function*() {
      yield* sql(`CREATE SCHEMA "${schema}"`)
      yield* sql(`CREATE TABLE "${schema}".task (mine int)`)
      assert.match(yield* refused(schema), /belongs to another program/)
      assert.deepStrictEqual(yield* sql(`SELECT * FROM "${schema}".task`), [])
    }))

  test("a schema of an earlier version gives the tasks that wait in it, also to instances of that version", (schema) =>
    Effect.gen(function*() {
      const given = Array.from(
        { length: 12 },
        (_, index) => task({ queue: `q${index % 3}`, type: `t${index % 2}`, priority: index % 4 })
      )
      yield* Effect.scoped(Effect.flatMap(storeOf(open(schema)), (store) => store.enqueue([given])))
      yield* sql(`DROP INDEX "${schema}".task_order, "${schema}".task_waiting`)
      yield* sql(`CREATE INDEX task_lane ON "${schema}".task (queue, type, rank, seq) WHERE state = 1`)
      yield* sql(
        `DROP FUNCTION "${schema}".claim_2, "${schema}".claim_3, "${schema}".waiting_types_1, "${schema}".waiting_queues_1`
      )
      yield* Effect.forEach(withoutRecords(schema), sql)
      yield* sql(`UPDATE "${schema}".layout SET version = 4`)
      const store = yield* storeOf(open(schema))
      assert.strictEqual((yield* store.stranded([], 100)).length, 6)
      const { tasks: claimed } = yield* store.claim(request({ queues: undefined, types: ["t0", "t1"], limit: 5 }))
      const old = yield* sql(`SELECT out_id AS id, out_priority::int AS priority
        FROM "${schema}".claim_1('{q0,q1,q2}', '{t0,t1}', 3, 'old', 60000, 1, true)`)
      const later = yield* sql(`SELECT out_id AS id, out_priority::int AS priority
        FROM "${schema}".claim_2(NULL, '{t0,t1}', 2, 'later', 60000, 1, true)`)
      const { tasks: rest } = yield* store.claim(request({ queues: undefined, types: ["t0", "t1"] }))
      const all = [...claimed, ...[...old, ...later] as unknown as typeof claimed, ...rest]
      assert.sameMembers(all.map(({ id }) => id), given.map(({ id }) => id))
      assert.deepStrictEqual(all.map(({ priority }) => priority), [3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0])
    }))

  test("keys that tasks of an earlier version have are kept, and pass to no task with a window", (schema) =>
    Effect.gen(function*() {
      const windowed = (onConflict: "return" | "refuse" | "replace", fields: Parameters<typeof task>[0]) =>
        task({ unique: { window: "unfinished", onConflict, byMs: 0, maxMs: null }, ...fields })
      const waiting = task({ key: "waiting", payload: "1" })
      const ended = task({ key: "ended", payload: "1" })
      yield* Effect.scoped(
        Effect.flatMap(
          storeOf(open(schema)),
          (store) => Effect.andThen(store.enqueue([[waiting, ended]]), store.cancel([ended.id]))
        )
      )
      yield* sql(`DROP INDEX "${schema}".task_key`)
      yield* sql(`ALTER TABLE "${schema}".task DROP COLUMN key_hold, DROP COLUMN key_lost`)
      yield* sql(`CREATE UNIQUE INDEX task_key ON "${schema}".task (type, key) WHERE key IS NOT NULL`)
      yield* sql(`UPDATE "${schema}".layout SET version = 12`)
      const store = yield* storeOf(open(schema))
      const offer = (given: ReturnType<typeof task>) => Effect.map(store.enqueue([[given]]), ([answer]) => answer!)
      const same = { _tag: "Accepted" as const, tasks: [{ id: waiting.id, duplicate: true }] }
      assert.deepInclude(yield* offer(task({ key: "waiting", payload: "1" })), same)
      assert.deepInclude(yield* offer(windowed("return", { key: "waiting", payload: "2" })), same)
      assert.strictEqual((yield* offer(task({ key: "waiting", payload: "2" })))._tag, "Conflict")
      const replaced = [{ id: waiting.id, duplicate: true, merge: "replaced" as const }]
      assert.deepInclude(yield* offer(windowed("replace", { key: "waiting", payload: "3" })), { tasks: replaced })
      assert.strictEqual((yield* store.get(waiting.id))!.payload, "3")
      // such a key is kept as long as its task is stored
      assert.deepInclude(yield* offer(windowed("refuse", { key: "ended" })), { _tag: "Conflict", state: "cancelled" })
      assert.deepStrictEqual(yield* store.remove([ended.id]), ["removed"])
      assert.strictEqual((yield* offer(windowed("refuse", { key: "ended" })))._tag, "Accepted")
    }))

  test("a schema of an earlier version gives its API keys and paused queues", (schema) =>
    Effect.gen(function*() {
      yield* Effect.scoped(open(schema))
      yield* Effect.forEach(withoutRecords(schema), sql)
      yield* sql(
        `INSERT INTO "${schema}".api_key VALUES ('b', 'zoë''s "key" \\', 'admin', 'h1', 1000), ('a', 'ci', 'read', 'h2', 2000)`
      )
      yield* sql(`INSERT INTO "${schema}".paused_queue VALUES ('slow'), ('a b')`)
      yield* sql(`UPDATE "${schema}".layout SET version = 5`)
      const services = yield* open(schema)
      assert.deepStrictEqual(yield* Effect.provide(PausedQueues.names, services), ["a b", "slow"])
      yield* Effect.provide(PausedQueues.resume("slow"), services)
      assert.deepStrictEqual(yield* Effect.provide(PausedQueues.names, services), ["a b"])
      assert.deepStrictEqual(yield* Effect.provide(ApiKeys.stored, services), [
        { id: "b", name: "zoë's \"key\" \\", role: "admin", hash: "h1", createdAt: DateTime.makeUnsafe(1000) },
        { id: "a", name: "ci", role: "read", hash: "h2", createdAt: DateTime.makeUnsafe(2000) }
      ])
      yield* Effect.provide(ApiKeys.revoke("b"), services)
      assert.deepStrictEqual((yield* Effect.provide(ApiKeys.list, services)).map(({ id }) => id), ["a"])
    }))

  test("an empty schema that somebody made for it is used", (schema) =>
    Effect.gen(function*() {
      yield* sql(`CREATE SCHEMA "${schema}"`)
      const store = yield* storeOf(open(schema))
      assert.strictEqual((yield* store.counts).pending, 0)
    }))

  test("an instance with another head start is refused", (schema) =>
    Effect.gen(function*() {
      yield* Effect.scoped(open(schema, { headStart: "1 minute" }))
      assert.match(yield* refused(schema, { headStart: "2 minutes" }), /head start of 1m.*configured with 2m/)
      yield* Effect.scoped(open(schema, { headStart: "60 seconds" }))
    }))

  test("a pool that is too small, and a name that is no name, are refused", () =>
    Effect.gen(function*() {
      assert.match(yield* refused("taskforge_never", { maxConnections: 2 }), /the store needs 3/)
      assert.match(yield* refused("o'brien"), /has an apostrophe/)
      assert.match(yield* refused(""), /between 1 and 63 bytes/)
      assert.match(yield* refused("é".repeat(32)), /between 1 and 63 bytes/)
    }))

  test("the claims of a new session have greater numbers than any that a crash may have undone", (schema) =>
    Effect.gen(function*() {
      const claim = Effect.scoped(Effect.gen(function*() {
        const store = yield* storeOf(open(schema))
        yield* store.enqueue([[task()]])
        const { tasks } = yield* store.claim(request())
        return tasks[0]!.claim
      }))
      const [first, second] = [yield* claim, yield* claim]
      assert.isAtLeast(second - first, 1_000_000)
    }))

  test("two processes share the work: no task is given twice or lost", (schema) =>
    Effect.gen(function*() {
      const stores = [yield* storeOf(open(schema)), yield* storeOf(open(schema))]
      const given: Array<string> = []
      const each = 300
      yield* Effect.forEach(stores, (store, index) =>
        Effect.gen(function*() {
          yield* Effect.forEach(tasks(each, { type: `type-${index}` }), (one) => store.enqueue([[one]]), {
            concurrency: 20
          })
          while ((yield* store.counts).completed < stores.length * each) {
            const { tasks: claimed } = yield* store.claim(
              request({ types: ["type-0", "type-1"], limit: 7, instance: `instance-${index}` })
            )
            given.push(...claimed.map(({ id }) => id))
            const answers = yield* store.settle(claimed.map((one) => complete(refOf(one))))
            assert.isTrue(answers.every((answer) => answer === "applied"))
          }
        }), { concurrency: "unbounded" })
      assert.strictEqual(given.length, 2 * each)
      assert.strictEqual(new Set(given).size, 2 * each)
      const { pending, running, totals } = yield* stores[0]!.counts
      assert.deepInclude({ ...totals, pending, running }, { created: 2 * each, pending: 0, running: 0 })
    }))

  test("processes hear of the end of the tasks that they await, and of no others", (schema) =>
    hearsWhatItAwaits(open(schema)))

  test("the same keys from two processes at once make one task each", (schema) =>
    Effect.gen(function*() {
      const stores = [yield* storeOf(open(schema)), yield* storeOf(open(schema))]
      const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`)
      const answers = yield* Effect.forEach(stores, (store, index) =>
        Effect.forEach(index === 0 ? keys : keys.toReversed(), (key) =>
          store.enqueue([[task({ key })]]), {
          concurrency: "unbounded"
        }), { concurrency: "unbounded" })
      const accepted = answers.flat(2).flatMap((answer) =>
        answer._tag === "Accepted" ? answer.tasks : []
      )
      assert.strictEqual(accepted.length, 2 * keys.length)
      assert.strictEqual(accepted.filter(({ duplicate }) => !duplicate).length, keys.length)
      assert.strictEqual((yield* stores[1]!.counts).pending, keys.length)
    }))

  test("a task that the server cannot store fails its own caller alone", (schema) =>
    Effect.gen(function*() {
      const store = yield* storeOf(open(schema))
      const [bad, good] = yield* Effect.all([
        Effect.result(store.enqueue([[task({ id: "a\u0000b" })]])),
        Effect.result(store.enqueue([[task({ id: "good" })]]))
      ], { concurrency: "unbounded" })
      assert.strictEqual(bad._tag, "Failure")
      assert.match(bad._tag === "Failure" ? bad.failure.message : "", /U\+0000/)
      assert.strictEqual(good._tag, "Success")
    }))

  test("it stands on whatever settings the application's client has", (schema) =>
    Effect.gen(function*() {
      const client = PgClient.layer({
        url: Redacted.make(url),
        prepare: false,
        transformResultNames: (name) => name.toUpperCase(),
        transformQueryNames: (name) => `x_${name}`
      })
      const store = yield* storeOf(
        Layer.build(Layer.fresh(Layer.provide(PostgresStore.layer({ schema }), client)))
      )
      yield* store.enqueue([[task({ id: "a", key: "k" })]])
      const { tasks: claimed } = yield* store.claim(request())
      assert.deepStrictEqual(yield* store.settle([complete(refOf(claimed[0]!), "1")]), ["applied"])
      assert.deepInclude(yield* store.get("a"), { state: "completed", result: "1", key: "k" })
    }))

  test("what is done to many running tasks never looks through all of them, whatever the statistics say", (schema) =>
    Effect.gen(function*() {
      const services = yield* Layer.build(PostgresStore.layerUrl({ url, schema, maxConnections: 3 }))
      const store = Context.get(services, TaskStore)
      const client = Context.get(services, PgClient.PgClient)
      const many = 1000
      yield* store.enqueue([tasks(many)])
      // Statistics of a moment when nothing runs make the index of running tasks look as if it held none
      yield* client.unsafe(`ANALYZE "${schema}".task`)
      const { tasks: claimed } = yield* store.claim(request({ limit: many }))
      const refs = claimed.map(refOf)
      const scans = Effect.map(
        client.unsafe<{ readonly scans: string }>(
          `SELECT pg_stat_get_xact_numscans('"${schema}".task_gate'::regclass) AS scans`
        ),
        ([row]) => Number(row?.scans)
      )
      /** How often an operation looks through the running tasks. */
      const looking = <A, E>(operation: Effect.Effect<A, E>) =>
        Effect.gen(function*() {
          const before = yield* scans
          return [yield* operation, (yield* scans) - before] as const
        }).pipe(client.withTransaction)
      const [held, looksForLeases] = yield* looking(store.extend(refs, 60_000))
      assert.isTrue(held.every((answer) => answer === "held"))
      assert.strictEqual(looksForLeases, 0)
      const [settled, looksForEnds] = yield* looking(store.settle(refs.map((ref) => complete(ref))))
      assert.isTrue(settled.every((answer) => answer === "applied"))
      assert.strictEqual(looksForEnds, 0)
    }))
})

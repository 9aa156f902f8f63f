import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { maxIdLength, maxKeyLength, maxNameLength } from "../../../src/domain/Bounds.ts"
import { EventLog } from "../../../src/store/EventLog.ts"
import { InstanceStore } from "../../../src/store/InstanceStore.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { patiently } from "../../Patience.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { complete, fail, minute, pause, refOf, request, retention, task, tasks } from "../conformance/fixtures.ts"
import { withoutRecords } from "./fixtures.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { url } = server
  const sql = <Row extends object>(text: string, at = url) => Postgres.query<Row>(at, text)
  const openAll = (schema: string, at = url, applicationName?: string) =>
    Layer.build(Layer.fresh(PostgresStore.layerUrl({ url: at, schema, maxConnections: 4, applicationName })))
  const open = (schema: string, at?: string, applicationName?: string) =>
    Effect.map(openAll(schema, at, applicationName), (context) => Context.get(context, TaskStore))
  const test = (name: string, body: (schema: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.live(name, () => Effect.scoped(Effect.flatMap(Postgres.scratchSchema(server), body)))

  test("an address without a user is refused with how to write it", (schema) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(open(schema, "postgres://localhost/app")))
      assert.match(String(error), /names no user; write it as postgres:\/\/USER@HOST\/DATABASE \(.*No username/)
    }))

  for (const encoding of ["SQL_ASCII", "LATIN1"]) {
    test(`a database with the encoding ${encoding} is refused, and stays empty`, () =>
      Effect.gen(function*() {
        const database = yield* Effect.acquireRelease(
          Effect.suspend(() => {
            const name = `taskforge_test_${randomBytes(6).toString("hex")}`
            return Effect.as(
              sql(`CREATE DATABASE "${name}" ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`),
              name
            )
          }),
          (name) => Effect.ignore(sql(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`))
        )
        const at = new URL(url)
        at.pathname = `/${database}`
        const error = yield* Effect.flip(Effect.scoped(open("taskforge", at.href)))
        assert.strictEqual(error._tag, "StoreIncompatible")
        assert.include(error.message, `has the encoding ${encoding}`)
        assert.include(error.message, "ENCODING 'UTF8'")
        assert.deepStrictEqual(yield* sql("SELECT FROM pg_namespace WHERE nspname = 'taskforge'", at.href), [])
      }))
  }

  test("a process that starts waits while another one migrates, for longer than its statements may take", (schema) =>
    Effect.gen(function*() {
      const lock = `hashtextextended('taskforge ${schema}', 0)`
      const migrating = yield* Effect.forkScoped(
        sql(`SELECT pg_sleep(1.5) FROM (SELECT pg_advisory_lock(${lock})) AS held`)
      )
      const held = sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND (classid::bigint << 32 | objid::bigint) = ${lock}`)
      yield* Effect.repeat(held, { until: (rows) => rows.length > 0, schedule: patiently() })
      const limits = { statementTimeout: "200 millis", lockTimeout: "200 millis" } as const
      const services = yield* Layer.build(PostgresStore.layerUrl({ url, schema, ...limits }))
      assert.isDefined(migrating.pollUnsafe())
      assert.strictEqual((yield* Context.get(services, TaskStore).counts).pending, 0)
    }))

  test("sequences behind their tables are brought forward at start, by processes that start together too", (schema) =>
    Effect.gen(function*() {
      const { claim, seq } = yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* open(schema)
        // further than a new session skips, and than a repeated enqueue goes on
        yield* sql(`SELECT setval('"${schema}".claim_number', 50000000)`)
        yield* store.enqueue([tasks(500)])
        const claimed = (yield* store.claim(request({ limit: 10 }))).tasks
        return { claim: claimed.at(-1)!.claim, seq: (yield* store.list({ limit: 1 })).tasks[0]!.seq }
      }))
      // What logical replication leaves: rows, and sequences that have never been used
      yield* sql(`SELECT setval('"${schema}".task_seq', 1, false), setval('"${schema}".claim_number', 1, false)`)
      const stores = yield* Effect.all(Array.from({ length: 4 }, () => open(schema)), { concurrency: "unbounded" })
      const answers = yield* Effect.forEach(stores, (store) => store.enqueue([[task()]]), { concurrency: "unbounded" })
      assert.isTrue(answers.flat().every((answer) => answer._tag === "Accepted"))
      const { tasks: newest } = yield* stores[0]!.list({ limit: 4 })
      assert.isTrue(newest.every((one) => one.seq > seq))
      const claimed = yield* Effect.forEach(
        stores,
        (store, index) => store.claim(request({ limit: 3, instance: `w${index}` })),
        { concurrency: "unbounded" }
      )
      const numbers = claimed.flatMap((answer) => answer.tasks.map((one) => one.claim))
      assert.strictEqual(numbers.length, 12)
      assert.isTrue(numbers.every((number) => number > claim))
      assert.strictEqual(new Set(numbers).size, numbers.length)
    }))

  test("the number of a claim is not used again when its task and all later claims are long forgotten", (schema) =>
    Effect.gen(function*() {
      const claim = yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* open(schema)
        yield* sql(`SELECT setval('"${schema}".claim_number', 50000000)`)
        yield* store.enqueue([tasks(2)])
        const claimed = (yield* store.claim(request())).tasks
        yield* store.settle(claimed.map((one) => complete(refOf(one))))
        yield* sql(`UPDATE "${schema}".last_claim SET claimed_at = 0`)
        yield* store.prune(retention({ maxFinished: 0 }), 10)
        return claimed.at(-1)!.claim
      }))
      assert.deepStrictEqual(yield* sql(`SELECT FROM "${schema}".task`), [])
      yield* sql(`SELECT setval('"${schema}".claim_number', 1, false)`)
      const store = yield* open(schema)
      yield* store.enqueue([[task()]])
      assert.isAbove((yield* store.claim(request())).tasks[0]!.claim, claim)
    }))

  test("a process that runs while the server becomes a logical replica goes on with greater numbers", (schema) =>
    Effect.gen(function*() {
      const applicationName = schema.slice(-20)
      const store = yield* open(schema, url, applicationName)
      yield* sql(`SELECT setval('"${schema}".claim_number', 50000000)`)
      yield* store.enqueue([tasks(500)])
      const claim = (yield* store.claim(request({ limit: 10 }))).tasks.at(-1)!.claim
      yield* sql(`SELECT setval('"${schema}".task_seq', 1, false), setval('"${schema}".claim_number', 1, false)`)
      yield* sql(
        `SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = '${applicationName}'`
      )
      const next = yield* Effect.retry(store.claim(request({ limit: 10, instance: "w2" })), { times: 20 })
      assert.strictEqual(next.tasks.length, 10)
      assert.isTrue(next.tasks.every((one) => one.claim > claim))
      const [answer] = yield* store.enqueue([[task({ key: "k" })]])
      assert.strictEqual(answer?._tag, "Accepted")
      assert.strictEqual((yield* store.enqueue([[task()]]))[0]?._tag, "Accepted")
    }))

  test("sessions skip claim numbers one after the other", (schema) =>
    Effect.gen(function*() {
      const store = yield* open(schema)
      yield* store.enqueue([[task()]])
      const key = `hashtextextended('taskforge claim_number "${schema}"', 0)`
      const waiting = Effect.filterOrFail(
        sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND (classid::bigint << 32 | objid::bigint) = ${key}`),
        (rows) => rows.length > 0
      )
      const given = sql(`SELECT last_value::int AS n FROM "${schema}".claim_number`)
      const claim = yield* Effect.gen(function*() {
        const client = yield* PgClient.PgClient
        return yield* client.withTransaction(Effect.gen(function*() {
          yield* client.unsafe(`SELECT pg_advisory_xact_lock(${key})`)
          const fiber = yield* Effect.forkDetach(store.claim(request()))
          yield* Effect.retry(waiting, patiently())
          assert.deepStrictEqual(yield* given, [{ n: 1 }])
          return fiber
        }))
      }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })))
      assert.isAbove((yield* Fiber.join(claim)).tasks[0]!.claim, 1_000_000)
    }))

  test("tables of the schema may be published, after an upgrade too", (schema) =>
    Effect.gen(function*() {
      yield* Effect.scoped(open(schema))
      // as the layout was before
      for (const table of ["layout", "tally", "event_head"]) {
        yield* sql(`ALTER TABLE "${schema}".${table} REPLICA IDENTITY DEFAULT`)
      }
      yield* Effect.forEach(withoutRecords(schema), (statement) => sql(statement))
      yield* sql(`UPDATE "${schema}".layout SET version = 3`)
      yield* Effect.scoped(open(schema))
      const [published] = yield* sql<{ tables: string }>(
        `SELECT string_agg(format('%I.%I', '${schema}', relname), ', ') AS tables FROM pg_class
          WHERE relnamespace = '"${schema}"'::regnamespace AND relkind = 'r' AND relpersistence = 'p'`
      )
      yield* sql(`CREATE PUBLICATION "${schema}" FOR TABLE ${published!.tables}`)
      yield* Effect.addFinalizer(() => Effect.ignore(sql(`DROP PUBLICATION "${schema}"`)))
      const services = yield* Layer.build(Layer.fresh(PostgresStore.layerUrl({ url, schema, maxConnections: 4 })))
      const store = Context.get(services, TaskStore)
      yield* store.enqueue([tasks(3)])
      const { tasks: claimed } = yield* store.claim(request({ limit: 2 }))
      yield* store.settle([complete(refOf(claimed[0]!)), fail(refOf(claimed[1]!))])
      yield* store.prune(retention({ maxFinished: 0 }), 10)
      yield* Context.get(services, EventLog).append([])
      yield* Context.get(services, EventLog).attend(1000)
      const instances = Context.get(services, InstanceStore)
      yield* instances.lead("chore", "a", 1000)
      yield* instances.lead("chore", "a", 1000)
      yield* instances.leave("a")
      assert.deepInclude(yield* store.counts, { pending: 1, completed: 0, failed: 0 })
    }))

  test("a sequence that is ahead stays where it is", (schema) =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.flatMap(open(schema), (store) => store.enqueue([tasks(3)])))
      yield* sql(`SELECT setval('"${schema}".task_seq', 5000), setval('"${schema}".claim_number', 7000, false)`)
      yield* Effect.scoped(open(schema))
      assert.deepStrictEqual(
        yield* sql(`SELECT t.last_value::int AS tasks, c.last_value::int AS claims, c.is_called AS called
          FROM "${schema}".task_seq t, "${schema}".claim_number c`),
        [{ tasks: 5000, claims: 7000, called: false }]
      )
    }))

  for (
    const [what, character] of [
      // the most bytes per unit of JavaScript's length, and the most per character; drawn so that nothing compresses
      ["three bytes", () => String.fromCodePoint(0x4e00 + Math.floor(random() * 20_000))],
      ["four bytes", () => String.fromCodePoint(0x20000 + Math.floor(random() * 40_000))]
    ] as const
  ) {
    test(`the longest id, key, type, queue and instance fit the indexes, in characters of ${what}`, (schema) =>
      Effect.gen(function*() {
        const text = (maxLength: number) => {
          let drawn = ""
          for (let next = character(); drawn.length + next.length <= maxLength; next = character()) drawn += next
          return drawn.padEnd(maxLength, "é")
        }
        const services = yield* openAll(schema)
        const store = Context.get(services, TaskStore)
        const [queue, type, instance] = [text(maxNameLength), text(maxNameLength), text(maxNameLength)]
        const longest = () => task({ id: text(maxIdLength), key: text(maxKeyLength), type, queue })
        const later = { ...longest(), delayMs: minute }
        const group = [longest(), longest(), longest(), later]
        const [answer] = yield* store.enqueue([group])
        assert.strictEqual(answer?._tag, "Accepted")
        const { tasks: claimed } = yield* store.claim(request({ queues: [queue], types: [type], instance }))
        assert.deepStrictEqual(claimed.map(({ id }) => id), group.slice(0, 3).map(({ id }) => id))
        assert.deepStrictEqual(yield* store.settle([complete(refOf(claimed[0]!)), fail(refOf(claimed[1]!))]), [
          "applied",
          "applied"
        ])
        yield* Effect.provideContext(pause(queue, true), services)
        yield* store.cancel([later.id])
        assert.deepInclude(yield* store.get(later.id), { key: later.key, type, queue, state: "cancelled" })
        const [again] = yield* store.enqueue([[{ ...longest(), key: later.key }]])
        assert.deepInclude(again, { _tag: "Accepted" })
      }))
  }

  test("a schema's name may have spaces, capitals and quotes", (schema) =>
    Effect.gen(function*() {
      const name = `${schema} "My.Queue"-é`
      const quoted = `"${name.replaceAll("\"", "\"\"")}"`
      yield* Effect.addFinalizer(() => Effect.ignore(sql(`DROP SCHEMA ${quoted} CASCADE`)))
      for (const _ of ["made", "opened again"]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const store = yield* open(name)
          yield* store.enqueue([[task()]])
          const { tasks: [claimed] } = yield* store.claim(request())
          assert.deepStrictEqual(yield* store.settle([complete(refOf(claimed!))]), ["applied"])
          yield* store.prune(retention({ maxFinished: 0 }), 10)
        }))
        yield* sql(`SELECT setval('${quoted}.claim_number', 1, false)`)
      }
    }))
})

/** Numbers that look random and are the same in each run. */
let state = 20_261_128
const random = (): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return state / 2 ** 32
}

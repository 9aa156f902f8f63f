import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import type { Settlement } from "../../../src/domain/Settlement.ts"
import type { ClaimedTask, NewTask } from "../../../src/domain/TaskRecord.ts"
import { maxTold } from "../../../src/store/Dependencies.ts"
import * as Gates from "../../../src/store/Gates.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { maxMoved } from "../../../src/store/postgres/Shared.ts"
import { absent, type Change, RecordStore } from "../../../src/store/RecordStore.ts"
import { type ClaimRef, maxPromoted, TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  again,
  anyTime,
  complete,
  fail,
  minute,
  refOf,
  request,
  retention,
  task,
  tasks,
  through
} from "../conformance/fixtures.ts"

const driver = new URL("../../../src/store/postgres/", import.meta.url)

/** The modules whose statements lock rows up to a limit; each has a test below. */
const covered = [
  "Attempt.ts",
  "Claim.ts",
  "Edges.ts",
  "Operate.ts",
  "Records.ts",
  "Shared.ts",
  "Take.ts",
  "Tally.ts"
]

it("every module that locks rows up to a limit is tried here, and no subquery of IN has a limit or locks", () => {
  const locking: Array<string> = []
  for (const file of readdirSync(driver).filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(new URL(file, driver), "utf8")
    if (/LIMIT [^)]*FOR (NO KEY )?UPDATE/.test(text)) locking.push(file)
    for (const subquery of subqueriesOfIn(text)) assert.notMatch(subquery, /LIMIT|FOR (NO KEY )?UPDATE/, file)
  }
  assert.deepStrictEqual(locking.toSorted(), covered)
  assert.lengthOf(subqueriesOfIn("WHERE (a, b) IN (SELECT f(x) FROM t LIMIT 3) AND c IN (1, 2)"), 1)
})

/** What stands between the parentheses of each `IN (SELECT …)`. */
const subqueriesOfIn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/\bIN\s*\(\s*SELECT\b/gi)].map(({ index }) => {
    const start = text.indexOf("(", index)
    let depth = 0
    for (let place = start; place < text.length; place++) {
      if (text[place] === "(") depth++
      else if (text[place] === ")" && --depth === 0) return text.slice(start, place)
    }
    return text.slice(start)
  })

await withServer("PostgreSQL", Postgres.find, (server) => {
  const { url } = server
  type Opened = {
    readonly store: Context.Service.Shape<typeof TaskStore>
    readonly records: RecordStore["Service"]
    readonly sql: (text: string) => Effect.Effect<number>
    /** Runs an effect and counts the rows and index entries that it reads in the store's tables. */
    readonly rowsOf: (effect: Effect.Effect<unknown, unknown>) => Effect.Effect<number, unknown>
  }

  /**
   * A store whose tables were analysed when they were empty: they have pages, and the statistics say that these hold no
   * row. One connection works, so that plans that are kept from the empty tables are used again.
   */
  const test = (name: string, body: (opened: Opened, schema: string) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.live(name, () =>
      Effect.scoped(Effect.gen(function*() {
        const schema = yield* Postgres.scratchSchema(server)
        const services = yield* Layer.build(Layer.fresh(PostgresStore.layerUrl({ url, schema, maxConnections: 3 })))
        const store = Context.get(services, TaskStore)
        const records = Context.get(services, RecordStore)
        const client = Context.get(services, PgClient.PgClient)
        const sql = (text: string) =>
          Effect.orDie(Effect.map(client.unsafe<{ readonly n?: number }>(text), ([row]) => row?.n ?? 0))
        const looked = sql(
          `SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid))::int AS n
            FROM pg_class WHERE relnamespace = '"${schema}"'::regnamespace AND relkind IN ('r', 'i')`
        )
        const rowsOf: Opened["rowsOf"] = (effect) =>
          client.withTransaction(Effect.gen(function*() {
            const before = yield* looked
            yield* effect
            return (yield* looked) - before
          }))
        for (const table of ["task", "edge", "last_claim", "tally", "record"]) {
          yield* sql(`ALTER TABLE "${schema}".${table} SET (autovacuum_enabled = off)`)
        }
        yield* store.enqueue([tasks(500)])
        const { tasks: claimed } = yield* store.claim(request())
        yield* store.settle(claimed.map((one) => complete(refOf(one))))
        yield* store.prune(retention({ maxFinished: 0 }), 1000)
        yield* records.put(due(500))
        for (const table of ["task", "edge", "last_claim", "tally", "record"]) {
          yield* sql(`DELETE FROM "${schema}".${table}`)
          yield* sql(`ANALYZE "${schema}".${table}`)
        }
        assert.strictEqual(
          yield* sql(`SELECT reltuples::float8 AS n FROM pg_class WHERE oid = '"${schema}".task'::regclass`),
          0
        )
        // Whatever plans are kept are made now
        yield* store.claim(request({ limit: 3 }))
        yield* store.claim(request({ limit: 3, types: ["work", "other"] }))
        yield* store.rescue({ limit: 3, ...anyTime })
        yield* store.prune(retention({ maxFinished: 0, finishedForMs: 0 }), 3)
        yield* records.take("thing", 3, minute)
        yield* body({ store, records, sql, rowsOf }, schema)
      })))

  const due = (count: number): ReadonlyArray<Change> =>
    Array.from({ length: count }, (_, n) => ({ kind: "thing", id: `${n}`, expects: absent, document: "1", dueInMs: 0 }))

  const finished = ({ sql }: Opened, schema: string, count: number, ageMs: number) =>
    Effect.andThen(
      sql(
        `INSERT INTO "${schema}".task (seq, id, type, queue, payload, priority, state, max_retries, created_at, due_at,
        rank, completed_at) SELECT g, 'old-' || g, 'work', 'default', '{}', 1, 3, 0, 0, 0, 0,
        "${schema}".now_ms() - ${ageMs} FROM generate_series(1, ${count}) g`
      ),
      sql(`INSERT INTO "${schema}".tally (completed) VALUES (${count})`)
    )

  test("a claim of one lane", ({ store }) =>
    Effect.gen(function*() {
      yield* store.enqueue([tasks(1000)])
      assert.strictEqual((yield* store.claim(request({ limit: 3 }))).tasks.length, 3)
      assert.strictEqual((yield* store.counts).running, 3)
    }))

  test("a claim of several lanes", ({ store }) =>
    Effect.gen(function*() {
      yield* store.enqueue([tasks(1000), tasks(1000, { type: "other" })])
      const { tasks: claimed } = yield* store.claim(request({ limit: 3, types: ["work", "other"] }))
      assert.strictEqual(claimed.length, 3)
      assert.strictEqual((yield* store.counts).running, 3)
    }))

  test("a claim of lanes behind many tasks of others", ({ store }) =>
    Effect.gen(function*() {
      yield* store.enqueue([tasks(2500, { type: "foreign" }), tasks(1000), tasks(1000, { type: "other" })])
      const { tasks: claimed } = yield* store.claim(request({ limit: 3, types: ["work", "other"] }))
      assert.strictEqual(claimed.length, 3)
      assert.strictEqual((yield* store.counts).running, 3)
    }))

  test("a claim that promotes what is due", ({ sql, store }, schema) =>
    Effect.gen(function*() {
      yield* store.enqueue([tasks(maxPromoted + 500, { delayMs: minute })])
      yield* sql(`UPDATE "${schema}".task SET due_at = 0`)
      yield* store.claim(request({ limit: 0 }))
      const { pending, scheduled } = yield* store.counts
      assert.deepStrictEqual({ pending, scheduled }, { pending: maxPromoted, scheduled: 500 })
    }))

  const limitKeys = (records: RecordStore["Service"], document: string) =>
    records.put([{ kind: Gates.limitKind, id: "key", expects: absent, document }])
  const rate = JSON.stringify({ tokens: 1000, perMs: 1000, burst: 1000 })

  const addKeyed = (store: Opened["store"]) =>
    Effect.forEach(
      ["work", "other"],
      (type) => store.enqueue([Array.from({ length: 500 }, (_, n) => task({ type, ...through(`key=${n % 50}`) }))]),
      {
        discard: true
      }
    )

  const claimsThree = ({ store }: Opened) =>
    Effect.gen(function*() {
      const { tasks: claimed } = yield* store.claim(request({ limit: 3, types: ["work", "other"] }))
      assert.strictEqual(claimed.length, 3)
      assert.strictEqual((yield* store.counts).running, 3)
    })

  test("a claim of tasks with a gate", (opened, schema) =>
    Effect.gen(function*() {
      yield* addKeyed(opened.store)
      yield* claimsThree(opened)
      assert.strictEqual(yield* opened.sql(`SELECT count(*)::int AS n FROM "${schema}".line`), 0)
    }))

  test("a claim of tasks in lines", (opened, schema) =>
    Effect.gen(function*() {
      yield* limitKeys(opened.records, rate)
      yield* addKeyed(opened.store)
      yield* claimsThree(opened)
      assert.strictEqual(yield* opened.sql(`SELECT count(*)::int AS n FROM "${schema}".line`), 100)
    }))

  test("a claim that gives tasks to lines", (opened, schema) =>
    Effect.gen(function*() {
      yield* opened.store.enqueue([Array.from({ length: maxMoved + 500 }, (_, n) => task(through(`key=${n}`)))])
      yield* limitKeys(opened.records, rate)
      yield* opened.store.claim(request({ limit: 3 }))
      assert.strictEqual(
        yield* opened.sql(`SELECT count(*)::int AS n FROM "${schema}".task WHERE shared_gate IS NULL`),
        maxMoved
      )
    }))

  test("a rescue", ({ store }) =>
    Effect.gen(function*() {
      yield* store.enqueue([tasks(1000)])
      yield* store.claim(request({ leaseForMs: -1 }))
      assert.strictEqual((yield* store.rescue({ limit: 3, ...anyTime })).rescued.length, 3)
      assert.strictEqual((yield* store.counts).running, 997)
    }))

  test("pruning by age", (opened, schema) =>
    Effect.gen(function*() {
      yield* finished(opened, schema, 1000, minute)
      assert.strictEqual(yield* opened.store.prune(retention({ finishedForMs: 1 }), 3), 3)
      assert.strictEqual((yield* opened.store.counts).completed, 997)
    }))

  test("pruning by number", (opened, schema) =>
    Effect.gen(function*() {
      yield* finished(opened, schema, 1000, minute)
      assert.strictEqual(yield* opened.store.prune(retention({ maxFinished: 0 }), 3), 3)
      assert.strictEqual((yield* opened.store.counts).completed, 997)
    }))

  test("telling the ends of tasks", ({ sql, store }, schema) =>
    Effect.gen(function*() {
      yield* store.enqueue([[task({ id: "first" }), ...tasks(maxTold + 500, { after: ["first"] })]])
      yield* sql(`UPDATE "${schema}".task SET state = 3 WHERE id = 'first'`)
      yield* store.tell
      assert.strictEqual((yield* store.counts).scheduled, 500)
    }))

  test("tying loose edges", ({ sql, store }, schema) =>
    Effect.gen(function*() {
      yield* store.enqueue([[task({ id: "first" }), ...tasks(1500, { after: ["first"] })]])
      yield* sql(`UPDATE "${schema}".edge SET nr = NULL`)
      yield* store.tell
      assert.strictEqual(yield* sql(`SELECT count(*)::int AS n FROM "${schema}".edge WHERE nr IS NULL`), 500)
    }))

  test("pruning connected tasks", ({ sql, store }, schema) =>
    Effect.gen(function*() {
      yield* store.enqueue([[task({ id: "first" }), ...tasks(1000, { after: ["first"] })]])
      yield* store.cancel(["first"])
      while (yield* store.tell) { /* until all have failed */ }
      assert.strictEqual(yield* store.prune(retention({ failedForMs: -minute }), 3), 3)
      assert.strictEqual(yield* sql(`SELECT count(*)::int AS n FROM "${schema}".edge`), 997)
    }))

  test("forgetting claims", ({ sql, store }, schema) =>
    Effect.gen(function*() {
      yield* sql(`INSERT INTO "${schema}".last_claim (worker, nonce, claimed_at, first_claim, last_claim)
        SELECT 'worker-' || g, 1, 0, g, g FROM generate_series(1, 5500) g`)
      yield* store.prune(retention(), 0)
      assert.strictEqual(yield* sql(`SELECT count(*)::int AS n FROM "${schema}".last_claim`), 500)
    }))

  test("taking what is due", ({ records }) =>
    Effect.gen(function*() {
      yield* records.put(due(1000))
      assert.lengthOf((yield* records.take("thing", 3, minute)).records, 3)
      const left = yield* Effect.replicateEffect(records.take("thing", 100, minute), 10)
      assert.strictEqual(left.reduce((sum, taken) => sum + taken.records.length, 0), 997)
    }))

  test("folding the counters", ({ sql, store }, schema) =>
    Effect.gen(function*() {
      yield* sql(`INSERT INTO "${schema}".tally (completed) SELECT 1 FROM generate_series(1, 20500)`)
      yield* store.prune(retention(), 0)
      // Those beyond the limit, and the sum of the others
      assert.strictEqual(yield* sql(`SELECT count(*)::int AS n FROM "${schema}".tally`), 501)
      assert.strictEqual((yield* store.counts).completed, 20_500)
    }))

  /**
   * Among so many tasks, an operation on a few reads so many rows at most: entries of indexes, and rows that it writes, included. While another
   * session has an old snapshot, entries of what was stored before the others are among them.
   */
  const [others, few, maxRows] = [20_000, 25, 3000]

  const ran = { queue: "own" }
  const gated = { queue: "own", ...through("key=1") }
  const unique = { window: "waiting", onConflict: "replace", byMs: 0, maxMs: null } as const

  interface Few {
    readonly ids: ReadonlyArray<string>
    readonly claimed: ReadonlyArray<ClaimedTask>
    /** New tasks with the keys of these. */
    readonly repeated: ReadonlyArray<NewTask>
  }

  /** A statement in the schema. */
  type Own = (statement: (schema: string) => string) => Effect.Effect<number>

  /** An operation on tasks with these fields, after what has been done to them. Those of the queue `own` are running. */
  const reads = (
    name: string,
    fields: Partial<NewTask>,
    operation: (store: TaskStore["Service"], few: Few, own: Own) => Effect.Effect<unknown, unknown>,
    before: typeof operation = () => Effect.void
  ) =>
    test(`${name} reads a few rows`, ({ rowsOf, sql, store }, schema) =>
      Effect.gen(function*() {
        const made = () =>
          Array.from({ length: few }, (_, n) => task({ ...fields, key: fields.key ? `key-${n}` : null }))
        const first = made()
        const own: Own = (statement) => sql(statement(`"${schema}"`))
        // some wait before the few, some behind them, and others have ended
        yield* own((schema) =>
          `INSERT INTO ${schema}.task (seq, id, type, queue, payload, priority, state, max_retries, created_at, due_at, rank,
            completed_at, gate) SELECT -g, 'other-' || g, 'foreign', 'default', '{}', 1, 1 + g % 2 * 2, 0, 0, 0,
            CASE WHEN g % 3 = 0 THEN 0 ELSE 1e15 END, g % 2,
            CASE WHEN g % 4 = 0 THEN '["other=1"]' END FROM generate_series(1, ${others}) g`
        )
        yield* store.enqueue([first])
        const { tasks: claimed } = yield* store.claim(request({ queues: ["own"] }))
        assert.lengthOf(claimed, fields.queue === "own" ? few : 0)
        const all = { ids: first.map(({ id }) => id), claimed, repeated: made() }
        yield* before(store, all, own)
        assert.isAtMost(yield* rowsOf(operation(store, all, own)), maxRows)
      }))

  const settling = (kind: (ref: ClaimRef) => Settlement): Parameters<typeof reads>[2] => (store, { claimed }) =>
    store.settle(claimed.map(kind))

  const rescheduling: Parameters<typeof reads>[2] = (store, { ids }) =>
    store.reschedule(ids.map((id) => ({ id, type: "work", queue: "default", priority: 9 })))

  reads("a completion", ran, settling((ref) => complete(ref)))
  reads("a completion of tasks with a gate", gated, settling((ref) => complete(ref)))
  reads("a failure", ran, settling(fail))
  reads("a failure of tasks with a gate", gated, settling(fail))
  reads("a retry", ran, settling((ref) => again(ref, minute)))
  reads(
    "a rescue of all that run",
    ran,
    (store) => store.rescue({ limit: few, ...anyTime }),
    (store, { claimed }) => store.extend(claimed, -minute)
  )
  /** Makes others wait for the few, which one by one takes an edge of each. */
  const joined: Parameters<typeof reads>[2] = (store, { ids }) =>
    store.enqueue([[task({ id: "last", after: ids }), ...ids.map((id) => task({ after: [id] }))]])
  reads("a completion of tasks that others depend on", ran, settling((ref) => complete(ref)), joined)
  reads("a failure of tasks that others depend on", ran, settling(fail), joined)
  reads("an enqueue after others", {}, joined)
  reads(
    "a rerun of tasks that depend on others",
    {},
    (store) => store.rerun(["last"]),
    (store, few, own) => Effect.andThen(joined(store, few, own), store.cancel(["last"]))
  )
  for (const towards of ["dependencies", "dependents"] as const) {
    reads(
      `a page of ${towards}`,
      {},
      (store, { ids }) => store.links({ ids: [...ids, "last"], towards, limit: few }),
      joined
    )
  }
  reads(
    "a rerun of members of a graph",
    {},
    (store) => store.reopen(["last"], { completed: false }),
    (store, few, own) =>
      Effect.andThen(
        joined(store, few, own),
        Effect.andThen(store.cancel(["last"]), store.reopen(["last"], { completed: false }))
      )
        .pipe(Effect.andThen(store.cancel(["last"])))
  )
  reads(
    "a removal of tasks that others depended on",
    {},
    (store, { ids }) => store.remove(ids),
    (store, few, own) => Effect.andThen(joined(store, few, own), store.cancel(few.ids))
  )
  reads("a heartbeat", ran, (store, { claimed }) => store.extend(claimed, minute))
  reads(
    "a report of progress",
    ran,
    (store, { claimed }) => store.report(claimed.map(({ claim, id }) => ({ id, claim, progress: 1 })))
  )
  reads("a cancellation", {}, (store, { ids }) => store.cancel(ids))
  reads("a rerun", ran, (store, { ids }) => store.rerun(ids), settling(fail))
  reads("a reschedule", {}, rescheduling)
  reads("a reschedule of tasks with a gate", through("key=1"), rescheduling)
  reads("a removal", ran, (store, { ids }) => store.remove(ids), settling((ref) => complete(ref)))
  reads(
    "an expiry",
    { expiresInMs: minute },
    (store) => store.expire(few),
    (_, __, own) => own((schema) => `UPDATE ${schema}.task SET expires_at = 0 WHERE expires_at IS NOT NULL`)
  )
  reads("a claim of one type", { type: "own" }, (store) => store.claim(request({ types: ["own"], limit: few })))
  reads(
    "a claim of one type with a gate",
    { type: "own", ...gated, queue: "default" },
    (store) => store.claim(request({ types: ["own"], limit: few }))
  )
  reads(
    "a claim of one type in an order",
    { type: "own", ...through("!order=1") },
    (store) => store.claim(request({ types: ["own"], limit: few })),
    (_, { ids }, own) =>
      own((schema) =>
        `WITH limited AS (
      INSERT INTO ${schema}.record (kind, id, version, written_at, document) VALUES ('limit', '!order', 1, 0, '{"order":"block"}')
    ) INSERT INTO ${schema}.holder SELECT '!order=1', seq FROM ${schema}.task WHERE id = '${ids[0]}'`
      )
  )
  reads(
    "a look at passes",
    {},
    (store) => store.passes(["!order=1"]),
    (_, { ids }, own) =>
      own((schema) => `INSERT INTO ${schema}.holder SELECT '!order=1', seq FROM ${schema}.task WHERE id = '${ids[0]}'`)
  )
  reads("a look at results", {}, (store, { ids }) => store.results(ids))
  reads("an enqueue of what is stored", {}, (store, { ids }) => store.enqueue([ids.map((id) => task({ id }))]))
  reads("an enqueue with keys that are taken", { key: "key" }, (store, { repeated }) => store.enqueue([repeated]))
  reads(
    "an enqueue that replaces payloads",
    { key: "key", unique },
    (store, { repeated }) => store.enqueue([repeated.map((one) => ({ ...one, payload: "2" }))])
  )
  reads(
    "an enqueue that takes keys",
    { ...ran, key: "key", unique },
    (store, { repeated }) => store.enqueue([repeated])
  )
  reads(
    "a prune of some of many",
    ran,
    (store) => store.prune(retention({ finishedForMs: minute }), few),
    settling((ref) => complete(ref))
  )
})

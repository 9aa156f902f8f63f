import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import { absent, type Change, RecordStore } from "../../../src/store/RecordStore.ts"
import { maxPromoted, TaskStore } from "../../../src/store/TaskStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"
import { anyTime, complete, minute, refOf, request, retention, task, tasks, through } from "../conformance/fixtures.ts"

const driver = new URL("../../../src/store/postgres/", import.meta.url)

/** The modules whose statements lock rows up to a limit; each has a test below. */
const covered = ["Attempt.ts", "Claim.ts", "Operate.ts", "Records.ts", "Take.ts", "Tally.ts"]

it("every module that locks rows up to a limit is tried here, and no subquery of IN has a limit or locks", () => {
  const locking: Array<string> = []
  for (const file of readdirSync(driver).filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(new URL(file, driver), "utf8")
    if (/LIMIT [^)]*FOR UPDATE/.test(text)) locking.push(file)
    for (const subquery of subqueriesOfIn(text)) assert.notMatch(subquery, /LIMIT|FOR UPDATE/, file)
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
        for (const table of ["task", "last_claim", "tally", "record"]) {
          yield* sql(`ALTER TABLE "${schema}".${table} SET (autovacuum_enabled = off)`)
        }
        yield* store.enqueue([tasks(500)])
        const { tasks: claimed } = yield* store.claim(request())
        yield* store.settle(claimed.map((one) => complete(refOf(one))))
        yield* store.prune(retention({ maxFinished: 0 }), 1000)
        yield* records.put(due(500))
        for (const table of ["task", "last_claim", "tally", "record"]) {
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
        yield* body({ store, records, sql }, schema)
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

  test("a claim of tasks with a gate", ({ sql, store }, schema) =>
    Effect.gen(function*() {
      for (const type of ["work", "other"]) {
        yield* store.enqueue([Array.from({ length: 500 }, (_, n) => task({ type, ...through(`key=${n % 50}`) }))])
      }
      const { tasks: claimed } = yield* store.claim(request({ limit: 3, types: ["work", "other"] }))
      assert.strictEqual(claimed.length, 3)
      assert.strictEqual((yield* store.counts).running, 3)
      assert.strictEqual(yield* sql(`SELECT count(*)::int AS n FROM "${schema}".line`), 100)
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
})

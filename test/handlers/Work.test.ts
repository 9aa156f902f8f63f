import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import { symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Handlers from "../../src/handlers/index.ts"
import { failureOf, Home, isRefused, resultOf, withHandlers } from "./TestHandlers.ts"

describe("fibonacci", () => {
  it.live("is exact, however large", () =>
    Effect.gen(function*() {
      const first: Array<unknown> = []
      for (let n = 0; n < 12; n++) first.push((yield* resultOf("fibonacci", { n }))["value"])
      assert.deepStrictEqual(first, ["0", "1", "1", "2", "3", "5", "8", "13", "21", "34", "55", "89"])
      assert.deepStrictEqual(yield* resultOf("fibonacci", {}), { value: "354224848179261915075", digits: 21 })
      const { digits, value } = yield* resultOf<{ readonly value: string; readonly digits: number }>("fibonacci", {
        n: 1_000_000
      })
      assert.strictEqual(digits, 208_988)
      assert.isTrue(value.startsWith("19532821287077577316") && value.endsWith("68996526838242546875"))
      for (const n of [-1, 0.5, 1_000_001, "7"]) yield* isRefused("fibonacci", { n })
    }).pipe(withHandlers()))
})

describe("hash", () => {
  it.live("is the digest of a text or a file, once or again and again", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest()
      const result = yield* resultOf("hash", { text: "abc" })
      assert.deepStrictEqual(result, { algorithm: "sha256", digest: sha256("abc").toString("hex"), bytes: 3 })
      const twice = yield* resultOf("hash", { text: "abc", rounds: 3 })
      assert.strictEqual(twice["digest"], sha256(sha256(sha256("abc"))).toString("hex"))
      const data = Buffer.alloc(3_000_000, 7)
      writeFileSync(join(home, "data"), data)
      const file = yield* resultOf("hash", { file: "data", algorithm: "sha512" })
      assert.strictEqual(file["digest"], createHash("sha512").update(data).digest("hex"))
      symlinkSync("/etc/hostname", join(home, "link"))
      assert.strictEqual((yield* failureOf("hash", { file: "link" })).tag, "PathRefused")
      yield* isRefused("hash", { algorithm: "crc32" })
    }).pipe(withHandlers()))
})

describe("default", () => {
  it.live("keeps what it got", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* resultOf("default", { a: [1] }), { kept: { a: [1] }, bytes: 9 })
      assert.deepStrictEqual(yield* resultOf("default", {}), { kept: {}, bytes: 2 })
    }).pipe(withHandlers()))
})

describe("batch", () => {
  it.live("says of each item how it ended", () =>
    Effect.gen(function*() {
      const items = [{ n: 1 }, { n: 2 }, { n: "three" }, { n: 4 }]
      assert.deepStrictEqual(yield* resultOf("batch", { type: "fibonacci", items, chunk_size: 2 }), {
        succeeded: 3,
        failed: 1,
        skipped: 0,
        items: [
          { index: 0, ok: true, result: { value: "1", digits: 1 } },
          { index: 1, ok: true, result: { value: "1", digits: 1 } },
          {
            index: 2,
            ok: false,
            error: { tag: "SchemaError", message: "Expected number\n  at [\"n\"]" }
          },
          { index: 3, ok: true, result: { value: "3", digits: 1 } }
        ]
      })
      const failing = { type: "fail", items: [{}, {}, {}], chunk_size: 1, stop_on_failure: true }
      assert.deepInclude(yield* resultOf("batch", failing), { succeeded: 0, failed: 1, skipped: 2 })
      assert.deepInclude(yield* resultOf("batch", {}), { succeeded: 0, items: [] })
    }).pipe(withHandlers()))

  it.effect("runs as many at the same time as it is told", () =>
    Effect.gen(function*() {
      const sleeps = { type: "sleep", items: Array.from({ length: 8 }, () => ({ duration: "10s" })) }
      for (const [concurrency, seconds] of [[8, 10], [3, 30], [1, 80]] as const) {
        const batch = yield* Effect.forkChild(Effect.timed(resultOf("batch", { ...sleeps, concurrency })))
        yield* TestClock.adjust("2 minutes")
        const [took] = yield* Fiber.join(batch)
        assert.strictEqual(Duration.toSeconds(took), seconds)
      }
    }).pipe(withHandlers()))

  it.live("keeps no more results than fit", () =>
    Effect.gen(function*() {
      const large = yield* resultOf<{ readonly items: ReadonlyArray<{ readonly result: unknown }> }>("batch", {
        type: "echo",
        items: Array.from({ length: 5 }, () => "x".repeat(300_000))
      })
      assert.deepStrictEqual(large.items.map(({ result }) => result !== null), [true, true, true, false, false])
    }).pipe(withHandlers()))

  it.live("ends when it is cancelled, and works through no batches and unknown types", () =>
    Effect.gen(function*() {
      const handle = yield* Handlers.Batch.enqueue({
        type: "sleep",
        items: [{ duration: "1h" }],
        chunk_size: 1,
        concurrency: 1,
        stop_on_failure: false
      })
      yield* Effect.repeat(handle.task, {
        until: ({ state }) => state === "running",
        schedule: Schedule.spaced("5 millis")
      })
      yield* handle.cancel
      assert.strictEqual((yield* Effect.flip(handle.result))._tag, "TaskCancelled")
      for (const type of ["batch", "nothing"]) {
        assert.strictEqual((yield* failureOf("batch", { type, items: [{}] })).tag, "TypeRefused")
      }
    }).pipe(withHandlers()))
})

describe("sql_query", () => {
  const shop = Effect.map(Home, (home) => {
    const database = new DatabaseSync(join(home, "shop.db"))
    database.exec(
      "CREATE TABLE item (id INTEGER, name TEXT, price REAL, data BLOB);" +
        "INSERT INTO item VALUES (1, 'chair', 12.5, x'ff00'), (2, 'table', 99, NULL), (9007199254740993, 'lamp', 1, NULL)"
    )
    database.close()
    return home
  })

  it.live("answers with columns and rows", () =>
    Effect.gen(function*() {
      yield* shop
      const sql = "SELECT id, name AS n, price, data FROM item WHERE price > ? ORDER BY id"
      assert.deepStrictEqual(yield* resultOf("sql_query", { database: "shop.db", sql, params: [0.5] }), {
        columns: ["id", "n", "price", "data"],
        rows: [[1, "chair", 12.5, "/wA="], [2, "table", 99, null], ["9007199254740993", "lamp", 1, null]],
        truncated: false
      })
      const named = {
        database: "shop.db",
        sql: "SELECT count(*) FROM item WHERE name = :name",
        params: { name: "lamp" }
      }
      assert.deepInclude(yield* resultOf("sql_query", named), { rows: [[1]] })
      const many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
      const cut = yield* resultOf("sql_query", { database: "shop.db", sql: many, max_rows: 3 })
      assert.deepStrictEqual(cut, { columns: ["x"], rows: [[1], [2], [3]], truncated: true })
    }).pipe(withHandlers()))

  it.live("asks for integers beyond 2^53 by their digits", () =>
    Effect.gen(function*() {
      yield* shop
      const named = { database: "shop.db", sql: "SELECT name FROM item WHERE id = ?", params: ["9007199254740993"] }
      assert.deepInclude(yield* resultOf("sql_query", named), { rows: [["lamp"]] })
      const other = { ...named, params: ["9007199254740992"] }
      assert.deepInclude(yield* resultOf("sql_query", other), { rows: [] })
      const computed = { ...named, sql: "SELECT CAST(? AS INTEGER) + 1" }
      assert.deepInclude(yield* resultOf("sql_query", computed), { rows: [["9007199254740994"]] })
      // A number of JavaScript up there was rounded before it got here
      yield* isRefused("sql_query", { ...named, params: [2 ** 53] })
      yield* isRefused("sql_query", { ...named, params: { id: -(2 ** 53) } })
      assert.deepInclude(yield* resultOf("sql_query", { ...named, params: [2 ** 53 - 1] }), { rows: [] })
    }).pipe(withHandlers()))

  it.live("does nothing but read, and reads nothing else", () =>
    Effect.gen(function*() {
      const home = yield* shop
      const statements = [
        "DELETE FROM item",
        "INSERT INTO item VALUES (1, 2, 3, 4) RETURNING id",
        `ATTACH '${join(home, "other.db")}' AS other`,
        `VACUUM INTO '${join(home, "copy.db")}'`,
        "PRAGMA journal_mode = DELETE",
        "CREATE TABLE x (y)",
        "SELECT load_extension('/tmp/x')",
        "nonsense",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM item",
        "SELECT 1 /* ; */ ; -- a comment\n SELECT 2",
        "SELECT * FROM nothing"
      ]
      for (const sql of statements) {
        assert.strictEqual((yield* failureOf("sql_query", { database: "shop.db", sql })).tag, "QueryRefused", sql)
      }
      for (const sql of ["SELECT 1;", " SELECT 1 ;; -- done", "SELECT 1 /* ; SELECT 2 */ ; /* open"]) {
        assert.deepInclude(yield* resultOf("sql_query", { database: "shop.db", sql }), { rows: [[1]] })
      }
      writeFileSync(join(home, "text.txt"), "no database")
      const text = yield* failureOf("sql_query", { database: "text.txt", sql: "SELECT * FROM x" })
      assert.strictEqual(text.tag, "QueryRefused")
      symlinkSync("/etc/hostname", join(home, "link.db"))
      for (const database of ["link.db", "/etc/hostname", "none.db"]) {
        assert.strictEqual((yield* failureOf("sql_query", { database, sql: "SELECT 1" })).tag, "PathRefused")
      }
    }).pipe(withHandlers()))

  it.live("ends a query that would never end, in SQLite's own code", () =>
    Effect.gen(function*() {
      yield* shop
      const sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
      const failure = yield* failureOf("sql_query", { database: "shop.db", sql, timeout: "1500ms" })
      assert.strictEqual(failure.tag, "QueryTooSlow")
      assert.deepInclude(yield* resultOf("sql_query", { database: "shop.db", sql: "SELECT 1" }), { rows: [[1]] })
    }).pipe(withHandlers({ threads: true })))

  it.live("refuses a value that is too large before there is memory for it", () =>
    Effect.gen(function*() {
      yield* shop
      const values = [
        "zeroblob(900000000)",
        "randomblob(900000000)",
        "printf('%900000000d', 1)",
        "hex(zeroblob(60000000))"
      ]
      for (const value of values) {
        const failure = yield* failureOf("sql_query", { database: "shop.db", sql: `SELECT length(${value})` })
        assert.deepInclude(failure, { tag: "QueryRefused", message: "string or blob too big" }, value)
      }
      const rows = yield* resultOf("sql_query", { database: "shop.db", sql: "SELECT length(zeroblob(60000000))" })
      assert.deepInclude(rows, { rows: [[60_000_000]] })
    }).pipe(withHandlers({ threads: true })))

  it.live("sorts in the memory that it may take, not in files without a bound", () =>
    Effect.gen(function*() {
      const home = yield* shop
      const many = `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1500000)
        SELECT hex(randomblob(50)) AS a FROM n`
      const database = new DatabaseSync(join(home, "shop.db"))
      database.exec(`CREATE VIEW many AS ${many}`)
      database.close()
      const sorted = { database: "shop.db", sql: "SELECT a FROM many ORDER BY a", max_rows: 1, timeout: "10m" }
      const grouped = { database: "shop.db", table: "many", group_by: "a", output: "many.html" }
      for (const [type, payload] of [["sql_query", sorted], ["report", grouped]] as const) {
        assert.include((yield* failureOf(type, payload)).message, "TASKFORGE_THREAD_MEMORY", type)
      }
    }).pipe(withHandlers({ threads: true, memoryMiB: 64 })))

  it.live("ends a query that takes more memory than it may, in SQLite's own code", () =>
    Effect.gen(function*() {
      yield* shop
      // It holds what it has taken for as long as it is let
      const blobs = Array.from({ length: 6 }, () => "randomblob(60000000)")
      const endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
      const sql = `SELECT ${blobs.join()}, (${endless})`
      const failure = yield* failureOf("sql_query", { database: "shop.db", sql, timeout: "10m" })
      assert.include(failure.message, "memory")
      assert.deepInclude(yield* resultOf("sql_query", { database: "shop.db", sql: "SELECT 1" }), { rows: [[1]] })
    }).pipe(withHandlers({ threads: true, memoryMiB: 64 })))
})

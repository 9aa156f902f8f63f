import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { failureOf, Home, isRefused, resultOf, withHandlers } from "./TestHandlers.ts"

const sales = "city,price\nBerlin,10\nParis,30\nBerlin,5\n<script>alert(1)</script>,1\nRome,\nParis,x\nbroken\n"

/** The rows of the page's table. */
const rowsOf = (html: string) =>
  [...html.matchAll(/<tr><th scope="row">(.*?)<\/th><td>(.*?)<\/td><td>(.*?)<\/td><\/tr>/g)].map(([, ...cells]) =>
    cells
  )

describe("report", () => {
  it.live("shows the figures of a CSV file, the largest first", () =>
    Effect.gen(function*() {
      const home = yield* Home
      writeFileSync(join(home, "sales.csv"), sales)
      const result = yield* resultOf("report", { csv: "sales.csv", group_by: "city", op: "sum", column: "price" })
      assert.deepStrictEqual(result, { output: "reports/report.html", groups: 4, rows: 7, bad_rows: 2 })
      const html = readFileSync(join(home, "reports/report.html"), "utf8")
      assert.deepStrictEqual(rowsOf(html), [
        ["Paris", "30", "1"],
        ["Berlin", "15", "2"],
        ["&#60;script&#62;alert(1)&#60;/script&#62;", "1", "1"],
        ["Rome", "—", "1"]
      ])
      assert.include(html, "<title>Sum of price by city</title>")
      assert.notInclude(html, "<script")
      const widths = [...html.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width))
      assert.strictEqual(widths.length, 4)
      assert.approximately(widths[1]! / widths[0]!, 15 / 30, 0.01)
    }).pipe(withHandlers()))

  it.live("shows the figures of a SQLite table", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const database = new DatabaseSync(join(home, "shop.db"))
      database.exec(
        "CREATE TABLE \"odd \"\"name\" (city, price); INSERT INTO \"odd \"\"name\" VALUES ('A', 1), ('B', 5), ('A', 2)"
      )
      database.close()
      const source = { database: "shop.db", table: "odd \"name", group_by: "city", output: "r.html", title: "Shop" }
      yield* resultOf("report", { ...source, op: "mean", column: "price" })
      assert.deepStrictEqual(rowsOf(readFileSync(join(home, "r.html"), "utf8")), [["B", "5", "1"], ["A", "1.5", "2"]])
      for (const wrong of [{ table: "x" }, { group_by: "x" }, { group_by: "city\"; DROP TABLE x; --" }]) {
        assert.strictEqual((yield* failureOf("report", { ...source, ...wrong })).tag, "Unprocessable")
      }
    }).pipe(withHandlers()))

  it.live("rounds no integers and takes columns with any name", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const database = new DatabaseSync(join(home, "ids.db"))
      database.exec(
        "CREATE TABLE t (\"__proto__\", \"constructor\");" +
          "INSERT INTO t VALUES (9007199254740993, 9007199254740993), (9007199254740992, 9007199254740994), (1, 5), (1, 6)"
      )
      database.exec("CREATE TABLE w (g, x); INSERT INTO w VALUES (1, 'word')")
      database.close()
      writeFileSync(
        join(home, "ids.csv"),
        "__proto__,constructor\n9007199254740993,9007199254740993\n9007199254740992,9007199254740994\n1,5\n1,6\n"
      )
      const figures = { group_by: "__proto__", op: "sum", column: "constructor", output: "r.html" }
      for (const source of [{ csv: "ids.csv" }, { database: "ids.db", table: "t" }]) {
        yield* resultOf("report", { ...figures, ...source })
        const html = readFileSync(join(home, "r.html"), "utf8")
        assert.deepStrictEqual(rowsOf(html), [
          ["9007199254740992", "9,007,199,254,740,994", "1"],
          ["9007199254740993", "9,007,199,254,740,993", "1"],
          ["1", "11", "2"]
        ])
      }
      const words = { database: "ids.db", table: "w", group_by: "g", op: "min", column: "x" }
      assert.strictEqual((yield* failureOf("report", words)).tag, "Unprocessable")
    }).pipe(withHandlers()))

  it.live("shows what is in the folder for tasks when it is told nothing", () =>
    Effect.gen(function*() {
      const home = yield* Home
      writeFileSync(join(home, "a.txt"), "12345")
      writeFileSync(join(home, "b.TXT"), "1")
      writeFileSync(join(home, "noext"), "12")
      assert.deepInclude(yield* resultOf("report", {}), { groups: 2, rows: 3 })
      const html = readFileSync(join(home, "reports/report.html"), "utf8")
      assert.deepStrictEqual(rowsOf(html), [[".txt", "6", "2"], ["no extension", "2", "1"]])
    }).pipe(withHandlers()))

  it.live("stays in its folders and on one page", () =>
    Effect.gen(function*() {
      const home = yield* Home
      writeFileSync(join(home, "a.csv"), sales)
      symlinkSync("/etc", join(home, "link"))
      const base = { csv: "a.csv", group_by: "city" }
      for (const payload of [{ ...base, output: "link/x.html" }, { ...base, csv: "../a.csv" }]) {
        assert.strictEqual((yield* failureOf("report", payload)).tag, "PathRefused")
      }
      writeFileSync(join(home, "many.csv"), `city\n${Array.from({ length: 1001 }, (_, index) => index).join("\n")}`)
      assert.match(
        (yield* failureOf("report", { ...base, csv: "many.csv" })).message,
        /more than 1000 groups, too many/
      )
      yield* isRefused("report", { csv: "a.csv" })
      yield* isRefused("report", { database: "a.db", group_by: "a" })
      yield* isRefused("report", { csv: "a.csv", group_by: "a", op: "sum" })
    }).pipe(withHandlers()))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Handlers from "../../src/handlers/index.ts"
import * as Site from "./outbound/Site.ts"
import { failureOf, Home, isRefused, resultOf, withHandlers } from "./TestHandlers.ts"

const sales = `city,product,price,qty
Berlin,"Chair, oak",120.50,2
Paris,Table,300,1
Berlin,Table,280,
Rome,"Lamp ""Sol""",40,5
`

const rows = (payload: Record<string, unknown>) =>
  Effect.map(
    resultOf<{ readonly rows: ReadonlyArray<unknown> }>("data_process", { text: sales, ...payload } as never),
    ({ rows }) => rows
  )

describe("data_process", () => {
  it.live("filters, selects, renames, sorts and limits", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* rows({
          filter: [{ column: "price", op: "gt", value: 40 }, { column: "city", op: "in", values: ["Berlin", "Paris"] }],
          select: ["product", "price"],
          rename: { price: "eur" },
          sort: [{ column: "eur", order: "desc" }],
          limit: 2
        }),
        [{ product: "Table", eur: "300" }, { product: "Table", eur: "280" }]
      )
      const ops = {
        eq: "120.5",
        ne: "Table",
        lt: 121,
        le: "40",
        ge: 280,
        contains: "l",
        starts_with: "T",
        ends_with: "\""
      }
      const columns = { eq: "price", ne: "product", lt: "price", le: "price", ge: "price" } as Record<string, string>
      const counts: Record<string, number> = {}
      for (const [op, value] of Object.entries(ops)) {
        counts[op] = (yield* rows({ filter: [{ column: columns[op] ?? "product", op, value }] })).length
      }
      assert.deepStrictEqual(counts, { eq: 1, ne: 2, lt: 2, le: 1, ge: 2, contains: 3, starts_with: 2, ends_with: 1 })
      assert.strictEqual((yield* rows({ filter: [{ column: "qty", op: "empty" }] })).length, 1)
      assert.strictEqual((yield* rows({ filter: [{ column: "qty", op: "filled" }] })).length, 3)
    }).pipe(withHandlers()))

  it.live("gives figures over each column when told to aggregate and nothing else", () =>
    Effect.gen(function*() {
      const text = { sum: null, mean: null, min: null, max: null }
      assert.deepStrictEqual(
        yield* rows({ operation: "aggregate", filter: [{ column: "city", op: "ne", value: "Rome" }] }),
        [
          { column: "city", count: 3, ...text },
          { column: "product", count: 3, ...text },
          { column: "price", count: 3, sum: 700.5, mean: 233.5, min: 120.5, max: 300 },
          { column: "qty", count: 2, sum: 3, mean: 1.5, min: 1, max: 2 }
        ]
      )
      const one = { sort: [{ column: "count" }], limit: 1, rename: { column: "of" } }
      assert.deepStrictEqual(yield* rows({ ...one, operation: "aggregate", text: "a,b\n,-1e3\nx,\n,2\n" }), [
        { of: "a", count: 1, ...text }
      ])
      assert.deepStrictEqual(yield* rows({ operation: "aggregate", text: "a,b\n" }), [
        { column: "a", count: 0, ...text },
        { column: "b", count: 0, ...text }
      ])
      const figures = { by: [], figures: { rows: { op: "count" } } }
      assert.deepStrictEqual(yield* rows({ operation: "aggregate", aggregate: figures }), [{ rows: 4 }])
      for (const other of [{ select: ["city"] }, { data_source: "a.csv" }]) {
        yield* isRefused("data_process", { text: sales, operation: "aggregate", ...other })
      }
    }).pipe(withHandlers()))

  it.live("fetches a file as requests do, in the bounds of the server", () =>
    Effect.gen(function*() {
      const site = yield* Site.start(({ path }, response) =>
        response.writeHead(path === "/sales.csv" ? 200 : Number(path.slice(1))).end(
          path === "/sales.csv" ? sales : "no"
        )
      )
      const payload = (path: string) => ({ data_source: `${site.url}${path}`, limit: 1 })
      assert.deepInclude(yield* resultOf("data_process", payload("/sales.csv")), { rows_in: 4, rows_out: 1 })
      assert.strictEqual((yield* failureOf("data_process", payload("/404"))).tag, "RequestRejected")
      assert.strictEqual((yield* failureOf("data_process", payload("/503"))).tag, "RequestFailed")
    }).pipe(Effect.scoped, withHandlers()))

  it.live("has columns with any name, also those that every object inherits", () =>
    Effect.gen(function*() {
      const names = ["__proto__", "constructor", "toString", "hasOwnProperty"]
      const text = `${names.join(",")}\nb,1,x,2\na,2,y,3\na,3,y,4\n`
      const objectOf = (values: ReadonlyArray<unknown>, keys: ReadonlyArray<string> = names) =>
        JSON.parse(`{${keys.map((key, index) => `${JSON.stringify(key)}:${JSON.stringify(values[index])}`).join()}}`)
      const json = (value: unknown) => JSON.stringify(value)
      const same = (found: ReadonlyArray<unknown>, expected: ReadonlyArray<unknown>) =>
        assert.deepStrictEqual(found.map(json), expected.map(json))
      same(
        yield* rows({ text }),
        [["b", "1", "x", "2"], ["a", "2", "y", "3"], ["a", "3", "y", "4"]].map((one) => objectOf(one))
      )
      // A new name for one of them leaves the others theirs
      same(yield* rows({ text, rename: { constructor: "c" }, limit: 1, sort: [{ column: "__proto__" }] }), [
        objectOf(["a", "2", "y", "3"], ["__proto__", "c", "toString", "hasOwnProperty"])
      ])
      const aggregate = JSON.parse(
        `{"by":["__proto__"],"figures":{"constructor":{"op":"sum","column":"constructor"},"valueOf":{"op":"count"}}}`
      )
      same(yield* rows({ text, aggregate, filter: [{ column: "toString", op: "in", values: ["x", "y"] }] }), [
        objectOf(["b", 1, 1], ["__proto__", "constructor", "valueOf"]),
        objectOf(["a", 5, 2], ["__proto__", "constructor", "valueOf"])
      ])
      const renamed = JSON.parse(`{"text":${json(text)},"rename":{"__proto__":"p","toString":"__proto__"},"limit":1}`)
      same(yield* rows(renamed), [objectOf(["b", "1", "x", "2"], ["p", "constructor", "__proto__", "hasOwnProperty"])])
    }).pipe(withHandlers()))

  it.live("rounds no integers: those beyond 2^53 are compared, sorted and added as they are written", () =>
    Effect.gen(function*() {
      const ids = ["9007199254740993", "9007199254740992", "-9007199254740993", "9007199254740994", "7"]
      const text = `id\n${ids.join("\n")}\n`
      const found = (payload: Record<string, unknown>) =>
        Effect.map(rows({ text, ...payload }), (rows) => rows.map((row) => (row as { readonly id: string }).id))
      for (const op of ["eq", "le"]) {
        const filter = [{ column: "id", op, value: "9007199254740993" }, { column: "id", op: "gt", value: 8 }]
        assert.deepStrictEqual(yield* found({ filter }), op === "eq" ? [ids[0]] : [ids[0], ids[1]])
      }
      assert.deepStrictEqual(
        yield* found({ sort: [{ column: "id" }] }),
        [ids[2], "7", ids[1], ids[0], ids[3]]
      )
      const figures = Object.fromEntries(["sum", "min", "max", "mean"].map((op) => [op, { op, column: "id" }]))
      const aggregated = (text: string) => rows({ text, aggregate: { by: [], figures } })
      assert.deepStrictEqual(yield* aggregated("id\n9007199254740993\n9007199254740995\n0002\n"), [
        { sum: "18014398509481990", min: 2, max: "9007199254740995", mean: 18014398509481990 / 3 }
      ])
      // Each of them fits, their sum does not
      assert.deepInclude((yield* aggregated("id\n9007199254740991\n9007199254740991\n3\n"))[0], {
        sum: "18014398509481985"
      })
      assert.deepInclude((yield* aggregated("id\n9007199254740993\n-9007199254740992\n"))[0], { sum: 1 })
      assert.deepInclude((yield* aggregated("id\n0.1\n0.2\n"))[0], { sum: 0.1 + 0.2, max: 0.2 })
      assert.deepInclude((yield* rows({ text: "id\n9007199254740993\n", operation: "aggregate" }))[0], {
        sum: "9007199254740993",
        max: "9007199254740993"
      })
    }).pipe(withHandlers()))

  it.live("leaves formulas as they are in CSV, or makes them texts when it is told to", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const cells = ["=1+1", "+SUM(A1)", "-2+3", "@x", "-2.5", "+49", "a=b", "＝1"]
      const payload = {
        text: `=id,n\n${cells.map((cell) => `${cell},1`).join("\n")}\n"\tt",1\n`,
        output: "a.csv",
        format: "csv"
      }
      const written = (formulas?: string) =>
        Effect.map(
          resultOf("data_process", formulas === undefined ? payload : { ...payload, formulas }),
          () => readFileSync(join(home, "a.csv"), "utf8").trimEnd().split("\n").map((line) => line.slice(0, -2))
        )
      assert.deepStrictEqual(yield* written(), ["=id", ...cells, "\tt"])
      assert.deepStrictEqual(yield* written("keep"), ["=id", ...cells, "\tt"])
      assert.deepStrictEqual(yield* written("escape"), [
        "'=id",
        "'=1+1",
        "'+SUM(A1)",
        "'-2+3",
        "'@x",
        "-2.5",
        "+49",
        "a=b",
        "'＝1",
        "'\tt"
      ])
      const inside = {
        ...payload,
        text: `a\nb;=1\n-5;-6;x;-y\n"b\t@c"\n"b\n\n+d;"\n;;=e\n`,
        formulas: "escape" as const
      }
      yield* resultOf("data_process", inside)
      assert.strictEqual(
        readFileSync(join(home, "a.csv"), "utf8"),
        `a\nb;'=1\n-5;-6;x;'-y\nb\t'@c\n"b\n'\n'+d;"\n;;'=e\n`
      )
      for (const other of [{ format: "json" }, { output: undefined }]) {
        yield* isRefused("data_process", { ...payload, formulas: "escape", ...other } as never)
      }
    }).pipe(withHandlers()))

  it.live("aggregates", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* rows({
          aggregate: {
            by: ["city"],
            figures: {
              rows: { op: "count" },
              sold: { op: "sum", column: "qty" },
              mean: { op: "mean", column: "price" },
              least: { op: "min", column: "price" },
              most: { op: "max", column: "price" },
              known: { op: "count", column: "qty" }
            }
          },
          sort: [{ column: "mean" }]
        }),
        [
          { city: "Rome", rows: 1, sold: 5, mean: 40, least: 40, most: 40, known: 1 },
          { city: "Berlin", rows: 2, sold: 2, mean: 200.25, least: 120.5, most: 280, known: 1 },
          { city: "Paris", rows: 1, sold: 1, mean: 300, least: 300, most: 300, known: 1 }
        ]
      )
      const all = { by: [], figures: { least: { op: "min", column: "qty" } } }
      assert.deepStrictEqual(yield* rows({ aggregate: all }), [{ least: 1 }])
      const tenths = `x\n${"0.1\n".repeat(100_000)}`
      const sum = { aggregate: { by: [], figures: { sum: { op: "sum", column: "x" } } } }
      assert.deepStrictEqual(yield* rows({ text: tenths, ...sum }), [{ sum: 10_000 }])
    }).pipe(withHandlers()))

  it.live("writes CSV, JSON and JSON lines that say the same", () =>
    Effect.gen(function*() {
      const home = yield* Home
      writeFileSync(join(home, "sales.csv"), `\uFEFF${sales}`)
      const written: Record<string, string> = {}
      for (const format of ["csv", "json", "jsonl"] as const) {
        const result = yield* resultOf("data_process", { input: "sales.csv", output: `out/sales.${format}`, format })
        assert.deepInclude(result, { rows_in: 4, rows_out: 4, bad_rows: 0, output: `out/sales.${format}`, rows: null })
        written[format] = readFileSync(join(home, `out/sales.${format}`), "utf8")
      }
      assert.strictEqual(written["csv"], sales.replace("\"Chair, oak\"", "\"Chair, oak\""))
      const objects = JSON.parse(written["json"]!) as ReadonlyArray<unknown>
      assert.deepStrictEqual(objects[3], { city: "Rome", product: "Lamp \"Sol\"", price: "40", qty: "5" })
      assert.deepStrictEqual(written["jsonl"]!.trim().split("\n").map((line) => JSON.parse(line)), objects)
      assert.deepStrictEqual(readdirSync(join(home, "out")).toSorted(), ["sales.csv", "sales.json", "sales.jsonl"])
    }).pipe(withHandlers()))

  it.live("keeps bad rows aside, with their lines", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const bytes = Buffer.concat([
        Buffer.from("name,n\nok,1\nshort\nlong,1,2\n\"quo\"te,1\n"),
        Buffer.from([0xff, 0xfe]),
        Buffer.from(",3\nword,four\nlast,5\n")
      ])
      writeFileSync(join(home, "bad.csv"), bytes)
      const result = yield* resultOf("data_process", {
        input: "bad.csv",
        rejects: "rejects.csv",
        aggregate: { by: [], figures: { sum: { op: "sum", column: "n" } } }
      })
      assert.deepInclude(result, { rows_in: 7, bad_rows: 5, rows_out: 1, rows: [{ sum: 6 }] })
      assert.deepStrictEqual(result["rejects"], [
        { line: 3, reason: "1 cells instead of 2" },
        { line: 4, reason: "3 cells instead of 2" },
        { line: 5, reason: "text behind a closing quote" },
        { line: 6, reason: "bytes that are no text in this encoding" },
        { line: 7, reason: "\"n\" is not a number: \"four\"" }
      ])
      assert.strictEqual(readFileSync(join(home, "rejects.csv"), "utf8").split("\n").length, 7)
      const latin = yield* resultOf("data_process", { input: "bad.csv", csv: { encoding: "latin1" } })
      assert.deepInclude(latin, { bad_rows: 3 })
    }).pipe(withHandlers()))

  it.live("sorts more than it keeps in memory, and equal rows stay in order", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const count = 40_000
      const line = (index: number) => `${(index * 7919) % 1000},${index},${"x".repeat(500)}\n`
      writeFileSync(
        join(home, "big.csv"),
        `key,index,pad\n${Array.from({ length: count }, (_, index) => line(index)).join("")}`
      )
      yield* resultOf("data_process", {
        input: "big.csv",
        select: ["key", "index", "pad"],
        sort: [{ column: "key", order: "desc" }],
        output: "sorted.csv",
        format: "csv"
      })
      const sorted = readFileSync(join(home, "sorted.csv"), "utf8").trim().split("\n").slice(1)
        .map((text) => text.split(",").map(Number))
      assert.strictEqual(sorted.length, count)
      for (let row = 1; row < count; row++) {
        const [[key, index], [nextKey, nextIndex]] = [sorted[row - 1]!, sorted[row]!]
        if (key! < nextKey! || (key === nextKey && index! > nextIndex!)) assert.fail(`row ${row} is out of order`)
      }
    }).pipe(withHandlers({ threads: true })))

  it.live("says what does not go with the data, once", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const fails = Effect.fnUntraced(function*(payload: Record<string, unknown>, reason: RegExp) {
        const failure = yield* failureOf("data_process", { text: sales, ...payload } as never)
        assert.strictEqual(failure.tag, "Unprocessable")
        assert.match(failure.message, reason)
      })
      yield* fails({ select: ["town"] }, /There is no column "town", only "city", "product"/)
      yield* fails({ filter: [{ column: "", op: "empty" }] }, /no column ""/)
      yield* fails({ rename: { city: "qty" } }, /names "qty" twice/)
      yield* fails({ text: "a,a\n1,2" }, /names the column "a" twice/)
      yield* fails({ text: "" }, /not even a head/)
      yield* fails({ text: `a\n${"1\n".repeat(1001)}` }, /too large to be stored/)
      const groups = Array.from({ length: 100_001 }, (_, index) => index).join("\n")
      yield* fails({ text: `a\n${groups}`, aggregate: { by: ["a"], figures: {} } }, /more than 100000 groups/)
      yield* fails({ select: ["town"], output: "never.json" }, /no column/)
      assert.deepStrictEqual(readdirSync(home), [])
    }).pipe(withHandlers()))

  it.live("stays in its folders", () =>
    Effect.gen(function*() {
      const home = yield* Home
      symlinkSync("/etc", join(home, "etc"))
      writeFileSync(join(home, "a.csv"), sales)
      const paths = [
        { input: "../../etc/passwd" },
        { input: "etc/passwd" },
        { input: "none.csv" },
        { input: "a.csv", output: "etc/taskforge.json" },
        { input: "a.csv", rejects: "/tmp/taskforge-never.csv" }
      ]
      for (const payload of paths) assert.strictEqual((yield* failureOf("data_process", payload)).tag, "PathRefused")
      assert.isFalse(existsSync("/tmp/taskforge-never.csv"))
      yield* isRefused("data_process", {})
      yield* isRefused("data_process", { text: sales, input: "a.csv" })
      yield* isRefused("data_process", { text: sales, csv: { delimiter: ",," } })
      yield* isRefused("data_process", { text: sales, filter: [{ column: "a", op: "eq" }] })
    }).pipe(withHandlers()))

  it.live("writes rows and rejects to two files, however their paths are spelled", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const text = "city,n\nBerlin,1\nshort\n"
      writeFileSync(join(home, "in.csv"), text)
      mkdirSync(join(home, "folder"))
      symlinkSync("folder", join(home, "same"))
      symlinkSync("out.csv", join(home, "link.csv"))
      const both = [
        { output: "out.csv", rejects: "out.csv" },
        { output: "out.csv", rejects: "./out.csv" },
        { output: "folder/../out.csv", rejects: join(home, "out.csv") },
        { output: "folder/out.csv", rejects: "same/out.csv" },
        { output: "Übersicht.csv", rejects: "U\u0308BERSICHT.CSV" },
        { output: "out.csv", rejects: "in.csv" },
        { rejects: "same/../in.csv" }
      ]
      for (const paths of both) {
        const failure = yield* failureOf("data_process", { input: "in.csv", format: "csv", ...paths })
        assert.strictEqual(failure.tag, "PathRefused", JSON.stringify(paths))
        assert.match(failure.message, /rejects would take the place of the (output|input)/)
      }
      assert.deepStrictEqual(readdirSync(home).toSorted(), ["folder", "in.csv", "link.csv", "same"])
      assert.deepStrictEqual(readdirSync(join(home, "folder")), [])

      // A link that is written to is replaced, so it is a file of its own
      yield* resultOf("data_process", { input: "in.csv", output: "out.csv", rejects: "link.csv", format: "csv" })
      assert.strictEqual(readFileSync(join(home, "out.csv"), "utf8"), "city,n\nBerlin,1\n")
      assert.strictEqual(readFileSync(join(home, "link.csv"), "utf8"), "line,reason\n3,1 cells instead of 2\n")
      assert.strictEqual(readFileSync(join(home, "in.csv"), "utf8"), text)
    }).pipe(withHandlers()))

  it.live("leaves nothing behind when it is stopped", () =>
    Effect.gen(function*() {
      const home = yield* Home
      writeFileSync(join(home, "big.csv"), `a,b\n${"1,some text that is long enough\n".repeat(1_500_000)}`)
      const handle = yield* Handlers.DataProcess.enqueue({
        input: "big.csv",
        csv: {},
        format: "csv",
        sort: [{ column: "b" }],
        output: "out.csv"
      })
      yield* Effect.repeat(handle.task, {
        until: ({ progress }) => progress !== null,
        schedule: Schedule.spaced("10 millis")
      })
      assert.isTrue(readdirSync(home).some((name) => name.endsWith(".part")))
      yield* handle.cancel
      assert.strictEqual((yield* Effect.flip(handle.result))._tag, "TaskCancelled")
      assert.deepStrictEqual(readdirSync(home), ["big.csv"])
    }).pipe(withHandlers({ threads: true })))
})

/** The tables of docs/postgres.md about the client: each line is tried as it stands there. */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Result, Schema } from "effect"
import { readFileSync } from "node:fs"
import { inspect } from "node:util"
import { Engine, Task } from "../../../src/index.ts"
import * as MemoryStore from "../../../src/store/memory/MemoryStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"

const Version = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

const page = readFileSync(new URL("../../../docs/postgres.md", import.meta.url), "utf8")
const section = page.split("\n## ").find((text) => text.startsWith("Values that")) ?? ""

/** The lines of the table with such a head, each as its three cells. */
const table = (head: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = section.split("\n")
  const start = lines.findIndex((line) => line.startsWith(`| ${head} `))
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"))
  return lines.slice(start + 2, end).map((line) => line.slice(1, -1).split(" | ").map((cell) => cell.trim()))
}

it("the page names the installed version of the client", () => {
  const manifest = new URL("../../../node_modules/@effect/sql-pg/package.json", import.meta.url)
  const { version } = Schema.decodeSync(Version)(readFileSync(manifest, "utf8"))
  assert.include(section, `\`@effect/sql-pg\` ${version} `)
  assert.isAbove(table("column").length, 20)
  assert.isAbove(table("parameter").length, 5)
})

const codeIn = (cell: string): string => cell.replaceAll(/^`|`$/g, "")

await withServer("PostgreSQL", Postgres.find, (server) => {
  const client = PgClient.layer({ url: Redacted.make(server.url), maxConnections: 1 })
  const session = Effect.map(
    PgClient.PgClient.use((sql) => sql.unsafe<{ pid: number }>("SELECT pg_backend_pid() AS pid")),
    ([row]) => row!.pid
  )
  /** What a statement's only value looks like, or nothing when it fails; and whether its session has ended. */
  const outcome = (text: string, parameters: ReadonlyArray<unknown> = []) =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const before = yield* session
      const answer = yield* Effect.result(sql.unsafe(text, parameters).values)
      return {
        value: Result.isSuccess(answer) ? inspect(answer.success[0]![0]) : undefined,
        ended: (yield* session) !== before
      }
    })

  for (const [column, example, expected] of table("column")) {
    it.live(`reads ${column} as documented: ${example}`, () =>
      Effect.gen(function*() {
        const { ended, value } = yield* outcome(`SELECT ${codeIn(example!)}`)
        if (expected === "fails and ends the session") {
          assert.deepStrictEqual({ ended, value }, { ended: true, value: undefined })
        } else assert.deepStrictEqual({ ended, value }, { ended: false, value: codeIn(expected!) })
      }).pipe(Effect.provide(client)))
  }

  for (const [parameter, statement, expected] of table("parameter")) {
    it.live(`binds ${parameter} as documented: ${statement}`, () =>
      Effect.gen(function*() {
        const { ended, value } = yield* outcome(codeIn(statement!), [JSON.parse(codeIn(parameter!))])
        assert.deepStrictEqual({ ended, value }, {
          ended: false,
          value: expected === "is refused" ? undefined : codeIn(expected!)
        })
      }).pipe(Effect.provide(client)))
  }

  it.live("what holds a bigint is no result, unless its schema encodes it", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const value = (expression: string) =>
        Effect.map(Effect.orDie(sql.unsafe<{ v: unknown }>(`SELECT ${expression} AS v`)), ([row]) => row!.v)
      const Bare = Task.make("bare", { payload: { expression: Schema.String }, success: Schema.Unknown })
      const Encoded = Task.make("encoded", { payload: {}, success: Schema.BigIntFromString })
      const handlers = Layer.mergeAll(
        Bare.toLayer(({ expression }) => value(expression)),
        Encoded.toLayer(() => Effect.map(value("count(*)"), (v) => v as bigint))
      )
      yield* Effect.gen(function*() {
        for (const expression of ["count(*)", "'12:00'::time", "'1 day'::interval", "array[1::bigint]"]) {
          const handle = yield* Bare.enqueue({ expression })
          const error = yield* Effect.flip(handle.result)
          if (error._tag !== "TaskDefect") return assert.fail(`Expected a TaskDefect, got ${error._tag}`)
          assert.deepInclude(error.failure, { kind: "invalid", tag: "InvalidResult" })
        }
        const handle = yield* Encoded.enqueue({})
        assert.strictEqual(yield* handle.result, 1n)
      }).pipe(Effect.provide(Engine.layer(handlers).pipe(Layer.provideMerge(MemoryStore.layer()))))
    }).pipe(Effect.provide(client), Effect.scoped))
})

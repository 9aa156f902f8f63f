/**
 * The types that cross the wire. What the client makes of a type is the client's business and may change: `bigint`,
 * times and money come as values of JavaScript that the store would have to know, or not at all.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Redacted } from "effect"
import { RateLimiterStore } from "effect/persistence/RateLimiter"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import * as Postgres from "../../servers/Postgres.ts"
import type { Schemas } from "./fixtures.ts"
import { type Statement, Wire } from "./Wire.ts"

/** What comes as a string, a number, a boolean, or an array of strings, whatever its value is. */
const selected = ["boolean", "double precision", "integer", "smallint", "text", "text[]"]

/** What is sent: numbers always as doubles, so that no statement depends on how great a number is. */
const bound = ["boolean", "boolean[]", "double precision", "double precision[]", "text", "text[]"]

/** Fails when a statement of the tests before it selects or binds a value of a type that is not listed. */
export const types = (name: string, schemas: Schemas, server: Postgres.PostgresServer): void => {
  describe(`${name} selects and binds`, () => {
    it.live("only values of the listed types", () =>
      Effect.scoped(Effect.gen(function*() {
        const opened = new Wire(server.url)
        yield* open(opened, server, yield* Postgres.scratchSchema(server))
        const statements = [...schemas.wire.statements.values(), ...opened.statements.values()]
        const nameOf = yield* names(schemas)
        const columns = new Set<string>()
        const parameters = new Set<string>()
        for (const statement of statements) {
          for (const oid of statement.columns) {
            const type = nameOf(oid)
            columns.add(type)
            assert.include(selected, type, `is selected by ${statement.text}`)
          }
          for (const type of yield* parametersOf(schemas, statement, nameOf)) {
            parameters.add(type)
            assert.include(bound, type, `is bound by ${statement.text}`)
          }
        }
        assert.deepStrictEqual([...columns].toSorted(), selected)
        assert.deepStrictEqual([...parameters].toSorted(), bound)
      })))
  })
}

/** Makes a store's layout, and opens it again with sequences that are behind. */
const open = Effect.fnUntraced(function*(wire: Wire, { url }: Postgres.PostgresServer, schema: string) {
  const client = PgClient.layer({ url: Redacted.make(url), stream: wire.stream, maxConnections: 3 })
  const store = Layer.provide(PostgresStore.layer({ schema }), client)
  yield* Effect.scoped(Layer.build(Layer.fresh(store)))
  yield* Postgres.query(url, `SELECT setval('"${schema}".claim_number', 1, false)`)
  yield* Postgres.query(url, `INSERT INTO "${schema}".last_claim VALUES ('w', 1, 1, 1, 100)`)
  const services = yield* Layer.build(Layer.fresh(store))
  yield* Context.get(services, RateLimiterStore).fixedWindow({
    key: "k",
    tokens: 1,
    limit: 1,
    refillRate: Duration.seconds(1)
  })
})

const names = Effect.fnUntraced(function*(schemas: Schemas) {
  const rows = yield* schemas.query<{ oid: number; name: string }>(
    "SELECT oid::int, format_type(oid, NULL) AS name FROM pg_type WHERE oid < 10000"
  )
  const byOid = new Map(rows.map(({ name, oid }) => [oid, name]))
  return (oid: number) => byOid.get(oid) ?? `type ${oid}`
})

/** The types of a statement's parameters; where the client leaves one to the server, what the server takes it for. */
const parametersOf = Effect.fnUntraced(function*(
  schemas: Schemas,
  { parameters, text }: Statement,
  nameOf: (oid: number) => string
) {
  if (!parameters.includes(0)) return parameters.map(nameOf)
  return yield* schemas.parameterTypes(parameters.map((oid) => oid === 0 ? "unknown" : nameOf(oid)), text)
})

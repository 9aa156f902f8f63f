import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { migrations, statementsFrom } from "../../../src/store/postgres/Migrations.ts"
import * as Postgres from "../../servers/Postgres.ts"
import { withServer } from "../../servers/withServer.ts"

await withServer("PostgreSQL", Postgres.find, (server) => {
  /** All that defines a schema, without its name. */
  const definitionOf = (schema: string) =>
    Effect.map(
      Postgres.query<{ readonly what: string }>(
        server.url,
        `SELECT pg_get_functiondef(oid) AS what FROM pg_proc WHERE pronamespace = '${schema}'::regnamespace
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = '${schema}'
        UNION ALL SELECT concat_ws(' ', c.relname, c.relkind, c.relreplident, c.reloptions, a.attnum, a.attname, a.attnotnull,
            format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid))
          FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
          WHERE c.relnamespace = '${schema}'::regnamespace
        UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = '${schema}'::regnamespace
        UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
          WHERE c.relnamespace = '${schema}'::regnamespace AND NOT t.tgisinternal`
      ),
      (rows) => rows.map(({ what }) => what.replaceAll(schema, "the schema")).toSorted()
    )

  const made = Effect.fnUntraced(function*(statements: (schema: string) => ReadonlyArray<string>) {
    const schema = yield* Postgres.scratchSchema(server)
    yield* PgClient.PgClient.use((sql) =>
      Effect.forEach([
        `CREATE SCHEMA ${schema}`,
        `CREATE TABLE ${schema}.layout (version integer NOT NULL)`,
        ...statements(schema)
      ], (statement) => sql.unsafe(statement))
    ).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(server.url), maxConnections: 1 })))
    return yield* definitionOf(schema)
  }, Effect.scoped)

  describe("a new schema", () => {
    it.live("is what one becomes that is brought from layout to layout, with fewer statements", () =>
      Effect.gen(function*() {
        const each = yield* made((schema) => migrations.flatMap((migration) => migration(schema)))
        const atOnce = yield* made((schema) => statementsFrom(0, schema))
        assert.deepStrictEqual(atOnce, each)
        assert.isAbove(each.length, 200)
        assert.isBelow(statementsFrom(0, "s").length, migrations.flatMap((migration) => migration("s")).length / 1.5)
      }))
  })
})

/**
 * What the user must be allowed to do in the schema. A missing right is named when the store opens; without this check
 * it would be met later, by the first task that needs it. `docs/postgres.md` has the statements that grant them all.
 */
import { Effect } from "effect"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import type { Database } from "./Database.ts"

/** Missing rights that are named; the others are counted. */
const maxNamed = 4

/** Fails with `StoreIncompatible` when the user lacks a right on something in the schema. */
export const check = Effect.fnUntraced(function*(
  { query, schema }: Database,
  name: string
): Effect.fn.Return<void, StoreError | StoreIncompatible> {
  const missing = yield* query<[user: string, right: string]>(
    "open",
    `SELECT current_user::text, r.need || ' on ' || r.name FROM (
      SELECT 'USAGE' AS need, 'the schema' AS name, has_schema_privilege(to_regnamespace($1)::oid, 'USAGE') AS held
      UNION ALL
      SELECT need, relname, has_table_privilege(c.oid, need)
      FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) need
      WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' AND (relname <> 'layout' OR need = 'SELECT')
      UNION ALL
      SELECT need, relname, has_sequence_privilege(c.oid, need)
      FROM pg_class c, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) need
      WHERE relnamespace = to_regnamespace($1) AND relkind = 'S'
      UNION ALL
      SELECT 'EXECUTE', proname, has_function_privilege(oid, 'EXECUTE')
      FROM pg_proc WHERE pronamespace = to_regnamespace($1)
    ) r WHERE NOT r.held ORDER BY r.name, r.need`,
    [schema]
  )
  if (missing.length === 0) return
  const named = missing.slice(0, maxNamed).map(([, right]) => right).join(", ")
  const others = missing.length > maxNamed ? ` and ${missing.length - maxNamed} more` : ""
  return yield* new StoreIncompatible({
    reason: `The user ${JSON.stringify(missing[0]![0])} lacks rights in the schema ${JSON.stringify(name)}: ` +
      `${named}${others}. docs/postgres.md, "Rights", has the statements that grant them`
  })
})

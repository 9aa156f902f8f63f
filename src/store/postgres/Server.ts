/**
 * What the server, its database and the schema must be. A store that cannot work there says so when it opens.
 */
import { Effect } from "effect"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import * as LogModule from "../../domain/LogModule.ts"
import { refuseHeadStart } from "../Driver.ts"
import { probeBytes, type Refusals, type WriteHealth } from "../WriteHealth.ts"
import { type Database, number } from "./Database.ts"
import * as Failure from "./Failure.ts"

/** The oldest PostgreSQL that has what the driver uses. */
const oldestServer = 14

/** Fails with `StoreIncompatible` when the server is too old, or when its database cannot hold every text. */
export const check = Effect.fnUntraced(function*(
  { query }: Database
): Effect.fn.Return<void, StoreError | StoreIncompatible> {
  const [row] = yield* query<[version: number, database: string, encoding: string]>(
    "open",
    "SELECT current_setting('server_version_num')::int, current_database()::text, current_setting('server_encoding')"
  )
  const [version, database, encoding] = row!
  if (version < oldestServer * 10_000) {
    return yield* new StoreIncompatible({
      reason: `The server is PostgreSQL ${Math.floor(version / 10_000)}; the store needs ${oldestServer} or newer`
    })
  }
  if (encoding !== "UTF8") {
    return yield* new StoreIncompatible({
      reason:
        `The database ${JSON.stringify(database)} has the encoding ${encoding}, which does not hold every text. ` +
        "The store needs UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    })
  }
})

/** Missing rights that are named; the others are counted. */
const maxNamed = 4

/**
 * Fails with `StoreIncompatible` when the user lacks a right on something in the schema. Without this check it would be met
 * later, by the first task that needs it. `docs/postgres.md` has the statements that grant them all.
 */
export const checkRights = Effect.fnUntraced(function*(
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

/**
 * Sets each of the sequences that number tasks and claims to the greatest number in its table, if it is behind. Logical
 * replication and dumps of data bring rows without them: what they would give next has been given before. A task's number that
 * repeats is refused by the table, but a claim's number that repeats would let an old attempt settle a new one. So they are
 * brought forward before anything is written.
 *
 * The greatest claim number is in `last_claim`, whose newest row is never forgotten, also when the task is long gone.
 */
export const bringSequencesForward = Effect.fnUntraced(function*(
  { query, schema, transaction }: Database,
  name: string
): Effect.fn.Return<void, StoreError> {
  /** The greatest number that the sequence has given, or would give next if it has given none. */
  const given = (sequence: string) =>
    `(SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM ${schema}.${sequence})`
  const lastTask = `coalesce((SELECT max(seq) FROM ${schema}.task), 0)`
  const lastClaim = `(SELECT max(last_claim) FROM ${schema}.last_claim)`
  // there is no index by claim: all tasks are read only where a sequence is behind, or where no claim is remembered
  const lastClaimOfTasks = `(SELECT max(claim) FROM ${schema}.task)`
  const forward = (sequence: string, last: string) =>
    `SELECT setval('${schema}.${sequence}', ${last})::text WHERE ${given(sequence)} < ${last}`
  const behind = query<[tasks: boolean, claims: boolean]>(
    "open",
    `SELECT ${given("task_seq")} < ${lastTask},
      ${given("claim_number")} < coalesce(${lastClaim}, ${lastClaimOfTasks}, 0)`
  )
  const areBehind = Effect.map(behind, ([row]) => row![0] || row![1])

  if (!(yield* areBehind)) return
  const advance = Effect.gen(function*() {
    yield* query("open", "SELECT true FROM pg_advisory_xact_lock(hashtextextended($1, 0))", [`taskforge ${name}`])
    // asked again under the lock: a second process would set them back to where they were for this one
    if (!(yield* areBehind)) return
    yield* query("open", forward("task_seq", lastTask))
    yield* query("open", forward("claim_number", `greatest(${lastClaim}, ${lastClaimOfTasks}, 0)`))
    yield* Effect.logWarning(
      `the sequences of ${schema} were behind its tables, as after logical replication, and have been brought forward`
    )
  })
  yield* transaction("open", LogModule.within("store")(advance))
})

/** Stores the head start in a new schema; fails with `StoreIncompatible` when an old one has another. */
export const agreeOnHeadStart = Effect.fnUntraced(function*(
  { query, schema }: Database,
  headStartMs: number
): Effect.fn.Return<void, StoreError | StoreIncompatible> {
  const stored = query<[value: number]>(
    "open",
    `SELECT value::float8 FROM ${schema}.setting WHERE name = 'head_start_ms'`
  )
  let [found] = yield* stored
  if (found === undefined) {
    yield* query(
      "open",
      `INSERT INTO ${schema}.setting VALUES ('head_start_ms', $1) ON CONFLICT DO NOTHING`,
      [number(headStartMs)]
    )
    ;[found] = yield* stored
  }
  const refusal = refuseHeadStart(`The schema ${schema}`, "another schema", found![0], headStartMs)
  if (refusal !== undefined) return yield* refusal
})

/**
 * Whether PostgreSQL takes writes, into a schema that is complete now. What is noted by its database is in `refusals`;
 * `isOwn` says which of its tables and sequences are the store's.
 */
export const writeHealth = Effect.fnUntraced(function*(
  { query, schema, transaction }: Database,
  refusals: Refusals,
  isOwn: (name: string) => boolean
): Effect.fn.Return<WriteHealth, StoreError> {
  const relations = Effect.map(
    // The catalog, so that no lock on a table has to be waited for
    query<[name: string]>(
      "write",
      `SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p', 'S')`,
      [schema]
    ),
    (rows) => rows.map(([name]) => name)
  )
  const complete = (yield* relations).filter(isOwn)
  const demandComplete = Effect.gen(function*() {
    // A server that does not answer is for others to tell
    const left = new Set(yield* Effect.orElseSucceed(relations, () => complete))
    const missing = complete.filter((name) => !left.has(name))
    if (missing.length === 0) return
    const error = Failure.incomplete(missing)
    refusals.note(error)
    return yield* error
  })

  // A table may be full although an update of one of its rows still fits, so the probe stores what callers store,
  // which does not compress
  const write = transaction(
    "write",
    Effect.gen(function*() {
      const [row] = yield* query<[id: string]>(
        "write",
        `INSERT INTO ${schema}.task (seq, id, type, queue, payload, priority, max_retries, state, created_at, due_at, rank)
          SELECT nextval('${schema}.task_seq'), 'probe ' || md5(random()::text), '', '',
            (SELECT string_agg(md5(random()::text || n), '') FROM generate_series(1, ${
          probeBytes / 32
        }) n), 0, 0, 5, 0, 0, 0
          RETURNING id`
      )
      yield* query("write", `DELETE FROM ${schema}.task WHERE id = $1`, [row![0]])
    })
  )
  return {
    refusal: Effect.sync(() => refusals.current),
    probe: Effect.andThen(
      demandComplete,
      Effect.suspend(() =>
        refusals.current === undefined ? Effect.void : Effect.andThen(write, Effect.sync(() => refusals.end()))
      )
    )
  }
})

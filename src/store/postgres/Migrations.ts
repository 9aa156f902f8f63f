/**
 * The schema's layout and its history. A released migration is never edited; a change is a new entry at the end.
 * Functions that an older version calls stay as they are: a new version of one has a new name.
 */
import { Effect, type Scope } from "effect"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import { refuseLayout, refuseReading } from "../Driver.ts"
import * as PausedQueues from "../PausedQueues.ts"
import * as Attempt from "./Attempt.ts"
import * as Claim from "./Claim.ts"
import { type Database, typeName } from "./Database.ts"
import * as Edges from "./Edges.ts"
import * as Enqueue from "./Enqueue.ts"
import * as Events from "./Events.ts"
import * as Failure from "./Failure.ts"
import * as Lanes from "./Lanes.ts"
import * as Lines from "./Lines.ts"
import * as OpenLines from "./OpenLines.ts"
import * as Operate from "./Operate.ts"
import * as Passes from "./Passes.ts"
import * as RateLimits from "./RateLimits.ts"
import * as Records from "./Records.ts"
import * as Server from "./Server.ts"
import * as Shared from "./Shared.ts"
import * as Take from "./Take.ts"
import * as Tally from "./Tally.ts"
import * as Task from "./Task.ts"

/**
 * States are numbers in the order of `TaskState.all`: 0 scheduled, 1 pending, 2 running, 3 completed, 4 failed,
 * 5 cancelled, 6 expired. The indexes by state are partial, so that a task pays only for the state it is in. Why the table is
 * stored as it is: `docs/decisions/0010-postgresql-tables.md`.
 *
 * What is in an index comes first, and of that what is always there and has one size: each change of a task compares these columns, and
 * PostgreSQL walks to a column over all before it whose size varies. Schemas of earlier versions have another order.
 */
const first = (schema: string): ReadonlyArray<string> => [
  `CREATE SEQUENCE ${schema}.task_seq`,
  // the numbers of all claims: never given twice, whatever becomes of the task
  `CREATE SEQUENCE ${schema}.claim_number`,
  `CREATE TABLE ${schema}.task (
    seq bigint PRIMARY KEY,
    due_at bigint NOT NULL,
    rank bigint NOT NULL,
    claim bigint NOT NULL DEFAULT 0,
    state smallint NOT NULL,
    key_lost boolean NOT NULL DEFAULT false,
    cancel_requested boolean NOT NULL DEFAULT false,
    id text COLLATE "C" NOT NULL UNIQUE,
    type text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    gate text COLLATE "C",
    key text COLLATE "C",
    completed_at bigint,
    expires_at bigint,
    waits_for integer,
    failures integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    claims integer NOT NULL DEFAULT 0,
    priority smallint NOT NULL,
    max_retries bigint NOT NULL,
    timeout_ms bigint,
    created_at bigint NOT NULL,
    settled_claim bigint NOT NULL DEFAULT 0,
    started_at bigint,
    lease_until bigint,
    progress double precision,
    payload text NOT NULL,
    worker text COLLATE "C",
    result text,
    failure text,
    history text
  ) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1)`,
  // claim: each lane in the order of work; an instance never scans types that it cannot run
  `CREATE INDEX task_lane ON ${schema}.task (queue, type, rank, seq) WHERE state = 1`,
  // claim: what becomes due next
  `CREATE INDEX task_due ON ${schema}.task (due_at) WHERE state = 0`,
  // a repeated claim, rescue, counts: no more entries than tasks that run. A lease is not in it, so that a heartbeat
  // touches no index
  `CREATE INDEX task_running ON ${schema}.task (worker, claim) WHERE state = 2`,
  // prune: finished tasks by age, those that their key protects apart
  `CREATE INDEX task_finished ON ${schema}.task (state, (key IS NULL), completed_at) WHERE state >= 3`,
  // enqueue: idempotency keys
  `CREATE UNIQUE INDEX task_key ON ${schema}.task (type, key) WHERE key IS NOT NULL`,
  // list: dead letters and cancelled tasks, rare among many that completed
  `CREATE INDEX task_list ON ${schema}.task (state, seq) WHERE state IN (0, 4, 5)`,
  // claims that gave tasks, so that repeating a nonce gives them again: their numbers lie between the two
  `CREATE TABLE ${schema}.last_claim (
    worker text COLLATE "C" NOT NULL,
    nonce bigint NOT NULL,
    claimed_at bigint NOT NULL,
    first_claim bigint NOT NULL,
    last_claim bigint NOT NULL,
    PRIMARY KEY (worker, nonce)
  ) WITH (autovacuum_vacuum_scale_factor = 0.05)`,
  `CREATE INDEX last_claim_age ON ${schema}.last_claim (claimed_at)`,
  `CREATE TABLE ${schema}.tally (
    unfinished bigint NOT NULL DEFAULT 0,
    scheduled bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    total_created bigint NOT NULL DEFAULT 0,
    total_completed bigint NOT NULL DEFAULT 0,
    total_failed bigint NOT NULL DEFAULT 0,
    total_cancelled bigint NOT NULL DEFAULT 0,
    total_retried bigint NOT NULL DEFAULT 0,
    total_crashed bigint NOT NULL DEFAULT 0
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)`,
  `CREATE TABLE ${schema}.paused_queue (queue text COLLATE "C" PRIMARY KEY)`,
  `CREATE TABLE ${schema}.setting (name text PRIMARY KEY, value bigint NOT NULL)`,
  `CREATE TABLE ${schema}.api_key (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    hash text NOT NULL,
    created_at bigint NOT NULL
  )`,
  `CREATE TABLE ${schema}.instance (
    id text COLLATE "C" PRIMARY KEY,
    started_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    alive_until bigint NOT NULL,
    about text NOT NULL
  )`,
  `CREATE TABLE ${schema}.lead (
    chore text COLLATE "C" PRIMARY KEY,
    instance text COLLATE "C" NOT NULL,
    held_until bigint NOT NULL,
    taken_at bigint NOT NULL
  )`,
  // the store's clock, which all of its operations read
  `CREATE FUNCTION ${schema}.now_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'`,
  Claim.earlierFunction(schema, 1),
  Attempt.completeFunction(schema)
]

/**
 * Logical replication of updates and deletions needs to tell rows apart. Without this, a publication of all tables would
 * make them fail in those that have no key.
 */
const replicated = (schema: string): ReadonlyArray<string> => [
  ...["layout", "tally", "event_head"].map((table) => `ALTER TABLE ${schema}.${table} REPLICA IDENTITY FULL`),
  Claim.earlierFunction(schema, 1)
]

/**
 * Claims from all queues and of any number of types: pending tasks in the order of work, whatever these are, and by type
 * and queue. The first index is on an expression, so that it is never taken for the order of one lane.
 */
const lanes = (schema: string): ReadonlyArray<string> => [
  `CREATE INDEX IF NOT EXISTS task_order ON ${schema}.task ((rank + 0), seq) WHERE state = 1`,
  `CREATE INDEX IF NOT EXISTS task_waiting ON ${schema}.task (type, queue, rank, seq) WHERE state = 1`,
  `DROP INDEX IF EXISTS ${schema}.task_lane`,
  Claim.earlierFunction(schema, 2)
]

/** API keys are records. */
const keysAsRecords = (schema: string): ReadonlyArray<string> => [
  `INSERT INTO ${schema}.record (kind, id, version, document, written_at)
    SELECT 'api-key', id, nextval('${schema}.record_version'),
      json_build_object('name', name, 'role', role, 'hash', hash)::text, created_at FROM ${schema}.api_key`,
  `DROP TABLE ${schema}.api_key`
]

/** Paused queues are records too, which claims read. */
const pausesAsRecords = (schema: string): ReadonlyArray<string> => [
  `INSERT INTO ${schema}.record (kind, id, version, document, written_at)
    SELECT '${PausedQueues.kind}', queue, nextval('${schema}.record_version'), '{}', ${schema}.now_ms()
    FROM ${schema}.paused_queue`,
  `DROP TABLE ${schema}.paused_queue`
]

/** Gates. Functions that instances of earlier versions call keep them too, and leave tasks that have one to others. */
const gates = (schema: string): ReadonlyArray<string> => [
  ...Lines.tables(schema),
  ...Lanes.countingFunctions(schema),
  ...Lanes.strandedFunctions(schema),
  Records.putFunction(schema),
  Attempt.completeFunction(schema)
]

/** Tasks that expire. Those that wait are found by when they do; those that have are listed like other finished ones. */
const expiry = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS expires_at bigint`,
  `CREATE INDEX IF NOT EXISTS task_expires ON ${schema}.task (expires_at) WHERE expires_at IS NOT NULL AND state < 2`,
  `CREATE INDEX IF NOT EXISTS task_listed ON ${schema}.task (state, seq) WHERE state IN (0, 4, 5, 6)`,
  `DROP INDEX IF EXISTS ${schema}.task_list`,
  ...Tally.tables(schema),
  Take.takeFunction(schema),
  Claim.claimFunction(schema),
  ...Claim.earlierFunctions(schema)
]

/** How long a task holds its key, and whether it has lost it to a later one. */
const windows = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS key_hold text,
    ADD COLUMN IF NOT EXISTS key_lost boolean NOT NULL DEFAULT false`,
  `DROP INDEX IF EXISTS ${schema}.task_key`,
  `CREATE UNIQUE INDEX task_key ON ${schema}.task (type, key) WHERE key IS NOT NULL AND NOT key_lost`,
  Lines.foldFunction(schema),
  Take.takeFunction(schema)
]

/** Limits of which none starts before a time. Instances of earlier versions call the same functions, and keep these too. */
const breakers = (schema: string): ReadonlyArray<string> => [...Passes.functions(schema), Take.takeFunction(schema)]

/** Rates whose numbers can be held, and buckets that lack more than their rate ever gives. */
const bounded = (schema: string): ReadonlyArray<string> => [...Passes.functions(schema), Take.takeFunction(schema)]

/**
 * Tasks that should start within a time: that time, and until when the first start is in time. Instances of earlier versions claim by
 * the same function, which does not tell them the latter.
 */
const deadlines = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS start_within bigint, ADD COLUMN IF NOT EXISTS start_by bigint`,
  ...Task.functions(schema),
  Claim.claimFunction(schema),
  ...Claim.earlierFunctions(schema)
]

/**
 * Tasks with a gate that wait with those that have none. Instances of earlier versions claim and change them by the same functions, and do
 * not see that they have a gate.
 */
const shared = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS shared_gate text COLLATE "C"`,
  `DROP FUNCTION IF EXISTS ${schema}.take_open_1`,
  ...Shared.functions(schema),
  ...Task.functions(schema),
  Attempt.completeAloneFunction(schema),
  OpenLines.takeOpenFunction(schema),
  Take.takeFunction(schema),
  Claim.enterFunction(schema),
  Claim.claimFunction(schema)
]

/**
 * Tasks that depend on others. Locks of tasks that only write them leave room for those that only keep them from being removed, so the
 * functions that lock are made once more. Instances of earlier versions end tasks and leave it to others to tell.
 */
const dependencies = (schema: string): ReadonlyArray<string> => [
  ...Edges.tables(schema),
  ...Edges.functions(schema),
  Operate.forgetFunction(schema),
  ...Task.functions(schema),
  ...Attempt.runningFunctions(schema),
  Attempt.completeAndTellFunction(schema),
  ...Shared.functions(schema),
  OpenLines.takeOpenFunction(schema),
  Take.takeFunction(schema),
  Claim.claimFunction(schema),
  ...Claim.earlierFunctions(schema)
]

/** The spans that tasks were enqueued in. Instances of earlier versions claim by functions that do not tell them. */
const traces = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS trace text`,
  ...Task.functions(schema),
  Claim.claimFunction(schema),
  // made by earlier migrations with what they answered then
  ...Claim.earlierFunctions(schema)
]

/** The tags of tasks. */
const tags = (schema: string): ReadonlyArray<string> => [
  `ALTER TABLE ${schema}.task ADD COLUMN IF NOT EXISTS tags text`
]

/** What makes each layout of the one before. */
export const migrations: ReadonlyArray<(schema: string) => ReadonlyArray<string>> = [
  first,
  Events.tables,
  RateLimits.table,
  replicated,
  lanes,
  Records.tables,
  keysAsRecords,
  Lanes.additions,
  (schema) => [Claim.earlierFunction(schema, 3)],
  pausesAsRecords,
  gates,
  (schema) => [Claim.claimFunction(schema)],
  windows,
  breakers,
  expiry,
  bounded,
  // Lines are looked up, whatever the statistics say
  (schema) => [Lines.foldFunction(schema), Take.takeFunction(schema)],
  // and so are tasks
  (schema) => [
    ...Task.functions(schema),
    ...Attempt.runningFunctions(schema),
    Attempt.completeFunction(schema),
    Enqueue.loseFunction(schema),
    Take.takeFunction(schema),
    Claim.claimFunction(schema)
  ],
  deadlines,
  // lines that nothing holds back are taken from as sets
  (schema) => [Lines.foldFunction(schema), OpenLines.takeOpenFunction(schema), Take.takeFunction(schema)],
  // news of completed tasks, of all of a settlement together
  (schema) => [
    ...Lines.endNews(schema),
    Attempt.completeFunction(schema),
    Lines.foldFunction(schema),
    OpenLines.takeOpenFunction(schema),
    Claim.claimFunction(schema)
  ],
  shared,
  // keys are unique over all versions of a type, and a pause is one of them all
  (schema) => [
    `DROP INDEX IF EXISTS ${schema}.task_key`,
    `CREATE UNIQUE INDEX task_key ON ${schema}.task ((${
      typeName("type")
    }), key) WHERE key IS NOT NULL AND NOT key_lost`,
    Claim.claimFunction(schema)
  ],
  // what runs is looked up by pass
  (schema) => [...Passes.runningIndexes(schema), ...Passes.functions(schema), ...Shared.functions(schema)],
  dependencies,
  // very many tasks of one gate have a line at once
  Shared.functions,
  // whether all that wait together may start is decided at once
  (schema) => [...Shared.functions(schema), Claim.enterAndLookFunction(schema), Claim.claimFunction(schema)],
  // branches of tasks
  Edges.graphFunctions,
  // tasks that depend on each other are run again together
  (schema) => [Edges.reconnectFunction(schema), ...Edges.graphFunctions(schema)],
  traces,
  // what ends of members tell is looked up and counted at once
  (schema) => [Edges.tellFunction(schema)],
  tags
]

/** A function with what it takes: one that is made again replaces the one before. */
const functionIn = (statement: string): string | undefined =>
  /^\s*CREATE OR REPLACE FUNCTION\s+([^]*?\))\s*(?:RETURNS|LANGUAGE)\b/.exec(statement)?.[1]?.replaceAll(/\s+/g, " ")

/**
 * What brings a schema from a layout to the latest one. Nothing uses a function while layouts change, so one that a later layout makes
 * again is made once: of a new schema's functions, these are two of three.
 */
export const statementsFrom = (version: number, schema: string): ReadonlyArray<string> => {
  const made = new Set<string>()
  const needed: Array<string> = []
  for (const statement of migrations.slice(version).flatMap((migration) => migration(schema)).toReversed()) {
    const name = functionIn(statement)
    if (name !== undefined && made.has(name)) continue
    if (name !== undefined) made.add(name)
    needed.push(statement)
  }
  return needed.toReversed()
}

/** Whether a table or sequence of a schema is the store's own; applications may have theirs next to it. */
export const isOwn = (schema: string): (name: string) => boolean => {
  const statements = migrations.flatMap((migration) => migration(schema)).join("\n")
  return (name) => statements.includes(`${schema}.${name}`)
}

/** The layout that this version of the driver reads and writes. */
const latest = migrations.length

/**
 * Brings the schema to the latest layout, all of it or nothing; one process at a time does. Fails with
 * `StoreIncompatible` when the schema belongs to another program or to a newer version of this one.
 */
export const migrate = Effect.fnUntraced(function*(
  database: Database,
  name: string,
  forMigrating: Effect.Effect<Database, StoreError, Scope.Scope>,
  readOnly = false
): Effect.fn.Return<void, StoreError | StoreIncompatible, Scope.Scope> {
  const { schema } = database
  const incompatible = (reason: string) => new StoreIncompatible({ reason })

  /** 0 when there is nothing yet. */
  const versionBy = Effect.fnUntraced(function*(at: Database) {
    const [row] = yield* at.query<[hasSchema: boolean, hasLayout: boolean, tables: number]>(
      "open",
      // the catalog is readable to all, unlike the schema
      `SELECT to_regnamespace($1) IS NOT NULL, coalesce(bool_or(relname = 'layout'), false), count(*)::int
        FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p')`,
      [schema]
    )
    const [hasSchema, hasLayout, tables] = row!
    if (!hasLayout) {
      if (tables > 0) {
        return yield* incompatible(
          `The schema ${schema} belongs to another program: it has ${tables} tables and no layout of ours. ` +
            "Choose another schema"
        )
      }
      return { hasSchema, version: 0 }
    }
    yield* Server.checkRights(at, name)
    const [layout] = yield* at.query<[version: number]>("open", `SELECT version FROM ${schema}.layout`)
    const found = layout?.[0] ?? 0
    const refusal = refuseLayout(`The schema ${schema}`, "another schema", found, latest)
    if (refusal !== undefined) return yield* refusal
    return { hasSchema, version: found }
  })

  const before = yield* versionBy(database)
  if (before.version === latest) return
  const refusal = readOnly ? refuseReading(`The schema ${schema}`, before.version, latest) : undefined
  if (refusal !== undefined) return yield* refusal
  const patient = yield* forMigrating
  const { query } = patient
  const all = Effect.gen(function*() {
    // Another process may be at it, and take as long as it takes
    const [limit] = yield* query<[value: string]>("migrate", "SELECT current_setting('lock_timeout')")
    yield* query("migrate", "SELECT set_config('lock_timeout', '0', true)")
    yield* query("migrate", "SELECT true FROM pg_advisory_xact_lock(hashtextextended($1, 0))", [`taskforge ${name}`])
    // asked again under the lock: another process may have migrated in between
    yield* query("migrate", "SELECT set_config('lock_timeout', $1, true)", [limit![0]])
    const found = yield* versionBy(patient)
    if (found.version === latest) return
    if (!found.hasSchema) yield* query("migrate", `CREATE SCHEMA ${schema}`)
    if (found.version === 0) {
      yield* query("migrate", `CREATE TABLE ${schema}.layout (version integer NOT NULL)`)
      yield* query("migrate", `INSERT INTO ${schema}.layout VALUES (0)`)
    }
    for (const statement of statementsFrom(found.version, schema)) yield* query("migrate", statement)
    yield* query("migrate", `UPDATE ${schema}.layout SET version = ${latest}`)
  })
  yield* patient.transaction("migrate", all).pipe(
    Effect.catchIf(Failure.isForbidden, (error) =>
      incompatible(
        `The schema ${schema} has ${before.version === 0 ? "no layout" : `layout ${before.version}`}, this version ` +
          `needs layout ${latest}, and the user may not make it (${error.reason}). Run taskforge migrate as the owner ` +
          "of the schema, or grant CREATE on the database"
      ))
  )
})

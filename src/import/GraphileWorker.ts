/**
 * Reads the jobs of Graphile Worker in PostgreSQL. A job is held by a lock in the name of the import, which never
 * runs out: to workers it is one that another worker has.
 */
import { Effect, type Scope } from "effect"
import { type ImportedJob, type JobState, type Part, type Source, SourceError } from "./ImportedJob.ts"
import { type Ask, connect, hasTable, pageOf, quoted } from "./PostgresSource.ts"

/** The revision of the schema of 0.18. */
const revision = 20

const holder = "taskforge-import"

/** In the order in which jobs are read; $2 is the time when the source was opened. */
const conditions = {
  held: `locked_by = '${holder}'`,
  waiting: "locked_at IS NULL AND attempts < max_attempts AND run_at <= $2::timestamptz",
  delayed: "locked_at IS NULL AND attempts < max_attempts AND run_at > $2::timestamptz",
  failed: "locked_at IS NULL AND attempts >= max_attempts",
  running: `locked_at IS NOT NULL AND locked_by IS DISTINCT FROM '${holder}'`
} as const

type Place = keyof typeof conditions

const stateOf = (place: Place): JobState => place === "held" ? "waiting" : place

/** Opens it. `namespace` is its schema; its queues are the identifiers of tasks. */
export const open = Effect.fnUntraced(function*(
  url: string,
  namespace: string,
  only: ReadonlyArray<string>
): Effect.fn.Return<Source, SourceError, Scope.Scope> {
  const ask = yield* connect(url)
  yield* demandSchema(ask, namespace)
  const schema = quoted(namespace)
  const [{ now }] = (yield* ask<{ now: string }>("SELECT now()::text AS now")) as [{ now: string }]
  const counts = yield* ask<{ identifier: string } & Record<Place, number>>(
    `SELECT identifier, ${
      Object.entries(conditions).map(([place, condition]) =>
        `count(*) FILTER (WHERE ${condition.replace("$2", "$1")})::int AS ${place}`
      ).join(", ")
    } FROM ${schema}._private_jobs j JOIN ${schema}._private_tasks t ON t.id = j.task_id GROUP BY identifier ORDER BY identifier`,
    [now]
  )
  const parts = counts.filter(({ identifier }) => only.length === 0 || only.includes(identifier)).flatMap((row) =>
    (Object.keys(conditions) as Array<Place>).filter((place) => row[place] > 0).map((place): Part => ({
      queue: row.identifier,
      state: stateOf(place),
      place,
      count: row[place],
      isHeld: place === "held"
    }))
  )
  const crontabs = yield* ask<{ identifier: string }>(
    `SELECT identifier FROM ${schema}._private_known_crontabs ORDER BY identifier LIMIT 1000`
  )

  const statement = (place: Place) =>
    pageOf(
      `SELECT jobs.*, jobs.run_at::text AS run_at_text, extract(epoch FROM jobs.run_at)::float8 * 1000 AS run_at_ms,
        extract(epoch FROM jobs.created_at)::float8 * 1000 AS created_ms, jobs.run_at > $2::timestamptz AS is_future,
        (SELECT queue_name FROM ${schema}._private_job_queues q WHERE q.id = jobs.job_queue_id) AS queue_name
      FROM ${schema}._private_jobs jobs
      WHERE task_id = (SELECT id FROM ${schema}._private_tasks WHERE identifier = $1) AND ${conditions[place]}
        AND (priority, run_at, id) > ($3::int, $4::timestamptz, $5::bigint)`,
      "j.payload::text",
      "priority, run_at, id"
    )

  const change = (statement: string, ids: ReadonlyArray<string>) =>
    ids.length === 0 ? Effect.void : Effect.asVoid(ask(statement, [ids]))

  return {
    peer: "graphile-worker",
    version: "0.18",
    parts,
    schedules: crontabs.map(({ identifier }) => ({
      queue: "crontab",
      id: identifier,
      name: identifier,
      data: "{}",
      urgency: 0,
      maxAttempts: 1,
      unfit: "its timetable is in the crontab of the program: set it with taskforge schedules set"
    })),
    page: (part, after) => {
      const [priority = "-2147483648", runAt = "-infinity", id = "0"] = after?.split("|") ?? []
      return Effect.map(
        ask<Row>(statement(part.place as Place), [part.queue, now, priority, runAt, id]),
        (rows) => rows.map((row) => jobOf(part, row))
      )
    },
    hold: (_, jobs) =>
      jobs.length === 0 ? Effect.succeed(new Set<string>()) : Effect.map(
        ask<{ id: string }>(
          `UPDATE ${schema}._private_jobs SET locked_at = 'infinity', locked_by = '${holder}'
          WHERE id = ANY($1::bigint[]) AND locked_at IS NULL RETURNING id::text AS id`,
          [jobs.map(({ id }) => id)]
        ),
        (rows) => new Set(rows.map(({ id }) => id))
      ),
    release: (_, ids) =>
      change(
        `UPDATE ${schema}._private_jobs SET locked_at = NULL, locked_by = NULL
        WHERE id = ANY($1::bigint[]) AND locked_by = '${holder}'`,
        ids
      ),
    drop: (_, ids) =>
      change(`DELETE FROM ${schema}._private_jobs WHERE id = ANY($1::bigint[]) AND locked_by = '${holder}'`, ids),
    dropSchedule: () => Effect.void
  }
})

const demandSchema = Effect.fnUntraced(function*(ask: Ask, schema: string): Effect.fn.Return<void, SourceError> {
  if (!(yield* hasTable(ask, schema, "migrations"))) {
    return yield* new SourceError({
      kind: "missing",
      problem: `There is no Graphile Worker in the schema ${JSON.stringify(schema)}`,
      advice: "Name another schema with --namespace, and another database with the URL."
    })
  }
  const [latest] = yield* ask<{ id: number }>(`SELECT max(id)::int AS id FROM ${quoted(schema)}.migrations`)
  if (latest === undefined || !(latest.id >= revision)) {
    return yield* new SourceError({
      kind: "version",
      problem: `The schema ${JSON.stringify(schema)} has revision ${
        latest?.id ?? 0
      } of an older Graphile Worker, and only 0.18 can be read`,
      advice: "Let Graphile Worker 0.18 migrate it."
    })
  }
})

interface Row {
  readonly id: string | number | bigint
  readonly data_text: string
  readonly priority: number
  readonly attempts: number
  readonly max_attempts: number
  readonly key: string | null
  readonly run_at_text: string
  readonly run_at_ms: number
  readonly created_ms: number
  readonly is_future: boolean
  readonly queue_name: string | null
}

const jobOf = (part: Part, row: Row): ImportedJob => {
  const id = String(row.id)
  return {
    queue: part.queue,
    id,
    stamp: Math.floor(row.created_ms).toString(36),
    name: part.queue,
    data: row.data_text,
    state: row.attempts >= row.max_attempts ? "failed" : row.is_future ? "delayed" : "waiting",
    urgency: 0 - row.priority,
    ...row.is_future && { dueAt: Math.floor(row.run_at_ms) },
    attemptsMade: row.attempts,
    maxAttempts: row.max_attempts,
    ...row.queue_name !== null && { backoff: `one at a time in the queue ${row.queue_name}: here a limit` },
    ...row.key !== null && { key: { key: row.key, until: "waiting" } },
    cursor: `${row.priority}|${row.run_at_text}|${id}`
  }
}

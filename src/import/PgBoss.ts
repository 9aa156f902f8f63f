/**
 * Reads the jobs and schedules of pg-boss in PostgreSQL. A job is held by a time to start that never comes; what it
 * was is kept in the job's output, which a job that has not ended does not have.
 */
import { Effect, type Scope } from "effect"
import { type ImportedJob, type ImportedSchedule, type Part, type Source, SourceError } from "./ImportedJob.ts"
import { type Ask, connect, hasTable, pageOf, quoted } from "./PostgresSource.ts"

/** The version of the schema of 12.35. */
const schemaVersion = 43

const held = "taskforge_held"
const isHeld = `coalesce(output ? '${held}', false)`

/** In the order in which jobs are read; $2 is the time when the source was opened. */
const places = {
  held: { state: "waiting", condition: `state <> 'completed' AND ${isHeld}` },
  waiting: {
    state: "waiting",
    condition: `state < 'active' AND NOT blocked AND NOT ${isHeld} AND start_after <= $2::timestamptz`
  },
  delayed: {
    state: "delayed",
    condition: `state < 'active' AND NOT blocked AND NOT ${isHeld} AND start_after > $2::timestamptz`
  },
  failed: { state: "failed", condition: `state = 'failed' AND NOT ${isHeld}` },
  running: { state: "running", condition: `state = 'active' AND NOT ${isHeld}` },
  blocked: { state: "parent", condition: `state < 'active' AND blocked` }
} as const

type Place = keyof typeof places

/** Opens it. `namespace` is its schema. */
export const open = Effect.fnUntraced(function*(
  url: string,
  namespace: string,
  only: ReadonlyArray<string>
): Effect.fn.Return<Source, SourceError, Scope.Scope> {
  const ask = yield* connect(url)
  yield* demandSchema(ask, namespace)
  const schema = quoted(namespace)
  const [{ now }] = (yield* ask<{ now: string }>("SELECT now()::text AS now")) as [{ now: string }]
  const counts = yield* ask<{ name: string } & Record<Place, number>>(
    `SELECT name, ${
      Object.entries(places).map(([place, { condition }]) =>
        `count(*) FILTER (WHERE ${condition.replace("$2", "$1")})::int AS ${place}`
      ).join(", ")
    } FROM ${schema}.job WHERE name NOT LIKE '\\_\\_pgboss\\_\\_%' GROUP BY name ORDER BY name`,
    [now]
  )
  const isWanted = (name: string) => only.length === 0 || only.includes(name)
  const parts = counts.filter(({ name }) => isWanted(name)).flatMap((row) =>
    (Object.keys(places) as Array<Place>).filter((place) => row[place] > 0).map((place): Part => ({
      queue: row.name,
      state: places[place].state,
      place,
      count: row[place],
      isHeld: place === "held"
    }))
  )
  const schedules = yield* ask<ScheduleRow>(
    `SELECT name, key, kind, cron, timezone, data::text AS data_text, options FROM ${schema}.schedule ORDER BY name, key LIMIT 10000`
  )

  const statement = (place: Place) =>
    pageOf(
      `SELECT *, 0 - priority AS rank, created_on::text AS created_text,
        extract(epoch FROM created_on)::float8 * 1000 AS created_ms,
        extract(epoch FROM CASE WHEN ${isHeld} THEN (output ->> '${held}')::timestamptz ELSE start_after END)::float8 * 1000 AS due_ms,
        CASE WHEN ${isHeld} THEN (output ->> '${held}')::timestamptz ELSE start_after END > $2::timestamptz AS is_future,
        state::text AS state_text
      FROM ${schema}.job
      WHERE name = $1 AND ${places[place].condition}
        AND (0 - priority, created_on, id) > ($3::int, $4::timestamptz, $5::uuid)`,
      "coalesce(j.data::text, '{}')",
      "rank, created_on, id"
    )

  const change = (statement: string, queue: string, ids: ReadonlyArray<string>) =>
    ids.length === 0 ? Effect.void : Effect.asVoid(ask(statement, [queue, ids]))
  const ours = `name = $1 AND id = ANY($2::uuid[]) AND ${isHeld}`

  return {
    peer: "pg-boss",
    version: "12",
    parts,
    schedules: schedules.filter(({ name }) => isWanted(name)).map(scheduleOf),
    page: (part, after) => {
      const [rank = "-2147483648", createdOn = "-infinity", id = "00000000-0000-0000-0000-000000000000"] =
        after?.split("|") ?? []
      return Effect.map(
        ask<Row>(statement(part.place as Place), [part.queue, now, rank, createdOn, id]),
        (rows) => rows.map((row) => jobOf(part, row))
      )
    },
    hold: (part, jobs) =>
      jobs.length === 0 ? Effect.succeed(new Set<string>()) : Effect.map(
        ask<{ id: string }>(
          `UPDATE ${schema}.job
          SET output = jsonb_build_object('${held}', start_after::text, 'output', output), start_after = 'infinity'
          WHERE name = $1 AND id = ANY($2::uuid[]) AND (state < 'active' OR state = 'failed') AND NOT ${isHeld}
          RETURNING id::text AS id`,
          [part.queue, jobs.map(({ id }) => id)]
        ),
        (rows) => new Set(rows.map(({ id }) => id))
      ),
    release: (queue, ids) =>
      change(
        `UPDATE ${schema}.job SET start_after = (output ->> '${held}')::timestamptz, output = nullif(output -> 'output', 'null')
        WHERE ${ours}`,
        queue,
        ids
      ),
    drop: (queue, ids) => change(`DELETE FROM ${schema}.job WHERE ${ours}`, queue, ids),
    dropSchedule: ({ id, queue }) =>
      Effect.asVoid(ask(`DELETE FROM ${schema}.schedule WHERE name = $1 AND key = $2`, [queue, id]))
  }
})

const demandSchema = Effect.fnUntraced(function*(ask: Ask, schema: string): Effect.fn.Return<void, SourceError> {
  if (!(yield* hasTable(ask, schema, "version")) || !(yield* hasTable(ask, schema, "job"))) {
    return yield* new SourceError({
      kind: "missing",
      problem: `There is no pg-boss in the schema ${JSON.stringify(schema)}`,
      advice: "Name another schema with --namespace, and another database with the URL."
    })
  }
  const [found] = yield* ask<{ version: number }>(`SELECT max(version)::int AS version FROM ${quoted(schema)}.version`)
  if (found === undefined || !(found.version >= schemaVersion)) {
    return yield* new SourceError({
      kind: "version",
      problem: `The schema ${JSON.stringify(schema)} has version ${
        found?.version ?? 0
      } of an older pg-boss, and only 12.35 and newer can be read`,
      advice: "Let pg-boss 12.35 or a newer 12 migrate it."
    })
  }
})

interface Row {
  readonly id: string
  readonly data_text: string
  readonly priority: number
  readonly rank: number
  readonly state_text: string
  readonly retry_count: number
  readonly retry_limit: number
  readonly retry_delay: number
  readonly retry_backoff: boolean
  readonly singleton_key: string | null
  readonly policy: string | null
  readonly blocking: boolean
  readonly created_text: string
  readonly created_ms: number
  readonly due_ms: number
  readonly is_future: boolean
}

/** Until when a job keeps others with its key away, by the policy of its queue. */
const untilOf = { short: "waiting", exclusive: "unfinished" } as const

const jobOf = (part: Part, row: Row): ImportedJob => {
  const isFailed = row.state_text === "failed"
  const until = row.policy === "short" || row.policy === "exclusive" ? untilOf[row.policy] : undefined
  return {
    queue: part.queue,
    id: row.id,
    stamp: Math.floor(row.created_ms).toString(36),
    name: part.queue,
    data: row.data_text,
    state: isFailed ? "failed" : row.is_future ? "delayed" : "waiting",
    urgency: row.priority,
    ...row.is_future && { dueAt: Math.floor(row.due_ms) },
    attemptsMade: row.retry_count,
    maxAttempts: row.retry_limit + 1,
    ...row.retry_delay > 0 && {
      backoff: `${row.retry_backoff ? "exponential" : "fixed"} ${row.retry_delay * 1000} ms`
    },
    ...row.singleton_key !== null && until !== undefined && { key: { key: row.singleton_key, until } },
    ...row.blocking && { unfit: "other jobs wait for its end" },
    cursor: `${row.rank}|${row.created_text}|${row.id}`
  }
}

interface ScheduleRow {
  readonly name: string
  readonly key: string
  readonly kind: string
  readonly cron: string
  readonly timezone: string | null
  readonly data_text: string | null
  readonly options: { readonly priority?: number; readonly retryLimit?: number } | null
}

const scheduleOf = (row: ScheduleRow): ImportedSchedule => ({
  queue: row.name,
  id: row.key,
  name: row.name,
  data: row.data_text ?? "{}",
  ...row.kind === "cron" && { cron: row.cron, timeZone: row.timezone ?? "UTC" },
  urgency: row.options?.priority ?? 0,
  maxAttempts: (row.options?.retryLimit ?? 2) + 1,
  ...row.kind !== "cron" && { unfit: "a rule of RFC 5545: set it with taskforge schedules set --rrule" }
})

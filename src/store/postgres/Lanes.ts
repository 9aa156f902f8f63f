/**
 * The queues and types that have tasks, and how many of those wait and run. Unfinished tasks are counted in their indexes.
 * Finished ones have none that begins with queue and type, because each completion would pay for it: that a lane has any
 * is known from `lane`, where `Tally` adds up what was stored and removed.
 */
import { Effect } from "effect"
import { coverageOf, startOf } from "../Lanes.ts"
import type { Stranded, TaskStore } from "../TaskStore.ts"
import { type Database, number, texts } from "./Database.ts"

type Row = [
  now: number,
  queue: string | null,
  type: string,
  scheduled: number,
  pending: number,
  running: number,
  waitingSince: number | null
]

/** Plans that cost no more than they look: what is switched off makes others look so dear that workers would be started. */
const settings = "SET jit TO off SET max_parallel_workers_per_gather TO 0 SET enable_seqscan TO off"

const inRange = "(queue, type) >= (p_from_queue, p_from_type) AND (p_queue IS NULL OR queue = p_queue)"

/** When the first pending task of a lane became due: that of those without a gate, or of those with one. */
const firstDue = (schema: string, type: string, queue: string): string => {
  const first = (gate: string, what: (column: string) => string) =>
    `(SELECT ${what("rank")} AS place, t.seq, t.due_at FROM ${schema}.task t
      WHERE t.state = 1 AND t.gate ${gate} AND ${what("type")} = ${type} AND ${what("queue")} = ${queue}
      ORDER BY ${what("rank")}, t.seq LIMIT 1)`
  const plain = first("IS NULL", (column) => `t.${column}`)
  const gated = first("IS NOT NULL", (column) => column === "rank" ? "(t.rank + 0)" : `(t.${column} || '')`)
  return `(SELECT f.due_at::float8 FROM (${plain} UNION ALL ${gated}) f ORDER BY f.place, f.seq LIMIT 1)`
}

/**
 * What the driver adds to the schema. Rows of `tally` that store or remove tasks name their lane, unless they were written
 * by an older version or have been added up, which `in_lanes` tells apart: see `Tally`.
 */
export const additions = (schema: string): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${schema}.lane (
    queue text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    stored bigint NOT NULL,
    PRIMARY KEY (queue, type)
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)`,
  `ALTER TABLE ${schema}.tally ADD COLUMN IF NOT EXISTS queue text COLLATE "C",
    ADD COLUMN IF NOT EXISTS type text COLLATE "C", ADD COLUMN IF NOT EXISTS in_lanes boolean NOT NULL DEFAULT false`
]

/**
 * Unfinished tasks are found through the indexes of their states and then read in the order of the table: in the order of
 * an index each would be a page of its own, and three times as slow. Nothing else is left to the planner, whatever the
 * statistics say. Of `lane` as many more are read as lanes have changed since they were added up, for each of those may
 * have lost its last task. Where there is no lane, the answer is one row without any.
 */
export const countingFunctions = (schema: string): ReadonlyArray<string> => [
  `CREATE OR REPLACE FUNCTION ${schema}.unfinished_1(p_from_queue text, p_from_type text, p_queue text)
  RETURNS TABLE (out_queue text, out_type text, out_state int, out_tasks bigint) LANGUAGE sql STABLE
    ${settings} SET enable_indexscan TO off SET enable_indexonlyscan TO off SET enable_sort TO off AS $function$
    ${
    [[0, ""], [1, "AND gate IS NULL"], [1, "AND gate IS NOT NULL"], [2, ""]].map(([state, which]) =>
      `SELECT queue, type, ${state}, count(*) FROM ${schema}.task WHERE state = ${state} ${which} AND ${inRange}
        GROUP BY queue, type`
    ).join(" UNION ALL ")
  }
  $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.lane_counts_1(p_from_queue text, p_from_type text, p_queue text, p_limit int)
  RETURNS TABLE (
    out_now float8, out_queue text, out_type text, out_scheduled float8, out_pending float8, out_running float8,
    out_waiting_since float8
  ) LANGUAGE sql STABLE ${settings} SET enable_bitmapscan TO off AS $function$
    WITH changed AS MATERIALIZED (
      SELECT queue, type, sum(unfinished + completed + failed + cancelled) AS stored FROM ${schema}.tally
      WHERE queue IS NOT NULL AND ${inRange} GROUP BY queue, type
    ), counted AS (
      SELECT queue, type, sum(stored) AS stored, coalesce(sum(tasks) FILTER (WHERE state = 0), 0)::float8 AS scheduled,
        coalesce(sum(tasks) FILTER (WHERE state = 1), 0)::float8 AS pending,
        coalesce(sum(tasks) FILTER (WHERE state = 2), 0)::float8 AS running
      FROM (
        (SELECT queue, type, stored, NULL::int AS state, NULL::bigint AS tasks FROM ${schema}.lane
          WHERE ${inRange} ORDER BY queue, type LIMIT p_limit + (SELECT count(*) FROM changed))
        UNION ALL
        SELECT queue, type, stored, NULL, NULL FROM changed
        UNION ALL
        SELECT out_queue, out_type, 0, out_state, out_tasks FROM ${schema}.unfinished_1(p_from_queue, p_from_type, p_queue)
      ) c GROUP BY queue, type
    ), page AS (
      SELECT * FROM counted WHERE stored > 0 OR scheduled + pending + running > 0
      ORDER BY queue COLLATE "C", type COLLATE "C" LIMIT p_limit
    )
    SELECT ${schema}.now_ms()::float8, p.queue, p.type, p.scheduled, p.pending, p.running,
      ${
    firstDue(schema, "p.type", "p.queue")
  } FROM (SELECT) one LEFT JOIN page p ON true ORDER BY p.queue COLLATE "C", p.type COLLATE "C"
  $function$`
]

/** Prepares the reads. */
export const make = (database: Database) => ({ laneCounts: laneCountsOf(database), stranded: strandedOf(database) })

const laneCountsOf = ({ query, schema }: Database): TaskStore["Service"]["laneCounts"] => {
  const laneCounts = `SELECT * FROM ${schema}.lane_counts_1($1, $2, $3, $4::int)`

  return (range) => {
    const [queue, type] = startOf(range)
    return Effect.map(
      query<Row>("count by queue and type", laneCounts, [queue, type, range.queue ?? null, number(range.limit + 1)]),
      (rows) => ({
        now: rows[0]![0],
        more: rows.length > range.limit,
        lanes: rows.slice(0, range.limit).flatMap(([, queue, type, scheduled, pending, running, waitingSince]) =>
          queue === null ? [] : [{ queue, type, scheduled, pending, running, waitingSince }]
        )
      })
    )
  }
}

const index = "SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off"

/** The least of a column among pending tasks, of those without a gate and of those with one: each has an index. */
const least = (schema: string, column: string, where: string): string =>
  `least(${
    ["IS NULL", "IS NOT NULL"].map((gate) =>
      `(SELECT min(t.${column}) FROM ${schema}.task t WHERE t.state = 1 AND t.gate ${gate}${where})`
    ).join(", ")
  })`

/** The types of pending tasks; and the queues of one type without some, with the due time of the first task of each. */
export const strandedFunctions = (schema: string): ReadonlyArray<string> => [
  `CREATE OR REPLACE FUNCTION ${schema}.waiting_types_1() RETURNS SETOF text LANGUAGE sql STABLE ${index} AS $function$
    WITH RECURSIVE waiting AS (
      SELECT ${least(schema, "type", "")} AS type
      UNION ALL
      SELECT ${least(schema, "type", " AND t.type > w.type")} FROM waiting w WHERE w.type IS NOT NULL
    ) SELECT type FROM waiting WHERE type IS NOT NULL
  $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.waiting_queues_1(p_type text, p_without text[], p_limit int)
  RETURNS TABLE (out_queue text, out_since float8) LANGUAGE sql STABLE ${index} AS $function$
    WITH RECURSIVE waiting AS (
      SELECT ${least(schema, "queue", " AND t.type = p_type")} AS queue
      UNION ALL
      SELECT ${least(schema, "queue", " AND t.type = p_type AND t.queue > w.queue")}
      FROM waiting w WHERE w.queue IS NOT NULL
    ) SELECT w.queue, ${firstDue(schema, "p_type", "w.queue")}
    FROM waiting w WHERE w.queue IS NOT NULL AND w.queue <> ALL (p_without) LIMIT p_limit
  $function$`
]

/**
 * Queues and types that have pending tasks which no instance can run. Both questions are functions of the schema, so that
 * the index is read whatever the statistics say.
 */
const strandedOf = ({ query, schema }: Database): TaskStore["Service"]["stranded"] => {
  const types = `SELECT ${schema}.waiting_types_1()`
  const queues = `SELECT * FROM ${schema}.waiting_queues_1($1, $2, $3::int)`

  return Effect.fnUntraced(function*(runnable, limit) {
    const coverage = coverageOf(runnable)
    const found: Array<Stranded> = []
    for (const [type] of yield* query<[type: string]>("find stranded tasks", types)) {
      const covered = coverage.get(type)
      if (covered === "all") continue
      if (found.length >= limit) break
      const rows = yield* query<[queue: string, since: number]>("find stranded tasks", queues, [
        type,
        texts([...covered ?? []]),
        number(limit - found.length)
      ])
      for (const [queue, since] of rows) found.push({ queue, type, since })
    }
    return found
  })
}

/**
 * Queues and types that have pending tasks which no instance can run. Both questions are functions of the schema, so that
 * the index is read whatever the statistics say.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Coverage from "../Coverage.ts"
import type { Runnable, Stranded } from "../TaskStore.ts"
import { type Database, number, texts } from "./Database.ts"

const settings = "SET jit TO off SET enable_seqscan TO off SET enable_bitmapscan TO off"

/** The types of pending tasks; and the queues of one type without some, with the due time of the first task of each. */
export const functions = (schema: string): ReadonlyArray<string> => [
  `CREATE OR REPLACE FUNCTION ${schema}.waiting_types_1() RETURNS SETOF text LANGUAGE sql STABLE ${settings} AS $function$
    WITH RECURSIVE waiting AS (
      SELECT min(type) AS type FROM ${schema}.task WHERE state = 1
      UNION ALL
      SELECT (SELECT min(t.type) FROM ${schema}.task t WHERE t.state = 1 AND t.type > w.type)
      FROM waiting w WHERE w.type IS NOT NULL
    ) SELECT type FROM waiting WHERE type IS NOT NULL
  $function$`,
  `CREATE OR REPLACE FUNCTION ${schema}.waiting_queues_1(p_type text, p_without text[], p_limit int)
  RETURNS TABLE (out_queue text, out_since float8) LANGUAGE sql STABLE ${settings} AS $function$
    WITH RECURSIVE waiting AS (
      SELECT min(queue) AS queue FROM ${schema}.task WHERE state = 1 AND type = p_type
      UNION ALL
      SELECT (SELECT min(t.queue) FROM ${schema}.task t WHERE t.state = 1 AND t.type = p_type AND t.queue > w.queue)
      FROM waiting w WHERE w.queue IS NOT NULL
    ) SELECT w.queue, (
      SELECT t.due_at::float8 FROM ${schema}.task t WHERE t.state = 1 AND t.type = p_type AND t.queue = w.queue
      ORDER BY t.rank, t.seq LIMIT 1
    ) FROM waiting w WHERE w.queue IS NOT NULL AND w.queue <> ALL (p_without) LIMIT p_limit
  $function$`
]

/** Prepares the operation. */
export const make = ({ query, schema }: Database) => {
  const types = `SELECT ${schema}.waiting_types_1()`
  const queues = `SELECT * FROM ${schema}.waiting_queues_1($1, $2, $3::int)`

  return Effect.fnUntraced(function*(
    runnable: ReadonlyArray<Runnable>,
    limit: number
  ): Effect.fn.Return<ReadonlyArray<Stranded>, StoreError> {
    const coverage = Coverage.of(runnable)
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

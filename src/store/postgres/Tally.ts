/**
 * The counters of the store. One row that every transaction updates would make them wait for each other, some for as
 * long as an application keeps its transaction open. So each transaction adds a row with what it changed, and pruning
 * folds the rows into one; the counters are the sum.
 *
 * A row that stores or removes tasks names their queue and type, and folding adds them up in `lane`: a lane has tasks as long
 * as its sum is more than nothing. What versions before this one wrote or folded names none. Where folding meets such rows,
 * the tasks themselves are counted, once a minute at most: nothing else tells which lanes they belong to.
 */
import { type Clock, Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as LogModule from "../../domain/LogModule.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import type { FinishedState } from "../../domain/TaskState.ts"
import { type Counts, totalsOf } from "../Counts.ts"
import { type Database, texts } from "./Database.ts"

/**
 * The columns that are summed. `scheduled`, `completed`, `failed` and `cancelled` count stored tasks; those that have expired
 * are among the cancelled, so that the sums of versions before this one stay true.
 */
const columns = "unfinished, scheduled, completed, failed, cancelled, total_created, total_completed, " +
  "total_failed, total_cancelled, total_retried, total_crashed"

const names = columns.split(", ")

/** Rows folded together at once, so that folding has a bound. */
const maxFolded = 20_000

/** How long after a recount of all tasks the next one may be, in milliseconds. */
const recountEveryMs = 60_000

/** Tasks that a row of `tally` stores, or removes if there are less than none. */
const stored = "unfinished + completed + failed + cancelled"

/** Rows that may have stored tasks or removed them, but name no lane. */
const unnamed = `queue IS NULL AND NOT in_lanes AND (total_created <> 0 OR ${stored} <> 0)`

/** Whether all rows named their lane, and the lanes that have no task any more. */
type Folded = [isNamed: boolean, queues: ReadonlyArray<string> | null, types: ReadonlyArray<string> | null]

/** How many tasks have expired, and are stored: rows like those of `tally`, of which most have nothing to say here. */
export const tables = (schema: string): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${schema}.tally_expired (
    stored bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0)`,
  `ALTER TABLE ${schema}.tally_expired REPLICA IDENTITY FULL`
]

/** Reads and folds the counters. */
export interface Tally {
  readonly counts: (capacity: number) => Effect.Effect<Counts, StoreError>
  /** Tasks that are not finished. */
  readonly unfinished: Effect.Effect<number, StoreError>
  /** Tasks that are finished and still stored, by state. */
  readonly finished: Effect.Effect<Readonly<Record<FinishedState, number>>, StoreError>
  /** Bytes of payloads, results, failures and histories. It looks at every task, but into no large text. */
  readonly bytes: Effect.Effect<number, StoreError>
  /** Adds up the rows that transactions have left. */
  readonly fold: Effect.Effect<void, StoreError>
}

/** Prepares the statements. */
export const make = ({ query, schema, transaction }: Database, clock: Clock.Clock): Tally => {
  // running tasks are as many as there are slots: counting them is cheaper than a row per claim
  const all = `SELECT (SELECT count(*) FROM ${schema}.task WHERE state = 2)::float8,
    (SELECT coalesce(sum(stored), 0) FROM ${schema}.tally_expired)::float8,
    (SELECT coalesce(sum(total), 0) FROM ${schema}.tally_expired)::float8,
    ${names.map((name) => `coalesce(sum(${name}), 0)::float8`).join(", ")} FROM ${schema}.tally`
  const unfinished = `SELECT coalesce(sum(unfinished), 0)::float8 FROM ${schema}.tally`
  const finished = `SELECT coalesce(sum(completed), 0)::float8, coalesce(sum(failed), 0)::float8,
    coalesce(sum(cancelled), 0)::float8, (SELECT coalesce(sum(stored), 0) FROM ${schema}.tally_expired)::float8
    FROM ${schema}.tally`
  // of a text that is stored apart the row has the length
  const bytes = `SELECT coalesce(sum(octet_length(payload) + coalesce(octet_length(result), 0) +
    coalesce(octet_length(failure), 0) + coalesce(octet_length(history), 0)), 0)::float8 FROM ${schema}.task`
  const fold = `WITH gone AS (
      DELETE FROM ${schema}.tally WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.tally LIMIT ${maxFolded} FOR UPDATE SKIP LOCKED
      )) RETURNING *
    ), lanes AS (
      INSERT INTO ${schema}.lane AS l (queue, type, stored)
      SELECT queue, type, sum(${stored}) FROM gone WHERE queue IS NOT NULL GROUP BY queue, type
      HAVING sum(${stored}) <> 0 ORDER BY queue, type
      ON CONFLICT (queue, type) DO UPDATE SET stored = l.stored + excluded.stored RETURNING queue, type, stored
    ), folded AS (
      INSERT INTO ${schema}.tally (${columns}, in_lanes)
      SELECT ${names.map((name) => `sum(${name})`).join(", ")}, NOT bool_or(${unnamed}) FROM gone HAVING count(*) > 0
      RETURNING in_lanes
    )
    SELECT coalesce(bool_and(in_lanes), true), (SELECT array_agg(queue) FROM lanes WHERE stored = 0),
      (SELECT array_agg(type) FROM lanes WHERE stored = 0) FROM folded`
  const foldExpired = `WITH gone AS (
      DELETE FROM ${schema}.tally_expired WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.tally_expired LIMIT ${maxFolded} FOR UPDATE SKIP LOCKED
      )) RETURNING *
    )
    INSERT INTO ${schema}.tally_expired (stored, total) SELECT sum(stored), sum(total) FROM gone HAVING count(*) > 0`
  const forget = `DELETE FROM ${schema}.lane
    WHERE stored = 0 AND (queue, type) IN (SELECT * FROM unnest($1::text[], $2::text[]))`
  const alone = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
  const isOwed = `SELECT EXISTS (SELECT FROM ${schema}.tally WHERE ${unnamed})`
  // what is missing is added, so it does not matter what others add at the same time
  const recount = `WITH actual AS (
      SELECT queue, type, count(*) AS stored FROM ${schema}.task GROUP BY queue, type
    ), known AS (
      SELECT queue, type, -stored AS stored FROM ${schema}.lane
      UNION ALL SELECT queue, type, -(${stored}) FROM ${schema}.tally WHERE queue IS NOT NULL
    ), named AS (
      UPDATE ${schema}.tally SET in_lanes = true WHERE ${unnamed}
    )
    INSERT INTO ${schema}.lane AS l (queue, type, stored)
    SELECT queue, type, sum(stored) FROM (SELECT * FROM actual UNION ALL SELECT * FROM known) c
    GROUP BY queue, type HAVING sum(stored) <> 0 ORDER BY queue, type
    ON CONFLICT (queue, type) DO UPDATE SET stored = l.stored + excluded.stored`

  const one = (operation: string, text: string) => Effect.map(query<[number]>(operation, text), (rows) => rows[0]![0])

  let recountAt = -Infinity
  const recounted = Effect.suspend(() => {
    const now = MonotonicClock.millis(clock)
    if (now < recountAt) return Effect.void
    recountAt = now + recountEveryMs
    const operation = "count all tasks by queue and type"
    return transaction(
      operation,
      Effect.gen(function*() {
        // two at once would both add what is missing
        yield* query(operation, alone, [`taskforge lanes ${schema}`])
        const [owed] = yield* query<[isOwed: boolean]>(operation, isOwed)
        if (!owed![0]) return
        yield* query(operation, recount)
        yield* query(operation, `DELETE FROM ${schema}.lane WHERE stored = 0`)
      })
    ).pipe(
      // idle queues are missing in lists until the next try; nothing else is wrong
      Effect.catch((error) => Effect.logWarning("The tasks could not be counted by queue and type", error)),
      LogModule.within("store")
    )
  })

  return {
    counts: (capacity) =>
      Effect.map(
        query<[running: number, expired: number, totalExpired: number, ...sums: ReadonlyArray<number>]>("count", all),
        (
          [row]
        ) => {
          const [
            running,
            expired,
            totalExpired,
            open = 0,
            scheduled = 0,
            completed = 0,
            failed = 0,
            dropped = 0,
            ...totals
          ] = row!
          return {
            scheduled,
            pending: open - scheduled - running,
            running,
            completed,
            failed,
            cancelled: dropped - expired,
            expired,
            capacity,
            totals: totalsOf([...totals, totalExpired])
          }
        }
      ),
    unfinished: one("count", unfinished),
    finished: Effect.map(
      query<[completed: number, failed: number, dropped: number, expired: number]>("count", finished),
      ([row]) => {
        const [completed, failed, dropped, expired] = row!
        return { completed, failed, cancelled: dropped - expired, expired }
      }
    ),
    bytes: one("measure", bytes),
    fold: Effect.gen(function*() {
      const [row] = yield* query<Folded>("fold the counters", fold)
      const [isNamed, queues, types] = row!
      if (queues !== null && types !== null) yield* query("fold the counters", forget, [texts(queues), texts(types)])
      yield* query("fold the counters", foldExpired)
      if (!isNamed) yield* recounted
    })
  }
}

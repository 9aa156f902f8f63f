/**
 * The counters of the store. One row that every transaction updates would make them wait for each other, some for as
 * long as an application keeps its transaction open. So each transaction adds a row with what it changed, and pruning
 * folds the rows into one; the counters are the sum.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type { Counts } from "../TaskStore.ts"
import type { Database } from "./Database.ts"

/** The columns that are summed. `scheduled`, `completed`, `failed` and `cancelled` count stored tasks. */
const columns = "unfinished, scheduled, completed, failed, cancelled, total_created, total_completed, " +
  "total_failed, total_cancelled, total_retried, total_crashed"

const names = columns.split(", ")

/** Rows folded together at once, so that folding has a bound. */
const foldLimit = 20_000

type Row = [
  running: number,
  unfinished: number,
  scheduled: number,
  completed: number,
  failed: number,
  cancelled: number,
  totalCreated: number,
  totalCompleted: number,
  totalFailed: number,
  totalCancelled: number,
  totalRetried: number,
  totalCrashed: number
]

/** Reads and folds the counters. */
export interface Tally {
  readonly counts: (capacity: number) => Effect.Effect<Counts, StoreError>
  /** Tasks that are not finished. */
  readonly unfinished: Effect.Effect<number, StoreError>
  /** Tasks that are finished and still stored. */
  readonly finished: Effect.Effect<number, StoreError>
  /** Adds up the rows that transactions have left. */
  readonly fold: Effect.Effect<void, StoreError>
}

/** Prepares the statements. */
export const make = ({ query, schema }: Database): Tally => {
  // running tasks are as many as there are workers: counting them is cheaper than a row per claim
  const all = `SELECT (SELECT count(*) FROM ${schema}.task WHERE state = 2)::float8,
    ${names.map((name) => `coalesce(sum(${name}), 0)::float8`).join(", ")} FROM ${schema}.tally`
  const unfinished = `SELECT coalesce(sum(unfinished), 0)::float8 FROM ${schema}.tally`
  const finished = `SELECT coalesce(sum(completed + failed + cancelled), 0)::float8 FROM ${schema}.tally`
  const fold = `WITH gone AS (
      DELETE FROM ${schema}.tally WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${schema}.tally LIMIT ${foldLimit} FOR UPDATE SKIP LOCKED
      )) RETURNING *
    )
    INSERT INTO ${schema}.tally (${columns})
    SELECT ${names.map((name) => `sum(${name})`).join(", ")} FROM gone HAVING count(*) > 0`

  const one = (operation: string, text: string) => Effect.map(query<[number]>(operation, text), (rows) => rows[0]![0])

  return {
    counts: (capacity) =>
      Effect.map(query<Row>("count", all), ([row]) => {
        const [running, open, scheduled, completed, failed, cancelled] = row!
        return {
          scheduled,
          pending: open - scheduled - running,
          running,
          completed,
          failed,
          cancelled,
          capacity,
          totals: {
            created: row![6],
            completed: row![7],
            failed: row![8],
            cancelled: row![9],
            retried: row![10],
            crashed: row![11]
          }
        }
      }),
    unfinished: one("count", unfinished),
    finished: one("count", finished),
    fold: Effect.asVoid(query("fold the counters", fold))
  }
}

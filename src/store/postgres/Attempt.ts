/**
 * What happens to a running attempt before its end: its lease is prolonged, it reports, or it is taken back. None of it
 * waits for a row that another session is writing.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Settlement from "../../domain/Settlement.ts"
import {
  type ClaimRef,
  type ExtendAnswer,
  type ProgressReport,
  rescuable,
  type RescueAnswer,
  type RescueRequest
} from "../TaskStore.ts"
import { type Database, number, numbers, texts } from "./Database.ts"
import { columnsOfDecisions, recordOf, type Row, type Tasks } from "./Task.ts"

/** Prepares the operations. */
export const make = ({ query, schema, transaction }: Database, tasks: Tasks, maxCrashes: number) => {
  // A row that is locked is being settled, perhaps in a long transaction of the application: its lease is still held.
  // Only leases that are held are written: `fenced` finds them without locks, `free` locks what can be had
  const extend = `WITH given AS (
      SELECT * FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS g (id, claim, place)
    ), fenced AS (
      SELECT g.place, t.seq, t.cancel_requested FROM given g
      JOIN ${schema}.task t ON t.id = g.id AND t.claim = g.claim::bigint AND t.state + 0 = 2
    ), free AS (
      SELECT t.seq FROM ${schema}.task t WHERE t.seq = ANY (ARRAY(SELECT seq FROM fenced)) AND t.state + 0 = 2
      ORDER BY t.seq FOR UPDATE SKIP LOCKED
    ), extended AS (
      UPDATE ${schema}.task t SET lease_until = ${schema}.now_ms() + $3::bigint FROM free WHERE t.seq = free.seq
    )
    SELECT place::int, cancel_requested FROM fenced`
  const report = `WITH given AS (
      SELECT * FROM unnest($1::text[], $2::float8[], $3::float8[]) AS g (id, claim, progress)
    ), free AS (
      SELECT t.seq, g.progress FROM given g
      JOIN ${schema}.task t ON t.id = g.id AND t.claim = g.claim::bigint AND t.state + 0 = 2
      FOR UPDATE OF t SKIP LOCKED
    )
    UPDATE ${schema}.task t SET progress = free.progress FROM free WHERE t.seq = free.seq`
  const clock = `SELECT ${schema}.now_ms()::float8`
  // $1 how many, $2 when they must have ended, $3 the end after which they are of before the clock was set back
  const expired = `SELECT ${columnsOfDecisions} FROM ${schema}.task
    WHERE state = 2 AND (lease_until <= $2::bigint OR lease_until > $3::bigint)
    ORDER BY lease_until, seq LIMIT $1::int FOR UPDATE SKIP LOCKED`

  return {
    extend: (
      refs: ReadonlyArray<ClaimRef>,
      leaseForMs: number
    ): Effect.Effect<ReadonlyArray<ExtendAnswer>, StoreError> =>
      Effect.map(
        query<[place: number, cancelRequested: boolean]>("extend", extend, [
          texts(refs.map(({ id }) => id)),
          numbers(refs.map(({ claim }) => claim)),
          number(Math.round(leaseForMs))
        ]),
        (rows) => {
          const answers = refs.map((): ExtendAnswer => "lost")
          for (const [place, cancelRequested] of rows) answers[place - 1] = cancelRequested ? "cancel" : "held"
          return answers
        }
      ),

    report: (reports: ReadonlyArray<ProgressReport>): Effect.Effect<void, StoreError> => {
      // the last report of an attempt counts
      const last = [...new Map(reports.map((one) => [one.id, one])).values()]
      return Effect.asVoid(query("report", report, [
        texts(last.map(({ id }) => id)),
        numbers(last.map(({ claim }) => claim)),
        numbers(last.map(({ progress }) => progress))
      ]))
    },

    rescue: (
      request: RescueRequest
    ): Effect.Effect<RescueAnswer, StoreError> =>
      transaction(
        "rescue",
        Effect.gen(function*() {
          const [row] = yield* query<[now: number]>("rescue", clock, [])
          const [now] = row!
          const leases = rescuable(request, now)
          if (leases === undefined) return { now, rescued: [] }
          const rows = yield* query<Row>("rescue", expired, [
            number(request.limit),
            number(leases.until),
            number(leases.after)
          ])
          const decided = rows.map((row) => {
            const task = recordOf(row)
            return { task, change: Settlement.rescue(task, maxCrashes, now), counts: "crashed" as const }
          })
          yield* tasks.apply("rescue", decided)
          const rescued = decided.map(({ change, task }) => ({
            id: task.id,
            type: task.type,
            state: change.state,
            crashes: change.crashes,
            attempt: task.claims
          }))
          return { now, rescued }
        })
      )
  }
}

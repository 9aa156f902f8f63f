/**
 * Reads for people and for those who wait for results.
 */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { ListRequest, Outcome } from "../TaskStore.ts"
import { type Database, number, numbers, type Parameter, texts } from "./Database.ts"
import { columns, failureOf, recordOf, type Row, stateCode, stateOf } from "./Task.ts"

/** How many of the latest tasks a filtered list looks through first. */
const window = 1000

/** Prepares the reads. */
export const make = ({ query, schema }: Database, awaiting: (ids: ReadonlyArray<string>) => void) => {
  const byId = `SELECT ${columns} FROM ${schema}.task WHERE id = $1`
  const outcomes = `SELECT id, state, result, failure FROM ${schema}.task WHERE id = ANY ($1)`
  const paused = `SELECT queue FROM ${schema}.paused_queue ORDER BY queue`
  const filter = "(cardinality($2::float8[]) = 0 OR state = ANY ($2::float8[]::smallint[])) AND " +
    "($3::text[] IS NULL OR type = ANY ($3)) AND ($4::text[] IS NULL OR queue = ANY ($4))"
  /** As many of the first tasks as fit into a page, one in any case: lengths are known without reading the texts. */
  const page = (tasks: string) =>
    `SELECT ${columns} FROM (
      SELECT *, sum(octet_length(payload) + coalesce(octet_length(result), 0)) OVER (ORDER BY seq DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS size_so_far,
        row_number() OVER (ORDER BY seq DESC) AS place FROM (${tasks}) t
    ) t WHERE place = 1 OR size_so_far <= ${Bounds.maxPageSize} ORDER BY seq DESC`
  const newest = page(`SELECT * FROM ${schema}.task WHERE seq < $1::bigint ORDER BY seq DESC LIMIT $2::int`)
  // most pages are found among the latest tasks
  const recent = page(`SELECT * FROM (
      SELECT * FROM ${schema}.task WHERE seq < $1::bigint ORDER BY seq DESC LIMIT ${window}
    ) t WHERE ${filter} ORDER BY seq DESC LIMIT $5::int`)
  /** Only what is rare or old is looked up by its state; the planner knows how many there are of each. */
  const inState = (state: number) =>
    `(SELECT * FROM ${schema}.task WHERE state = ${state} AND seq < $1::bigint
      AND ($2::text[] IS NULL OR type = ANY ($2)) AND ($3::text[] IS NULL OR queue = ANY ($3))
      ORDER BY seq DESC LIMIT $4::int)`
  const found = (states: ReadonlyArray<number>) =>
    page(`SELECT * FROM (${states.map(inState).join(" UNION ALL ")}) t ORDER BY seq DESC LIMIT $4::int`)

  const records = (text: string, parameters: ReadonlyArray<Parameter>) =>
    Effect.map(query<Row>("list", text, parameters), (rows) => rows.map(recordOf))

  return {
    get: (id: string): Effect.Effect<TaskRecord | undefined, StoreError> =>
      Effect.map(query<Row>("get", byId, [id]), ([row]) => row === undefined ? undefined : recordOf(row)),

    results: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Outcome | undefined | null>, StoreError> =>
      Effect.map(
        query<[id: string, state: number, result: string | null, failure: string | null]>(
          "read results",
          outcomes,
          [texts(ids)]
        ),
        (rows) => {
          const byId = new Map(rows.map((row) => [row[0], row]))
          // whoever asks for results that are not there yet waits for them
          awaiting(rows.flatMap(([id, state]) => isFinished(stateOf(state)) ? [] : [id]))
          return ids.map((id): Outcome | undefined | null => {
            const row = byId.get(id)
            if (row === undefined) return null
            const state = stateOf(row[1])
            return isFinished(state) ? { id, state, result: row[2], failure: failureOf(row[3]) } : undefined
          })
        }
      ),

    list: Effect.fnUntraced(function*({ before, limit, queues, states, types }: ListRequest) {
      const from = number(before ?? Number.MAX_SAFE_INTEGER)
      const most = number(limit)
      if (states === undefined && types === undefined && queues === undefined) {
        return yield* records(newest, [from, most])
      }
      if (states?.length === 0 || types?.length === 0 || queues?.length === 0) return []
      const codes = [...new Set((states ?? []).map((state) => stateCode[state]))]
      const named = [types === undefined ? null : texts(types), queues === undefined ? null : texts(queues)]
      const page = yield* records(recent, [from, numbers(codes), ...named, most])
      if (page.length >= limit) return page
      return yield* records(found(codes.length === 0 ? [0, 1, 2, 3, 4, 5] : codes), [from, ...named, most])
    }),

    paused: Effect.map(query<[queue: string]>("read the paused queues", paused), (rows) => rows.map(([queue]) => queue))
  }
}

/**
 * Reads for people and for those who wait for results.
 */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { Listed, ListRequest, Outcome } from "../TaskStore.ts"
import { type Database, number, numbers, type Parameter, texts } from "./Database.ts"
import { columns, failureOf, recordOf, type Row, stateCode, stateOf } from "./Task.ts"

/** How many of the latest tasks a filtered list looks through first. */
const window = 1000

/** Lengths of texts are known without reading the texts. */
const bytes = (...names: ReadonlyArray<string>) => names.map((name) => `coalesce(octet_length(${name}), 0)`).join(" + ")

/** A bound that is none. */
const unbounded = Number.MAX_SAFE_INTEGER

/** A task, and how many were found of which the first are shown. */
type Found = [...Row, found: number]

/** Prepares the reads. */
export const make = ({ query, schema }: Database, awaiting: (ids: ReadonlyArray<string>) => void) => {
  const byId = `SELECT ${columns} FROM ${schema}.task WHERE id = $1`
  // of the first ids only, as far as their results fit: $2 bytes, and of one in any case
  const outcomes = `SELECT place, state, fits, CASE WHEN fits THEN result END, CASE WHEN fits THEN failure END FROM (
      SELECT place, state, result, failure, so_far <= $2::bigint OR so_far = size AS fits FROM (
        SELECT place::float8, state, result, failure, size, sum(size) OVER (ORDER BY place) AS so_far FROM (
          SELECT g.place, t.state, t.result, t.failure, ${bytes("t.result", "t.failure")} AS size
          FROM unnest($1::text[]) WITH ORDINALITY g (id, place) JOIN ${schema}.task t ON t.id = g.id
        ) t
      ) t
    ) t`
  const paused = `SELECT queue FROM ${schema}.paused_queue ORDER BY queue`
  const filter = "(cardinality($2::float8[]) = 0 OR state = ANY ($2::float8[]::smallint[])) AND " +
    "($3::text[] IS NULL OR type = ANY ($3)) AND ($4::text[] IS NULL OR queue = ANY ($4))"
  /** As many of the tasks as are asked for and fit: the limit is one more than that. */
  const page = (tasks: string, limit: string, maxBytes: string) =>
    `SELECT ${columns}, found FROM (
      SELECT *, sum(size) OVER (ORDER BY seq DESC) AS so_far, row_number() OVER (ORDER BY seq DESC) AS place,
        (count(*) OVER ())::int AS found
      FROM (SELECT *, ${bytes("payload", "result", "failure", "history")} AS size FROM (${tasks}) t) t
    ) t WHERE place < ${limit} AND (place = 1 OR so_far <= ${maxBytes}) ORDER BY seq DESC`
  const newest = page(
    `SELECT * FROM ${schema}.task WHERE seq < $1::bigint ORDER BY seq DESC LIMIT $2::int`,
    "$2::int",
    "$3::bigint"
  )
  // most pages are found among the latest tasks
  const recent = page(
    `SELECT * FROM (
      SELECT * FROM ${schema}.task WHERE seq < $1::bigint ORDER BY seq DESC LIMIT ${window}
    ) t WHERE ${filter} ORDER BY seq DESC LIMIT $5::int`,
    "$5::int",
    "$6::bigint"
  )
  /** Only what is rare or old is looked up by its state; the planner knows how many there are of each. */
  const inState = (state: number) =>
    `(SELECT * FROM ${schema}.task WHERE state = ${state} AND seq < $1::bigint
      AND ($2::text[] IS NULL OR type = ANY ($2)) AND ($3::text[] IS NULL OR queue = ANY ($3))
      ORDER BY seq DESC LIMIT $4::int)`
  const found = (states: ReadonlyArray<number>) =>
    page(
      `SELECT * FROM (${states.map(inState).join(" UNION ALL ")}) t ORDER BY seq DESC LIMIT $4::int`,
      "$4::int",
      "$5::bigint"
    )

  /** A page, and how many tasks were found for it. */
  const listed = (text: string, parameters: ReadonlyArray<Parameter>) =>
    Effect.map(query<Found>("list", text, parameters), (rows) => {
      const tasks = rows.map((row) => recordOf(row as unknown as Row))
      const count = rows[0]?.at(-1) as number | undefined ?? 0
      return { tasks, more: count > tasks.length, count }
    })

  return {
    get: (id: string): Effect.Effect<TaskRecord | undefined, StoreError> =>
      Effect.map(query<Row>("get", byId, [id]), ([row]) => row === undefined ? undefined : recordOf(row)),

    results: (
      ids: ReadonlyArray<string>,
      maxBytes: number = unbounded
    ): Effect.Effect<ReadonlyArray<Outcome | undefined | null>, StoreError> =>
      Effect.map(
        query<[place: number, state: number, fits: boolean, result: string | null, failure: string | null]>(
          "read results",
          outcomes,
          [texts(ids), number(maxBytes)]
        ),
        (rows) => {
          const all = Array.from(ids, (): Outcome | undefined | null => null)
          const awaited: Array<string> = []
          let end = ids.length
          for (const [place, code, fits, result, failure] of rows) {
            const id = ids[place - 1]!
            const state = stateOf(code)
            if (!fits) end = Math.min(end, place - 1)
            if (isFinished(state)) all[place - 1] = { id, state, result, failure: failureOf(failure) }
            else {
              all[place - 1] = undefined
              awaited.push(id)
            }
          }
          // whoever asks for results that are not there yet waits for them
          awaiting(awaited)
          return all.slice(0, end)
        }
      ),

    list: Effect.fnUntraced(function*(request: ListRequest): Effect.fn.Return<Listed, StoreError> {
      const { before, limit, maxBytes = Bounds.maxAnswerBytes, queues, states, types } = request
      const from = number(before ?? Number.MAX_SAFE_INTEGER)
      // one more than is shown tells whether there are more
      const most = number(limit + 1)
      const budget = number(maxBytes)
      if (states === undefined && types === undefined && queues === undefined) {
        return yield* listed(newest, [from, most, budget])
      }
      if (states?.length === 0 || types?.length === 0 || queues?.length === 0) return { tasks: [], more: false }
      const codes = [...new Set((states ?? []).map((state) => stateCode[state]))]
      const named = [types === undefined ? null : texts(types), queues === undefined ? null : texts(queues)]
      const latest = yield* listed(recent, [from, numbers(codes), ...named, most, budget])
      if (latest.count > limit) return latest
      return yield* listed(found(codes.length === 0 ? [0, 1, 2, 3, 4, 5] : codes), [from, ...named, most, budget])
    }),

    paused: Effect.map(query<[queue: string]>("read the paused queues", paused), (rows) => rows.map(([queue]) => queue))
  }
}

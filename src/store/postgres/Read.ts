/**
 * Reads for people and for those who wait for results.
 */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { isFinished } from "../../domain/TaskState.ts"
import { bytesOf } from "../Admission.ts"
import { failureOf, recordOf, type Row, stateCode, stateOf } from "../TaskRow.ts"
import type { Listed, ListRequest, Outcome, TaskStore } from "../TaskStore.ts"
import { type Database, number, numbers, type Parameter, texts } from "./Database.ts"
import { columns } from "./Task.ts"

/** How many of the latest tasks a filtered list looks through first, and then each time. */
const window = 1000
const largeWindow = 10_000

/** How often it does that for one page. */
const maxWindows = 5

/** The states that have an index in the order of the list. */
const listedStates = [stateCode.scheduled, stateCode.failed, stateCode.cancelled, stateCode.expired]

/** Lengths of texts are known without reading the texts. */
const bytes = (...names: ReadonlyArray<string>) => names.map((name) => `coalesce(octet_length(${name}), 0)`).join(" + ")

/** A bound that is none. */
const unbounded = Number.MAX_SAFE_INTEGER

/** A task, and how many were found of which the first are shown. */
type Found = [...Row, found: number]

/** Prepares the reads. */
export const make = ({ query, schema }: Database): Pick<TaskStore["Service"], "get" | "results" | "list"> => {
  const byId = `SELECT ${columns} FROM ${schema}.task WHERE id = $1`
  // of the first ids only, as far as their results fit: $2 bytes, and of one in any case
  const outcomes = `SELECT place, state, fits, CASE WHEN fits THEN result END, CASE WHEN fits THEN failure END FROM (
      SELECT place, state, result, failure, so_far <= $2::bigint OR so_far = size AS fits FROM (
        SELECT place::float8, state, result, failure, size, sum(size) OVER (ORDER BY place) AS so_far FROM (
          SELECT g.place, t.state, t.result, t.failure, ${bytes("t.result", "t.failure")} AS size
          FROM unnest($1::text[]) WITH ORDINALITY g (id, place), LATERAL (
            SELECT o.state, o.result, o.failure FROM ${schema}.task o WHERE o.id = g.id OFFSET 0
          ) t
        ) t
      ) t
    ) t`
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
  const matching = (tasks: string) =>
    page(`SELECT * FROM (${tasks}) t WHERE ${filter} ORDER BY seq DESC LIMIT $5::int`, "$5::int", "$6::bigint")
  // most pages are found among the latest tasks
  const recent = matching(`SELECT * FROM ${schema}.task WHERE seq < $1::bigint ORDER BY seq DESC LIMIT ${window}`)
  /**
   * The latest tasks below $1, or those in some states. A planner that has no idea where these are takes the primary key
   * for faster, so what is compared and sorted is what the index of the state has: or for pending and running tasks, which
   * are as few as the capacity allows and are sorted, what no index has.
   */
  const latest = (columns: string, states: ReadonlyArray<number>, from = "") => {
    const all = `SELECT ${columns} FROM ${schema}.task WHERE seq < $1::bigint${from && ` AND seq >= ${from}`}`
    const unlisted = (state: number, which = "") => [
      `state = ${state} ${which} AND seq + 0 < $1::bigint AND seq + 0 >= ${from || "0"}`,
      "seq + 0 DESC"
    ]
    const parts = states.flatMap((state) =>
      listedStates.includes(state)
        ? [[
          `state IN (${listedStates.join(", ")}) AND (state, seq) < (${state}::smallint, $1::bigint)
            AND (state, seq) >= (${state}::smallint, ${from || "0"})`,
          "state DESC, seq DESC"
        ]]
        // pending tasks with and without a gate are in different indexes
        : state === stateCode.pending
        ? [unlisted(state, "AND gate IS NULL"), unlisted(state, "AND gate IS NOT NULL")]
        : [unlisted(state)]
    )
    const some = parts.map(([condition, order]) =>
      `(SELECT ${columns} FROM ${schema}.task WHERE ${condition} ORDER BY ${order} LIMIT ${largeWindow})`
    )
    return `${some.length === 0 ? all : `SELECT * FROM (${some.join(" UNION ALL ")}) t`} ORDER BY seq DESC`
  }
  /** Where so many of them end. */
  const endOf = (states: ReadonlyArray<number>) =>
    `SELECT CASE WHEN count(*) = ${largeWindow} THEN min(seq) END::float8
      FROM (${latest("seq", states)} LIMIT ${largeWindow}) t`
  /** Those down to that place, $7, that match. */
  const downTo = (states: ReadonlyArray<number>) => matching(latest("*", states, "$7::bigint"))

  /** A page, and how many tasks were found for it. */
  const listed = (text: string, parameters: ReadonlyArray<Parameter>) =>
    Effect.map(query<Found>("list", text, parameters), (rows) => {
      const tasks = rows.map((row) => recordOf(row as unknown as Row))
      const isMore = (rows[0]?.at(-1) as number | undefined ?? 0) > tasks.length
      return { tasks, next: isMore ? tasks.at(-1)?.seq ?? unbounded : undefined }
    })

  /** Looks through a bounded number of older and older tasks for what is rare. */
  const searched = Effect.fnUntraced(function*(
    { limit, maxBytes = Bounds.maxAnswerBytes, before = unbounded }: ListRequest,
    codes: ReadonlyArray<number>,
    filters: ReadonlyArray<Parameter>
  ): Effect.fn.Return<Listed, StoreError> {
    const states = codes.includes(stateCode.completed) ? [] : codes
    const tasks: Array<TaskRecord> = []
    let bytes = 0
    let place = before
    for (let windows = 0; windows < maxWindows; windows++) {
      // the end comes first: what is stored in between is above it
      const ends = yield* query<[end: number | null]>("list", endOf(states), [number(place)])
      const end: number | undefined = ends[0]?.[0] ?? undefined
      const parameters = [number(limit + 1 - tasks.length), number(maxBytes), number(end ?? 0)]
      const found = yield* listed(downTo(states), [number(place), ...filters, ...parameters])
      for (const task of found.tasks) {
        bytes += bytesOf(task)
        if (tasks.length > 0 && bytes > maxBytes) return { tasks, next: task.seq + 1 }
        tasks.push(task)
      }
      if (found.next !== undefined) return { tasks, next: found.next }
      if (end === undefined || tasks.length === limit) return { tasks, next: end }
      place = end
    }
    return { tasks, next: place }
  })

  return {
    get: (id) => Effect.map(query<Row>("get", byId, [id]), ([row]) => row === undefined ? undefined : recordOf(row)),

    results: (ids, maxBytes = unbounded) =>
      Effect.map(
        query<[place: number, state: number, fits: boolean, result: string | null, failure: string | null]>(
          "read results",
          outcomes,
          [texts(ids), number(maxBytes)]
        ),
        (rows) => {
          const all = Array.from(ids, (): Outcome | undefined | null => null)
          let end = ids.length
          for (const [place, code, fits, result, failure] of rows) {
            const id = ids[place - 1]!
            const state = stateOf(code)
            if (!fits) end = Math.min(end, place - 1)
            all[place - 1] = isFinished(state) ? { id, state, result, failure: failureOf(failure) } : undefined
          }
          return all.slice(0, end)
        }
      ),

    list: Effect.fnUntraced(function*(request) {
      const { before, limit, maxBytes = Bounds.maxAnswerBytes, queues, states, types } = request
      const from = number(before ?? unbounded)
      // one more than is shown tells whether there are more
      const wanted = number(limit + 1)
      const budget = number(maxBytes)
      if (states === undefined && types === undefined && queues === undefined) {
        return yield* listed(newest, [from, wanted, budget])
      }
      if (states?.length === 0 || types?.length === 0 || queues?.length === 0) return { tasks: [], next: undefined }
      const codes = [...new Set((states ?? []).map((state) => stateCode[state]))]
      const filters = [
        numbers(codes),
        types === undefined ? null : texts(types),
        queues === undefined ? null : texts(queues)
      ]
      const first = yield* listed(recent, [from, ...filters, wanted, budget])
      return first.next === undefined ? yield* searched(request, codes, filters) : first
    })
  }
}

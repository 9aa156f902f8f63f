/**
 * Reads for people and for those who wait for results. None of them scans the finished tasks.
 */
import type { DatabaseSync } from "node:sqlite"
import * as Bounds from "../../domain/Bounds.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { all, isFinished, type TaskState } from "../../domain/TaskState.ts"
import { fitting } from "../Budget.ts"
import type { Listed, ListRequest, Outcome } from "../TaskStore.ts"
import { prepare, type Statement } from "./Statement.ts"
import { columns, failureOf, recordOf, type Row, stateCode, stateOf, type Tasks } from "./Task.ts"

type Seq = [seq: number]
type Lane = [queue: string, type: string]

/** How many of the latest tasks a filtered list looks through first. */
const window = 1000

/** Prepares the reads. */
export const make = (database: DatabaseSync, tasks: Tasks) => {
  const outcome = prepare<[state: number, result: string | null, failure: string | null]>(
    database,
    "SELECT state, result, failure FROM task WHERE id = ?"
  )
  const pausedQueues = prepare<[queue: string]>(database, "SELECT queue FROM paused_queue ORDER BY queue")
  const latest = prepare<[seq: number, state: number, queue: string, type: string]>(
    database,
    "SELECT seq, state, queue, type FROM task WHERE seq < ? ORDER BY seq DESC LIMIT ?"
  )
  const bySeq = prepare<Row>(database, `SELECT ${columns} FROM task WHERE seq = ?`)
  // pending and running tasks have no index by sequence, which each claim would pay for: theirs is scanned and the
  // newest kept. Capacity bounds the scan; measured 7 ms per 100,000 waiting tasks
  const filters = "(? IS NULL OR queue IN (SELECT value FROM json_each(?))) " +
    "AND (? IS NULL OR type IN (SELECT value FROM json_each(?)))"
  const scan: Partial<Record<TaskState, Statement<Seq>>> = {
    pending: prepare(
      database,
      `SELECT seq FROM task INDEXED BY task_lane WHERE state = 1 AND seq < ? AND ${filters}
        ORDER BY seq DESC LIMIT ?`
    ),
    running: prepare(
      database,
      `SELECT seq FROM task INDEXED BY task_lease WHERE state = 2 AND seq < ? AND ${filters}
        ORDER BY seq DESC LIMIT ?`
    )
  }
  // the next lane that has tasks in a state: one seek each. Comparing (queue, type) at once would scan the whole lane
  const nextType = prepare<Lane>(
    database,
    `SELECT queue, type FROM task INDEXED BY task_list
      WHERE state = ? AND state NOT IN (1, 2) AND queue = ? AND type > ? ORDER BY type LIMIT 1`
  )
  const nextQueue = prepare<Lane>(
    database,
    `SELECT queue, type FROM task INDEXED BY task_list
      WHERE state = ? AND state NOT IN (1, 2) AND queue > ? ORDER BY queue, type LIMIT 1`
  )
  const newestOfLane = prepare<Seq>(
    database,
    `SELECT seq FROM task INDEXED BY task_list
      WHERE state = ? AND state NOT IN (1, 2) AND queue = ? AND type = ? AND seq < ? ORDER BY seq DESC LIMIT ?`
  )

  /** Every lane that has tasks in a state. */
  const lanesIn = (state: number): ReadonlyArray<Lane> => {
    const lanes: Array<Lane> = []
    let lane = nextQueue.get(state, "")
    while (lane !== undefined) {
      lanes.push(lane)
      lane = nextType.get(state, ...lane) ?? nextQueue.get(state, lane[0])
    }
    return lanes
  }

  /** The newest tasks in a state that match, by their sequence numbers. */
  const newestIn = (state: TaskState, { limit, queues, types }: ListRequest, before: number): ReadonlyArray<Seq> => {
    const statement = scan[state]
    if (statement !== undefined) {
      const [ofQueues, ofTypes] = [jsonOrNull(queues), jsonOrNull(types)]
      return statement.all(before, ofQueues, ofQueues, ofTypes, ofTypes, limit)
    }
    const code = stateCode[state]
    return lanesIn(code)
      .filter(([queue, type]) => queues?.includes(queue) !== false && types?.includes(type) !== false)
      .flatMap(([queue, type]) => newestOfLane.all(code, queue, type, before, limit))
  }

  /** As many of the tasks found as are asked for and fit, read one by one. */
  const page = (
    found: ReadonlyArray<readonly [seq: number, ...unknown: ReadonlyArray<unknown>]>,
    asked: ListRequest
  ) => {
    const records: Array<TaskRecord> = []
    const count = fitting(
      sizesOf(found.slice(0, asked.limit), ([seq]) => {
        const row = bySeq.get(seq)!
        records.push(recordOf(row))
        return byteLength(row[4]) + byteLength(row[23]) + byteLength(row[24]) + byteLength(row[25])
      }),
      asked.maxBytes ?? Bounds.maxAnswerBytes
    )
    return { tasks: records.slice(0, count), more: count < found.length }
  }

  return {
    get: (id: string): TaskRecord | undefined => tasks.find(id),

    results: (ids: ReadonlyArray<string>, maxBytes?: number): ReadonlyArray<Outcome | undefined | null> => {
      const outcomes: Array<Outcome | undefined | null> = []
      const count = fitting(
        sizesOf(ids, (id) => {
          const row = outcome.get(id)
          const state = row && stateOf(row[0])
          const isEnded = row !== undefined && state !== undefined && isFinished(state)
          outcomes.push(
            row === undefined ? null : isEnded ? { id, state, result: row[1], failure: failureOf(row[2]) } : undefined
          )
          return isEnded ? byteLength(row[1]) + byteLength(row[2]) : 0
        }),
        maxBytes
      )
      return outcomes.slice(0, count)
    },

    list: (asked: ListRequest): Listed => {
      const before = asked.before ?? Number.MAX_SAFE_INTEGER
      // one more than is shown tells whether there are more
      const request = { ...asked, limit: asked.limit + 1 }
      if (request.states === undefined && request.types === undefined && request.queues === undefined) {
        return page(latest.all(before, request.limit), asked)
      }
      const recent = latest.all(before, window)
      const matching = recent.filter(([, state, queue, type]) =>
        request.states?.includes(stateOf(state)) !== false && request.queues?.includes(queue) !== false &&
        request.types?.includes(type) !== false
      )
      // most pages are found among the latest tasks; only what is rare or old is looked up state by state
      const found = matching.length >= request.limit || recent.length < window
        ? matching
        : [...new Set(request.states ?? all)]
          .flatMap((state) => newestIn(state, request, before))
          .sort(([a], [b]) => b - a)
      return page(found, asked)
    },

    paused: (): ReadonlyArray<string> => pausedQueues.all().map(([queue]) => queue)
  }
}

/** The sizes of things that are read as they are asked for. */
function* sizesOf<A>(all: Iterable<A>, read: (one: A) => number): Generator<number> {
  for (const one of all) yield read(one)
}

const byteLength = (text: string | null): number => text === null ? 0 : Buffer.byteLength(text)

const jsonOrNull = (values: ReadonlyArray<string> | undefined): string | null =>
  values === undefined ? null : JSON.stringify(values)

/**
 * Reads for people and for those who wait for results. None of them scans the finished tasks.
 */
import type { DatabaseSync } from "node:sqlite"
import * as Bounds from "../../domain/Bounds.ts"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { all as allStates, isFinished, type TaskState } from "../../domain/TaskState.ts"
import { fitting } from "../Admission.ts"
import { type Edges, type Links, type LinksRequest, pageOfLinks, type PlacedLink } from "../Dependencies.ts"
import { columns, failureOf, recordOf, type Row, stateCode, stateOf } from "../TaskRow.ts"
import type { Listed, ListRequest, Outcome } from "../TaskStore.ts"
import { nextListed } from "./CountedLanes.ts"
import { prepare, type Statement } from "./Database.ts"
import type { Dependencies } from "./Dependencies.ts"
import type { Tasks } from "./Task.ts"

type Seq = [seq: number]
type Lane = [queue: string, type: string]

/** How many of the latest tasks a filtered list looks through first, and then as often where there are too many lanes. */
const window = 1000
const maxWindows = 20

/** Bytes of payloads that a look steps over: to know a task's state, all of its payload is passed. */
const maxPassed = 1024 * 1024

/** Lanes, and entries of the index of lanes, that a page looks at: a dozen milliseconds. */
const maxLanes = 500
const maxEntries = 50_000

/** Prepares the reads. */
export const make = (database: DatabaseSync, tasks: Tasks, dependencies: Dependencies) => {
  const outcome = prepare<[state: number, result: string | null, failure: string | null]>(
    database,
    "SELECT state, result, failure FROM task WHERE id = ?"
  )
  // the state lies behind the payload, which is passed page by page where it is large
  const latest = prepare<[seq: number, queue: string, type: string, size: number, state: number | null]>(
    database,
    `SELECT seq, queue, type, octet_length(payload), CASE WHEN octet_length(payload) < 1000 THEN state END
      FROM task WHERE seq < ? ORDER BY seq DESC LIMIT ?`
  )
  const stateOfSeq = prepare<[state: number]>(database, "SELECT state FROM task WHERE seq = ?")
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
  const nextLane = nextListed(database)
  const newestOfLane = prepare<Seq>(
    database,
    `SELECT seq FROM task INDEXED BY task_list
      WHERE state = ? AND state NOT IN (1, 2) AND queue = ? AND type = ? AND seq < ? ORDER BY seq DESC LIMIT ?`
  )

  /** Every lane that has tasks in a state and may be asked for, unless these are too many. */
  const lanesIn = (state: number, { queues, types }: ListRequest): ReadonlyArray<Lane> | undefined => {
    if (queues !== undefined && types !== undefined && queues.length * types.length <= maxLanes) {
      return [...new Set(queues)].flatMap((queue) => [...new Set(types)].map((type): Lane => [queue, type]))
    }
    const lanes: Array<Lane> = []
    let seen = 0
    for (const start of queues === undefined ? [undefined] : new Set(queues)) {
      const nextFrom = (queue: string, type: string): Lane | undefined => {
        const lane = nextLane.get(state, queue, type)
        return start === undefined || lane?.[0] === start ? lane : undefined
      }
      for (
        let lane = nextFrom(start ?? "", "");
        lane !== undefined;
        lane = nextFrom(lane[0], ByteOrder.after(lane[1]))
      ) {
        if (++seen > maxLanes) return undefined
        if (types?.includes(lane[1]) !== false) lanes.push(lane)
      }
    }
    return lanes
  }

  /** The newest tasks in a state that match, by their sequence numbers, unless they are in too many lanes. */
  const newestIn = (state: TaskState, request: ListRequest, before: number): ReadonlyArray<Seq> | undefined => {
    const { limit, queues, types } = request
    const statement = scan[state]
    if (statement !== undefined) {
      const [ofQueues, ofTypes] = [jsonOrNull(queues), jsonOrNull(types)]
      return statement.all(before, ofQueues, ofQueues, ofTypes, ofTypes, limit)
    }
    const code = stateCode[state]
    const lanes = lanesIn(code, request)
    return lanes === undefined || lanes.length * limit > Math.max(maxEntries, limit)
      ? undefined
      : lanes.flatMap(([queue, type]) => newestOfLane.all(code, queue, type, before, limit))
  }

  /** The newest tasks in all states asked for, newest first. */
  const newest = (request: ListRequest, before: number): ReadonlyArray<Seq> | undefined => {
    const all: Array<Seq> = []
    for (const state of new Set(request.states ?? allStates)) {
      const found = newestIn(state, request, before)
      if (found === undefined) return undefined
      for (const one of found) all.push(one)
    }
    return all.sort(([a], [b]) => b - a)
  }

  /** Those that match among the latest tasks before a place, and where the look ended unless at the last task. */
  const look = ({ limit, queues, states, types }: ListRequest, before: number): Look => {
    const found: Array<Seq> = []
    let passed = 0
    const rows = latest.all(before, window)
    for (const [seq, queue, type, size, known] of rows) {
      if (queues?.includes(queue) === false || types?.includes(type) === false) continue
      if (states !== undefined) {
        if (known === null) passed += size
        if (passed > maxPassed && size < passed) return { found, next: seq + 1 }
        if (!states.includes(stateOf(known ?? stateOfSeq.get(seq)![0]))) continue
      }
      found.push([seq])
      if (found.length === limit) return { found, next: seq }
    }
    return { found, next: rows.length < window ? undefined : rows.at(-1)![0] }
  }

  /** As many of the tasks found as are asked for and fit, read one by one. `next` is where what was found ends. */
  const page = (
    found: ReadonlyArray<readonly [seq: number, ...unknown: ReadonlyArray<unknown>]>,
    asked: ListRequest,
    next?: number
  ): Listed => {
    const records: Array<TaskRecord> = []
    const count = fitting(
      sizesOf(found.slice(0, asked.limit), ([seq]) => {
        const row = bySeq.get(seq)!
        records.push(recordOf(row))
        return byteLength(row[4]) + byteLength(row[23]) + byteLength(row[24]) + byteLength(row[25])
      }),
      asked.maxBytes ?? Bounds.maxAnswerBytes
    )
    const left = found[count]
    return { tasks: records.slice(0, count), next: left === undefined ? next : left[0] + 1 }
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

    edges: (id: string): Edges | undefined => {
      const task = tasks.find(id)
      return task && dependencies.edgesOf(task.seq)
    },

    links: ({ from = { index: 0, place: 0 }, ids, limit, towards }: LinksRequest): Links => {
      const found: Array<PlacedLink> = []
      for (let index = from.index; index < ids.length && found.length <= limit; index++) {
        const place = index === from.index ? from.place : 0
        found.push(...dependencies.linksOf(ids[index]!, towards, index, place, limit + 1 - found.length))
      }
      return pageOfLinks(found, limit)
    },

    list: (asked: ListRequest): Listed => {
      const before = asked.before ?? Number.MAX_SAFE_INTEGER
      // one more than is shown tells whether there are more
      const request = { ...asked, limit: asked.limit + 1 }
      if (request.states === undefined && request.types === undefined && request.queues === undefined) {
        return page(latest.all(before, request.limit), asked)
      }
      let { found, next } = look(request, before)
      if (found.length === request.limit || next === undefined) return page(found, asked, next)
      const all = newest(request, before)
      if (all !== undefined) return page(all, asked)
      for (let windows = 1; windows < maxWindows && found.length < request.limit && next !== undefined; windows++) {
        const older = look({ ...request, limit: request.limit - found.length }, next)
        found = [...found, ...older.found]
        next = older.next
      }
      return page(found, asked, next)
    }
  }
}

/** What a look has found. */
interface Look {
  readonly found: ReadonlyArray<Seq>
  readonly next: number | undefined
}

/** The sizes of things that are read as they are asked for. */
function* sizesOf<A>(all: Iterable<A>, read: (one: A) => number): Generator<number> {
  for (const one of all) yield read(one)
}

const byteLength = (text: string | null): number => text === null ? 0 : Buffer.byteLength(text)

const jsonOrNull = (values: ReadonlyArray<string> | undefined): string | null =>
  values === undefined ? null : JSON.stringify(values)

/**
 * The queues and types that have tasks, and how many of those wait and run. Each state that tasks pile up in has an index
 * that begins with queue and type, so the next lane is one seek away however many tasks lie between. Finished tasks are
 * not counted: a million of them would keep the process for a tenth of a second.
 */
import type { DatabaseSync } from "node:sqlite"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import { finished, type TaskState } from "../../domain/TaskState.ts"
import { type CountedLanes, type LaneCounts, type LaneRange, startOf } from "../LaneCounts.ts"
import { stateCode } from "../TaskRow.ts"
import { prepare } from "./Statement.ts"

type Lane = readonly [queue: string, type: string, ...unknown: ReadonlyArray<unknown>]

type Running = [queue: string, type: string, count: number]

/** Lanes in the order of their names: the first one from a place on. Places are asked for in their order. */
type Source<A extends Lane> = (queue: string, type: string) => A | undefined

/** Lanes counted at once at most: it keeps the process, for less than ten milliseconds but for what is to be counted. */
const maxLanes = 1000

/** Prepares the read. It answers what one moment has, whatever other processes write. */
export const make = (database: DatabaseSync) => {
  const begin = prepare(database, "BEGIN")
  const end = prepare(database, "COMMIT")
  const from = "AND (queue, type) >= (?, ?) ORDER BY queue, type LIMIT 1"
  const firstPending = prepare<[queue: string, type: string]>(
    database,
    `SELECT queue, type FROM task INDEXED BY task_lane WHERE state = 1 ${from}`
  )
  const firstListed = prepare<[queue: string, type: string]>(
    database,
    `SELECT queue, type FROM task INDEXED BY task_list WHERE state = ? AND state NOT IN (1, 2) ${from}`
  )
  const pending = prepare<[count: number]>(
    database,
    "SELECT count(*) FROM task INDEXED BY task_lane WHERE state = 1 AND queue = ? AND type = ?"
  )
  const waitingSince = prepare<[dueAt: number]>(
    database,
    `SELECT due_at FROM task INDEXED BY task_lane WHERE state = 1 AND queue = ? AND type = ?
      ORDER BY rank, seq LIMIT 1`
  )
  const scheduled = prepare<[count: number]>(
    database,
    `SELECT count(*) FROM task INDEXED BY task_list
      WHERE state = 0 AND state NOT IN (1, 2) AND queue = ? AND type = ?`
  )
  // as many as there are slots: their index does not know their lanes
  const running = prepare<Running>(
    database,
    "SELECT queue, type, count(*) FROM task INDEXED BY task_lease WHERE state = 2 GROUP BY queue, type"
  )

  const read = (range: LaneRange, now: number): CountedLanes => {
    const headOf = <A extends Lane>(source: Source<A>) => new Head(source, startOf(range))
    const listed = (state: TaskState) => headOf((queue, type) => firstListed.get(stateCode[state], queue, type))
    const nextPending = headOf((queue, type) => firstPending.get(queue, type))
    const nextScheduled = listed("scheduled")
    const nextRunning = headOf(sourceOf(running.all()))
    const heads: ReadonlyArray<Head<Lane>> = [nextPending, nextScheduled, nextRunning, ...finished.map(listed)]
    const lanes: Array<LaneCounts> = []
    const limit = Math.min(range.limit, maxLanes)
    while (true) {
      const lane = firstOf(heads)
      const isLast = lane === undefined || (range.queue !== undefined && lane[0] !== range.queue)
      if (isLast || lanes.length >= limit) return { lanes, more: !isLast, now }
      const [queue, type] = lane
      const hasPending = nextPending.isAt(lane)
      lanes.push({
        queue,
        type,
        scheduled: nextScheduled.isAt(lane) ? scheduled.get(queue, type)![0] : 0,
        pending: hasPending ? pending.get(queue, type)![0] : 0,
        running: nextRunning.isAt(lane) ? nextRunning.lane![2] : 0,
        waitingSince: hasPending ? waitingSince.get(queue, type)![0] : null
      })
      for (const head of heads) head.pass(lane)
    }
  }

  return (range: LaneRange, now: number): CountedLanes => {
    begin.run()
    try {
      return read(range, now)
    } finally {
      end.run()
    }
  }
}

/** Where a source stands. */
class Head<out A extends Lane> {
  lane: A | undefined
  private readonly source: Source<A>

  constructor(source: Source<A>, [queue, type]: Lane) {
    this.source = source
    this.lane = source(queue, type)
  }

  isAt(lane: Lane): boolean {
    return this.lane !== undefined && compare(this.lane, lane) === 0
  }

  /** Moves on from a lane, if it stands there. */
  pass(lane: Lane): void {
    if (this.isAt(lane)) this.lane = this.source(lane[0], ByteOrder.after(lane[1]))
  }
}

const firstOf = (heads: ReadonlyArray<Head<Lane>>): Lane | undefined => {
  let first: Lane | undefined
  for (const { lane } of heads) {
    if (lane !== undefined && (first === undefined || compare(lane, first) < 0)) first = lane
  }
  return first
}

/** Lanes that are at hand. */
const sourceOf = <A extends Lane>(lanes: Array<A>): Source<A> => {
  lanes.sort(compare)
  let at = 0
  return (queue, type) => {
    while (at < lanes.length && compare(lanes[at]!, [queue, type]) < 0) at++
    return lanes[at]
  }
}

const compare = (a: Lane, b: Lane): number => ByteOrder.compare(a[0], b[0]) || ByteOrder.compare(a[1], b[1])

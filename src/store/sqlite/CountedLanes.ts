/** The queues and types that tasks are in, as the indexes of the file have them, and how many tasks each has. */
import type { DatabaseSync } from "node:sqlite"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import { finished } from "../../domain/TaskState.ts"
import { type CountedLanes, type LaneCounts, type LaneRange, nameOf, startOf } from "../Lanes.ts"
import { stateCode } from "../TaskRow.ts"
import { prepare, type Statement } from "./Database.ts"

/**
 * Seeks a lane by its name, the first one from a place on. Not with `>`: SQLite seeks what is equal too, and steps over all
 * tasks of that lane, 65 ms a million.
 */
export const from = "(queue, type) >= (?, ?) ORDER BY queue, type"

/** Prepares the seek of a lane that has tasks in a state: one that tasks pile up in and no claim looks at. */
export const nextListed = (database: DatabaseSync): Statement<[queue: string, type: string]> =>
  prepare(
    database,
    `SELECT queue, type FROM task INDEXED BY task_list WHERE state = ? AND state NOT IN (1, 2) AND ${from} LIMIT 1`
  )

/** When the first task of a queue and type became due that is pending, in the order of work, whatever its gate. */
export const firstWaiting = (database: DatabaseSync): (queue: string, type: string) => number | undefined => {
  const ofLane = "state = 1 AND queue = ? AND type = ?"
  const plain = prepare<[dueAt: number, rank: number, seq: number]>(
    database,
    `SELECT due_at, rank, seq FROM task INDEXED BY task_lane WHERE ${ofLane} AND line = '' ORDER BY rank, seq LIMIT 1`
  )
  // the index has rank and seq of all its lines, and is read once; the task is looked up at the end
  const gated = prepare<[dueAt: number, rank: number, seq: number]>(
    database,
    `SELECT due_at, rank, seq FROM task WHERE seq = (
      SELECT seq FROM task INDEXED BY task_lane WHERE ${ofLane} AND line > '' ORDER BY rank, seq LIMIT 1
    )`
  )
  return (queue, type) => {
    const [a, b] = [plain.get(queue, type), gated.get(queue, type)]
    if (a === undefined || b === undefined) return (a ?? b)?.[0]
    return b[1] < a[1] || (b[1] === a[1] && b[2] < a[2]) ? b[0] : a[0]
  }
}

type Name = readonly [queue: string, type: string, ...unknown: ReadonlyArray<unknown>]

/** Lanes counted at once at most: it keeps the process, for less than ten milliseconds but for what is to be counted. */
const maxLanes = 1000

/**
 * The queues and types that have tasks, and how many of those wait and run. Each state that tasks pile up in has an index
 * that begins with queue and type, so the next lane is one seek away however many tasks lie between. Finished tasks are
 * not counted: a million of them would keep the process for a tenth of a second.
 *
 * The read answers what one moment has, whatever other processes write.
 */
export const counting = (database: DatabaseSync) => {
  const begin = prepare(database, "BEGIN")
  const end = prepare(database, "COMMIT")
  const firstPending = prepare<[queue: string, type: string]>(
    database,
    `SELECT queue, type FROM task INDEXED BY task_lane WHERE state = 1 AND ${from} LIMIT 1`
  )
  const firstListed = nextListed(database)
  const pending = prepare<[count: number]>(
    database,
    "SELECT count(*) FROM task INDEXED BY task_lane WHERE state = 1 AND queue = ? AND type = ?"
  )
  const waitingSince = firstWaiting(database)
  const scheduled = prepare<[count: number]>(
    database,
    `SELECT count(*) FROM task INDEXED BY task_list
      WHERE state = 0 AND state NOT IN (1, 2) AND queue = ? AND type = ?`
  )
  // as many as there are slots: their index does not know their lanes
  const running = prepare<[queue: string, type: string, count: number]>(
    database,
    "SELECT queue, type, count(*) FROM task INDEXED BY task_lease WHERE state = 2 GROUP BY queue, type"
  )

  /** As many lanes of a range as are counted at once, and one more, of those that an index leads to. */
  const firstOf = (range: LaneRange, limit: number, next: (queue: string, type: string) => Name | undefined) => {
    const names: Array<Name> = []
    let name = next(...startOf(range))
    while (name !== undefined && isIn(range, name) && names.length <= limit) {
      names.push(name)
      name = next(name[0], ByteOrder.after(name[1]))
    }
    return names
  }

  const read = (range: LaneRange, now: number): CountedLanes => {
    const limit = Math.min(range.limit, maxLanes)
    const runs = running.all().filter((name) => isIn(range, name) && compare(name, startOf(range)) >= 0)
    const names = [
      ...runs,
      ...firstOf(range, limit, (queue, type) => firstPending.get(queue, type)),
      ...(["scheduled", ...finished] as const).flatMap((state) =>
        firstOf(range, limit, (queue, type) => firstListed.get(stateCode[state], queue, type))
      )
    ].sort(compare).filter((name, index, all) => index === 0 || compare(all[index - 1]!, name) !== 0)
    const runningIn = new Map(runs.map(([queue, type, count]) => [nameOf(queue, type), count]))
    const lanes = names.slice(0, limit).map(([queue, type]): LaneCounts => {
      const since = waitingSince(queue, type)
      return {
        queue,
        type,
        scheduled: scheduled.get(queue, type)![0],
        pending: since === undefined ? 0 : pending.get(queue, type)![0],
        running: runningIn.get(nameOf(queue, type)) ?? 0,
        waitingSince: since ?? null
      }
    })
    return { lanes, more: names.length > limit, now }
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

const isIn = ({ queue }: LaneRange, name: Name): boolean => queue === undefined || name[0] === queue

const compare = (a: Name, b: Name): number => ByteOrder.compare(a[0], b[0]) || ByteOrder.compare(a[1], b[1])

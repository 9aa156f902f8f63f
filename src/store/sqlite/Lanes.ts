/**
 * The lanes: queues and types that have pending tasks, each filed under a place that none of its tasks is before. They
 * are kept in memory, because a table of them would cost each commit pages of its own. The index of pending tasks
 * has them too: it is read when the first claim comes, when another process has written to the file since, and when a
 * transaction was rolled back. The paused queues are read with them.
 */
import type { DatabaseSync } from "node:sqlite"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import { finished } from "../../domain/TaskState.ts"
import {
  type CountedLanes,
  type Coverage,
  type LaneCounts,
  LaneOrder,
  type LaneRange,
  nameOf,
  OrderedLane,
  type Runnable,
  startOf,
  wantedOf
} from "../Lanes.ts"
import type { Place } from "../Order.ts"
import * as PausedQueues from "../PausedQueues.ts"
import { stateCode } from "../TaskRow.ts"
import type { Stranded } from "../TaskStore.ts"
import { prepare, type Statement } from "./Database.ts"

/**
 * Lanes from which on they are read again once they have doubled: those whose tasks were all cancelled stay until a claim
 * looks at them, and clients choose the names of queues without end.
 */
const minReloadedLanes = 10_000

/**
 * Seeks a lane by its name, the first one from a place on. Not with `>`: SQLite seeks what is equal too, and steps over all
 * tasks of that lane, 65 ms a million.
 */
const from = "(queue, type) >= (?, ?) ORDER BY queue, type"

/** Prepares the seek of a lane that has tasks in a state: one that tasks pile up in and no claim looks at. */
export const nextListed = (database: DatabaseSync): Statement<[queue: string, type: string]> =>
  prepare(
    database,
    `SELECT queue, type FROM task INDEXED BY task_list WHERE state = ? AND state NOT IN (1, 2) AND ${from} LIMIT 1`
  )

/** Tasks that a claim reads first of a lane that is not its first: many such lanes give it one or none. */
const aFew = 8

/** A lane, and as many of its tasks as a claim has to know. */
class Lane extends OrderedLane<Place, Lane> {
  private readonly readOn: (lane: Lane, read: Array<Place>) => boolean
  private read: Array<Place> = []
  private taken = 0
  private hasMore = true

  constructor(queue: string, ofType: Lane["ofType"], readOn: Lane["readOn"]) {
    super(queue, ofType)
    this.readOn = readOn
  }

  first(): Place | undefined {
    if (this.taken === this.read.length && this.hasMore) this.hasMore = this.readOn(this, this.read)
    return this.read[this.taken]
  }

  shift(): void {
    this.taken++
  }

  /** What was read is not true for ever. */
  forget(): void {
    this.read = []
    this.taken = 0
    this.hasMore = true
  }
}

/** The lanes of a file, as the open transaction has them. */
export class Lanes {
  private readonly nextLane
  private readonly since
  private readonly pausedQueues
  private readonly heads
  /** `undefined` until they are asked for. */
  private lanes: LaneOrder<Place, Lane> | undefined
  private version: number | undefined
  private maxCount = 0
  /** Those that the latest claim has read, and how many tasks it was to take. */
  private looked: Array<Lane> = []
  private limit = 0
  /** `undefined` until they are asked for. */
  private paused: Set<string> | undefined
  private readonly isPaused = (queue: string): boolean => this.paused?.has(queue) === true

  constructor(database: DatabaseSync) {
    this.nextLane = prepare<[queue: string, type: string, rank: number, seq: number]>(
      database,
      `SELECT queue, type, rank, seq FROM task WHERE state = 1 AND ${from}, rank, seq LIMIT 1`
    )
    this.since = prepare<[dueAt: number]>(
      database,
      "SELECT due_at FROM task WHERE state = 1 AND queue = ? AND type = ? ORDER BY rank, seq LIMIT 1"
    )
    // one lane, from its index alone
    this.heads = prepare<[rank: number, seq: number]>(
      database,
      "SELECT rank, seq FROM task WHERE state = 1 AND queue = ? AND type = ? ORDER BY rank, seq LIMIT ? OFFSET ?"
    )
    this.pausedQueues = prepare<[queue: string]>(database, `SELECT id FROM record WHERE kind = '${PausedQueues.kind}'`)
  }

  /** How many are remembered. */
  get size(): number {
    return this.lanes?.size ?? 0
  }

  /** To be called when a transaction has been rolled back. */
  forget(): void {
    this.lanes = undefined
    this.paused = undefined
  }

  /** To be called when queues are paused or resumed. */
  forgetPaused(): void {
    this.paused = undefined
  }

  /** To be called for each task that becomes pending. */
  note(queue: string, type: string, rank: number, seq: number): void {
    this.lanes?.file(queue, type, { rank, seq })
  }

  /** Takes up to `limit` tasks of the lanes that are wanted, by rank. */
  take(wanted: Runnable, limit: number, version: number): ReadonlyArray<Place> {
    const lanes = this.refresh(version)
    for (const lane of this.looked) lane.forget()
    this.looked = []
    this.limit = limit
    return lanes.take(wantedOf(wanted, this.isPaused), limit)
  }

  /** Adds tasks to those that have been read of a lane; answers whether there may be more. */
  private readonly readOn: Lane["readOn"] = (lane, read) => {
    const { length } = read
    // one more than may be taken tells where the lane goes on
    const amount = length > 0 ? length : this.looked.push(lane) === 1 ? this.limit + 1 : aFew
    const rows = this.heads.all(lane.queue, lane.type, amount, length)
    for (const [rank, seq] of rows) read.push({ rank, seq })
    return rows.length === amount
  }

  /** Up to `limit` lanes that are not covered. */
  stranded(coverage: Coverage, limit: number, version: number): ReadonlyArray<Stranded> {
    return this.refresh(version).stranded(coverage, limit, ({ queue, type }) => this.since.get(queue, type)?.[0])
  }

  /** The lanes as the file has them now, whose version this is. */
  refresh(version: number): LaneOrder<Place, Lane> {
    let lanes = this.lanes
    if (lanes === undefined || version !== this.version || lanes.size > this.maxCount) lanes = this.load()
    this.paused ??= new Set(this.pausedQueues.all().map(([queue]) => queue))
    this.version = version
    return lanes
  }

  /** One seek for each lane. */
  private load(): LaneOrder<Place, Lane> {
    this.forget()
    const lanes = this.lanes = new LaneOrder<Place, Lane>((queue, ofType) => new Lane(queue, ofType, this.readOn))
    for (let row = this.nextLane.get("", ""); row !== undefined;) {
      const [queue, type, rank, seq] = row
      lanes.file(queue, type, { rank, seq })
      row = this.nextLane.get(queue, ByteOrder.after(type))
    }
    this.maxCount = Math.max(minReloadedLanes, lanes.size * 2)
    return lanes
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
      const since = waitingSince.get(queue, type)
      return {
        queue,
        type,
        scheduled: scheduled.get(queue, type)![0],
        pending: since === undefined ? 0 : pending.get(queue, type)![0],
        running: runningIn.get(nameOf(queue, type)) ?? 0,
        waitingSince: since?.[0] ?? null
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

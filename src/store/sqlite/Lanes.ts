/**
 * The lanes: queues and types that have pending tasks, each filed under a place that none of its tasks is before. They
 * are kept in memory, because a table of them would cost each commit pages of its own. The index of pending tasks
 * has them too: it is read when the first claim comes, when another process has written to the file since, and when a
 * transaction was rolled back. The paused queues are read with them.
 */
import type { DatabaseSync } from "node:sqlite"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import { finished, type TaskState } from "../../domain/TaskState.ts"
import { type CountedLanes, type Coverage, type LaneCounts, type LaneRange, startOf } from "../Lanes.ts"
import { byRank, type Filed, Order, type Place } from "../Order.ts"
import * as PausedQueues from "../PausedQueues.ts"
import { stateCode } from "../TaskRow.ts"
import type { Stranded } from "../TaskStore.ts"
import { prepare } from "./Database.ts"

/** Which lanes a claim takes from. */
export interface Wanted {
  readonly queues: ReadonlySet<string> | undefined
  readonly types: ReadonlySet<string>
}

/** The lane whose turn it is. */
export interface Leader {
  readonly lane: Lane
  /** A place that no task of another lane is before; `undefined` if there is no other lane. */
  readonly next: Place | undefined
}

/** A queue and a type. */
export class Lane {
  readonly queue: string
  readonly ofType: OfType
  filed: Filed<Lane> | undefined

  constructor(queue: string, ofType: OfType) {
    this.queue = queue
    this.ofType = ofType
  }

  get type(): string {
    return this.ofType.type
  }
}

/** The lanes of one type. */
class OfType {
  readonly type: string
  readonly byQueue = new Map<string, Lane>()
  readonly order = new Order<Lane>()
  filed: Filed<OfType> | undefined

  constructor(type: string) {
    this.type = type
  }
}

/**
 * Lanes from which on they are read again once they have doubled: those whose tasks were all cancelled stay until a claim
 * looks at them, and clients choose the names of queues without end.
 */
const minReloadedLanes = 10_000

type Row = [queue: string, type: string, rank: number, seq: number]

/** The lanes of a file, as the open transaction has them. */
export class Lanes {
  private readonly firstLane
  private readonly nextType
  private readonly nextQueue
  private readonly since
  private readonly pausedQueues
  /** `undefined` until they are asked for. */
  private types: Map<string, OfType> | undefined
  private order = new Order<OfType>()
  private version: number | undefined
  /** Lanes that were added, less those that were removed. */
  private count = 0
  private maxCount = 0
  private lastNoted: Lane | undefined
  /** `undefined` until they are asked for. */
  private paused: Set<string> | undefined

  constructor(database: DatabaseSync) {
    const columns = "queue, type, rank, seq"
    this.firstLane = prepare<Row>(
      database,
      `SELECT ${columns} FROM task WHERE state = 1 AND queue >= '' ORDER BY ${columns} LIMIT 1`
    )
    // not one statement with (queue, type) > (?, ?): SQLite seeks by the queue alone and steps over its tasks, 65 ms a million
    this.nextType = prepare<Row>(
      database,
      `SELECT ${columns} FROM task WHERE state = 1 AND queue = ? AND type > ? ORDER BY ${columns} LIMIT 1`
    )
    this.nextQueue = prepare<Row>(
      database,
      `SELECT ${columns} FROM task WHERE state = 1 AND queue > ? ORDER BY ${columns} LIMIT 1`
    )
    this.since = prepare<[dueAt: number]>(
      database,
      "SELECT due_at FROM task WHERE state = 1 AND queue = ? AND type = ? ORDER BY rank, seq LIMIT 1"
    )
    this.pausedQueues = prepare<[queue: string]>(database, `SELECT id FROM record WHERE kind = '${PausedQueues.kind}'`)
  }

  /** How many are remembered. */
  get size(): number {
    return this.count
  }

  /** To be called when a transaction has been rolled back. */
  forget(): void {
    this.types = undefined
    this.paused = undefined
    this.lastNoted = undefined
  }

  /** To be called before lanes are asked for, with the version of the file. */
  refresh(version: number): void {
    if (this.types === undefined || version !== this.version || this.count > this.maxCount) this.load()
    this.paused ??= new Set(this.pausedQueues.all().map(([queue]) => queue))
    this.version = version
  }

  /** To be called for each task that becomes pending. */
  note(queue: string, type: string, rank: number, seq: number): void {
    if (this.types === undefined) return
    let lane = this.lastNoted
    if (lane?.filed === undefined || lane.queue !== queue || lane.type !== type) {
      lane = this.lastNoted = this.laneOf(this.types, queue, type)
    }
    const { filed, ofType } = lane
    if (filed !== undefined && (filed.rank < rank || (filed.rank === rank && filed.seq <= seq))) return
    ofType.order.before(lane, { rank, seq })
    this.order.before(ofType, { rank, seq })
  }

  /** To be called when queues are paused or resumed. */
  forgetPaused(): void {
    this.paused = undefined
  }

  /** To be called for a lane that has no pending tasks. One that is not removed is looked at in vain later. */
  remove(lane: Lane): void {
    const { ofType, queue } = lane
    ofType.order.remove(lane)
    if (ofType.byQueue.delete(queue)) this.count--
    if (ofType.byQueue.size > 0) return
    this.order.remove(ofType)
    this.types?.delete(ofType.type)
  }

  /** Files a lane under a later place. */
  move(lane: Lane, place: Place): void {
    lane.ofType.order.move(lane.filed!, place)
  }

  /**
   * The first wanted lane, and the place that no other lane's tasks are before; `undefined` where that takes a look at
   * more of the order. Most claims need one lane, and walking the order costs them 5 % of their time.
   */
  leader({ queues, types }: Wanted): Leader | undefined {
    if (queues !== undefined) return undefined
    for (let first = this.order.first(); first !== undefined && types.has(first.of.type); first = this.order.first()) {
      const ofType = first.of
      const lane = ofType.order.first()
      if (lane === undefined || this.paused?.has(lane.of.queue)) return undefined
      if (!byRank(first, lane)) return { lane: lane.of, next: earlier(this.order.second(), ofType.order.second()) }
      this.order.moveFirst(first, lane)
    }
    return undefined
  }

  /** The wanted lanes in the order of their places, for as long as they are asked for; to be changed afterwards. */
  inOrder(wanted: Wanted): Iterable<Lane> {
    return wanted.queues === undefined ? this.ofTypes(wanted) : this.named(wanted.queues, wanted)
  }

  private *ofTypes({ types }: Wanted): Generator<Lane, void> {
    const aside: Array<Filed<OfType>> = []
    const asideOf = new Map<OfType, Array<Filed<Lane>>>()
    try {
      for (let first = this.order.first(); first !== undefined; first = this.order.first()) {
        const ofType = first.of
        const lane = types.has(ofType.type) ? ofType.order.first() : undefined
        if (lane === undefined) {
          aside.push(this.order.setAside())
        } else if (byRank(first, lane)) {
          this.order.moveFirst(first, lane)
        } else {
          const lanes = asideOf.get(ofType)
          if (lanes === undefined) asideOf.set(ofType, [ofType.order.setAside()])
          else lanes.push(ofType.order.setAside())
          if (!this.paused?.has(lane.of.queue)) yield lane.of
        }
      }
    } finally {
      this.order.putBack(aside)
      for (const [ofType, lanes] of asideOf) {
        ofType.order.putBack(lanes)
        // it may have been filed behind those that were set aside
        this.order.before(ofType, lanes[0]!)
      }
    }
  }

  private named(queues: ReadonlySet<string>, { types }: Wanted): ReadonlyArray<Lane> {
    const found: Array<Lane> = []
    for (const type of types) {
      const byQueue = this.types?.get(type)?.byQueue
      if (byQueue === undefined) continue
      if (byQueue.size < queues.size) {
        for (const lane of byQueue.values()) if (queues.has(lane.queue)) found.push(lane)
      } else {
        for (const queue of queues) {
          const lane = byQueue.get(queue)
          if (lane !== undefined) found.push(lane)
        }
      }
    }
    const open = found.filter(({ queue }) => !this.paused?.has(queue))
    return open.length < 2 ? open : open.sort(byPlace)
  }

  /** Up to `limit` lanes that are not covered. */
  stranded(coverage: Coverage, limit: number, version: number): ReadonlyArray<Stranded> {
    this.refresh(version)
    const found: Array<Stranded> = []
    for (const { byQueue, type } of this.types!.values()) {
      const queues = coverage.get(type)
      if (queues === "all") continue
      for (const lane of byQueue.values()) {
        if (found.length >= limit) return found
        const { queue } = lane
        if (queues?.has(queue) === true) continue
        const since = this.since.get(queue, type)?.[0]
        if (since === undefined) this.remove(lane)
        else found.push({ queue, type, since })
      }
    }
    return found
  }

  /** One seek for each lane. */
  private load(): void {
    this.forget()
    this.count = 0
    this.order = new Order()
    const types = this.types = new Map<string, OfType>()
    for (let row = this.firstLane.get(); row !== undefined;) {
      const [queue, type, rank, seq] = row
      const lane = this.laneOf(types, queue, type)
      lane.ofType.order.before(lane, { rank, seq })
      this.order.before(lane.ofType, { rank, seq })
      row = this.nextType.get(queue, type) ?? this.nextQueue.get(queue)
    }
    this.maxCount = Math.max(minReloadedLanes, this.count * 2)
  }

  private laneOf(types: Map<string, OfType>, queue: string, type: string): Lane {
    let ofType = types.get(type)
    if (ofType === undefined) types.set(type, ofType = new OfType(type))
    let lane = ofType.byQueue.get(queue)
    if (lane === undefined) {
      ofType.byQueue.set(queue, lane = new Lane(queue, ofType))
      this.count++
    }
    return lane
  }
}

const earlier = (a: Place | undefined, b: Place | undefined): Place | undefined =>
  a === undefined || (b !== undefined && byRank(b, a)) ? b : a

const byPlace = ({ filed: a }: Lane, { filed: b }: Lane): number => a!.rank - b!.rank || a!.seq - b!.seq

type Name = readonly [queue: string, type: string, ...unknown: ReadonlyArray<unknown>]

type Running = [queue: string, type: string, count: number]

/** Lanes in the order of their names: the first one from a place on. Places are asked for in their order. */
type Source<A extends Name> = (queue: string, type: string) => A | undefined

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
    const headOf = <A extends Name>(source: Source<A>) => new Head(source, startOf(range))
    const listed = (state: TaskState) => headOf((queue, type) => firstListed.get(stateCode[state], queue, type))
    const nextPending = headOf((queue, type) => firstPending.get(queue, type))
    const nextScheduled = listed("scheduled")
    const nextRunning = headOf(sourceOf(running.all()))
    const heads: ReadonlyArray<Head<Name>> = [nextPending, nextScheduled, nextRunning, ...finished.map(listed)]
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
class Head<out A extends Name> {
  lane: A | undefined
  private readonly source: Source<A>

  constructor(source: Source<A>, [queue, type]: Name) {
    this.source = source
    this.lane = source(queue, type)
  }

  isAt(lane: Name): boolean {
    return this.lane !== undefined && compare(this.lane, lane) === 0
  }

  /** Moves on from a lane, if it stands there. */
  pass(lane: Name): void {
    if (this.isAt(lane)) this.lane = this.source(lane[0], ByteOrder.after(lane[1]))
  }
}

const firstOf = (heads: ReadonlyArray<Head<Name>>): Name | undefined => {
  let first: Name | undefined
  for (const { lane } of heads) {
    if (lane !== undefined && (first === undefined || compare(lane, first) < 0)) first = lane
  }
  return first
}

/** Lanes that are at hand. */
const sourceOf = <A extends Name>(lanes: Array<A>): Source<A> => {
  lanes.sort(compare)
  let at = 0
  return (queue, type) => {
    while (at < lanes.length && compare(lanes[at]!, [queue, type]) < 0) at++
    return lanes[at]
  }
}

const compare = (a: Name, b: Name): number => ByteOrder.compare(a[0], b[0]) || ByteOrder.compare(a[1], b[1])

/**
 * The lanes: queues and types that have pending tasks, each filed under a place that none of its tasks is before. They
 * are kept in memory, because a table of them would cost each commit pages of its own. The index of pending tasks
 * has them too: it is read when the first claim comes, when another process has written to the file since, and when a
 * transaction was rolled back. What is paused, limits, and the tasks that run behind gates are read with them.
 */
import type { DatabaseSync } from "node:sqlite"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import * as Gate from "../../domain/Gate.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { finished, type TaskState } from "../../domain/TaskState.ts"
import { Gatekeeper } from "../Gatekeeper.ts"
import * as Gates from "../Gates.ts"
import {
  type CountedLanes,
  type Coverage,
  type LaneCounts,
  LaneOrder,
  type LaneRange,
  nameOf,
  type Runnable,
  startOf,
  wantedOf
} from "../Lanes.ts"
import { type GatedTask, Lines, type Waiting } from "../Lines.ts"
import type { Place } from "../Order.ts"
import { OrderedLane } from "../OrderedLane.ts"
import { stateCode } from "../TaskRow.ts"
import type { Stranded } from "../TaskStore.ts"
import { prepare, type Statement } from "./Database.ts"
import { Passes } from "./Passes.ts"

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

/** Tasks of one lane or line that a claim has read, as many as it has to know. */
class Reading<Row extends Place> implements Waiting<Row> {
  private readonly readOn: (read: Array<Row>) => boolean
  private read: Array<Row> = []
  private taken = 0
  private hasMore = true

  constructor(readOn: (this: void, read: Array<Row>) => boolean) {
    this.readOn = readOn
  }

  first(): Row | undefined {
    if (this.taken === this.read.length && this.hasMore) this.hasMore = this.readOn(this.read)
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

/** A lane with its tasks that have no gate. */
class Lane extends OrderedLane<Place, Lane> {
  readonly plain: Reading<Place>

  constructor(queue: string, ofType: Lane["ofType"], readOn: (lane: Lane, read: Array<Place>) => boolean) {
    super(queue, ofType)
    this.plain = new Reading((read) => readOn(this, read))
  }

  protected firstPlain(): Place | undefined {
    return this.plain.first()
  }

  protected shiftPlain(): void {
    this.plain.shift()
  }
}

/** The lanes of a file, as the open transaction has them. */
export class Lanes {
  private readonly nextLane
  private readonly nextLine
  private readonly since
  private readonly heads
  private readonly lineHeads
  private readonly gates: Passes
  /** `undefined` until they are asked for. */
  private lanes: LaneOrder<Place, Lane> | undefined
  private keeper: Gatekeeper<GatedTask>
  private version: number | undefined
  private maxCount = 0
  /** Those that the claim has read, and how many tasks it is to take. */
  private looked: Array<Reading<Place>> = []
  private lookedLines: Array<Reading<GatedTask>> = []
  private limit = 0
  private readonly rules: Gates.Rules

  constructor(database: DatabaseSync, headStartMs: number) {
    this.nextLane = prepare<[queue: string, type: string, gate: string, rank: number, seq: number]>(
      database,
      `SELECT queue, type, gate, rank, seq FROM task WHERE state = 1 AND ${from}, gate, rank, seq LIMIT 1`
    )
    this.nextLine = prepare<[gate: string, rank: number, seq: number]>(
      database,
      `SELECT gate, rank, seq FROM task INDEXED BY task_lane
        WHERE state = 1 AND queue = ? AND type = ? AND gate > ? ORDER BY gate, rank, seq LIMIT 1`
    )
    this.since = firstWaiting(database)
    // one lane or line, of the first from its index alone
    this.heads = prepare<[rank: number, seq: number]>(
      database,
      `SELECT rank, seq FROM task WHERE state = 1 AND queue = ? AND type = ? AND gate = ''
        ORDER BY rank, seq LIMIT ? OFFSET ?`
    )
    this.lineHeads = prepare<[rank: number, seq: number, id: string, priority: number, costs: string | null]>(
      database,
      `SELECT rank, seq, id, priority, costs FROM task WHERE state = 1 AND queue = ? AND type = ? AND gate = ?
        ORDER BY rank, seq LIMIT ? OFFSET ?`
    )
    this.gates = new Passes(database)
    this.rules = new Gates.Rules((kind) => this.gates.documentsOf(kind))
    this.keeper = new Gatekeeper({
      headStartMs,
      isPaused: this.rules.isKeyPaused,
      limitOf: this.rules.limitOf,
      bucketOf: (pass) => this.gates.bucketOf(pass),
      setBucket: (pass, bucket) => this.gates.setBucket(pass, bucket),
      holderOf: (pass) => this.gates.holderOf(pass),
      holderIn: (pass, queue, type, gate) => this.gates.holderIn(pass, queue, type, gate),
      setHolder: (pass, { seq }) => this.gates.setHolder(pass, seq),
      setTurn: (queue, type, gate, turn) => this.gates.setTurn(queue, type, gate, turn),
      reopened: (queue, type, place) => this.lanes?.file(queue, type, place)
    })
  }

  /** How many are remembered. */
  get size(): number {
    return this.lanes?.size ?? 0
  }

  /** When a line that is refused for its rate may start its first task, as far as that is known. */
  nextOpenAt(now: number): number | null {
    this.keeper.begin(now)
    return this.keeper.nextOpenAt()
  }

  /** To be called when a transaction has been rolled back. */
  forget(): void {
    this.lanes = undefined
    this.rules.forget()
    this.keeper.forget()
  }

  /** To be called when a record was put that claims read; `null` where it was deleted. */
  ruleChanged(kind: string, id: string, document: string | null): void {
    this.rules.changed(kind, id, document)
    if (kind === Gates.limitKind || kind === Gates.pausedKeyKind) this.keeper.reopenWith(id)
  }

  /** To be called for each task that becomes pending. A gate is a text, an empty one or none where there is no gate. */
  note(queue: string, type: string, gate: string | null, rank: number, seq: number): void {
    const place = { rank, seq }
    const lane = this.lanes?.file(queue, type, place)
    if (lane !== undefined && gate !== null && gate !== "") this.linesOf(lane).file(gate, place)
  }

  private linesOf(lane: Lane) {
    const { queue, type } = lane
    return lane.lines ??= new Lines(
      queue,
      type,
      this.keeper,
      (gate) => {
        const reading: Reading<GatedTask> = new Reading((read) => this.readLineOn(queue, type, gate, read, reading))
        return reading
      }
    )
  }

  /** To be called when a task has completed, whatever its gate is. */
  ended(id: string): void {
    this.keeper.end(id)
  }

  /** To be called when a task with a gate comes into another state. */
  changed({ id, queue, state: before, type }: TaskRecord, gate: string, state: TaskState): void {
    if (state !== "running") this.keeper.end(id)
    if (before === "pending") this.lanes?.find(queue, type)?.lines?.left(gate)
    this.keeper.touch(gate)
  }

  /** To be called when a task was removed. */
  touch(gate: string | null): void {
    this.keeper.touch(gate)
  }

  /** To be called when old tasks have been removed. */
  swept(now: number, removed: number): void {
    for (const pass of this.gates.sweep(now, this.rules.limitOf)) this.keeper.release(pass)
    if (removed > 0) this.keeper.reopenOrders()
  }

  /** Takes tokens out of a bucket. */
  charge({ amount, pass }: Gates.Charge, now: number): void {
    const limit = this.rules.limitOf(pass)
    if (limit === undefined || !("tokens" in limit)) return
    this.gates.setBucket(pass, Gate.spend(this.gates.bucketOf(pass), limit, amount, now))
    this.keeper.release(pass)
  }

  /** Lets go of the pass of an order. */
  letGo(pass: Gate.Pass): void {
    this.gates.deleteHolder(pass)
    this.keeper.reopenWith(pass)
  }

  /** How a pass stands. */
  passState(pass: Gate.Pass): Gates.PassState {
    return this.gates.stateOf(pass)
  }

  /** Takes up to `limit` tasks of the lanes that are wanted, by rank. */
  take(wanted: Runnable, limit: number, version: number, now: number): ReadonlyArray<Place> {
    const lanes = this.refresh(version)
    this.limit = limit
    this.keeper.begin(now)
    const taken = lanes.take(wantedOf(wanted, this.rules), limit)
    for (const reading of this.looked) reading.forget()
    for (const reading of this.lookedLines) reading.forget()
    this.looked = []
    this.lookedLines = []
    return taken
  }

  /** Adds tasks to those that have been read of a lane; answers whether there may be more. */
  private readonly readOn = (lane: Lane, read: Array<Place>): boolean => {
    const { length } = read
    // one more than may be taken tells where the lane goes on
    const amount = length > 0 ? length : this.looked.push(lane.plain) === 1 ? this.limit + 1 : aFew
    const rows = this.heads.all(lane.queue, lane.type, amount, length)
    for (const [rank, seq] of rows) read.push({ rank, seq })
    return rows.length === amount
  }

  /** The same of a line, which mostly gives one or none. */
  private readLineOn(
    queue: string,
    type: string,
    gate: string,
    read: Array<GatedTask>,
    reading: Reading<GatedTask>
  ): boolean {
    const { length } = read
    // with the one behind it, which is asked for next when the first is taken
    const amount = Math.max(2, length)
    if (length === 0) this.lookedLines.push(reading)
    const rows = this.lineHeads.all(queue, type, gate, amount, length)
    for (const [rank, seq, id, priority, costs] of rows) read.push({ rank, seq, id, priority, gate, costs })
    return rows.length === amount
  }

  /** Up to `limit` lanes that are not covered. */
  stranded(coverage: Coverage, limit: number, version: number): ReadonlyArray<Stranded> {
    return this.refresh(version).stranded(coverage, limit, ({ queue, type }) => this.since(queue, type))
  }

  /** The lanes as the file has them now, whose version this is. */
  refresh(version: number): LaneOrder<Place, Lane> {
    let lanes = this.lanes
    if (lanes === undefined || version !== this.version || lanes.size > this.maxCount) lanes = this.load()
    this.version = version
    return lanes
  }

  /** One seek for each lane and line. */
  private load(): LaneOrder<Place, Lane> {
    this.forget()
    const lanes = this.lanes = new LaneOrder<Place, Lane>((queue, ofType) => new Lane(queue, ofType, this.readOn))
    for (let row = this.nextLane.get("", ""); row !== undefined;) {
      const [queue, type, gate, rank, seq] = row
      const lane = lanes.file(queue, type, { rank, seq })
      if (gate !== "" || this.nextLine.get(queue, type, gate) !== undefined) this.loadLines(lane)
      row = this.nextLane.get(queue, ByteOrder.after(type))
    }
    for (const [id, gate] of this.gates.running()) this.keeper.start(id, Gate.passesOf(gate))
    this.maxCount = Math.max(minReloadedLanes, lanes.size * 2)
    return lanes
  }

  private loadLines(lane: Lane): void {
    const lines = this.linesOf(lane)
    const turns = this.gates.turnsOf(lane.queue, lane.type)
    for (let row = this.nextLine.get(lane.queue, lane.type, ""); row !== undefined;) {
      const [gate, rank, seq] = row
      const line = lines.file(gate, { rank, seq })
      line.turn = turns.get(gate) ?? line.turn
      this.lanes!.file(lane.queue, lane.type, { rank, seq })
      row = this.nextLine.get(lane.queue, lane.type, gate)
    }
  }
}

/** When the first task of a queue and type became due that is pending, in the order of work, whatever its gate. */
const firstWaiting = (database: DatabaseSync): (queue: string, type: string) => number | undefined => {
  const ofLane = "state = 1 AND queue = ? AND type = ?"
  const plain = prepare<[dueAt: number, rank: number, seq: number]>(
    database,
    `SELECT due_at, rank, seq FROM task INDEXED BY task_lane WHERE ${ofLane} AND gate = '' ORDER BY rank, seq LIMIT 1`
  )
  // the index has rank and seq of all its lines, and is read once; the task is looked up at the end
  const gated = prepare<[dueAt: number, rank: number, seq: number]>(
    database,
    `SELECT due_at, rank, seq FROM task WHERE seq = (
      SELECT seq FROM task INDEXED BY task_lane WHERE ${ofLane} AND gate > '' ORDER BY rank, seq LIMIT 1
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

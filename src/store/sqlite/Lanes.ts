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
import type { TaskState } from "../../domain/TaskState.ts"
import { Gatekeeper, type Running } from "../Gatekeeper.ts"
import * as Gates from "../Gates.ts"
import { type Coverage, LaneOrder, type Runnable, wantedOf } from "../Lanes.ts"
import { type GatedTask, type Line, Lines } from "../Lines.ts"
import type { Place } from "../Order.ts"
import { OrderedLane } from "../OrderedLane.ts"
import type { Stranded } from "../TaskStore.ts"
import { Neighbours, type Together } from "../Together.ts"
import { firstWaiting, from } from "./CountedLanes.ts"
import { prepare } from "./Database.ts"
import { Heads, Kept, type Source } from "./Heads.ts"
import { Passes } from "./Passes.ts"
import { Upcoming } from "./Upcoming.ts"

/**
 * Lanes from which on they are read again once they have doubled: those whose tasks were all cancelled stay until a claim
 * looks at them, and clients choose the names of queues without end.
 */
const minReloadedLanes = 10_000

/** Tasks that a claim reads first of a lane that is not its first: many such lanes give it one or none. */
const aFew = 8

/** Tasks of lines that are read at once at most when lines are looked for. */
const maxLoaded = 512

/** The line that the index has those tasks with gates in that wait together. */
const jointLine = " "

/** A lane with its tasks that have no gate, and those that wait together. */
class Lane extends OrderedLane<Place, Lane> {
  readonly plain: Heads<Place>
  declare together: Joint | undefined

  constructor(queue: string, ofType: Lane["ofType"], plain: Heads<Place>) {
    super(queue, ofType)
    this.plain = plain
  }

  protected firstPlain(): Place | undefined {
    return this.plain.first()
  }

  protected shiftPlain(): void {
    this.plain.shift()
  }
}

/** What is known of a task that runs. */
interface Claimed extends Running {
  readonly seq: number
}

type Details = [id: string, priority: number, costs: string | null]

/** A task of a line, as the index has it. What else a pass may ask for is read when it does: most ask for nothing. */
class Head implements GatedTask {
  readonly rank: number
  readonly seq: number
  readonly gate: string
  standings: GatedTask["standings"]
  private readonly detailsOf: (seq: number) => Details
  private known: Details | undefined

  constructor(rank: number, seq: number, gate: string, detailsOf: (seq: number) => Details) {
    this.rank = rank
    this.seq = seq
    this.gate = gate
    this.standings = undefined
    this.detailsOf = detailsOf
  }

  get id(): string {
    return this.details[0]
  }

  get priority(): number {
    return this.details[1]
  }

  get costs(): string | null {
    return this.details[2]
  }

  private get details(): Details {
    return this.known ??= this.detailsOf(this.seq)
  }
}

/** Tasks with gates that wait together. */
class Joint implements Together<GatedTask> {
  readonly keeper: Gatekeeper<GatedTask>
  readonly heads: Heads<GatedTask>
  private readonly toLine: (task: GatedTask) => void

  constructor(keeper: Gatekeeper<GatedTask>, heads: Heads<GatedTask>, toLine: (task: GatedTask) => void) {
    this.keeper = keeper
    this.heads = heads
    this.toLine = toLine
  }

  first(): GatedTask | undefined {
    return this.heads.first()
  }

  shift(): void {
    this.heads.shift()
  }

  move(task: GatedTask): void {
    this.heads.drop()
    this.toLine(task)
  }
}

/** The lanes of a file, as the open transaction has them. */
export class Lanes {
  readonly upcoming: Upcoming
  private readonly nextLane
  private readonly nextLine
  private readonly nextLines
  private readonly since
  private readonly heads
  private readonly lineHeads
  private readonly jointHeads
  private readonly toLine
  private readonly neighbours = new Neighbours()
  private readonly detailsOf
  private readonly gates: Passes
  /** `undefined` until they are asked for. */
  private lanes: LaneOrder<Place, Lane> | undefined
  private keeper: Gatekeeper<GatedTask>
  private version: number | undefined
  private maxCount = 0
  private kept = new Kept()
  /** Whether lanes and lines are being read: then they may have more tasks than were told. */
  private isLoading = false
  /** How many tasks the claim is to take, and whether it has read a lane. */
  private limit = 0
  private hasRead = false
  private readonly rules: Gates.Rules
  /** The tasks that run, by the numbers of their claims: those of this process, and all that have a gate. */
  private readonly claims = new Map<number, Claimed>()

  constructor(database: DatabaseSync, headStartMs: number) {
    this.nextLane = prepare<[queue: string, type: string, line: string, rank: number, seq: number]>(
      database,
      `SELECT queue, type, line, rank, seq FROM task WHERE state = 1 AND ${from}, line, rank, seq LIMIT 1`
    )
    const ofLines = `SELECT line, rank, seq FROM task INDEXED BY task_lane
      WHERE state = 1 AND queue = ? AND type = ? AND line > ? ORDER BY line, rank, seq`
    this.nextLine = prepare<[gate: string, rank: number, seq: number]>(database, `${ofLines} LIMIT 1`)
    this.nextLines = prepare<[gate: string, rank: number, seq: number]>(database, `${ofLines} LIMIT ?`)
    this.since = firstWaiting(database)
    // one lane or line, from its index alone
    this.heads = prepare<[rank: number, seq: number]>(
      database,
      `SELECT rank, seq FROM task WHERE state = 1 AND queue = ? AND type = ? AND line = ''
        ORDER BY rank, seq LIMIT ? OFFSET ?`
    )
    this.lineHeads = prepare<[rank: number, seq: number]>(
      database,
      `SELECT rank, seq FROM task WHERE state = 1 AND queue = ? AND type = ? AND line = ?
        ORDER BY rank, seq LIMIT ? OFFSET ?`
    )
    this.jointHeads = prepare<[rank: number, seq: number, gate: string]>(
      database,
      `SELECT rank, seq, gate FROM task INDEXED BY task_lane WHERE state = 1 AND queue = ? AND type = ? AND line = '${jointLine}'
        ORDER BY rank, seq LIMIT ? OFFSET ?`
    )
    this.toLine = prepare(database, "UPDATE task SET together = 0 WHERE seq = ?")
    const details = prepare<Details>(database, "SELECT id, priority, costs FROM task WHERE seq = ?")
    this.detailsOf = (seq: number) => details.get(seq)!
    this.upcoming = new Upcoming(database)
    this.gates = new Passes(database)
    this.rules = new Gates.Rules((kind) => this.gates.documentsOf(kind))
    this.keeper = new Gatekeeper({
      headStartMs,
      rulesVersion: this.rules.version,
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
    this.upcoming.forget()
    this.kept = new Kept()
    this.rules.forget()
    this.keeper.forget()
    this.claims.clear()
  }

  /** To be called when a record was put that claims read; `null` where it was deleted. */
  ruleChanged(kind: string, id: string, document: string | null): void {
    this.rules.changed(kind, id, document)
    if (kind === Gates.limitKind || kind === Gates.pausedKeyKind) this.keeper.reopenWith(id)
  }

  /** Whether a new task with this gate waits together with others. Where the lanes are not known, claims find out what this does not. */
  joins(queue: string, type: string, gate: string): boolean {
    return this.neighbours.areFew(gate) && this.lanes?.find(queue, type)?.lines?.has(gate) !== true &&
      this.keeper.waitsTogether(gate)
  }

  /**
   * To be called for each task that becomes pending. A gate is a text, an empty one or none where there is no gate; one that is joint waits
   * together with others.
   */
  note(queue: string, type: string, gate: string | null, rank: number, seq: number, isJoint: boolean): void {
    const place = { rank, seq }
    const lane = this.lanes?.file(queue, type, place)
    if (lane === undefined) return
    if (gate === null || gate === "") return lane.plain.add(place)
    if (isJoint) return this.jointOf(lane).heads.add(new Head(rank, seq, gate, this.detailsOf))
    this.addToLine(lane, gate, place)
  }

  private addToLine(lane: Lane, gate: string, { rank, seq }: Place): void {
    const line = this.linesOf(lane).file(gate, { rank, seq })
    headsOf(line).add(new Head(rank, seq, line.gate, this.detailsOf))
  }

  private jointOf(lane: Lane): Joint {
    if (lane.together !== undefined) return lane.together
    const { queue, type } = lane
    const source: Source<GatedTask> = {
      firstAmount: this.firstAmount,
      read: (_, amount, offset) =>
        this.jointHeads.all(queue, type, amount, offset)
          .map(([rank, seq, gate]) => new Head(rank, seq, gate, this.detailsOf))
    }
    const heads = new Heads(this.kept, !this.isLoading, source, jointLine)
    return lane.together = new Joint(this.keeper, heads, (task) => {
      this.toLine.run(task.seq)
      this.addToLine(lane, task.gate!, task)
    })
  }

  private linesOf(lane: Lane) {
    if (lane.lines !== undefined) return lane.lines
    const { queue, type } = lane
    const source: Source<GatedTask> = {
      // a claim takes one task of most lines, or none
      firstAmount: () => aFew,
      read: (gate, amount, offset) =>
        this.lineHeads.all(queue, type, gate, amount, offset)
          .map(([rank, seq]) => new Head(rank, seq, gate, this.detailsOf))
    }
    const headsOf = (gate: string) => new Heads(this.kept, !this.isLoading, source, gate)
    return lane.lines = new Lines(queue, type, this.keeper, headsOf)
  }

  /** To be called with the number that a claim gives to the first of the tasks that it has taken. */
  claimed(taken: ReadonlyArray<Place>, firstClaim: number): void {
    for (let index = 0; index < taken.length; index++) this.claims.set(firstClaim + index, taken[index]!)
  }

  /** The number of the task of a claim, as far as it is known. */
  seqOf(claim: number): number | undefined {
    return this.claims.get(claim)?.seq
  }

  /** To be called when the task of a claim runs no more, whatever its gate is. */
  ended(claim: number): void {
    const task = this.claims.get(claim)
    if (task === undefined) return
    this.claims.delete(claim)
    if (task.standings !== undefined) this.keeper.end(task)
  }

  /** To be called when a task comes into another state, or has another place. */
  changed({ claim, gate, queue, state: before, type }: TaskRecord, state: TaskState): void {
    const lane = before === "pending" ? this.lanes?.find(queue, type) : undefined
    if (state !== "running") this.ended(claim)
    if (gate === null) return lane?.plain.left()
    // it is in one of them
    lane?.together?.heads.left()
    lane?.lines?.left(gate)
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
    this.hasRead = false
    this.keeper.begin(now)
    const taken = lanes.take(wantedOf(wanted, this.rules), limit)
    this.kept.end()
    return taken
  }

  private readonly firstAmount = (): number => {
    // one more than may be taken tells where the lane goes on
    const amount = this.hasRead ? aFew : this.limit + 1
    this.hasRead = true
    return amount
  }

  /** Whether the claim had to end before it had looked at all that may start. */
  get isHalted(): boolean {
    return this.keeper.isHalted
  }

  private plainOf(queue: string, type: string): Heads<Place> {
    const source: Source<Place> = {
      firstAmount: this.firstAmount,
      read: (_, amount, offset) => this.heads.all(queue, type, amount, offset).map(([rank, seq]) => ({ rank, seq }))
    }
    return new Heads(this.kept, !this.isLoading, source, "")
  }

  /** Up to `limit` lanes that are not covered. */
  stranded(coverage: Coverage, limit: number, version: number): ReadonlyArray<Stranded> {
    // a process that runs no tasks makes no other claims
    this.kept.end()
    return this.refresh(version).stranded(coverage, limit, ({ queue, type }) => this.since(queue, type))
  }

  /** The lanes as the file has them now, whose version this is. */
  refresh(version: number): LaneOrder<Place, Lane> {
    let lanes = this.lanes
    if (lanes === undefined || version !== this.version || lanes.size > this.maxCount) lanes = this.load()
    this.version = version
    return lanes
  }

  /** One seek for each lane. */
  private load(): LaneOrder<Place, Lane> {
    this.forget()
    const isFirst = this.version === undefined
    this.isLoading = true
    const lanes = this.lanes = new LaneOrder<Place, Lane>((queue, ofType) =>
      new Lane(queue, ofType, this.plainOf(queue, ofType.type))
    )
    for (let row = this.nextLane.get("", ""); row !== undefined;) {
      const [queue, type, line, rank, seq] = row
      const lane = lanes.file(queue, type, { rank, seq })
      const next = line === "" ? this.nextLine.get(queue, type, line) : [line, rank, seq] as const
      if (next?.[0] === jointLine) {
        this.jointOf(lane)
        lanes.file(queue, type, { rank: next[1], seq: next[2] })
      }
      if (next !== undefined) this.loadLines(lane, isFirst)
      row = this.nextLane.get(queue, ByteOrder.after(type))
    }
    for (const [seq, claim, gate] of this.gates.running()) {
      this.claims.set(claim, { seq, ...this.keeper.found(Gate.passesOf(gate)) })
    }
    this.maxCount = Math.max(minReloadedLanes, lanes.size * 2)
    this.isLoading = false
    return lanes
  }

  /**
   * Lines lie one behind the other in the index. It is read piece by piece the first time, and as long as lines are short. Where
   * other processes write, this is done again and again, and the first task of each line is enough.
   */
  private loadLines(lane: Lane, isFirst: boolean): void {
    const lines = this.linesOf(lane)
    const turns = this.gates.turnsOf(lane.queue, lane.type)
    let amount = 64
    for (let after = jointLine, hasMore = true; hasMore;) {
      const rows = amount > 1 ? this.nextLines.all(lane.queue, lane.type, after, amount) : this.lineAfter(lane, after)
      hasMore = rows.length === amount
      let found = 0
      for (let start = 0; start < rows.length; found++) {
        const [gate, rank, seq] = rows[start]!
        const line = lines.file(gate, { rank, seq })
        line.turn = turns.get(gate) ?? line.turn
        this.lanes!.file(lane.queue, lane.type, { rank, seq })
        const heads: Array<Head> = []
        for (let row = rows[start]; row !== undefined && row[0] === gate; row = rows[++start]) {
          heads.push(new Head(row[1], row[2], line.gate, this.detailsOf))
        }
        headsOf(line).begin(heads, start < rows.length || !hasMore)
        after = gate
      }
      const areShort = found * 4 > rows.length
      amount = amount > 1 && this.kept.hasRoom && (isFirst || areShort) ? Math.min(amount * 2, maxLoaded) : 1
    }
  }

  /** Measured: a third of what the other statement takes for one row. */
  private lineAfter({ queue, type }: Lane, gate: string): Array<[gate: string, rank: number, seq: number]> {
    const row = this.nextLine.get(queue, type, gate)
    return row === undefined ? [] : [row]
  }
}

const headsOf = (line: Line<GatedTask>): Heads<GatedTask> =>
  // made by `linesOf`
  line.tasks as Heads<GatedTask>

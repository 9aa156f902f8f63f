/**
 * Lines: pending tasks of one queue and type that have the same gate. They face the same refusals, so a claim looks at the first
 * of each alone. A line whose gate is closed is parked until the pass that closed it may be open, so that claims look at
 * what may start, however much may not.
 *
 * This is how stores keep lines that have them in this process's memory.
 */
import * as Gate from "../domain/Gate.ts"
import * as Rank from "../domain/Rank.ts"
import { byRank, type Fileable, type Filed, Heap, Order, type Place } from "./Order.ts"

/** A task that waits behind a gate. */
export interface GatedTask extends Place {
  readonly id: string
  readonly priority: number
  readonly gate: string | null
  readonly costs: string | null
}

/** The tasks of one line, in the order of work. */
export interface Waiting<Task> {
  readonly first: () => Task | undefined
  readonly shift: (first: Task) => void
}

/** How often a line of a fair limit is still served in this turn, and where it stands since its last one. */
export interface Turn {
  readonly turn: number
  /** `0` where a new turn begins. */
  readonly credit: number
}

const oneOfEach: ReadonlyArray<number> = []

/** What a task takes of its passes: 1 where nothing is said. Nearly all tasks say nothing, and none of them is parsed for it. */
const costsIn = ({ costs }: GatedTask): ReadonlyArray<number> =>
  costs === null ? oneOfEach : JSON.parse(costs) as ReadonlyArray<number>

/** Before every task. */
const first: Place = { rank: -Infinity, seq: 0 }

const noTurn: Turn = { turn: -Infinity, credit: 0 }

/** Tasks of one queue and type with the same gate. */
export class Line<Task extends GatedTask> implements Fileable<Line<Task>> {
  filed: Filed<Line<Task>> | undefined
  turn: Turn = noTurn
  /** Whether it is parked, and until when at most. */
  parked: { readonly pass: Gate.Pass; readonly until: number } | undefined
  readonly gate: string
  readonly passes: ReadonlyArray<Gate.Pass>
  readonly tasks: Waiting<Task>
  readonly lines: Lines<Task>

  constructor(gate: string, tasks: Waiting<Task>, lines: Lines<Task>) {
    this.gate = gate
    this.passes = Gate.passesOf(gate)
    this.tasks = tasks
    this.lines = lines
  }

  /** Where it stands with this first task. */
  placeOf({ rank, seq }: Place): Place {
    return { rank: Math.max(rank, this.turn.turn), seq }
  }
}

/** A line whose gate is open to its first task, and where it stands. */
export interface Open<Task extends GatedTask> {
  readonly line: Line<Task>
  readonly task: Task
  readonly place: Place
}

/** The lines of one queue and type. */
export class Lines<Task extends GatedTask> {
  readonly queue: string
  readonly type: string
  private readonly byGate = new Map<string, Line<Task>>()
  private readonly order = new Order<Line<Task>>()
  private readonly keeper: Gatekeeper<Task>
  private readonly make: (gate: string) => Waiting<Task>

  constructor(queue: string, type: string, keeper: Gatekeeper<Task>, make: (gate: string) => Waiting<Task>) {
    this.queue = queue
    this.type = type
    this.keeper = keeper
    this.make = make
  }

  /** How many there are, parked ones too. */
  get size(): number {
    return this.byGate.size
  }

  all(): Iterable<Line<Task>> {
    return this.byGate.values()
  }

  /** The line of a task that becomes pending. It is looked at again: the task may be one that its gate lets pass. */
  file(gate: string, task: Place): Line<Task> {
    let line = this.byGate.get(gate)
    if (line === undefined) this.byGate.set(gate, line = new Line(gate, this.make(gate), this))
    // its first task may be before the new one
    if (line.parked === undefined) this.order.before(line, task)
    else this.keeper.reopen(line)
    return line
  }

  /** To be called when a task of a line was cancelled. */
  left(gate: string): void {
    const line = this.byGate.get(gate)
    if (line !== undefined && line.turn !== noTurn && line.tasks.first() === undefined) this.keeper.emptied(line)
  }

  /** To be called for a line that may start something again. */
  reopen(line: Line<Task>): void {
    this.order.before(line, first)
  }

  /** Takes the first task of an open line. */
  take(line: Line<Task>, task: Task): void {
    // one that holds its order may stand behind others, and is stepped over once it runs
    if (line.tasks.first()?.seq === task.seq) line.tasks.shift(task)
    this.keeper.take(line, task)
    if (line.turn !== noTurn && line.tasks.first() === undefined) this.keeper.emptied(line)
  }

  /** The first line whose gate is open, with its first task and its place. */
  open(): Open<Task> | undefined {
    for (let filed = this.order.first(); filed !== undefined; filed = this.order.first()) {
      const line = filed.of
      const task = line.tasks.first()
      if (task === undefined) {
        this.order.remove(line)
        this.byGate.delete(line.gate)
        if (line.turn !== noTurn) this.keeper.emptied(line)
        continue
      }
      const place = line.placeOf(task)
      if (byRank(filed, place)) {
        this.order.moveFirst(filed, place)
        continue
      }
      const refusal = this.keeper.refusalOf(line, task)
      if (refusal === undefined) return { line, task, place }
      // the one that holds the order may wait here, behind others, and goes in the place of the first
      const holder = refusal.code === "key_blocked" ? this.keeper.holderIn(line, refusal.pass) : undefined
      const refusalOfHolder = holder === undefined ? refusal : this.keeper.refusalOf(line, holder)
      if (holder !== undefined && refusalOfHolder === undefined) return { line, task: holder, place }
      this.order.remove(line)
      this.keeper.park(line, refusalOfHolder ?? refusal)
    }
    return undefined
  }
}

/** What a gatekeeper knows from its driver, and tells it to keep. */
export interface Kept<Task extends GatedTask> {
  readonly headStartMs: number
  readonly isPaused: (pass: Gate.Pass) => boolean
  readonly limitOf: (pass: Gate.Pass) => Gate.Limit | undefined
  readonly bucketOf: (pass: Gate.Pass) => Gate.Bucket | undefined
  readonly setBucket: (pass: Gate.Pass, bucket: Gate.Bucket) => void
  readonly holderOf: (pass: Gate.Pass) => Gate.Holder | undefined
  /** The holder of a pass, if it waits in this line. */
  readonly holderIn: (pass: Gate.Pass, queue: string, type: string, gate: string) => Task | undefined
  readonly setHolder: (pass: Gate.Pass, task: GatedTask) => void
  /** `undefined` forgets it. */
  readonly setTurn: (queue: string, type: string, gate: string, turn: Turn | undefined) => void
  /** A line may start something again: its queue and type are looked at by the next claim. */
  readonly reopened: (queue: string, type: string, place: Place) => void
}

/** Decides whose gate is open, counts the tasks that run, and knows the lines that are parked. */
export class Gatekeeper<Task extends GatedTask> implements Gate.Passes {
  readonly isPaused
  readonly limitOf
  readonly bucketOf
  readonly holderOf
  private readonly kept: Kept<Task>
  private readonly counts = new Map<Gate.Pass, Set<string>>()
  private readonly gates = new Map<string, ReadonlyArray<Gate.Pass>>()
  private readonly parked = new Map<Gate.Pass, Set<Line<Task>>>()
  private readonly timed = new Heap<{ readonly until: number; readonly line: Line<Task> }>((a, b) => a.until < b.until)
  private now = -Infinity
  private served = 0

  constructor(kept: Kept<Task>) {
    this.kept = kept
    this.isPaused = kept.isPaused
    this.limitOf = kept.limitOf
    this.bucketOf = kept.bucketOf
    this.holderOf = kept.holderOf
  }

  /** To be called when a claim begins. */
  begin(now: number): void {
    // what is parked until a time would wait for longer than that
    if (now < this.now) this.reopenAll()
    this.now = now
    this.served = 0
    for (let next = this.timed.first(); next !== undefined && next.until <= now; next = this.timed.first()) {
      this.timed.shift()
      if (next.line.parked?.until === next.until) this.reopen(next.line)
    }
  }

  /** When a line that is parked until a time may start its first task; `null` where there is none. */
  nextOpenAt(): number | null {
    let next = this.timed.first()
    while (next !== undefined && next.line.parked?.until !== next.until) {
      this.timed.shift()
      next = this.timed.first()
    }
    return next?.until ?? null
  }

  running(pass: Gate.Pass): number {
    return this.counts.get(pass)?.size ?? 0
  }

  /** The tasks that run with a pass, the longest first. */
  holdersOf(pass: Gate.Pass): ReadonlyArray<string> {
    return [...this.counts.get(pass) ?? []]
  }

  /** The task that holds an order's pass, if it waits in this line, behind its first. */
  holderIn({ gate, lines: { queue, type } }: Line<Task>, pass: Gate.Pass): Task | undefined {
    const holder = this.kept.holderIn(pass, queue, type, gate)
    // what this claim has taken waits no more
    return holder === undefined || this.gates.has(holder.id) ? undefined : holder
  }

  refusalOf({ passes }: Line<Task>, task: Task): Gate.Refusal | undefined {
    return Gate.refusal(task.id, passes, costsIn(task), this, this.now)
  }

  /** To be called for the first task of a line when a claim takes it. */
  take(line: Line<Task>, task: Task): void {
    const costs = costsIn(task)
    this.start(task.id, line.passes)
    let weight: number | undefined
    for (const [index, pass] of line.passes.entries()) {
      const limit = this.limitOf(pass)
      if (limit === undefined) continue
      if ("tokens" in limit) {
        this.kept.setBucket(pass, Gate.spend(this.bucketOf(pass), limit, costs[index] ?? 1, this.now))
      } else if ("order" in limit) this.kept.setHolder(pass, task)
      else if ("fair" in limit) weight = limit.fair
    }
    if (weight !== undefined) this.serve(line, task, weight)
    this.served++
  }

  private serve(line: Line<Task>, { priority }: Task, weight: number): void {
    const left = (line.turn.credit === 0 ? weight : Math.min(line.turn.credit, weight)) - 1
    line.turn = left > 0
      ? { turn: line.turn.turn, credit: left }
      : { turn: Gate.turnOf(Rank.rank(this.now, priority, this.kept.headStartMs), this.served), credit: 0 }
    this.kept.setTurn(line.lines.queue, line.lines.type, line.gate, line.turn)
  }

  /** To be called for a task that runs. */
  start(id: string, passes: ReadonlyArray<Gate.Pass>): void {
    this.gates.set(id, passes)
    for (const pass of passes) {
      const running = this.counts.get(pass)
      if (running === undefined) this.counts.set(pass, new Set([id]))
      else running.add(id)
    }
  }

  /** To be called for a task that runs no more, whatever its gate was. */
  end(id: string): void {
    const passes = this.gates.get(id)
    if (passes === undefined) return
    this.gates.delete(id)
    for (const pass of passes) {
      const running = this.counts.get(pass)!
      running.delete(id)
      if (running.size === 0) this.counts.delete(pass)
      this.release(pass)
    }
  }

  /** To be called when something about a task changed that its passes may depend on. */
  touch(gate: string | null): void {
    if (gate !== null && this.parked.size > 0) { for (const pass of Gate.passesOf(gate)) this.release(pass) }
  }

  /** To be called when nothing is known any more: lines, and tasks that run, are told again. */
  forget(): void {
    this.counts.clear()
    this.gates.clear()
    this.parked.clear()
    this.timed.filter(() => false)
  }

  /** Lets the lines that are parked under a pass be looked at again. */
  release(pass: Gate.Pass): void {
    const lines = this.parked.get(pass)
    if (lines !== undefined) { for (const line of lines) this.reopen(line) }
  }

  /** The same for all lines. */
  reopenAll(): void {
    for (const pass of this.parked.keys()) this.release(pass)
  }

  /** The same for those that wait for another task of their order: it may have been taken away. */
  reopenOrders(): void {
    for (const pass of this.parked.keys()) if (pass.startsWith(Gate.orderMark)) this.release(pass)
  }

  park(line: Line<Task>, refusal: Gate.Refusal): void {
    const { pass } = refusal
    const until = refusal.code === "rate_spent" ? refusal.until : Infinity
    line.parked = { pass, until }
    const lines = this.parked.get(pass)
    if (lines === undefined) this.parked.set(pass, new Set([line]))
    else lines.add(line)
    if (until < Infinity) this.timed.push({ until, line })
  }

  private unpark(line: Line<Task>): void {
    const { pass } = line.parked!
    const lines = this.parked.get(pass)
    line.parked = undefined
    lines?.delete(line)
    if (lines?.size === 0) this.parked.delete(pass)
  }

  /** To be called for a line of a fair limit that has no more tasks: it begins a new turn with its next one. */
  emptied(line: Line<Task>): void {
    line.turn = noTurn
    this.kept.setTurn(line.lines.queue, line.lines.type, line.gate, undefined)
  }

  /** Lets a line that is parked be looked at again, from its first task on. */
  reopen(line: Line<Task>): void {
    this.unpark(line)
    line.lines.reopen(line)
    this.kept.reopened(line.lines.queue, line.lines.type, first)
  }
}

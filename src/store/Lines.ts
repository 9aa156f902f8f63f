/**
 * Lines: pending tasks of one queue and type that have the same gate. They face the same refusals, so a claim looks at the first
 * of each alone. A line whose gate is closed is parked until the pass that closed it may be open, so that claims look at
 * what may start, however much may not.
 *
 * This is how stores keep lines that have them in this process's memory.
 */
import * as Gate from "../domain/Gate.ts"
import { byRank, type Fileable, type Filed, Order, type Place } from "./Order.ts"
import type { Standing } from "./Standings.ts"

/** A task that waits behind a gate. */
export interface GatedTask extends Place {
  readonly id: string
  readonly priority: number
  readonly gate: string | null
  readonly costs: string | null
  /** How the passes stand with which it runs; `undefined` while it does not. */
  standings: ReadonlyArray<Standing> | undefined
}

/** The tasks of one line, in the order of work. */
export interface Waiting<Task> {
  readonly first: () => Task | undefined
  readonly shift: (first: Task) => void
  /** To be called when another one than the first is taken: this one. */
  readonly stepOver: (taken: Task) => void
  /** To be called when one of them is not pending any more, or stands elsewhere. */
  readonly left: () => void
  /** To be called when their line is parked: claims do not look at them for now. */
  readonly parked: () => void
}

/** How often a line of a fair limit is still served in this turn, and where it stands since its last one. */
export interface Turn {
  readonly turn: number
  /** `0` where a new turn begins. */
  readonly credit: number
}

/** Before every task. */
export const first: Place = { rank: -Infinity, seq: 0 }

/** A line that was not served yet. */
export const noTurn: Turn = { turn: -Infinity, credit: 0 }

/** Where a line is parked, and until when at most. */
export interface Parked<Task extends GatedTask> {
  readonly pass: Gate.Pass
  readonly until: number
  /** What it goes in where the pass is full. */
  readonly lot: Lot<Task> | undefined
}

/**
 * The lines of one lane that a full pass has stopped, or an open breaker, in the order of work. When the pass has room, as many come back; when
 * one of them was looked at, and the pass has room still, the next one follows.
 */
export interface Lot<Task extends GatedTask> {
  readonly pass: Gate.Pass
  readonly of: Lines<Task>
  readonly order: Order<Line<Task>>
  readonly lines: Set<Line<Task>>
  /** Those that have come back and were not looked at since. */
  out: number
  /** None of these is behind it. */
  reach: Place
}

/** What tells when a parked line is to be looked at again. */
export interface Wake<Task extends GatedTask> extends Fileable<Wake<Task>> {
  readonly line: Line<Task>
}

/** Tasks of one queue and type with the same gate. */
export class Line<Task extends GatedTask> implements Fileable<Line<Task>> {
  /** Among the lines of its lane, or those of its lot. */
  filed: Filed<Line<Task>> | undefined
  turn: Turn = noTurn
  parked: Parked<Task> | undefined
  /** The lot that it has come back from, until it is looked at. */
  from: Lot<Task> | undefined
  wake: Wake<Task> | undefined
  readonly gate: string
  readonly passes: ReadonlyArray<Gate.Pass>
  /** How each of them stands. */
  readonly standings: ReadonlyArray<Standing>
  readonly tasks: Waiting<Task>
  readonly lines: Lines<Task>

  constructor(gate: string, keeper: Keeper<Task>, tasks: Waiting<Task>, lines: Lines<Task>) {
    this.gate = gate
    this.passes = Gate.passesOf(gate)
    this.standings = keeper.enter(this.passes)
    this.tasks = tasks
    this.lines = lines
  }

  /** Where it stands with this first task. */
  placeOf(task: Place): Place {
    const { turn } = this.turn
    return turn > task.rank ? { rank: turn, seq: task.seq } : task
  }
}

/** A line whose gate is open to its first task, and where it stands. */
export interface Open<Task extends GatedTask> {
  readonly line: Line<Task>
  readonly task: Task
  readonly place: Place
}

/** What a gatekeeper knows from its driver, and tells it to keep. */
export interface Kept<Task extends GatedTask> {
  readonly headStartMs: number
  /** Another number once passes may be paused or limited in another way. */
  readonly rulesVersion: () => number
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

/** What decides about lines: see `Gatekeeper`. */
export interface Keeper<Task extends GatedTask> {
  /** How the passes of a new line stand. */
  readonly enter: (passes: ReadonlyArray<Gate.Pass>) => ReadonlyArray<Standing>
  /** Why the first task of a line, or another one, may not start. */
  readonly refusalOf: (line: Line<Task>, task: Task) => Gate.Refusal | undefined
  /** The task that holds an order's pass, if it waits in this line, behind its first. */
  readonly holderIn: (line: Line<Task>, pass: Gate.Pass) => Task | undefined
  readonly take: (line: Line<Task>, task: Task) => void
  readonly park: (line: Line<Task>, place: Place, refusal: Gate.Refusal) => void
  readonly reopen: (line: Line<Task>) => void
  /** A line that has come back from its lot stands later than was thought. */
  readonly putBack: (line: Line<Task>, place: Place) => void
  /** A line has no more tasks and is forgotten. */
  readonly gone: (line: Line<Task>) => void
  /** The same for all lines of a lane. */
  readonly allGone: (lines: Iterable<Line<Task>>) => void
  /** A line of a fair limit has no more tasks. */
  readonly emptied: (line: Line<Task>) => void
}

/** The lines of one queue and type. */
export class Lines<Task extends GatedTask> {
  readonly queue: string
  readonly type: string
  private readonly byGate = new Map<string, Line<Task>>()
  private readonly order = new Order<Line<Task>>()
  private readonly keeper: Keeper<Task>
  private readonly make: (gate: string) => Waiting<Task>

  constructor(queue: string, type: string, keeper: Keeper<Task>, make: (gate: string) => Waiting<Task>) {
    this.queue = queue
    this.type = type
    this.keeper = keeper
    this.make = make
  }

  /** How many there are, parked ones too. */
  get size(): number {
    return this.byGate.size
  }

  /** Whether the tasks with this gate have a line. */
  has(gate: string): boolean {
    return this.byGate.has(gate)
  }

  all(): Iterable<Line<Task>> {
    return this.byGate.values()
  }

  /** The line of a task that becomes pending. It is looked at again: the task may be one that its gate lets pass. */
  file(gate: string, task: Place): Line<Task> {
    let line = this.byGate.get(gate)
    if (line === undefined) this.byGate.set(gate, line = new Line(gate, this.keeper, this.make(gate), this))
    // its first task may be before the new one
    if (line.parked === undefined) this.order.before(line, task)
    else this.keeper.reopen(line)
    return line
  }

  /** To be called when a task of a line is not pending any more without having been taken, or stands elsewhere. */
  left(gate: string): void {
    const line = this.byGate.get(gate)
    if (line === undefined) return
    line.tasks.left()
    if (line.turn !== noTurn && line.tasks.first() === undefined) this.keeper.emptied(line)
  }

  /** To be called for a line that may start something again, and where it stands at least. */
  reopen(line: Line<Task>, place: Place): void {
    this.order.before(line, place)
  }

  /** To be called when no task is pending any more. */
  abandon(): void {
    this.keeper.allGone(this.byGate.values())
    this.byGate.clear()
  }

  /** Takes the first task of an open line. */
  take(line: Line<Task>, task: Task): void {
    // one that holds its order may stand behind others
    if (line.tasks.first()?.seq === task.seq) line.tasks.shift(task)
    else line.tasks.stepOver(task)
    this.keeper.take(line, task)
    if (line.turn === noTurn) return
    const next = line.tasks.first()
    if (next === undefined) this.keeper.emptied(line)
    // the turn of a higher priority may be before the one that it had
    else this.order.before(line, line.placeOf(next))
  }

  /** The first line whose gate is open, with its first task and its place, if there is one before this other place. */
  open(before: Place | undefined): Open<Task> | undefined {
    for (let filed = this.order.first(); filed !== undefined; filed = this.order.first()) {
      if (before !== undefined && byRank(before, filed)) return undefined
      const line = filed.of
      const task = line.tasks.first()
      if (task === undefined) {
        this.order.remove(line)
        this.byGate.delete(line.gate)
        this.keeper.gone(line)
        continue
      }
      const place = line.placeOf(task)
      if (byRank(filed, place)) {
        if (line.from === undefined) this.order.moveFirst(filed, place)
        else {
          // another one of its lot may stand before it
          this.order.remove(line)
          this.keeper.putBack(line, place)
        }
        continue
      }
      const refusal = this.keeper.refusalOf(line, task)
      if (refusal === undefined) return { line, task, place }
      // the one that holds the order may wait here, behind others, and goes in the place of the first
      const holder = refusal.code === "key_blocked" ? this.keeper.holderIn(line, refusal.pass) : undefined
      const refusalOfHolder = holder === undefined ? refusal : this.keeper.refusalOf(line, holder)
      if (holder !== undefined && refusalOfHolder === undefined) return { line, task: holder, place }
      this.order.remove(line)
      line.tasks.parked()
      this.keeper.park(line, place, refusalOfHolder ?? refusal)
    }
    return undefined
  }
}

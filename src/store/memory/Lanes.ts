/** The lanes, which are queues and types: the pending tasks of each, and which of them have any tasks. */
import * as ByteOrder from "../../domain/ByteOrder.ts"
import type { TaskState } from "../../domain/TaskState.ts"
import type { Gatekeeper } from "../Gatekeeper.ts"
import { type LaneRange, startOf } from "../Lanes.ts"
import { type GatedTask, Lines, type Waiting } from "../Lines.ts"
import { byRank, countBefore, Deque, Heap } from "../Order.ts"
import { OrderedLane } from "../OrderedLane.ts"
import { Neighbours, type Together } from "../Together.ts"

/** A task that was pending when it was filed. */
interface Pending extends GatedTask {
  readonly state: TaskState
  /** It was taken from behind others: its lane still refers to it. */
  steppedTo: boolean
}

/** The pending tasks of one queue and type. */
export class Lane<Task extends Pending> extends OrderedLane<Task, Lane<Task>> {
  /** How many there are. */
  size = 0
  private readonly plain = new Pile<Task>()
  private readonly keeper: Gatekeeper<Task>
  private readonly neighbours = new Neighbours()
  declare protected together: Joint<Task> | undefined

  constructor(queue: string, ofType: Lane<Task>["ofType"], keeper: Gatekeeper<Task>) {
    super(queue, ofType)
    this.keeper = keeper
  }

  /** Adds a task. One that was not pending before may wait together with others. */
  push(task: Task, isNew: boolean): void {
    this.size++
    if (task.gate === null) return this.plain.push(task)
    if (!isNew || !this.joins(task.gate)) return this.pushToLine(task.gate, task)
    this.together ??= new Joint(this.keeper, (moved) => this.pushToLine(moved.gate!, moved))
    this.together.push(task)
  }

  private joins(gate: string): boolean {
    return this.neighbours.areFew(gate) && this.lines?.has(gate) !== true && this.keeper.waitsTogether(gate)
  }

  private pushToLine(gate: string, task: Task): void {
    this.lines ??= new Lines(this.queue, this.type, this.keeper, () => new Pile())
    // made by the line above
    const pile = this.lines.file(gate, task).tasks as Pile<Task>
    pile.push(task)
  }

  protected firstPlain(): Task | undefined {
    return this.plain.first()
  }

  protected shiftPlain(task: Task): void {
    this.plain.shift(task)
  }

  override shift(first: Task): void {
    super.shift(first)
    this.size--
  }

  /** The first task in the order of work, whether it may start or not. */
  earliest(): Task | undefined {
    let best = this.plain.first()
    const joint = this.together?.first()
    if (joint !== undefined && (best === undefined || byRank(joint, best))) best = joint
    for (const line of this.lines?.all() ?? []) {
      const first = line.tasks.first()
      if (first !== undefined && (best === undefined || byRank(first, best))) best = first
    }
    return best
  }
}

/**
 * Pending tasks by rank. Nearly all arrive in the order of work, and the deque holds those, at a cost that does not grow with the backlog.
 * What arrives before others is in the stack of its priority.
 */
class Pile<Task extends Pending> implements Waiting<Task> {
  private readonly inOrder = new Deque<Task>()
  private stacks: Array<Stack<Task> | undefined> | undefined

  push(task: Task): void {
    const last = this.inOrder.last()
    if (last === undefined || byRank(last, task)) this.inOrder.push(task)
    else {
      this.stacks ??= []
      const stack = this.stacks[task.priority] ??= new Stack()
      stack.push(task)
    }
  }

  first(): Task | undefined {
    let best = this.inOrder.first()
    // those that have been cancelled since are dropped
    for (; best !== undefined && best.state !== "pending"; best = this.inOrder.first()) this.inOrder.shift()
    if (this.stacks === undefined) return best
    for (const stack of this.stacks) {
      const first = stack?.first()
      if (first !== undefined && (best === undefined || byRank(first, best))) best = first
    }
    return best
  }

  shift(task: Task): void {
    if (this.inOrder.first() === task) this.inOrder.shift()
    else this.stacks![task.priority]!.shift(task)
  }

  stepOver(taken: Task): void {
    taken.steppedTo = true
  }

  // it finds out by itself which tasks are still pending
  left(): void {}
  parked(): void {}
}

/** Pending tasks with gates that have no lines. */
class Joint<Task extends Pending> extends Pile<Task> implements Together<Task> {
  readonly keeper: Gatekeeper<Task>
  private readonly toLine: (task: Task) => void

  constructor(keeper: Gatekeeper<Task>, toLine: (task: Task) => void) {
    super()
    this.keeper = keeper
    this.toLine = toLine
  }

  move(task: Task): void {
    this.shift(task)
    this.toLine(task)
  }
}

/**
 * Pending tasks of one priority. Within one priority the order of ranks is the order of due
 * times, and nearly every task arrives in that order: the heap has the few that come back with an earlier due time.
 */
class Stack<Task extends Pending> {
  private readonly inOrder = new Deque<Task>()
  private readonly outOfOrder = new Heap<Task>(byRank)

  push(task: Task): void {
    const last = this.inOrder.last()
    if (last === undefined || byRank(last, task)) this.inOrder.push(task)
    else this.outOfOrder.push(task)
  }

  first(): Task | undefined {
    const a = firstPending(this.inOrder)
    const b = firstPending(this.outOfOrder)
    return a === undefined || (b !== undefined && byRank(b, a)) ? b : a
  }

  shift(task: Task): void {
    if (this.inOrder.first() === task) this.inOrder.shift()
    else this.outOfOrder.shift()
  }
}

/** The first task that is still pending; those that have been cancelled since are dropped. */
const firstPending = <Task extends Pending>(tasks: Deque<Task> | Heap<Task>): Task | undefined => {
  let first = tasks.first()
  while (first !== undefined && first.state !== "pending") {
    tasks.shift()
    first = tasks.first()
  }
  return first
}

interface OfLane {
  readonly queue: string
  readonly type: string
}

/** A queue and a type. */
interface StoredLane extends OfLane {
  /** Tasks in whatever state. */
  stored: number
  scheduled: number
}

/** The queues and types of all stored tasks. One comes with its first task and goes with the last. */
export class StoredLanes {
  private readonly queues = new Map<string, Map<string, StoredLane>>()
  private last: StoredLane | undefined
  /** In the order of names, once they have been asked for and until one comes or goes. */
  private sorted: ReadonlyArray<StoredLane> | undefined

  /** To be called for each task that is stored. */
  add({ queue, type }: OfLane): void {
    let lane = this.last
    if (lane === undefined || lane.queue !== queue || lane.type !== type) {
      let types = this.queues.get(queue)
      if (types === undefined) this.queues.set(queue, types = new Map())
      lane = types.get(type)
      if (lane === undefined) {
        types.set(type, lane = { queue, type, stored: 0, scheduled: 0 })
        this.sorted = undefined
      }
      this.last = lane
    }
    lane.stored++
  }

  /** To be called for each task that is taken away. */
  remove({ queue, type }: OfLane): void {
    const types = this.queues.get(queue)
    const lane = types?.get(type)
    if (types === undefined || lane === undefined || --lane.stored > 0) return
    this.last = undefined
    this.sorted = undefined
    types.delete(type)
    if (types.size === 0) this.queues.delete(queue)
  }

  /** To be called for a stored task that becomes scheduled (1), or was and is no more (-1). */
  schedule({ queue, type }: OfLane, change: 1 | -1): void {
    this.queues.get(queue)!.get(type)!.scheduled += change
  }

  /** Those of a range, without regard to its limit. */
  *in(range: LaneRange): Generator<StoredLane, void> {
    const [queue, type] = startOf(range)
    const lanes = this.sorted ??= [...this.queues.values()].flatMap((types) => [...types.values()]).sort(byName)
    for (let at = countBefore(lanes, (lane) => byName(lane, { queue, type }) < 0); at < lanes.length; at++) {
      const lane = lanes[at]!
      if (range.queue !== undefined && lane.queue !== range.queue) return
      yield lane
    }
  }
}

const byName = (a: OfLane, b: OfLane): number =>
  ByteOrder.compare(a.queue, b.queue) || ByteOrder.compare(a.type, b.type)

/** One lane in the order of lanes: its tasks without gates, and the lines of those that have one. */
import type { GatedTask, Lines, Open } from "./Lines.ts"
import { byRank, type Fileable, type Filed, Order, type Place } from "./Order.ts"

/** A queue and a type with pending tasks. A driver knows which tasks these are. */
export abstract class OrderedLane<Task extends Place, Self extends OrderedLane<Task, Self>> implements Fileable<Self> {
  filed: Filed<Self> | undefined
  /** Those of its tasks that have gates; `undefined` as long as none has been there. */
  lines: Lines<Task & GatedTask> | undefined
  private gated: Open<Task & GatedTask> | undefined
  readonly queue: string
  readonly type: string
  readonly ofType: OfType<Self>

  constructor(queue: string, ofType: OfType<Self>) {
    this.queue = queue
    this.type = ofType.type
    this.ofType = ofType
  }

  /** The first task without a gate, in the order of work. */
  protected abstract firstPlain(): Task | undefined

  /** Takes it out. */
  protected abstract shiftPlain(first: Task): void

  /** The first task that may start. */
  first(): Task | undefined {
    const plain = this.firstPlain()
    if (this.lines === undefined) return plain
    const gated = this.gated = this.lines.open(plain)
    if (gated === undefined || (plain !== undefined && byRank(plain, gated.place))) {
      this.gated = undefined
      return plain
    }
    return gated.task
  }

  /** Where the lane stands with its first task. */
  placeOf(first: Task): Place {
    return this.gated === undefined ? first : this.gated.place
  }

  /** Takes the first task out. */
  shift(first: Task): void {
    if (this.gated === undefined) return this.shiftPlain(first)
    const { line, task } = this.gated
    line.lines.take(line, task)
  }

  /** To be called when none of its tasks is pending any more. */
  abandon(): void {
    this.lines?.abandon()
  }

  /** Whether it has tasks that may not start now. */
  get hasParked(): boolean {
    return this.lines !== undefined && this.lines.size > 0
  }
}

/** The lanes of one type. */
export class OfType<Lane extends Fileable<Lane>> {
  filed: Filed<OfType<Lane>> | undefined
  readonly type: string
  readonly byQueue = new Map<string, Lane>()
  readonly order = new Order<Lane>()

  constructor(type: string) {
    this.type = type
  }
}

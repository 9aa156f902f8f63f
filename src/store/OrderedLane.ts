/** One lane in the order of lanes: its tasks without gates, and those that have one, together or in lines. */
import type { GatedTask, Lines, Open } from "./Lines.ts"
import { byRank, type Fileable, type Filed, Order, type Place } from "./Order.ts"
import type { Together } from "./Together.ts"

/** A queue and a type with pending tasks. A driver knows which tasks these are. */
export abstract class OrderedLane<Task extends Place, Self extends OrderedLane<Task, Self>> implements Fileable<Self> {
  filed: Filed<Self> | undefined
  /** Those of its tasks that have gates and lines; `undefined` as long as none has been there. */
  lines: Lines<Task & GatedTask> | undefined
  /** Those that have gates and no lines yet; `undefined` as long as none has been there. */
  protected together: Together<Task & GatedTask> | undefined
  /** Whether the claim has to end before the first task that may start is known. */
  isHalted = false
  /** Whether all that wait together go to their lines. */
  private isScattering = false
  private gated: Open<Task & GatedTask> | undefined
  private joint: (Task & GatedTask) | undefined
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

  /** The first task that may start; `undefined` where there is none, or the lane is halted. */
  first(): Task | undefined {
    const plain = this.firstPlain()
    if (this.together !== undefined) return this.firstOf(plain, this.together)
    if (this.lines === undefined) return plain
    this.gated = this.openBefore(plain)
    return this.gated === undefined ? plain : this.gated.task
  }

  private openBefore(other: Task | undefined): Open<Task & GatedTask> | undefined {
    const gated = this.lines?.open(other)
    return gated === undefined || (other !== undefined && byRank(other, gated.place)) ? undefined : gated
  }

  private firstOf(plain: Task | undefined, together: Together<Task & GatedTask>): Task | undefined {
    this.joint = undefined
    this.isHalted = false
    for (;;) {
      if (this.isScattering && !this.scatter(together)) return undefined
      const joint = together.first()
      const isJoint = joint !== undefined && (plain === undefined || byRank(joint, plain))
      this.gated = this.lines === undefined ? undefined : this.openBefore(isJoint ? joint : plain)
      if (this.gated !== undefined) return this.gated.task
      if (!isJoint) return plain
      // what is known of a line counts for all that have its gate
      const look = this.lines?.has(joint.gate!) === true ? "closed" : together.keeper.look(joint)
      if (look === "open") return this.joint = joint
      if (look === "uneven") this.isScattering = true
      else if (!this.move(joint, together)) return undefined
    }
  }

  /** Moves all to their lines; answers whether that is done. */
  private scatter(together: Together<Task & GatedTask>): boolean {
    for (let next = together.first(); next !== undefined; next = together.first()) {
      if (!this.move(next, together)) return false
    }
    this.isScattering = false
    return true
  }

  private move(first: Task & GatedTask, together: Together<Task & GatedTask>): boolean {
    this.isHalted = !together.keeper.mayMove()
    if (!this.isHalted) together.move(first)
    return !this.isHalted
  }

  /** Where the lane stands with its first task. */
  placeOf(first: Task): Place {
    return this.gated === undefined ? first : this.gated.place
  }

  /** Takes the first task out. */
  shift(first: Task): void {
    if (this.gated !== undefined) {
      const { line, task } = this.gated
      line.lines.take(line, task)
    } else if (this.joint !== undefined) {
      this.together!.shift(this.joint)
      this.together!.keeper.start(this.joint)
    } else this.shiftPlain(first)
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

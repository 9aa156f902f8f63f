/** A task as one of those that depend on each other. */
import { isFinished, type TaskState } from "../../domain/TaskState.ts"

/** What is asked of the entry of a task. */
interface Place {
  readonly state: TaskState
  /** Removed or replaced. */
  readonly dead: boolean
}

/** A task that depends on others, or that others depend on. */
export class Node<Entry extends Place> {
  /** The task. Its entry changes when it comes back. */
  entry: Entry
  /** What it depends on. */
  after: ReadonlyArray<Node<Entry>> = []
  /** The edges to those that depend on it, of which the first have been told. */
  readonly edges: Array<Wait<Entry>> = []
  told = 0
  /** What it waits with now. Edges to what it waited with before are void. */
  wait: Wait<Entry> | undefined
  /** What it waited with first: its edges lead from all that it depends on, but those that are in `placed`. */
  first: Wait<Entry> | undefined
  /** What it waited with last, by what it depends on, where it was run again and waited once more. */
  private placed: Map<Node<Entry>, Wait<Entry>> | undefined
  /** So many of the first edges lead to tasks that have ended. */
  private ended = 0

  constructor(entry: Entry) {
    this.entry = entry
  }

  get isOver(): boolean {
    return this.entry.dead || isFinished(this.entry.state)
  }

  /** Whether its end has been told to all that depend on it. */
  get isTold(): boolean {
    return this.isOver && this.told === this.edges.length
  }

  /** Whether one that has not ended depends on it. */
  get isAwaited(): boolean {
    while (this.ended < this.edges.length && this.edges[this.ended]!.node.isOver) this.ended++
    return this.ended < this.edges.length
  }

  /** Whether an edge to that task has not been told. */
  hasUntold(node: Node<Entry>): boolean {
    for (let index = this.told; index < this.edges.length; index++) if (this.edges[index]!.node === node) return true
    return false
  }

  /** To be called when it waits once more for one that it depends on: an edge to what it waited with before does not count any more. */
  place(dependency: Node<Entry>, wait: Wait<Entry>): void {
    this.placed ??= new Map()
    this.placed.set(dependency, wait)
  }

  /** Whether that is the edge that leads to it from a task. */
  isPlaced(dependency: Node<Entry>, wait: Wait<Entry>): boolean {
    return (this.placed?.get(dependency) ?? this.first) === wait
  }

  /** To be called when one that has ended, and depends on it, has not any more. */
  reawait(): void {
    this.ended = 0
  }
}

/** One time that a task waits for others: it may do so again when it is run again. */
export class Wait<Entry extends Place> {
  readonly node: Node<Entry>

  constructor(node: Node<Entry>) {
    this.node = node
  }
}

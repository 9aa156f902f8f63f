/** Which tasks in memory depend on which: see `store/Dependencies`. */
import { isBlocking, type Standing } from "../../domain/Reopen.ts"
import * as Settlement from "../../domain/Settlement.ts"
import { isFinished } from "../../domain/TaskState.ts"
import { Aftermath, type Edges, maxBefore, maxTold, type PlacedLink } from "../Dependencies.ts"
import { Deque } from "../Order.ts"
import type { Entry } from "./Lists.ts"
import { Node, Wait } from "./Node.ts"

/** The dependencies of the tasks of one store. */
export class Dependencies {
  readonly aftermath = new Aftermath()
  /** Those that have ended and have not told it to all. */
  private readonly telling = new Deque<Node<Entry>>()
  private readonly change: (entry: Entry, change: Settlement.Change) => Entry

  /** `change` makes a change of a task, and answers its entry after that. */
  constructor(change: (entry: Entry, change: Settlement.Change) => Entry) {
    this.change = change
  }

  /** Whether ends are to be told. */
  get hasMore(): boolean {
    return this.telling.size > 0
  }

  /** To be called for a new task that depends on these, once all of its group are stored. */
  connect(entry: Entry, after: ReadonlyArray<Entry>, now: number): void {
    const node = nodeOf(entry)
    const wait = new Wait(node)
    node.after = after.map(nodeOf)
    node.wait = node.first = wait
    for (const dependency of node.after) {
      // told at once where it has ended, unless others are to be told before
      const isTold = dependency.isTold
      dependency.edges.push(wait)
      if (!isTold) continue
      dependency.told++
      this.inform(wait, dependency, now)
    }
  }

  /** How those are that a task depends on. */
  standing({ after, entry }: Node<Entry>): Standing {
    let open = 0
    let blocking: string | undefined
    for (const dependency of after) {
      const { dead, id, state } = dependency.entry
      if (!dependency.isOver || dependency.hasUntold(entry.node!)) open++
      if (!dead && isBlocking(state, entry.onFailure)) blocking ??= id
    }
    return { open, blocking }
  }

  /** How many others a task waits for that is run again. To be called right before. */
  reconnect(node: Node<Entry>): number {
    const wait = new Wait(node)
    let count = 0
    for (const dependency of node.after) {
      dependency.reawait()
      // it counts as it is, unless it has not been told here yet
      if (dependency.isOver && !dependency.hasUntold(node)) continue
      dependency.edges.push(wait)
      node.place(dependency, wait)
      count++
    }
    node.wait = count === 0 ? undefined : wait
    return count
  }

  /** To be called for a task that has ended. */
  ended(node: Node<Entry>): void {
    node.wait = undefined
    if (node.told < node.edges.length) this.telling.push(node)
  }

  /** Tells the ends of tasks to those that depend on them, as much as one write does. */
  tell(now: number): void {
    for (let left = maxTold + this.telling.size; left > 0;) {
      const node = this.telling.shift()
      if (node === undefined) return
      // run again, or told from another place of the list
      if (!node.isOver || node.isTold) continue
      const until = Math.min(node.edges.length, node.told + Math.min(left, maxTold))
      left -= until - node.told
      while (node.told < until) this.inform(node.edges[node.told++]!, node, now)
      if (!node.isTold) this.telling.push(node)
    }
  }

  private inform(wait: Wait<Entry>, { entry: { id, state } }: Node<Entry>, now: number): void {
    const { entry, wait: current } = wait.node
    if (wait !== current) return
    if (state === "completed" && entry.waitsFor > 1) {
      entry.waitsFor--
      return
    }
    if (!isFinished(state)) return
    const change = Settlement.dependenciesEnded(entry, { id, state }, now)
    if (change === undefined) return
    const after = this.change(entry, change)
    if (isFinished(after.state)) this.aftermath.drop(after)
    else if (after.waitsFor === 0) this.aftermath.release()
  }

  /** What a task depends on and what depends on it. */
  edgesOf({ after, edges }: Node<Entry>): Edges {
    const before = new Set<string>()
    for (let index = edges.length - 1; index >= 0 && before.size < maxBefore; index--) {
      const { entry } = edges[index]!.node
      if (!entry.dead) before.add(entry.id)
    }
    return {
      after: after.flatMap(({ entry }) => entry.dead ? [] : [{ id: entry.id, type: entry.type }]),
      before: [...before]
    }
  }
}

/** The ids of those that a task depends on and that are stored. */
export function* afterOf(node: Node<Entry> | undefined): Iterable<string> {
  for (const { entry } of node?.after ?? []) if (!entry.dead) yield entry.id
}

/** What a task is connected with, from a place on, and no more than a number of them. */
export const linksOf = (
  node: Node<Entry>,
  towards: "dependencies" | "dependents",
  of: number,
  from: number,
  limit: number
): ReadonlyArray<PlacedLink> => {
  const found: Array<PlacedLink> = []
  const { after, edges } = node
  const amount = towards === "dependencies" ? after.length : edges.length
  for (let place = from; place < amount && found.length < limit; place++) {
    const other = towards === "dependencies" ? after[place]! : edges[place]!.node
    if (other.entry.dead || (towards === "dependents" && !other.isPlaced(node, edges[place]!))) continue
    found.push({ of, place, id: other.entry.id, type: other.entry.type })
  }
  return found
}

const nodeOf = (entry: Entry): Node<Entry> => entry.node ??= new Node(entry)

/**
 * What is known from the operations alone of tasks that depend on others: what each waits for, what an end releases and what it ends.
 * It decides that by itself, and shares no code with the engine's decisions.
 */
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import type { EnqueueAnswer } from "../../src/store/EnqueueAnswer.ts"
import { isFinished, type Known } from "./Known.ts"

/** Why a group with dependencies is not stored. */
export type Refusal = Extract<EnqueueAnswer, { readonly _tag: "UnknownDependency" | "DependencyCycle" }>

/** What becomes of one that waits when one that it depends on has ended. */
export const endOf = ({ task: { onFailure = "fail" } }: Known): "failed" | "cancelled" | undefined =>
  onFailure === "run" ? undefined : onFailure === "cancel" ? "cancelled" : "failed"

/** Whether a task goes on when this one has ended. */
export const counts = (known: Known, ended: Known): boolean => ended.state === "completed" || endOf(known) === undefined

/** Whether one of these tasks can be reached from itself. */
const isCircle = (after: ReadonlyMap<string, ReadonlyArray<string>>): boolean => {
  const left = new Map(after)
  // whatever depends on nothing that is left is no part of a circle
  for (let before = -1; before !== left.size;) {
    before = left.size
    for (const [id, others] of left) if (!others.some((other) => left.has(other))) left.delete(id)
  }
  return left.size > 0
}

/** Whether each of these depends on the next one, and the last on the first. */
const isWalk = (ids: ReadonlyArray<string>, after: ReadonlyMap<string, ReadonlyArray<string>>): boolean =>
  ids.length > 0 && ids.every((id, index) => after.get(id)?.includes(ids[(index + 1) % ids.length]!) === true)

/**
 * Why a group is not stored, although no key keeps it from that. `fresh` are its new tasks with what they depend on. Which circle is
 * told of is left to the store.
 */
export const refusalOf = (
  group: ReadonlyArray<NewTask>,
  fresh: ReadonlyMap<string, ReadonlyArray<string>>,
  isStored: (id: string) => boolean,
  answer: EnqueueAnswer
): Refusal | undefined => {
  const isOfGroup = new Set(group.map(({ id }) => id))
  for (const [index, { id: of }] of group.entries()) {
    const id = fresh.get(of)?.find((id) => !isOfGroup.has(id) && !isStored(id))
    if (id !== undefined) return { _tag: "UnknownDependency", index, id }
  }
  if (!isCircle(fresh)) return undefined
  const isOne = answer._tag === "DependencyCycle" && isWalk(answer.ids, fresh) &&
    group[answer.index]!.id === answer.ids[0]
  return isOne ? answer : { _tag: "DependencyCycle", index: -1, ids: [] }
}

/** Who depends on whom. */
export class DependencyLedger {
  private readonly changed = new Set<Known>()
  private readonly dependents = new Map<Known, Set<Known>>()
  private ended: Array<Known> = []

  /** Those that depend on a task. */
  of(known: Known): Iterable<Known> {
    return this.dependents.get(known) ?? []
  }

  /** Whether one that has not ended depends on it. */
  isAwaited(known: Known): boolean {
    for (const dependent of this.of(known)) if (!dependent.isGone && !isFinished(dependent)) return true
    return false
  }

  /** Whether an operation has changed it because of others, and nobody has asked for that yet. */
  hasChanged(known: Known): boolean {
    return this.changed.has(known)
  }

  /** Those that were changed because of others since this was asked last. */
  takeChanged(): ReadonlyArray<Known> {
    const changed = [...this.changed].filter(({ isGone }) => !isGone)
    this.changed.clear()
    return changed
  }

  /** To be called for a new task. It waits for all, also those that have ended: they are told now. */
  begin(known: Known, after: ReadonlyArray<Known>): void {
    known.after = after
    for (const dependency of after) {
      const dependents = this.dependents.get(dependency)
      if (dependents === undefined) this.dependents.set(dependency, new Set([known]))
      else dependents.add(known)
      known.open.add(dependency)
      if (isFinished(dependency)) this.ended.push(dependency)
    }
    known.state = "scheduled"
    this.changed.add(known)
  }

  /** To be called for one that is run again: it waits for those that have not ended. */
  again(known: Known): void {
    for (const dependency of known.after) if (!dependency.isGone && !isFinished(dependency)) known.open.add(dependency)
    if (known.open.size === 0) return
    known.state = "scheduled"
    this.changed.add(known)
  }

  /** To be called for a task that has ended. */
  end(known: Known): void {
    known.open.clear()
    if (this.dependents.has(known)) this.ended.push(known)
  }

  /** Tells those that wait of all ends that they have not been told of, and of those that this brings about. */
  tell(release: (known: Known) => void, finish: (known: Known, state: "failed" | "cancelled") => void): void {
    for (let ended = this.ended.shift(); ended !== undefined; ended = this.ended.shift()) {
      for (const known of this.of(ended)) {
        if (!known.open.delete(ended)) continue
        this.changed.add(known)
        const state = counts(known, ended) ? undefined : endOf(known)
        if (state !== undefined) finish(known, state)
        else if (known.open.size === 0) release(known)
      }
    }
  }
}

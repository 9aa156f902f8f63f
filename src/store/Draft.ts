/** What a group of new tasks makes of itself and of the stored tasks whose keys it has, before any of it is written. */
import { cycleOf, isDependent } from "../domain/Dependencies.ts"
import { sameJson } from "../domain/SameJson.ts"
import { type Change, revise, stateAt } from "../domain/Settlement.ts"
import { typeOf } from "../domain/StoredType.ts"
import { dueAtOf, type NewTask, type TaskRecord } from "../domain/TaskRecord.ts"
import * as Uniqueness from "../domain/Uniqueness.ts"
import type { Accepted, EnqueueAnswer } from "./TaskStore.ts"

/** An idempotency key with its type, as one text: the same for all versions of the type. */
export const nameOf = (type: string, key: string): string => `${typeOf(type)}\u0000${key}`

/** The task that has a key. */
export interface Owner extends Pick<NewTask, "id" | "payload"> {
  /** How long it holds the key; left out where it does as long as it is stored. */
  readonly hold?: Uniqueness.Hold | undefined
}

/** A task, and what is to become of it. */
export interface Revised {
  readonly task: TaskRecord
  readonly change: Change
}

/** The task after that. */
export const asRevised = ({ change: { revised, ...change }, task }: Revised): TaskRecord =>
  revised === undefined
    ? { ...task, ...change }
    : { ...task, ...change, ...revised, payload: revised.payload ?? task.payload }

/** What is stored already, as far as it decides about new tasks. */
export interface Known {
  readonly hasId: (id: string) => boolean
  /** The task that has a key. */
  readonly ownerOf: (type: string, key: string) => Owner | undefined
  /** A stored task. It is asked for those whose keys new tasks have, where the window of either is not `kept`. */
  readonly find: (id: string) => TaskRecord | undefined
  /** What the same write makes of a stored task besides. */
  readonly revisedOf?: (id: string) => Revised | undefined
  /** A task that the same write stores. */
  readonly planned?: (id: string) => NewTask | undefined
}

/** What is to be written for groups that were accepted. */
export interface Writes {
  readonly fresh: ReadonlyArray<NewTask>
  /** Tasks that take what new ones with their key say, each once. */
  readonly revised: ReadonlyArray<Revised>
  /** Tasks that lose their key to new ones. */
  readonly losers: ReadonlyArray<TaskRecord>
}

/** What else the same write does: so many tasks finish, and these are changed. */
export interface Besides extends Pick<Known, "revisedOf"> {
  readonly ending: number
}

/** Nothing else is done. */
export const alone: Besides = { ending: 0 }

/** What becomes of a group, and how that is written, where it is accepted. */
export interface Decided {
  readonly answer: EnqueueAnswer
  readonly write: () => void
}

/** A group of which nothing is written. */
export const refused = (answer: EnqueueAnswer): Decided => ({ answer, write: () => {} })

/** What keeps a group from being stored, whatever room there is. */
export type Conflict = Exclude<EnqueueAnswer, { readonly _tag: "Accepted" | "Full" }>

/** One group. */
export class Draft {
  readonly fresh: Array<NewTask> = []
  /** Tasks of earlier groups of the same write that take what tasks of this one say. */
  again: Map<string, NewTask> | undefined
  revised: Map<string, Revised> | undefined
  losers: Map<string, TaskRecord> | undefined
  private ids: Set<string> | undefined
  /** The tasks of this group that have keys, by key, as their places among the fresh ones. */
  private keys: Map<string, number> | undefined
  private readonly known: Known
  private readonly now: number

  constructor(known: Known, now: number) {
    this.known = known
    this.now = now
  }

  /** What becomes of each task of the group, or the first one that is a conflict. */
  add(group: ReadonlyArray<NewTask>): ReadonlyArray<Accepted> | Conflict {
    const tasks: Array<Accepted> = []
    let isConnected = false
    if (group.length > 1) this.ids = new Set()
    for (let index = 0; index < group.length; index++) {
      const task = group[index]!
      const answer = this.ids?.has(task.id) === true || this.known.hasId(task.id)
        ? { id: task.id, duplicate: true }
        : task.key === null
        ? undefined
        : this.meet(task, task.key, index)
      if (answer !== undefined && "_tag" in answer) return answer
      tasks.push(answer ?? { id: task.id, duplicate: false })
      if (answer !== undefined) continue
      this.ids?.add(task.id)
      isConnected ||= isDependent(task)
      if (task.key !== null) (this.keys ??= new Map()).set(nameOf(task.type, task.key), this.fresh.length)
      this.fresh.push(task)
    }
    return (isConnected ? this.connect(group, tasks) : undefined) ?? tasks
  }

  /**
   * Gives each new task the ids of those that it really depends on, each once: where a key has another owner, that one. Answers what
   * keeps the group from being stored.
   */
  private connect(group: ReadonlyArray<NewTask>, accepted: ReadonlyArray<Accepted>): Conflict | undefined {
    const owners = new Map<string, string>()
    accepted.forEach(({ id }, index) => owners.set(group[index]!.id, id))
    const indexOf = new Map(group.map(({ id }, index) => [id, index]))
    for (let place = 0; place < this.fresh.length; place++) {
      const task = this.fresh[place]!
      if (!isDependent(task)) continue
      const after = new Set<string>()
      for (const id of task.after!) {
        const owner = owners.get(id) ?? id
        if (!owners.has(id) && !this.known.hasId(id)) {
          return { _tag: "UnknownDependency", index: indexOf.get(task.id)!, id }
        }
        after.add(owner)
      }
      this.fresh[place] = { ...task, after: [...after] }
    }
    const ids = cycleOf(this.fresh)
    return ids && { _tag: "DependencyCycle", index: indexOf.get(ids[0]!)!, ids }
  }

  /** What becomes of a task whose key another one may have; nothing if it is new. */
  private meet(task: NewTask, key: string, index: number): Accepted | Conflict | undefined {
    const place = this.keys?.get(nameOf(task.type, key))
    if (place !== undefined) {
      const owner = this.fresh[place]!
      return this.decide(task, owner, Uniqueness.holdOf(owner.unique), this.stateOf(owner), index) ??
        this.mergeInto(task, owner, index, (merged) => this.fresh[place] = merged)
    }
    const owner = this.known.ownerOf(task.type, key)
    if (owner === undefined) return undefined
    const planned = this.again?.get(owner.id) ?? this.known.planned?.(owner.id)
    if (planned !== undefined) {
      return this.decide(task, planned, Uniqueness.holdOf(planned.unique), this.stateOf(planned), index) ??
        this.mergeInto(task, planned, index, (merged) => (this.again ??= new Map()).set(owner.id, merged))
    }
    const before = this.revised?.get(owner.id) ?? this.known.revisedOf?.(owner.id)
    if (before === undefined && isKept(task, owner)) return this.decide(task, owner, null, "pending", index)
    return this.meetStored(task, key, before, owner.id, index)
  }

  private stateOf(task: NewTask): TaskRecord["state"] {
    return dueAtOf(task, this.now) > this.now ? "scheduled" : "pending"
  }

  /** The same of one that is stored; `before` is what the same write makes of it already. */
  private meetStored(
    task: NewTask,
    key: string,
    before: Revised | undefined,
    id: string,
    index: number
  ): Accepted | Conflict | undefined {
    const stored = before?.task ?? this.known.find(id)
    // removed since, or known to a caller that reads again before it writes
    if (stored === undefined) return undefined
    const waiting = before === undefined ? stored : asRevised(before)
    const current = { ...waiting, state: stateAt(waiting, this.now) }
    if (Uniqueness.hasMerged(current.hold, task.id)) return { id, duplicate: true }
    if (!Uniqueness.holds(current, this.now)) {
      ;(this.losers ??= new Map()).set(id, stored)
      return undefined
    }
    const decided = this.decide(task, current, current.hold, current.state, index)
    if (decided !== undefined) return decided
    if (task.queue !== current.queue || task.type !== current.type) {
      return { _tag: "Conflict", index, key, id, state: current.state }
    }
    const { unique } = task
    const { costs, gate, payload } = task
    const change = revise(current, {
      payload,
      gate,
      costs,
      hold: Uniqueness.merge(current.hold, task.id),
      dueAt: unique?.onConflict === "postpone"
        ? Uniqueness.postponedTo(unique, current.createdAt, this.now)
        : undefined
    }, this.now)
    if (change === undefined) return { _tag: "Conflict", index, key, id, state: current.state }
    ;(this.revised ??= new Map()).set(id, { task: stored, change })
    return mergedAnswer(task, id)
  }

  /** Whether the owner of its key is the answer, or the task is refused; nothing where the owner is to take its payload. */
  private decide(
    task: NewTask,
    owner: Owner,
    hold: Uniqueness.Hold,
    state: TaskRecord["state"],
    index: number
  ): Accepted | Conflict | undefined {
    const { id } = owner
    const key = task.key!
    if (Uniqueness.hasMerged(hold, task.id)) return { id, duplicate: true }
    switch (task.unique?.onConflict) {
      case undefined:
        return sameJson(owner.payload, task.payload) ? { id, duplicate: true } : { _tag: "Conflict", index, key, id }
      case "return":
        return { id, duplicate: true }
      case "refuse":
        return { _tag: "Conflict", index, key, id, state }
      default:
        return undefined
    }
  }

  /** Merges a task into one that is not stored yet. */
  private mergeInto(
    task: NewTask,
    owner: NewTask,
    index: number,
    set: (merged: NewTask) => void
  ): Accepted | Conflict {
    const { costs, gate, payload, unique } = task
    if (task.queue !== owner.queue || task.type !== owner.type) {
      return { _tag: "Conflict", index, key: task.key!, id: owner.id, state: this.stateOf(owner) }
    }
    const kept = owner.unique ?? { window: "kept", onConflict: "return", byMs: 0, maxMs: null }
    const time = unique?.onConflict === "postpone"
      ? { delayMs: Uniqueness.postponedTo(unique, 0, 0), runAt: null }
      : {}
    set({ ...owner, payload, gate, costs, ...time, unique: Uniqueness.withMerged(kept, task.id) })
    return mergedAnswer(task, owner.id)
  }
}

const isKept = ({ unique }: NewTask, { hold }: Owner): boolean =>
  (unique === null || unique === undefined) && (hold === null || hold === undefined)

const mergedAnswer = ({ unique }: NewTask, id: string): Accepted => ({
  id,
  duplicate: true,
  merge: unique?.onConflict === "postpone" ? "postponed" : "replaced"
})

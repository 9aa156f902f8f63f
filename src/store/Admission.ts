/**
 * What fits: which tasks of a group are new, whether there is room for their bytes, and how much fits into an answer.
 */
import { type Clock, Effect } from "effect"
import { DependencyCycle, UnknownDependency } from "../domain/DependencyErrors.ts"
import { KeyConflict, QueueFull, type StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { AttemptRecord, NewTask, TaskFailure, TaskRecord } from "../domain/TaskRecord.ts"
import { type Conflict, Draft, type Known, nameOf, type Owner, type Revised, type Writes } from "./Draft.ts"
import type { Accepted, EnqueueAnswer } from "./TaskStore.ts"

/** What a group will be: an answer for each of its tasks, and what is to be written. Or what it fails for. */
export type Admission =
  | ({ readonly _tag: "Admitted"; readonly tasks: ReadonlyArray<Accepted> } & Writes)
  | Conflict

/**
 * Decides about each task of a group before any is written. The time is the store's. Whether there is room for the new ones is
 * another question.
 */
export const admit = (group: ReadonlyArray<NewTask>, known: Known, now: number): Admission => {
  const draft = new Draft(known, now)
  const tasks = draft.add(group)
  return "_tag" in tasks ? tasks : {
    _tag: "Admitted",
    tasks,
    fresh: draft.fresh,
    revised: [...draft.revised?.values() ?? []],
    losers: [...draft.losers?.values() ?? []]
  }
}

/** The error for a group that was not stored. */
export const refusalOf = (
  group: ReadonlyArray<NewTask>,
  answer: Exclude<EnqueueAnswer, { readonly _tag: "Accepted" }>
): QueueFull | KeyConflict | UnknownDependency | DependencyCycle => {
  if (answer._tag === "UnknownDependency") return new UnknownDependency({ id: answer.id, index: answer.index })
  if (answer._tag === "DependencyCycle") return new DependencyCycle({ ids: answer.ids, index: answer.index })
  if (answer._tag === "Conflict") {
    const { id, index, key, state } = answer
    return new KeyConflict({ type: group[index]!.type, key, id, index, ...(state === undefined ? {} : { state }) })
  }
  const { capacity, size, unfinished } = answer
  return new QueueFull({ capacity, unfinished, offered: group.length, ...(size === undefined ? {} : { size }) })
}

/** How old a measurement may be, in milliseconds, if it was quick. */
const maxAgeMs = 1000

/** How many times as long as measuring takes is waited before it is done again, unless it costs little: 2 % of the time. */
const defaultPauses = 50

/** Bytes of UTF-8 in the payloads of tasks: what is offered. */
export const offeredBytes = (tasks: Iterable<Pick<NewTask, "payload">>): number => {
  let bytes = 0
  for (const { payload } of tasks) bytes += Buffer.byteLength(payload)
  return bytes
}

/**
 * How many bytes the tasks of a store may have together, or how many of them may be unfinished, where the store has to be
 * asked how many there are. Keeping count would cost every write something, so the answer is up to a second old, and what
 * this process has stored since is added.
 */
export class Budget {
  readonly max: number
  /** What was measured, and what was stored since. */
  used = 0
  private added = 0
  private measuredAt = -Infinity
  private tookMs = 0
  private readonly measure: Effect.Effect<number, StoreError>
  private readonly now: () => number
  private readonly pauses: number

  constructor(
    max: number,
    measure: Effect.Effect<number, StoreError>,
    clock: Clock.Clock,
    pauses: number = defaultPauses
  ) {
    this.max = max
    this.measure = measure
    this.now = () => MonotonicClock.millis(clock)
    this.pauses = pauses
  }

  /** Whether so much more fits, as far as this process knows. */
  fits(amount: number): boolean {
    return this.used + amount <= this.max
  }

  /** Measures again when that was long ago, or not just now and so much more would be refused. */
  measureFor(amount: number): Effect.Effect<void, StoreError> {
    return Effect.suspend(() => {
      const now = this.now()
      const pauseMs = Math.max(this.fits(amount) ? maxAgeMs : 0, this.tookMs * this.pauses)
      if (now - this.measuredAt < pauseMs) return Effect.void
      this.measuredAt = now
      const before = this.added
      return Effect.map(this.measure, (measured) => {
        // what was stored in between may be in it or not
        this.used = measured + this.added - before
        this.tookMs = this.now() - now
      })
    })
  }

  /** To be called when what was measured or added may have been rolled back. */
  forget(): void {
    this.measuredAt = -Infinity
  }

  /** What has been stored. */
  add(amount: number): void {
    this.used += amount
    this.added += amount
  }
}

/** Bytes of UTF-8 in what new tasks and revised ones are to have. */
export const writtenBytes = ({ fresh, revised }: Pick<Writes, "fresh" | "revised">): number => {
  let bytes = offeredBytes(fresh)
  for (const { change } of revised) bytes += Buffer.byteLength(change.revised?.payload ?? "")
  return bytes
}

/** Decides about groups in turn before any of them is stored, where a store has to be asked first what is known. */
export class Plan implements Known, Writes {
  /** What is to be stored of the groups that were accepted, by id. */
  private readonly plannedById = new Map<string, NewTask>()
  private readonly revisedById = new Map<string, Revised>()
  private readonly losersById = new Map<string, TaskRecord>()
  private readonly ids = new Set<string>()
  private readonly owners = new Map<string, Owner>()
  private readonly storedById = new Map<string, TaskRecord>()
  private bytes = 0
  private readonly capacity: number
  private readonly unfinished: number
  private readonly budget: Budget | undefined
  private readonly now: number

  constructor(capacity: number, unfinished: number, budget: Budget | undefined, now: number) {
    this.capacity = capacity
    this.unfinished = unfinished
    this.budget = budget
    this.now = now
  }

  get fresh(): ReadonlyArray<NewTask> {
    return [...this.plannedById.values()]
  }

  get revised(): ReadonlyArray<Revised> {
    return [...this.revisedById.values()]
  }

  get losers(): ReadonlyArray<TaskRecord> {
    return [...this.losersById.values()]
  }

  addId(id: string): void {
    this.ids.add(id)
  }

  addOwner({ key, type }: Pick<NewTask, "key" | "type">, owner: Owner): void {
    if (key !== null) this.owners.set(nameOf(type, key), owner)
  }

  /** Adds a task whose key new ones have, where they ask for more of it than its payload. */
  addStored(task: TaskRecord): void {
    this.storedById.set(task.id, task)
  }

  /** Adds what the same write makes of a stored task besides. */
  addRevised(revised: Revised): void {
    this.revisedById.set(revised.task.id, revised)
  }

  hasId(id: string): boolean {
    return this.ids.has(id)
  }

  ownerOf(type: string, key: string): Owner | undefined {
    return this.owners.get(nameOf(type, key))
  }

  readonly find = (id: string): TaskRecord | undefined => this.storedById.get(id)

  readonly revisedOf = (id: string): Revised | undefined => this.revisedById.get(id)

  readonly planned = (id: string): NewTask | undefined => this.plannedById.get(id)

  decide(group: ReadonlyArray<NewTask>): EnqueueAnswer {
    const draft = new Draft(this, this.now)
    const tasks = draft.add(group)
    if ("_tag" in tasks) return tasks
    const { again, fresh, losers, revised } = draft
    const { capacity } = this
    const unfinished = this.unfinished + this.plannedById.size
    if (fresh.length > 0 && unfinished + fresh.length > capacity) return { _tag: "Full", capacity, unfinished }
    if (this.budget !== undefined && (fresh.length > 0 || revised !== undefined || again !== undefined)) {
      const { max, used } = this.budget
      const bytes = writtenBytes({ fresh: [...fresh, ...again?.values() ?? []], revised: [...revised?.values() ?? []] })
      const size = { maxBytes: max, storedBytes: used + this.bytes, offeredBytes: bytes }
      if (!this.budget.fits(this.bytes + size.offeredBytes)) return { _tag: "Full", capacity, unfinished, size }
      this.bytes += size.offeredBytes
    }
    for (const task of fresh) {
      this.plannedById.set(task.id, task)
      this.addId(task.id)
      this.addOwner(task, task)
    }
    for (const [id, task] of again ?? []) this.plannedById.set(id, task)
    for (const [id, one] of revised ?? []) this.revisedById.set(id, one)
    for (const [id, task] of losers ?? []) this.losersById.set(id, task)
    return { _tag: "Accepted", tasks, now: 0 }
  }
}

/** How many of the first things fit into `maxBytes` together. At least one does, so that every answer gets ahead. */
export const fitting = (sizes: Iterable<number>, maxBytes: number = Infinity): number => {
  let [count, bytes] = [0, 0]
  for (const size of sizes) {
    bytes += size
    if (count > 0 && bytes > maxBytes) break
    count++
  }
  return count
}

/** What may be large in a task. */
export interface Texts {
  readonly payload?: string
  readonly result: string | null
  readonly failure: TaskFailure | null
  readonly history?: ReadonlyArray<AttemptRecord>
}

/** Bytes of UTF-8 in what may be large in a task or an outcome. */
export const bytesOf = ({ failure, history, payload, result }: Texts): number =>
  (payload === undefined ? 0 : Buffer.byteLength(payload)) +
  (result === null ? 0 : Buffer.byteLength(result)) +
  (failure === null ? 0 : Buffer.byteLength(JSON.stringify(failure))) +
  (history === undefined || history.length === 0 ? 0 : Buffer.byteLength(JSON.stringify(history)))

/**
 * What is known of keys from the operations alone: which task has which key, for how long, and what that makes of those that
 * come after it. It decides by itself what an enqueue and a reschedule have to be answered, and what becomes of the task
 * that waits; it shares no code with the engine's decisions.
 */
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import type { EnqueueAnswer } from "../../src/store/EnqueueAnswer.ts"
import type { RescheduleAnswer, RescheduleRequest } from "../../src/store/Reschedule.ts"
import { type Refusal, refusalOf } from "./DependencyLedger.ts"
import { isFinished, isOver, type Known } from "./Known.ts"

/** What may be revised of a task that waits. */
export type Waiting = Pick<
  Known,
  "task" | "state" | "dueAt" | "expiresAt" | "startBy" | "createdAt" | "claims" | "merged"
>

/** A task after the groups before this one, which may be new. */
type Draft = { -readonly [Field in keyof Waiting]: Waiting[Field] } & {
  readonly known: Known | undefined
  /** Of a new one: the ids of those that it depends on. */
  after?: ReadonlyArray<string>
}

/** What has to be answered about a group. One that has no conflict may be refused for want of room. */
export type Expected = Pick<Extract<EnqueueAnswer, { _tag: "Accepted" }>, "_tag" | "tasks"> | Conflict | Refusal

type Conflict = Extract<EnqueueAnswer, { readonly _tag: "Conflict" }>

/** What one call has to be answered, and what it does. */
export interface Plan {
  readonly expected: ReadonlyArray<Expected>
  /** The new tasks of accepted groups, as they are stored. */
  readonly created: ReadonlyArray<Waiting & { readonly after?: ReadonlyArray<string> }>
  readonly revised: ReadonlyArray<{ readonly known: Known; readonly to: Waiting }>
}

/** Ids of merged tasks that are remembered. */
const maxMerged = 8

const nameOf = ({ key, type }: Pick<NewTask, "key" | "type">): string => `${type} ${key}`

const waits = ({ state }: Pick<Known, "state">): boolean => state === "scheduled" || state === "pending"

/** Whether a task keeps others with its key away. */
export const holdsKey = (task: Waiting, now: number): boolean => {
  const window = task.task.unique?.window ?? "kept"
  if (typeof window === "number") return now < task.createdAt + window
  if (window === "kept") return true
  if (isFinished(task) || isOver(task, now)) return false
  return window === "unfinished" || task.claims === 0
}

/** Whether others of an order would no longer wait for a task that has started. */
const leavesOrder = ({ claims, task: { gate } }: Waiting, next: string | null): boolean =>
  claims > 0 && ordersOf(gate).some((pass) => !ordersOf(next).includes(pass))

const ordersOf = (gate: string | null): ReadonlyArray<string> =>
  gate === null ? [] : (JSON.parse(gate) as ReadonlyArray<string>).filter((pass) => pass.startsWith("!"))

/** A task that waits, due at another time. It is of use for as long after it as before, a retry for no less. */
const dueAgain = (
  task: Waiting,
  dueAt: number,
  now: number
): Pick<Waiting, "state" | "dueAt" | "expiresAt" | "startBy"> => {
  const byMs = dueAt - task.dueAt
  return {
    state: dueAt > now ? "scheduled" : "pending",
    dueAt,
    expiresAt: task.expiresAt + (task.claims > 0 && byMs < 0 ? 0 : byMs),
    startBy: task.startBy === null ? null : task.startBy + byMs
  }
}

/** All keys. */
export class KeyLedger {
  private readonly bearers = new Map<string, Known>()

  /** To be called when a task with a key is stored. */
  give(known: Known): void {
    if (known.task.key !== null) this.bearers.set(nameOf(known.task), known)
  }

  /** To be called when it is removed. */
  forget(known: Known): void {
    if (this.isBearer(known)) this.bearers.delete(nameOf(known.task))
  }

  /** Whether no later task has its key. */
  isBearer(known: Known): boolean {
    return this.bearers.get(nameOf(known.task)) === known
  }

  /** Whether it can't be run again: it would have its key once more, which a later task has got since. */
  isSuperseded(known: Known): boolean {
    const window = known.task.unique?.window
    return known.task.key !== null && !this.isBearer(known) &&
      (window === "unfinished" || (window === "waiting" && known.claims === 0))
  }

  /** What has to be answered, group by group; those that were accepted count for the next. */
  plan(
    groups: ReadonlyArray<ReadonlyArray<NewTask>>,
    answers: ReadonlyArray<EnqueueAnswer>,
    stored: ReadonlyMap<string, Known>,
    now: number
  ): Plan {
    let drafts: ReadonlyMap<string, Draft> = new Map()
    let owners: ReadonlyMap<string, Draft> = new Map()
    const expected = groups.map((group, index): Expected => {
      const round = { drafts: new Map(drafts), owners: new Map(owners) }
      const tasks: Array<Extract<Expected, { _tag: "Accepted" }>["tasks"][number]> = []
      for (const [place, task] of group.entries()) {
        const answer = this.meet(task, place, stored, round, now)
        if ("_tag" in answer) return answer
        tasks.push(answer)
      }
      const refusal = connect(group, tasks, round.drafts, (id) => stored.has(id) || drafts.has(id), answers[index]!)
      if (refusal !== undefined) return refusal
      if (answers[index]!._tag === "Accepted") ({ drafts, owners } = round)
      return { _tag: "Accepted", tasks }
    })
    const all = [...drafts.values()]
    return {
      expected,
      created: all.filter(({ known }) => known === undefined),
      revised: all.flatMap(({ known, ...to }) => known === undefined ? [] : [{ known, to }])
    }
  }

  private meet(
    task: NewTask,
    index: number,
    stored: ReadonlyMap<string, Known>,
    { drafts, owners }: { readonly drafts: Map<string, Draft>; readonly owners: Map<string, Draft> },
    now: number
  ): { readonly id: string; readonly duplicate: boolean; readonly merge?: "replaced" | "postponed" } | Conflict {
    if (stored.has(task.id) || drafts.has(task.id)) return { id: task.id, duplicate: true }
    const { key, unique } = task
    const bearer = key === null ? undefined : this.bearers.get(nameOf(task))
    const owner = owners.get(nameOf(task)) ?? (bearer === undefined ? undefined : asDraft(bearer))
    if (key === null || owner === undefined) return this.begin(task, drafts, owners, now)

    const { id } = owner.task
    if (owner.merged.includes(task.id)) return { id, duplicate: true }
    if (!holdsKey(owner, now)) return this.begin(task, drafts, owners, now)
    const refusal: Conflict = { _tag: "Conflict", index, key, id }
    if (unique === null || unique === undefined) {
      return owner.task.payload === task.payload ? { id, duplicate: true } : refusal
    }
    if (unique.onConflict === "return") return { id, duplicate: true }
    const state = isOver(owner, now) ? "expired" : owner.state
    if (unique.onConflict === "refuse" || !waits({ state }) || owner.task.queue !== task.queue) {
      return { ...refusal, state }
    }
    if (leavesOrder(owner, task.gate)) return { ...refusal, state }
    const { costs, gate, payload } = task
    const { byMs, maxMs, onConflict } = unique
    const latest = maxMs === null ? Infinity : owner.createdAt + maxMs
    const draft: Draft = {
      ...owner,
      task: { ...owner.task, costs, gate, payload },
      merged: [...owner.merged, task.id].slice(-maxMerged),
      ...onConflict === "postpone" ? dueAgain(owner, Math.min(now + byMs, latest), now) : {}
    }
    drafts.set(id, draft)
    owners.set(nameOf(task), draft)
    return { id, duplicate: true, merge: onConflict === "postpone" ? "postponed" : "replaced" }
  }

  private begin(task: NewTask, drafts: Map<string, Draft>, owners: Map<string, Draft>, now: number) {
    const dueAt = task.runAt ?? now + task.delayMs
    const draft: Draft = {
      known: undefined,
      task,
      state: dueAt > now ? "scheduled" : "pending",
      dueAt,
      expiresAt: dueAt + (task.expiresInMs ?? Infinity),
      startBy: task.startWithinMs === null ? null : dueAt + task.startWithinMs,
      createdAt: now,
      claims: 0,
      merged: []
    }
    drafts.set(task.id, draft)
    if (task.key !== null) owners.set(nameOf(task), draft)
    return { id: task.id, duplicate: false }
  }

  /** What a reschedule has to be answered, and what the task is after it. */
  rescheduled(
    known: Known | undefined,
    { costs, delayMs, gate, payload, priority, queue, runAt, startWithinMs, type }: RescheduleRequest,
    now: number
  ): readonly [RescheduleAnswer, Waiting?] {
    if (known === undefined || known.task.type !== type || known.task.queue !== queue) return [{ _tag: "unknown" }]
    const state = isOver(known, now) ? "expired" : known.state
    if (!waits({ state })) return [{ _tag: "conflict", state }]
    const task = {
      ...known.task,
      ...payload === undefined ? {} : { payload },
      ...gate === undefined ? {} : { gate, costs: costs ?? null },
      ...priority === undefined ? {} : { priority },
      ...startWithinMs === undefined ? {} : { startWithinMs }
    }
    if (task.priority !== known.task.priority && task.gate?.startsWith("[\"!") === true) return [{ _tag: "ordered" }]
    if (leavesOrder(known, task.gate)) return [{ _tag: "ordered" }]
    const dueAt = runAt ?? (delayMs === undefined ? undefined : now + delayMs)
    return [{ _tag: "rescheduled" }, {
      ...known,
      task,
      ...dueAt === undefined ? {} : dueAgain(known, dueAt, now),
      startBy: task.startWithinMs === null || (known.startBy === null && known.claims > 0)
        ? null
        : (dueAt ?? known.dueAt) + task.startWithinMs
    }]
  }
}

/** Gives the new tasks of a group the ids of those that they depend on, or says why the group is not stored. */
const connect = (
  group: ReadonlyArray<NewTask>,
  answers: ReadonlyArray<{ readonly id: string; readonly duplicate: boolean }>,
  drafts: ReadonlyMap<string, Draft>,
  isStored: (id: string) => boolean,
  answer: EnqueueAnswer
): Refusal | undefined => {
  if (group.every(({ after = [] }) => after.length === 0)) return undefined
  // where another task has the key of one, that is depended on
  const owners = new Map(group.map(({ id }, index) => [id, answers[index]!.id]))
  const fresh = new Map<string, ReadonlyArray<string>>()
  for (const [index, { after = [], id }] of group.entries()) {
    if (!answers[index]!.duplicate) fresh.set(id, [...new Set(after.map((other) => owners.get(other) ?? other))])
  }
  const refusal = refusalOf(group, fresh, isStored, answer)
  if (refusal === undefined) { for (const [id, after] of fresh) drafts.get(id)!.after = after }
  return refusal
}

const asDraft = (known: Known): Draft => {
  const { claims, createdAt, dueAt, expiresAt, merged, startBy, state, task } = known
  return { known, claims, createdAt, dueAt, expiresAt, merged, startBy, state, task }
}

/**
 * Storing new tasks: groups, each entirely or not at all.
 *
 * All groups go into one script. It stores what is new if none of them can be refused. Otherwise it stores nothing and answers
 * what is known: each group is decided, and the new tasks of those that are accepted go into the script once more.
 */
import { Effect, Semaphore } from "effect"
import { cycleOf, isDependent } from "../../domain/Dependencies.ts"
import { StoreError } from "../../domain/Errors.ts"
import type { NewTask, TaskRecord } from "../../domain/TaskRecord.ts"
import { type Budget, offeredBytes, Plan, writtenBytes } from "../Admission.ts"
import type { Coalesced } from "../Coalescer.ts"
import type { Aftermath } from "../Dependencies.ts"
import type { Owner } from "../Draft.ts"
import type { EnqueueAnswer } from "../TaskStore.ts"
import { dependentsOf } from "./Dependencies.ts"
import * as Failure from "./Failure.ts"
import * as Merge from "./Merge.ts"
import { lineOf } from "./Order.ts"
import { told } from "./Outcome.ts"
import { maxArguments, rowsOf, type Runner } from "./Runner.ts"
import { type Answer, run, runConnected, runMerge, runMergeConnected } from "./Storing.ts"
import { fieldOf, restOf } from "./Task.ts"

/** Texts in one argument, where there are too many for an argument each. */
const packSize = 1000

type Group = ReadonlyArray<NewTask>

/** What the script may do: only look, store all that is new, or that only where nothing is known. */
type Mode = "look" | "new" | "allNew"

/** How often groups are decided: other processes may store the same tasks, or take the room, but not for ever. */
export const maxRounds = 100

/** They were faster each time. */
export const overtaken = (operation: string): StoreError =>
  new StoreError({ operation, reason: "Redis: other processes were faster each time" })

/** Prepares the operation for one deployment. */
export const make = (
  runner: Runner,
  capacity: number,
  headStartMs: number,
  budget: Budget | undefined,
  aftermath: Aftermath
): Coalesced<Group, EnqueueAnswer> => {
  /** Stores all tasks that are new, or answers what is known: always when it only looks. */
  const send = (tasks: Group, looks: boolean): Effect.Effect<Answer, StoreError> =>
    Effect.flatMap(
      Failure.packing("enqueue", () => packed(argumentsOf(tasks, capacity, headStartMs, looks ? "look" : "new"))),
      (args) =>
        tasks.some(isDependent)
          ? Effect.map(runner("enqueue", runConnected, args), (answer) => told(aftermath, answer) as unknown as Answer)
          : runner("enqueue", run, args)
    )

  /** The answers once these tasks were stored, but for those that were known. */
  const stored = (decided: ReadonlyArray<EnqueueAnswer>, tasks: Group, answer: Answer) => {
    const owners = new Map(knownOf(tasks, answer).map(({ owner, task }) => [task.id, owner.id]))
    budget?.add(offeredBytes(tasks.filter(({ id }) => !owners.has(id))))
    return decided.map((one): EnqueueAnswer =>
      one._tag !== "Accepted" ? one : {
        _tag: "Accepted",
        tasks: owners.size === 0 ? one.tasks : one.tasks.map((task) => {
          const owner = owners.get(task.id)
          return owner === undefined ? task : { id: owner, duplicate: true }
        }),
        now: answer[0]
      }
    )
  }

  const decideAndStore = Effect.fnUntraced(function*(
    groups: ReadonlyArray<Group>,
    tasks: Group,
    first: Answer
  ): Effect.fn.Return<ReadonlyArray<EnqueueAnswer>, StoreError> {
    let known: Array<Owned> = []
    const missing = new Set<string>()
    let [sent, answer] = [tasks, first]
    for (let round = 0; round < maxRounds; round++) {
      known.push(...knownOf(sent, answer))
      for (const id of missingOf(answer)) missing.add(id)
      const held = [...new Set(known.flatMap(({ isHeld, owner }) => isHeld ? [owner.id] : []))]
      const { met, now } = held.length === 0
        ? { met: noneMet, now: Number(answer[0]) }
        : yield* Merge.read(runner, "enqueue", held)
      const plan = planOf(known, capacity, Number(answer[1]), budget, now)
      for (const { task } of met.values()) plan.addStored(task)
      addDependencies(plan, tasks, missing)
      const decided = groups.map((group) => plan.decide(group))
      const { fresh, losers, revised } = plan
      if (fresh.length === 0 && revised.length === 0) return stored(decided, [], [answer[0], "stored"])
      if (held.length === 0) {
        sent = fresh
        answer = yield* send(sent, false)
        if (answer[1] === "stored") return stored(decided, sent, answer)
        continue
      }
      const written = yield* Effect.flatMap(
        Failure.packing("enqueue", () => {
          const guards = Merge.guardsOf(plan, met)
          const changes = Merge.textsOf(Merge.changesOf(revised, met))
          const before = [headStartMs, guards.length, changes.length].map(String).concat(guards, changes)
          if (fresh.length === 0) return before
          const group = argumentsOf(fresh, capacity, headStartMs, "allNew", losers)
          return [...before, ...packed(group, maxArguments - before.length)]
        }),
        (args) => runner("enqueue", fresh.some(isDependent) ? runMergeConnected : runMerge, args)
      )
      const [at] = told(aftermath, written)
      if (at !== undefined) {
        budget?.add(writtenBytes({ fresh: [], revised }))
        return stored(decided, fresh, [Number(at), "stored"])
      }
      // all is looked at again
      known = []
      sent = tasks
      answer = yield* send(tasks, true)
    }
    return yield* overtaken("enqueue")
  })

  // Parts of one process that meet the same keys would be faster than one another again and again, for nothing
  const merging = Semaphore.makeUnsafe(1)

  return (groups) => {
    const tasks = groups.length === 1 ? groups[0]! : groups.flat()
    const offered = budget === undefined ? 0 : offeredBytes(tasks)
    const sent = Effect.flatMap(
      Effect.suspend(() => send(tasks, budget?.fits(offered) === false || mustLook(groups))),
      (answer) =>
        answer[1] === "stored"
          ? Effect.succeed(stored(groups.map(allNew), tasks, answer))
          : knownOf(tasks, answer).some(({ isHeld }) => isHeld)
          ? merging.withPermit(decideAndStore(groups, tasks, answer))
          : decideAndStore(groups, tasks, answer)
    )
    return budget === undefined ? sent : Effect.andThen(budget.measureFor(offered), sent)
  }
}

/** Whether tasks depend on others so that they cannot simply be stored: in a circle, or on those of a later group. */
const mustLook = (groups: ReadonlyArray<Group>): boolean => {
  if (!groups.some((group) => group.some(isDependent))) return false
  const later = new Set(groups.flatMap((group) => group.map(({ id }) => id)))
  return groups.some((group) => {
    for (const { id } of group) later.delete(id)
    return cycleOf(group) !== undefined || group.some(({ after = [] }) => after.some((id) => later.has(id)))
  })
}

const allNew = (group: Group): EnqueueAnswer => ({
  _tag: "Accepted",
  tasks: group.map(({ id }) => ({ id, duplicate: false })),
  now: 0
})

/** What decides about groups once it is known how many tasks are unfinished and who has ids and keys. */
export const planOf = (
  known: ReadonlyArray<Owned>,
  capacity: number,
  unfinished: number,
  budget: Budget | undefined,
  now: number
): Plan => {
  const plan = new Plan(capacity, unfinished, budget, now)
  for (const { owner, task } of known) {
    if (owner.id === task.id) plan.addId(task.id)
    else plan.addOwner(task, owner)
  }
  return plan
}

/** A task that was sent, and the one that has its id or its key. */
export interface Owned {
  readonly task: NewTask
  readonly owner: Owner
  /** Whether one of the two has a window, so that the owner has to be read. */
  readonly isHeld: boolean
}

/** Adds the tasks that others depend on and that are stored: all but the missing ones, as far as they are not sent with them. */
export const addDependencies = (plan: Plan, sent: Group, missing: ReadonlySet<string>): void => {
  if (!sent.some(isDependent)) return
  const own = new Set(sent.map(({ id }) => id))
  for (const { after = [] } of sent) for (const id of after) if (!own.has(id) && !missing.has(id)) plan.addId(id)
}

/** The ids of tasks that others depend on and that are not stored, by an answer. */
export const missingOf = ([, , ...known]: Answer): ReadonlyArray<string> =>
  rowsOf(known, 3).flatMap(([place, id]) => Number(place) === 0 ? [String(id)] : [])

/** What an answer says about tasks that were sent. */
export const knownOf = (sent: Group, [, , ...known]: Answer): ReadonlyArray<Owned> =>
  rowsOf(known, 3).flatMap(([place, id, payload]) => {
    if (Number(place) === 0) return []
    const task = sent[Number(place) - 1]!
    const isHeld = payload === "\t"
    const owner = { id: String(id), payload: payload === "" || isHeld ? task.payload : String(payload) }
    return [{ task, owner: isHeld ? { ...owner, hold: "" } : owner, isHeld }]
  })

/** Any number of texts as arguments: as they are, or many in one, as JSON. */
export const packed = (texts: ReadonlyArray<string>, max: number = maxArguments): ReadonlyArray<string> =>
  texts.length <= max ? texts : [
    "packed",
    ...Array.from(
      { length: Math.ceil(texts.length / packSize) },
      (_, pack) => JSON.stringify(texts.slice(pack * packSize, (pack + 1) * packSize))
    )
  ]

/** Neighbours that differ in nothing but id, limits, payload and what they depend on are one run. */
export const argumentsOf = (
  tasks: Group,
  capacity: number,
  headStartMs: number,
  mode: Mode,
  losers: ReadonlyArray<TaskRecord> = []
): ReadonlyArray<string> => {
  const args = [String(headStartMs), String(capacity), ""]
  let sizeAt = 0
  let size = 0
  let before: NewTask | undefined
  const ids = new Set<string>()
  const keys: Array<string> = []
  const free = new Set(losers.map(fieldOf))
  for (const task of tasks) {
    const keyField = fieldOf(task)
    if (before === undefined || keyField !== "" || before.key !== null || !alike(before, task)) {
      if (size > 0) args[sizeAt] = String(size)
      size = 0
      sizeAt = args.push("", lineOf(task), String(task.priority), dueOf(task), `${markOf(task, free)}${keyField}`) - 5
      if (keyField !== "") keys.push(keyField)
    }
    args.push(task.id, restOf(task))
    ids.add(task.id)
    size++
    before = task
  }
  if (size > 0) args[sizeAt] = String(size)
  const isRepeated = ids.size < tasks.length || new Set(keys).size < keys.length
  args[2] = `${isRepeated || mode === "look" ? "1" : mode === "new" ? "0" : "2"}${dependentsOf(tasks)}`
  return args
}

const markOf = (task: NewTask, free: ReadonlySet<string>): string =>
  task.key === null ? "" : free.has(fieldOf(task)) ? "t" : task.unique === null || task.unique === undefined ? "" : "u"

const alike = (a: NewTask, b: NewTask): boolean =>
  a.type === b.type && a.queue === b.queue && a.gate === b.gate && a.priority === b.priority && a.runAt === b.runAt &&
  isDependent(a) === isDependent(b) && a.delayMs === b.delayMs && a.expiresInMs === b.expiresInMs &&
  a.startWithinMs === b.startWithinMs

const dueOf = ({ delayMs, expiresInMs, runAt, startWithinMs }: NewTask): string => {
  const due = runAt === null ? `+${Math.max(0, delayMs)}` : `=${runAt}`
  if (startWithinMs !== null) return `${due};${expiresInMs ?? ""};${startWithinMs}`
  return expiresInMs === null ? due : `${due};${expiresInMs}`
}

const noneMet: ReadonlyMap<string, Merge.Met> = new Map()

/**
 * Storing new tasks: writes groups as the script reads them, and reads what became of each.
 */
import { Effect } from "effect"
import { sameJson } from "../../domain/SameJson.ts"
import type { NewTask } from "../../domain/TaskRecord.ts"
import { type ByteBudget, offeredBytes } from "../ByteBudget.ts"
import type { Coalesced } from "../Coalescer.ts"
import type { EnqueueAnswer } from "../TaskStore.ts"
import * as Failure from "./Failure.ts"
import { maxArguments, type Runner, script } from "./Runner.ts"
import { enqueue } from "./scripts/Enqueue.ts"
import { keyFieldOf, laneOf, restOf } from "./Task.ts"

/** Texts in one argument, where there are too many for an argument each. */
const packSize = 1000

type GroupAnswer = "A" | ReadonlyArray<string | number>
type Answer =
  | readonly [now: number, kind: "A", ...known: ReadonlyArray<number>]
  | readonly [now: number, kind: "G", ...groups: ReadonlyArray<GroupAnswer>]

const run = script<Answer>(enqueue)

/** A group that was refused although its payloads say the same as those that own their keys: with the texts of these. */
interface Alike {
  readonly _tag: "Alike"
  readonly group: ReadonlyArray<NewTask>
}

/**
 * Groups of tasks, each atomic with its own answer. The script compares payloads as texts; a group that only writes the
 * same in another way is asked for again, after the others of its call.
 */
export const make = (
  runner: Runner,
  capacity: number,
  headStartMs: number,
  budget: ByteBudget | undefined
): Coalesced<ReadonlyArray<NewTask>, EnqueueAnswer> => {
  const measured: typeof send = (groups) =>
    Effect.andThen(budget!.measureFor(offeredBytes(groups.flat())), send(groups))
  const send: Coalesced<ReadonlyArray<NewTask>, EnqueueAnswer> = (groups) =>
    Failure.packing("enqueue", () => packed(argumentsOf(groups, capacity, headStartMs, budget))).pipe(
      Effect.flatMap((args) => runner("enqueue", run, args)),
      Effect.flatMap((answer) => {
        const answers = answersOf(groups, answer, capacity, budget?.maxBytes)
        if (budget !== undefined) budget.add(offeredBytes(freshOf(groups, answers)))
        const alike = answers.flatMap((one) => one._tag === "Alike" ? [one.group] : [])
        if (alike.length === 0) return Effect.succeed(answers as ReadonlyArray<EnqueueAnswer>)
        return Effect.map(send(alike), (again) => {
          let next = 0
          return answers.map((one) => one._tag === "Alike" ? again[next++]! : one)
        })
      })
    )
  return budget === undefined ? send : measured
}

/** What is stored that was not before. */
const freshOf = (groups: ReadonlyArray<ReadonlyArray<NewTask>>, answers: ReadonlyArray<EnqueueAnswer | Alike>) =>
  groups.flatMap((group, index) => {
    const answer = answers[index]!
    return answer._tag === "Accepted" ? group.filter((_, place) => !answer.tasks[place]!.duplicate) : []
  })

/** Any number of texts as arguments: as they are, or many in one, as JSON. */
const packed = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.length <= maxArguments ? texts : [
    "packed",
    ...Array.from(
      { length: Math.ceil(texts.length / packSize) },
      (_, pack) => JSON.stringify(texts.slice(pack * packSize, (pack + 1) * packSize))
    )
  ]

/** Neighbours that differ in nothing but id, limits and payload are one run. */
const argumentsOf = (
  groups: ReadonlyArray<ReadonlyArray<NewTask>>,
  capacity: number,
  headStartMs: number,
  budget: ByteBudget | undefined
): ReadonlyArray<string> => {
  const sizes = groups.map((group) => group.length).join(";")
  const room = budget === undefined ? "" : String(budget.maxBytes - budget.bytes)
  const args = [String(headStartMs), String(capacity), "", "0", sizes, room]
  let amount = 0
  let sizeAt = 0
  let size = 0
  let before: NewTask | undefined
  const ids = new Set<string>()
  for (const group of groups) {
    for (const task of group) {
      const keyField = keyFieldOf(task)
      if (before === undefined || keyField !== "" || before.key !== null || !alike(before, task)) {
        if (size > 0) args[sizeAt] = String(size)
        size = 0
        sizeAt = args.push("", laneOf(task.queue, task.type), String(task.priority), dueOf(task), keyField) - 5
        if (keyField !== "") args[3] = "1"
      }
      args.push(task.id, restOf(task, keyField))
      ids.add(task.id)
      size++
      amount++
      before = task
    }
  }
  if (size > 0) args[sizeAt] = String(size)
  args[2] = String(amount)
  if (ids.size < amount || budget?.fits(offeredBytes(groups.flat())) === false) args[3] = "1"
  return args
}

const alike = (a: NewTask, b: NewTask): boolean =>
  a.type === b.type && a.queue === b.queue && a.priority === b.priority && a.runAt === b.runAt &&
  a.delayMs === b.delayMs

const dueOf = (task: NewTask): string => task.runAt === null ? `+${Math.max(0, task.delayMs)}` : `=${task.runAt}`

const answersOf = (
  groups: ReadonlyArray<ReadonlyArray<NewTask>>,
  answer: Answer,
  capacity: number,
  maxBytes: number | undefined
): ReadonlyArray<EnqueueAnswer | Alike> => {
  const now = answer[0]
  if (answer[1] === "G") {
    return groups.map((group, index) => answerOf(group, answer[index + 2] as GroupAnswer, now, capacity, maxBytes))
  }
  const known = answer.length === 2 ? undefined : new Set(answer.slice(2) as ReadonlyArray<number>)
  let place = 0
  return groups.map((group) => ({
    _tag: "Accepted",
    tasks: group.map(({ id }) => ({ id, duplicate: known?.has(++place) === true })),
    now
  }))
}

const answerOf = (
  group: ReadonlyArray<NewTask>,
  answer: GroupAnswer,
  now: number,
  capacity: number,
  maxBytes: number | undefined
): EnqueueAnswer | Alike => {
  if (answer === "A") return { _tag: "Accepted", tasks: group.map(({ id }) => ({ id, duplicate: false })), now }
  switch (answer[0]) {
    case "F":
      return {
        _tag: "Full",
        capacity,
        unfinished: Number(answer[1]),
        ...(maxBytes === undefined || answer.length === 2
          ? {}
          : { size: { maxBytes, storedBytes: maxBytes - Number(answer[2]), offeredBytes: Number(answer[3]) } })
      }
    case "C":
      return conflictOf(group, answer)
    default:
      return {
        _tag: "Accepted",
        tasks: group.map((_, index) => ({
          id: String(answer[index * 2 + 1]),
          duplicate: Number(answer[index * 2 + 2]) === 1
        })),
        now
      }
  }
}

/** The first task whose payload says something else, or else the group with the payloads that own its keys. */
const conflictOf = (group: ReadonlyArray<NewTask>, answer: ReadonlyArray<string | number>): EnqueueAnswer | Alike => {
  const alike = [...group]
  for (let at = 1; at < answer.length; at += 3) {
    const index = Number(answer[at])
    const payload = String(answer[at + 2])
    const task = group[index]!
    if (!sameJson(payload, task.payload)) {
      return { _tag: "Conflict", index, key: task.key!, id: String(answer[at + 1]) }
    }
    alike[index] = { ...task, payload }
  }
  return { _tag: "Alike", group: alike }
}

/**
 * Storing new tasks: writes groups as the script reads them, and reads what became of each.
 */
import { Effect } from "effect"
import type { NewTask } from "../../domain/TaskRecord.ts"
import type { EnqueueAnswer } from "../TaskStore.ts"
import type { Coalesced } from "./Coalescer.ts"
import { type Runner, script } from "./Runner.ts"
import { enqueue } from "./scripts/Enqueue.ts"
import { keyFieldOf, laneOf, restOf } from "./Text.ts"

type GroupAnswer = "A" | ReadonlyArray<string | number>

const run = script<readonly [now: number, ...groups: ReadonlyArray<GroupAnswer>]>(enqueue)

/** Groups of tasks, each atomic with its own answer. */
export const make = (
  runner: Runner,
  capacity: number,
  headStartMs: number
): Coalesced<ReadonlyArray<NewTask>, EnqueueAnswer> =>
(groups) =>
  Effect.suspend(() => {
    const args = [String(headStartMs), String(capacity)]
    for (const group of groups) pushGroup(args, group)
    return Effect.map(
      runner("enqueue", run, args),
      ([now, ...answers]) => groups.map((group, index) => answerOf(group, answers[index]!, now, capacity))
    )
  })

/** Neighbours that differ in nothing but id, limits and payload are one run. */
const pushGroup = (args: Array<string>, group: ReadonlyArray<NewTask>): void => {
  const runsAt = args.push("0") - 1
  let runs = 0
  let sizeAt = 0
  let size = 0
  let before: NewTask | undefined
  for (const task of group) {
    const keyField = keyFieldOf(task)
    if (before === undefined || keyField !== "" || before.key !== null || !alike(before, task)) {
      if (runs > 0) args[sizeAt] = String(size)
      runs++
      size = 0
      sizeAt = args.push("0", laneOf(task.queue, task.type), String(task.priority), dueOf(task), keyField) - 5
    }
    args.push(task.id, restOf(task, keyField))
    size++
    before = task
  }
  if (runs > 0) args[sizeAt] = String(size)
  args[runsAt] = String(runs)
}

const alike = (a: NewTask, b: NewTask): boolean =>
  a.type === b.type && a.queue === b.queue && a.priority === b.priority && a.runAt === b.runAt &&
  a.delayMs === b.delayMs

const dueOf = (task: NewTask): string => task.runAt === null ? `+${Math.max(0, task.delayMs)}` : `=${task.runAt}`

const answerOf = (
  group: ReadonlyArray<NewTask>,
  answer: GroupAnswer,
  now: number,
  capacity: number
): EnqueueAnswer => {
  if (answer === "A") return { _tag: "Accepted", tasks: group.map(({ id }) => ({ id, duplicate: false })), now }
  switch (answer[0]) {
    case "F":
      return { _tag: "Full", capacity, unfinished: Number(answer[1]) }
    case "C": {
      const index = Number(answer[1])
      return { _tag: "Conflict", index, key: group[index]!.key!, id: String(answer[2]) }
    }
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

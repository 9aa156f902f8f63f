/**
 * Tasks that meet the key of another one, where either has a window: their owners are read, all groups are decided, and one script
 * writes it if the owners are as they were read.
 */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { holdAfterLoss, superseded } from "../../domain/Uniqueness.ts"
import type { Revised, Writes } from "../Draft.ts"
import { lanes } from "./Order.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { aboutOf, argumentsOf, type Changed, fieldOf, recordOf, type Shown } from "./Task.ts"
import { standing } from "./Writes.ts"

/** An owner as it was read, with its state, lease and what is about its key, as texts. */
export interface Met extends Pick<Changed, "state" | "lease" | "about"> {
  readonly task: TaskRecord
}

/** Texts of one owner. */
const metSize = 8

/** Reads owners by id; one that is not stored any more is left out. */
export const read = Effect.fnUntraced(function*(
  runner: Runner,
  operation: string,
  ids: ReadonlyArray<string>
): Effect.fn.Return<{ readonly now: number; readonly met: ReadonlyMap<string, Met> }, StoreError> {
  const met = new Map<string, Met>()
  let now = 0
  for (let start = 0; start < ids.length;) {
    const [at, amount, ...texts] = yield* runner(operation, runMet, [
      String(Bounds.maxAnswerBytes),
      ...ids.slice(start, start + maxAtOnce)
    ])
    for (const row of rowsOf(texts, metSize)) {
      const task = recordOf([...row, null, null])
      met.set(task.id, { task, state: row[1]!, lease: row[2]!, about: aboutOf(row[7]!) })
    }
    now = Number(at)
    start += Number(amount)
  }
  return { now, met }
})

/** Tasks that one script reads at most. */
const maxAtOnce = 1024

/**
 * - Arguments: how many bytes of failures, histories and tasks, then ids.
 * - Answers: the clock, about how many ids this is: the first ones that fit, one at least. Then seven texts of where each task stands,
 *   and its task.
 */
const runMet = script<readonly [now: string, amount: number, ...texts: Shown]>(`${prelude}${lanes}${standing}
local answers, left = { int(clock()), 0 }, tonumber(ARGV[1])
for index = 2, #ARGV do
  local size = stand(answers, ARGV[index])
  if size then
    local task = call("HGET", root .. ":task", ARGV[index])
    answers[#answers + 1] = task
    left = left - size - #task
  end
  answers[2] = index - 1
  if left < 0 then break end
end
return answers
`)

/** How many texts a guard has. */
const guardSize = 4

/** The owners that have to be as they were read, as {@link merging} takes them. */
export const guardsOf = (
  { losers, revised }: Writes,
  met: ReadonlyMap<string, Met>
): ReadonlyArray<string> => [
  ...losers.flatMap((task) => [
    fieldOf(task),
    task.id,
    met.get(task.id)!.state,
    holdAfterLoss(task) === superseded ? "-" : "+"
  ]),
  ...revised.flatMap(({ task }) => met.has(task.id) ? [fieldOf(task), task.id, met.get(task.id)!.state, ""] : [])
]

/** What owners become, as `Task.writes` takes it. */
export const changesOf = (
  revised: ReadonlyArray<Revised>,
  met: ReadonlyMap<string, Met>
): ReadonlyArray<Changed> =>
  revised.flatMap(({ change, task }) => {
    const found = met.get(task.id)
    return found === undefined ? [] : [{ ...found, change }]
  })

/** The same as arguments. */
export const textsOf = (changes: ReadonlyArray<Changed>): ReadonlyArray<string> => changes.flatMap(argumentsOf)

/**
 * A guard is four texts: the field of a key, the id of the task that has it, that task's state, and what becomes of it: `-` where it
 * loses the key and can't be run again, `+` where it loses it, or nothing.
 */
export const merging = `
-- whether all tasks that are given have their keys and are as they were read
local function areOwners(guards)
  for at = 1, #guards, ${guardSize} do
    if call("HGET", root .. ":key", guards[at]) ~= guards[at + 1] or textOf(guards[at + 1]) ~= guards[at + 2] then
      return false
    end
  end
  return true
end

-- to be called once all else is written
local function supersede(guards)
  for at = 1, #guards, ${guardSize} do
    local id = guards[at + 1]
    if guards[at + 3] == "-" then call("HSET", root .. ":state", id, textOf(id) .. "\\n-") end
  end
end
`

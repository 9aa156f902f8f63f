/**
 * Scripts: what all begin with, and how one runs. It takes one round trip, goes by its hash, and is loaded again where the
 * server does not know it. The time that a caller waits has a limit.
 */
import { Effect } from "effect"
import * as Redis from "effect/persistence/Redis"
import type { StoreError } from "../../domain/Errors.ts"
import type { Refusals } from "../WriteHealth.ts"
import * as Failure from "./Failure.ts"

/** A script, and what Redis answers to it. */
export type Script<Answer> = Redis.Script<{
  readonly params: readonly [keys: ReadonlyArray<string>, args: ReadonlyArray<string>]
  readonly result: Answer
}>

/** Declares a script. */
export const script = <Answer>(lua: string): Script<Answer> =>
  Redis.script(
    (keys: ReadonlyArray<string>, args: ReadonlyArray<string>) => [...keys, ...args],
    { lua, numberOfKeys: (keys) => keys.length }
  ).withReturnType<Answer>()

/** An answer that has so many values for each of several things. */
export const rowsOf = <A>(values: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: values.length / size }, (_, index) => values.slice(index * size, (index + 1) * size))

/** Arguments of one script at most: they pass over the stack of this process, which has an end. */
export const maxArguments = 60_000

/** Characters of one script's arguments at most: the client joins them to one text, which has a limit. */
const maxSize = 128 * 1024 * 1024

/** Why these arguments cannot be sent, if they cannot. The client would find out too late, when it has begun. */
const refusalOf = (operation: string, args: ReadonlyArray<string>): StoreError | undefined => {
  if (args.length > maxArguments) return Failure.tooLarge(operation)
  let size = 0
  for (const arg of args) {
    if (typeof arg !== "string") return Failure.notText(operation)
    size += arg.length
  }
  return size > maxSize ? Failure.tooLarge(operation) : undefined
}

/** Runs a script on one deployment's keys. `operation` names it in errors. */
export type Runner = <Answer>(
  operation: string,
  script: Script<Answer>,
  args: ReadonlyArray<string>
) => Effect.Effect<Answer, StoreError>

/**
 * The runner of the deployment whose keys are derived from these: its root, and in tests the clock's key. It waits no
 * longer than that for an answer.
 */
export const make = (
  redis: Redis.Redis["Service"],
  keys: ReadonlyArray<string>,
  answerWithinMs: number,
  refusals?: Refusals
): Runner =>
(operation, script, args) => {
  const refusal = refusalOf(operation, args)
  return refusal !== undefined ? Effect.fail(refusal) : redis.eval(script)(keys, args).pipe(
    Effect.mapError((error) => {
      const failure = Failure.storeError(operation, error)
      refusals?.note(failure)
      return failure
    }),
    Effect.timeoutOrElse({
      duration: answerWithinMs,
      orElse: () => Effect.fail(Failure.noAnswer(operation, answerWithinMs))
    })
  )
}

/**
 * What every script begins with: the names of keys, and the store's clock.
 *
 * `KEYS[1]` is the deployment's root, `{taskforge}` unless configured. All other keys are the root, a colon and a
 * name, so they share its hash tag and with it one slot of a Redis Cluster.
 *
 * | key | kind | holds |
 * |---|---|---|
 * | `meta` | hash | the layout's version and the settings that belong to the stored queue |
 * | `tally` | hash | the last sequence, claim and record numbers given, the number of unfinished tasks, and the totals |
 * | `task` | hash | by id: what a task is, written once; see `Task` |
 * | `state` | hash | by id: where a task stands, once it was claimed or finished; see `Task` |
 * | `result`, `failure`, `history`, `progress` | hashes | by id, for tasks that have them |
 * | `key` | hash | by `["type","key"]`: the id that owns an idempotency key |
 * | `stored` | hash | by `["queue","type"]`: how many tasks of this lane are stored |
 * | `era:<era>` | sets | the lanes of the tasks of a hundred sequence numbers; see `Lanes` |
 * | `eras`, `gone` | sorted set, hash | eras that have tasks; how many of an era's tasks are removed |
 * | `old` | set | lanes of tasks that are in no era |
 * | `index` | sorted set | these lanes by name, each as queue, type and `["queue","type"]` with U+0000 between |
 * | `head` | hash | by lane, of those that have pending tasks: where it is filed; see `Order` |
 * | `ready`, `ready:<type>` | sorted sets | these lanes in the order of work; those of one type |
 * | `types` | set | types that have pending tasks |
 * | `lane:<line>` | sorted set | pending tasks of one queue, type and gate, alone or in blocks, by rank |
 * | `shared`, `spread` | hash, set | lanes whose tasks with gates wait together, and the limits of these; those that get lines; see `Shared` |
 * | `blocks:<lane>` | sorted set | the blocks among them, by sequence number; see `Lanes` |
 * | `block:<seq>` | list | the tasks of a block |
 * | `place` | hash | by line with a gate, or group of these: its place, and which of the following it is in; see `Lines` |
 * | `open:<lane>`, `shut:<lane>` | sorted sets | the lines with gates and groups of a lane by place; its groups that are shut |
 * | `parked:<group>` | sorted set | the lines of a group, by place |
 * | `gates:<type>` | set | lanes that have lines with gates |
 * | `groups` | sorted set | all groups, each as pass and group with U+0000 between |
 * | `until` | sorted set | groups that are shut until a time |
 * | `held`, `holder`, `bucket` | hashes | by pass: how many run, the task of an order that was started last, what its bucket had |
 * | `turn`, `turns` | hash, sorted set | by line, its turn and credit; these lines, each as pass and line |
 * | `scheduled` | sorted set | scheduled tasks, by due time |
 * | `expiring` | sorted set | waiting tasks that expire, by when |
 * | `running` | sorted set | running tasks, by the end of their lease |
 * | `finished:<state><keyed>` | sorted sets | finished tasks, by when they finished |
 * | `list:<state>:<lane>` | sorted sets | waiting and finished tasks by sequence number, without those in blocks |
 * | `claims`, `claimed` | hash, sorted set | by instance: its last claim, and when it was made |
 * | `probe` | string | that a write was tried, for a second |
 * | `awaited` | sorted set | ids whose end a process waits for, by when that is forgotten |
 * | `record:<kind>` | hash | by id: a record; see `Records` |
 * | `record-ids:<kind>` | sorted set | their ids, in order |
 * | `record-wakes:<kind>` | sorted set | the ids of those that are due some time, by then or by the end of their lease |
 * | `event:head`, `event:log` | hash, sorted set | where the log of events stands; its batches, by their last number |
 *
 * Tests may give a second key: `+n` in it moves the clock by n ms, `n` stops it there.
 *
 * A sequence number has 12 digits, so that numbers sort like texts. Members of sorted sets begin with it: they break
 * ties of the score, and where all scores are 0 they are the order.
 */
export const prelude = `
local root, call = KEYS[1], redis.call

local function clock()
  local set = KEYS[2] and call("GET", KEYS[2])
  if set and string.sub(set, 1, 1) ~= "+" then return tonumber(set) end
  local time = call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000) + (set and tonumber(set) or 0)
end

-- numbers as text: Lua's own conversion keeps 14 digits. %d is the faster one and knows nothing but whole numbers
local function int(number) return string.format(number % 1 == 0 and "%d" or "%.0f", number) end

-- a command on one key with any number of further arguments, all or the first so many; unpack has a limit
local maxItems = 4000
local function each(command, key, items, count)
  count = count or #items
  for first = 1, count, maxItems do
    call(command, key, unpack(items, first, math.min(first + maxItems - 1, count)))
  end
end

local function count(name, amount) call("HINCRBY", root .. ":tally", name, int(amount)) end

local function hmget(key, ids)
  if #ids <= maxItems then return #ids == 0 and {} or call("HMGET", key, unpack(ids)) end
  local found = {}
  for first = 1, #ids, maxItems do
    local part = call("HMGET", key, unpack(ids, first, math.min(first + maxItems - 1, #ids)))
    for index = 1, #part do found[first + index - 1] = part[index] end
  end
  return found
end
`

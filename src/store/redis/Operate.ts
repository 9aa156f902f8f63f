/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import { decideReopen, type Reopen, type ReopenAnswer } from "../../domain/Reopen.ts"
import { idOf, type TaskRef } from "../../domain/Seen.ts"
import { finished } from "../../domain/TaskState.ts"
import { dependenciesFirst, maxTold } from "../Dependencies.ts"
import { decideCancel, decideExpire, decideRerun, decideReschedule, type Decision } from "../Driver.ts"
import type { RescheduleAnswer, RescheduleRequest } from "../Reschedule.ts"
import {
  type CancelAnswer,
  type Expired,
  keyedForMs,
  lastClaimForMs,
  type RemoveAnswer,
  type RerunAnswer,
  type Retention
} from "../TaskStore.ts"
import { ends } from "./Connected.ts"
import { among } from "./Dependencies.ts"
import { overtaken } from "./Enqueue.ts"
import { announce } from "./Hints.ts"
import { adoptLines, lines } from "./Lines.ts"
import * as Merge from "./Merge.ts"
import { adopt, lanes, left, stored } from "./Order.ts"
import { limits } from "./Passes.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { freeing } from "./Server.ts"
import { type Changed, letters, type Tasks } from "./Task.ts"
import { ending, standing } from "./Writes.ts"

/** How often tasks may have changed after they were read. */
const maxRepeats = 10

/** Looks at tasks that depend on others, to find out which of these may be removed, in one step of pruning. */
const maxLooks = 10_000

/** The operations of one deployment. */
export const make = (runner: Runner, tasks: Tasks) => {
  /** Where the look through the buckets goes on. */
  let bucketCursor = "0"
  /** How many of the oldest of each set of finished tasks have to stay, as the last look has found: the next goes on behind them. */
  let kept = ""
  return {
    expire: expiring(runner, tasks),

    cancel: (refs: ReadonlyArray<TaskRef>): Effect.Effect<ReadonlyArray<CancelAnswer>, StoreError> =>
      tasks.change(
        "cancel",
        refs.map(idOf),
        "unknown",
        (task, now, place) => decideCancel(task, now, refs[place])
      ),

    rerun: Effect.fnUntraced(function*(
      refs: ReadonlyArray<TaskRef>
    ): Effect.fn.Return<ReadonlyArray<RerunAnswer>, StoreError> {
      const ids = refs.map(idOf)
      const after = yield* among(runner, ids)
      const order = dependenciesFirst(ids, (id) => after.get(id) ?? [])
      // the script that writes it says for how many others a task waits
      const answers = yield* tasks.change<RerunAnswer>(
        "rerun",
        order.map((place) => ids[place]!),
        { _tag: "unknown" },
        (task, now, place) => decideRerun(task, now, 0, refs[order[place]!])
      )
      const byPlace = new Map(order.map((place, index) => [place, answers[index]!]))
      return refs.map((_, place) => byPlace.get(place)!)
    }),

    reopen: reopening(runner, tasks),

    reschedule: Effect.fnUntraced(function*(
      requests: ReadonlyArray<RescheduleRequest>
    ): Effect.fn.Return<ReadonlyArray<RescheduleAnswer>, StoreError> {
      const answers = requests.map((): RescheduleAnswer => ({ _tag: "unknown" }))
      let places = [...requests.keys()]
      for (let repeats = 0; places.length > 0; repeats++) {
        if (repeats > maxRepeats) return yield* overtaken("reschedule")
        const { met, now } = yield* Merge.read(runner, "reschedule", places.map((place) => requests[place]!.id))
        const changed: Array<Changed> = []
        for (const place of places) {
          const found = met.get(requests[place]!.id)
          const [answer, change]: Decision<RescheduleAnswer> = found === undefined
            ? [{ _tag: "unknown" }]
            : decideReschedule(found.task, requests[place]!, now)
          answers[place] = answer
          if (found !== undefined && change !== undefined) changed.push({ ...found, change })
        }
        // of those that have changed since nothing was written
        const lost = new Set(yield* tasks.write("reschedule", changed))
        places = places.filter((place) => lost.has(requests[place]!.id))
      }
      return answers
    }),

    remove: (refs: ReadonlyArray<TaskRef>): Effect.Effect<ReadonlyArray<RemoveAnswer>, StoreError> =>
      runner("remove", runRemove, refs.flatMap((ref) => [idOf(ref), ...sightOf(ref)])),

    prune: (
      { forMs, max, maxKeyed }: Retention,
      limit: number
    ): Effect.Effect<number, StoreError> =>
      Effect.map(
        Effect.suspend(() =>
          runner("prune", runPrune, [
            ...[limit, keyedForMs, lastClaimForMs, maxKeyed].map(String),
            bucketCursor,
            kept,
            ...finished.flatMap((state) => [letters[state], String(forMs[state]), String(max[state])])
          ])
        ),
        ([removed, cursor, places]) => {
          bucketCursor = cursor
          kept = places
          return Number(removed)
        }
      )
  }
}

/** How a task has to be that is removed: what is not finished has no such letter. */
const sightOf = (ref: TaskRef): readonly [seen: string, last: string] => {
  if (typeof ref === "string") return ["", ""]
  const { at, claim, state } = ref.seen
  return [`${state === "waiting" || state === "running" ? "-" : letters[state]}${claim}`, String(at)]
}

/** Runs tasks of a graph again: decided on what two scripts read, and written by one that looks again at what they depend on. */
const reopening = (runner: Runner, tasks: Tasks): Reopen =>
  Effect.fnUntraced(function*(ids, options): Effect.fn.Return<ReadonlyArray<ReopenAnswer>, StoreError> {
    const answers = new Map<string, ReopenAnswer>()
    let left = ids
    for (let repeats = 0; left.length > 0; repeats++) {
      if (repeats > maxRepeats) return yield* overtaken("rerun")
      const { now, tasks: found } = yield* tasks.read("rerun", left)
      const standings = rowsOf(yield* runner("rerun", runStanding, left), 2)
      const changed: Array<Changed> = []
      for (const [index, id] of left.entries()) {
        const read = found.get(id)
        const [open, blocking] = standings[index]!
        const [answer, change]: Decision<ReopenAnswer> = read === undefined
          ? [{ _tag: "unknown" }]
          : decideReopen(read.task, now, options, {
            open: Number(open),
            blocking: blocking === "" ? undefined : blocking!.slice(1)
          })
        answers.set(id, answer)
        // the script that writes it says for how many others it waits
        if (read !== undefined && change !== undefined) changed.push({ ...read, change, isMember: true })
      }
      left = yield* tasks.write("rerun", changed)
    }
    return ids.map((id) => answers.get(id)!)
  })

/**
 * - Arguments: ids.
 * - Answers: of each how many it would wait for, and `=` and the id of one that keeps it from running again, or nothing.
 */
const runStanding = script<ReadonlyArray<string>>(`${prelude}${freeing}${lanes}${lines}${announce}${ends}
local answers = {}
local isConnected = call("EXISTS", root .. ":depends") == 1
if isConnected then
  ${ending}
end
for index, id in ipairs(ARGV) do
  local blocking, open = nil, 0
  if isConnected then blocking, open = connected().standing(id) end
  answers[2 * index - 1], answers[2 * index] = int(open), blocking and "=" .. blocking or ""
end
return answers
`)

/** Ends waiting tasks that have expired. */
export const expiring = (runner: Runner, tasks: Tasks) =>
  Effect.fnUntraced(function*(limit: number): Effect.fn.Return<ReadonlyArray<Expired>, StoreError> {
    const ids = yield* runner("expire", runExpiring, [String(limit)])
    const answers = yield* tasks.change<Expired | undefined>("expire", ids, undefined, decideExpire)
    return answers.filter((one) => one !== undefined)
  })

/**
 * Waiting tasks that have expired, the earliest first.
 *
 * - Arguments: how many.
 * - Answers: ids.
 */
const runExpiring = script<ReadonlyArray<string>>(`${prelude}
local ids = {}
for index, ref in ipairs(call("ZRANGEBYSCORE", root .. ":expiring", "-inf", int(clock()), "LIMIT", 0, ARGV[1])) do
  ids[index] = string.sub(ref, 13)
end
return ids
`)

/** Removes finished tasks of one set, given as its members, from everywhere. */
const drop = `${stored}${left}
${ends}
local isAnyConnected = call("EXISTS", root .. ":edges", root .. ":depends") > 0
if isAnyConnected then
  ${ending}
end

-- takes the edges that lead to these tasks away, at most so many each; answers the tasks that have none, which may then be removed
local function detach(refs, limit)
  if not isAnyConnected then return refs end
  local ids, free = {}, {}
  for index, ref in ipairs(refs) do ids[index] = string.sub(ref, 13) end
  for index, text in ipairs(hmget(root .. ":depends", ids)) do
    if not text or connected().disconnect(ids[index], text, limit) then free[#free + 1] = refs[index] end
  end
  return free
end

local function drop(set, refs)
  local ids, lists, amounts, passes, holders = {}, {}, {}, {}, {}
  for index, ref in ipairs(refs) do
    local era = eraOf(ref)
    ids[index], amounts[era] = string.sub(ref, 13), (amounts[era] or 0) + 1
  end
  each("ZREM", root .. ":finished:" .. set, refs)
  for index, text in ipairs(hmget(root .. ":state", ids)) do
    local line = string.match(text, "^[^\\n]*\\n([^\\n]*)")
    local lane = laneOf(line)
    lists[lane] = lists[lane] or {}
    table.insert(lists[lane], refs[index])
    if line ~= lane then
      for _, pass in ipairs(gated().passesOf(line)) do passes[#passes + 1], holders[#holders + 1] = pass, ids[index] end
    end
  end
  local freed = {}
  for index, id in ipairs(hmget(root .. ":holder", passes)) do
    if id == holders[index] then
      freed[#freed + 1] = passes[index]
      gated().open(passes[index])
    end
  end
  each("HDEL", root .. ":holder", freed)
  if madeLines then madeLines.conclude() end
  for lane, members in pairs(lists) do
    each("ZREM", root .. ":list:" .. string.sub(set, 1, 1) .. ":" .. lane, members)
    uncount(lane, #members)
  end
  leaveEras(amounts)
  if string.sub(set, 2) == "1" then
    local fields, owned = {}, {}
    for index, task in ipairs(hmget(root .. ":task", ids)) do
      fields[index] = string.match(task, "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n([^\\n\\t]*)")
    end
    -- a later task may have the key
    for index, id in ipairs(hmget(root .. ":key", fields)) do
      if id == ids[index] then owned[#owned + 1] = fields[index] end
    end
    each("HDEL", root .. ":key", owned)
  end
  for _, name in ipairs({ ":task", ":state", ":result", ":failure", ":history", ":progress" }) do
    each("HDEL", root .. name, ids)
  end
  if isAnyConnected then
    for index, edge in ipairs(hmget(root .. ":edges", ids)) do
      if edge then
        call("HDEL", root .. ":edges", ids[index])
        call("UNLINK", root .. ":edges:" .. ids[index])
        call("ZREM", root .. ":telling", ids[index])
      end
    end
  end
end
`

/**
 * Removes finished tasks; their ids and keys are free.
 *
 * - Arguments: of each its id, and the letter and claim that it has to have and the time until which it has to have ended, or nothing twice.
 * - Answers: one for each.
 */
const runRemove = script<ReadonlyArray<RemoveAnswer>>(`${prelude}${freeing}${lanes}${lines}${standing}${drop}
local answers = {}
for at = 1, #ARGV, 3 do
  local id, seen, last, index = ARGV[at], ARGV[at + 1], ARGV[at + 2], (at + 2) / 3
  local e = load(id)
  if e == nil or (seen ~= "" and (seen ~= e.letter .. e.claim or (tonumber(e.completed) or 0) > tonumber(last))) then
    answers[index] = "unknown"
  elseif e.letter == "W" or e.letter == "R" then
    answers[index] = "unfinished"
  else
    local edge, refs = isAnyConnected and call("HGET", root .. ":edges", id), { e.seq .. id }
    if edge and connected().isAwaited(id, edge, math.huge) then
      answers[index] = "awaited"
    else
      drop(e.letter .. e.keyed, detach(refs, math.huge))
      answers[index] = "removed"
    end
  end
end
return answers
`)

/**
 * Removes what retention no longer keeps, first the tasks that are too old, then the oldest beyond the number, and forgets the
 * claims of instances that were silent for long.
 *
 * - Arguments: how many at most, the age at which keyed tasks may be removed by number, that at which claims are forgotten, the
 *   number of tasks of each state to keep whatever keys they have, where the look through the buckets goes on, and the one for tasks that
 *   others depend on. Then of each state its letter, the age at which tasks go, and how many to keep; ages in ms.
 * - Answers: how many tasks were removed, and where those looks go on the next time.
 */
const runPrune = script<readonly [removed: number, bucketCursor: string, kept: string]>(
  `${prelude}${freeing}${lanes}${lines}${limits}${drop}${adopt}${adoptLines}
-- an older version that still runs writes lanes in its own way
adopt()
if call("EXISTS", root .. ":held", root .. ":place") > 0 then adoptLines() end
sweep()
local limit, now = tonumber(ARGV[1]), clock()
local bucketCursor = "0"
if call("EXISTS", root .. ":bucket") == 1 then bucketCursor = limits().sweep(now, ARGV[5]) end
local removed = 0

for _, instance in ipairs(call("ZRANGEBYSCORE", root .. ":claimed", "-inf", int(now - ARGV[3]), "LIMIT", 0, 1000)) do
  call("HDEL", root .. ":claims", instance)
  call("ZREM", root .. ":claimed", instance)
end

-- tasks that one that has not ended depends on stay where they are. How many of a set are before the place where a look begins, by what
-- is looked for, and how many looks are left
local kept, looks = ARGV[6] ~= "" and cjson.decode(ARGV[6]) or {}, ${maxLooks}

-- the tasks among these that may be removed; the others are kept
local function removable(place, refs)
  if not isAnyConnected then return refs end
  local ids, free = {}, {}
  for index, ref in ipairs(refs) do ids[index] = string.sub(ref, 13) end
  for index, edge in ipairs(hmget(root .. ":edges", ids)) do
    local isAwaited, looked = false, 0
    if edge then isAwaited, looked = connected().isAwaited(ids[index], edge, math.min(looks, ${maxTold})) end
    looks = looks - looked
    if not isAwaited then free[#free + 1] = refs[index] else kept[place] = (kept[place] or 0) + 1 end
  end
  local left = detach(free, ${maxTold})
  kept[place] = (kept[place] or 0) + #free - #left
  return left
end

-- removes the oldest of a state that finished by then, those without a key and those with one: of so many at most
local function forget(letter, purpose, amount, until_, untilKeyed)
  local places, isMore = { [letter .. "0"] = letter .. "0" .. purpose, [letter .. "1"] = letter .. "1" .. purpose }, amount > 0
  local function behind() return (kept[places[letter .. "0"]] or 0) + (kept[places[letter .. "1"]] or 0) end
  amount = amount - behind()
  while isMore do
    local asked = math.min(amount, limit - removed)
    if asked <= 0 then break end
    local found, bySet = {}, {}
    for set, last in pairs({ [letter .. "0"] = until_, [letter .. "1"] = untilKeyed }) do
      local first = kept[places[set]] or 0
      local members = call("ZRANGE", root .. ":finished:" .. set, first, first + asked - 1, "WITHSCORES")
      for index = 1, #members, 2 do
        local ref, at = members[index], tonumber(members[index + 1])
        if at > last then break end
        found[#found + 1] = { set = set, ref = ref, at = at, seq = tonumber(string.sub(ref, 1, 12)) }
      end
    end
    table.sort(found, function(a, b) return a.at < b.at or (a.at == b.at and a.seq < b.seq) end)
    for index = 1, math.min(#found, asked) do
      local set = found[index].set
      bySet[set] = bySet[set] or {}
      table.insert(bySet[set], found[index].ref)
    end
    for set, refs in pairs(bySet) do
      local free = removable(places[set], refs)
      if free[1] then drop(set, free) end
      removed = removed + #free
    end
    amount, isMore = amount - math.min(#found, asked), #found >= asked
    if looks <= 0 then return end
  end
  -- once all were looked at it begins from the start
  if removed < limit then
    for _, place in pairs(places) do kept[place] = nil end
  end
end

local function sizeOf(letter)
  return call("ZCARD", root .. ":finished:" .. letter .. "0") + call("ZCARD", root .. ":finished:" .. letter .. "1")
end

for at = 7, #ARGV, 3 do
  local last = now - ARGV[at + 1]
  forget(ARGV[at], "old", math.huge, last, last)
end
for at = 7, #ARGV, 3 do
  local letter, max = ARGV[at], tonumber(ARGV[at + 2])
  -- a keyed task keeps answering repeated requests for a while
  forget(letter, "many", sizeOf(letter) - max, now, now - ARGV[2])
  forget(letter, "keyed", sizeOf(letter) - math.max(max, tonumber(ARGV[4])), now, now)
end
return { removed, bucketCursor, next(kept) and cjson.encode(kept) or "" }
`
)

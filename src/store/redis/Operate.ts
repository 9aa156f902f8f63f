/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import {
  type CancelAnswer,
  keyedForMs,
  lastClaimForMs,
  type RemoveAnswer,
  type RerunAnswer,
  type Retention
} from "../TaskStore.ts"
import { lettersAs } from "./Attempt.ts"
import { announce } from "./Hints.ts"
import { adopt, lanes, left, stored } from "./Order.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import { freeing } from "./Server.ts"
import { entry, stateNames } from "./Task.ts"

const cancelAnswers: Readonly<Record<string, CancelAnswer>> = {
  C: "cancelled",
  R: "requested",
  F: "finished",
  U: "unknown"
}
const removeAnswers: Readonly<Record<string, RemoveAnswer>> = { A: "removed", N: "unfinished", U: "unknown" }

const rerunAnswerOf = (letter: string): RerunAnswer =>
  letter === "A"
    ? { _tag: "rerun" }
    : letter === "U"
    ? { _tag: "unknown" }
    : { _tag: "conflict", state: stateNames[letter]! }

/** The operations of one deployment. */
export const make = (runner: Runner, headStartMs: number) => ({
  cancel: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<CancelAnswer>, StoreError> =>
    Effect.map(
      runner("cancel", runCancel, [String(headStartMs), ...ids]),
      (letters) => lettersAs(letters, cancelAnswers)
    ),

  rerun: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RerunAnswer>, StoreError> =>
    Effect.map(
      runner("rerun", runRerun, [String(headStartMs), ...ids]),
      (letters) => Array.from(letters, rerunAnswerOf)
    ),

  remove: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RemoveAnswer>, StoreError> =>
    Effect.map(runner("remove", runRemove, ids), (letters) => lettersAs(letters, removeAnswers)),

  prune: (
    { failedForMs, finishedForMs, maxFinished, maxKeyedFinished }: Retention,
    limit: number
  ): Effect.Effect<number, StoreError> =>
    runner(
      "prune",
      runPrune,
      [limit, finishedForMs, failedForMs, maxFinished, keyedForMs, lastClaimForMs, maxKeyedFinished].map(String)
    )
})

/**
 * Cancels waiting tasks and asks running ones to stop, as `Settlement.cancel` has it.
 *
 * - Arguments: head start, then ids.
 * - Answers: a letter for each: `C` cancelled, `R` requested, `F` has finished before, `U` unknown.
 */
const runCancel = script<string>(`${prelude}${freeing}${entry}${announce}
local headStart, now, answers, ended = tonumber(ARGV[1]), clock(), {}, {}
for index = 1, #ARGV - 1 do
  local id = ARGV[index + 1]
  local e = load(id)
  if e == nil then
    answers[index] = "U"
  elseif e.letter == "W" then
    unwait(e, id, headStart)
    finish(e, id, "X", now)
    write(id, e)
    answers[index], ended[#ended + 1] = "C", id
  elseif e.letter == "R" then
    e.cancel = "1"
    write(id, e)
    answers[index] = "R"
  else
    answers[index] = "F"
  end
end
announce(ended)
return table.concat(answers)
`)

/**
 * Makes failed and cancelled tasks due now, with fresh budgets, as `Settlement.rerun` has it.
 *
 * - Arguments: head start, then ids.
 * - Answers: a letter for each: `A` done, `U` unknown, else the state that does not allow it: `S` scheduled, `P`
 *   pending, `R` running, `C` completed.
 */
const runRerun = script<string>(`${prelude}${entry}
local headStart, now, answers = tonumber(ARGV[1]), clock(), {}
for index = 2, #ARGV do
  local id = ARGV[index]
  local e = load(id)
  if e == nil then
    answers[#answers + 1] = "U"
  elseif e.letter == "F" or e.letter == "X" then
    local ref, history = e.seq .. id, call("HGET", root .. ":history", id)
    call("ZREM", root .. ":finished:" .. e.letter .. e.keyed, ref)
    call("ZREM", root .. ":list:" .. e.letter .. ":" .. e.lane, ref)
    local latest = history and lastLine(history)
    if e.claim ~= "0" and not (latest and string.match(latest, '^{"claim":(%d+)') == e.claim) then
      local failure = call("HGET", root .. ":failure", id)
      remember(e, id, e.completed, e.letter == "F" and "failed" or "cancelled", failure or nil)
    end
    call("HDEL", root .. ":failure", id)
    e.due, e.failures, e.crashes, e.cancel = int(now), "0", "0", "0"
    wait(e, id, now, headStart)
    write(id, e)
    count("unfinished", 1)
    answers[#answers + 1] = "A"
  elseif e.letter == "W" then
    answers[#answers + 1] = call("ZSCORE", root .. ":scheduled", appointment(e, id)) and "S" or "P"
  else
    answers[#answers + 1] = e.letter
  end
end
return table.concat(answers)
`)

/** Removes finished tasks of one set, given as its members, from everywhere. */
const drop = `${stored}${left}
local function drop(set, refs)
  local ids, lists, amounts = {}, {}, {}
  for index, ref in ipairs(refs) do
    local era = eraOf(ref)
    ids[index], amounts[era] = string.sub(ref, 13), (amounts[era] or 0) + 1
  end
  each("ZREM", root .. ":finished:" .. set, refs)
  for index, text in ipairs(hmget(root .. ":state", ids)) do
    local lane = string.match(text, "^[^\\n]*\\n([^\\n]*)")
    lists[lane] = lists[lane] or {}
    table.insert(lists[lane], refs[index])
  end
  for lane, members in pairs(lists) do
    each("ZREM", root .. ":list:" .. string.sub(set, 1, 1) .. ":" .. lane, members)
    uncount(lane, #members)
  end
  leaveEras(amounts)
  if string.sub(set, 2) == "1" then
    local fields = {}
    for index, task in ipairs(hmget(root .. ":task", ids)) do
      fields[index] = string.match(task, "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n([^\\n]*)")
    end
    each("HDEL", root .. ":key", fields)
  end
  for _, name in ipairs({ ":task", ":state", ":result", ":failure", ":history", ":progress" }) do
    each("HDEL", root .. name, ids)
  end
end
`

/**
 * Removes finished tasks; their ids and keys are free.
 *
 * - Arguments: ids.
 * - Answers: a letter for each: `A` done, `N` not finished, `U` unknown.
 */
const runRemove = script<string>(`${prelude}${freeing}${entry}${drop}
local answers = {}
for index, id in ipairs(ARGV) do
  local e = load(id)
  if e == nil then
    answers[index] = "U"
  elseif e.letter == "W" or e.letter == "R" then
    answers[index] = "N"
  else
    drop(e.letter .. e.keyed, { e.seq .. id })
    answers[index] = "A"
  end
end
return table.concat(answers)
`)

/**
 * Removes what retention no longer keeps, first the tasks that are too old, then the oldest beyond the number, and forgets the
 * claims of instances that were silent for long.
 *
 * - Arguments: how many at most; the age at which completed and cancelled tasks go, that of failed ones, the number of
 *   finished tasks to keep, the age at which keyed tasks may be removed by number, that at which claims are forgotten, and the
 *   number of finished tasks to keep whatever keys they have; ages in ms.
 * - Answers: how many tasks were removed.
 */
const runPrune = script<number>(`${prelude}${freeing}${lanes}${drop}${adopt}
-- an older version that still runs writes lanes in its own way
adopt()
sweep()
local limit, now = tonumber(ARGV[1]), clock()
local sets, kept = { "C0", "C1", "F0", "F1", "X0", "X1" }, 0

for _, instance in ipairs(call("ZRANGEBYSCORE", root .. ":claimed", "-inf", int(now - ARGV[6]), "LIMIT", 0, 1000)) do
  call("HDEL", root .. ":claims", instance)
  call("ZREM", root .. ":claimed", instance)
end

-- the oldest that finished by then, of all sets together
local function oldest(amount, untilOf)
  local found = {}
  if amount <= 0 then return found end
  for _, set in ipairs(sets) do
    local members = call("ZRANGEBYSCORE", root .. ":finished:" .. set, "-inf", int(untilOf(set)), "WITHSCORES", "LIMIT", 0,
      int(amount))
    for index = 1, #members, 2 do
      found[#found + 1] = { set = set, ref = members[index], at = tonumber(members[index + 1]) }
    end
  end
  table.sort(found, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return tonumber(string.sub(a.ref, 1, 12)) < tonumber(string.sub(b.ref, 1, 12))
  end)
  return found
end

local function remove(found, amount)
  local bySet, removed = {}, math.max(0, math.min(#found, amount))
  for index = 1, removed do
    local set = found[index].set
    bySet[set] = bySet[set] or {}
    table.insert(bySet[set], found[index].ref)
  end
  for set, refs in pairs(bySet) do drop(set, refs) end
  return removed
end

local removed = remove(oldest(limit, function(set)
  return now - (string.sub(set, 1, 1) == "F" and ARGV[3] or ARGV[2])
end), limit)

for _, set in ipairs(sets) do kept = kept + call("ZCARD", root .. ":finished:" .. set) end
local excess = math.min(kept - ARGV[4], limit - removed)
-- a keyed task keeps answering repeated requests for a while
local byNumber = remove(oldest(excess, function(set)
  return string.sub(set, 2) == "1" and now - ARGV[5] or now
end), excess)
local excessKeyed = math.min(kept - byNumber - ARGV[7], limit - removed - byNumber)
return removed + byNumber + remove(oldest(excessKeyed, function() return now end), excessKeyed)
`)

/**
 * What operators do to tasks, as `Settlement.cancel` and `Settlement.rerun` have it.
 */
import { announce } from "./Announce.ts"
import { entry } from "./Entry.ts"
import { freeing } from "./Health.ts"
import { prelude } from "./Prelude.ts"
import { drop } from "./Prune.ts"

/**
 * Cancels waiting tasks and asks running ones to stop.
 *
 * - Arguments: head start, then ids.
 * - Answers: a letter for each: `C` cancelled, `R` requested, `F` has finished before, `U` unknown.
 */
export const cancel = `${prelude}${freeing}${entry}${announce}
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
`

/**
 * Makes failed and cancelled tasks due now, with fresh budgets.
 *
 * - Arguments: head start, then ids.
 * - Answers: a letter for each: `A` done, `U` unknown, else the state that does not allow it: `S` scheduled, `P`
 *   pending, `R` running, `C` completed.
 */
export const rerun = `${prelude}${entry}
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
`

/**
 * Removes finished tasks; their ids and keys are free.
 *
 * - Arguments: ids.
 * - Answers: a letter for each: `A` done, `N` not finished, `U` unknown.
 */
export const remove = `${prelude}${freeing}${entry}${drop}
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
`

/**
 * Applies the ends of attempts, each fenced by its claim number; what they do to a task is `Settlement.settle`, held to
 * it by the tests of every driver.
 *
 * - Arguments: head start, then for each settlement its id, a letter with the claim number, and what it brings: `C`
 *   complete, the result; `F` fail, the failure; `T` retry, the delay in ms, a line feed and the failure; `X` cancel;
 *   `Z` snooze, the delay; `L` release.
 * - Answers: a letter for each: `A` applied, `D` already done, `S` stale.
 *
 * Nearly every attempt completes: those are written together. The first write is one that Redis allows when its memory
 * is full, and a script that has written may go on: a full Redis finishes what it has begun.
 */
import { announce } from "./Announce.ts"
import { ending, state } from "./Entry.ts"
import { lanes } from "./Lanes.ts"
import { prelude } from "./Prelude.ts"

export const settle = `${prelude}${lanes}${state}${ending}${announce}
local headStart, now = tonumber(ARGV[1]), clock()
local ids, current = {}, {}
for index = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[index] end
for index, text in ipairs(hmget(root .. ":state", ids)) do current[ids[index]] = text end

local answers, ended, completed = {}, {}, int(now)
local refs, states, results, finished, lists = {}, {}, {}, { ["0"] = {}, ["1"] = {} }, {}

local function complete(id, text, claim, fence, result)
  local ref, keyed = string.sub(text, #fence + 1, #fence + 12) .. id, string.sub(text, #fence + 14, #fence + 14)
  local head = string.find(text, "\\n", #fence, true)
  local lane = string.sub(text, head + 1, string.find(text, "\\n", head + 1, true) - 1)
  text = "C" .. claim .. ";" .. completed .. ";" .. string.sub(text, #fence + 1)
  current[id] = text
  refs[#refs + 1], ended[#ended + 1] = ref, id
  states[#states + 1], states[#states + 2] = id, text
  results[#results + 1], results[#results + 2] = id, result
  local set = finished[keyed]
  set[#set + 1], set[#set + 2] = completed, ref
  local list = lists[lane]
  if list == nil then
    list = {}
    lists[lane] = list
  end
  list[#list + 1], list[#list + 2] = "0", ref
end

local function apply(id, text, kind, data)
  local e = parse(text)
  e.settled = e.claim
  call("ZREM", root .. ":running", e.seq .. id)
  local delay, failure = nil, nil
  if kind == "F" then failure = data end
  if kind == "T" then delay, failure = string.match(data, "^([^\\n]*)\\n(.*)$") end
  if kind == "Z" then delay = data end
  if failure then
    e.failures = e.failures + 1
    call("HSET", root .. ":failure", id, failure)
  end
  if kind == "F" then
    finish(e, id, "F", now)
    ended[#ended + 1] = id
  elseif kind == "X" or e.cancel == "1" then
    if not failure then call("HDEL", root .. ":failure", id) end
    finish(e, id, "X", now)
    ended[#ended + 1] = id
  else
    remember(e, id, now, kind == "T" and "failed" or kind == "Z" and "snoozed" or "released", failure)
    if kind == "T" then count("retried", 1) end
    if delay then e.due = int(now + delay) end
    wait(e, id, now, headStart)
  end
  write(id, e)
  current[id] = call("HGET", root .. ":state", id)
end

for index, id in ipairs(ids) do
  local kind, claim = string.match(ARGV[index * 3], "^(.)(.*)$")
  local text, fence = current[id], "R" .. claim .. ";;"
  if not text then
    answers[index] = "S"
  elseif string.sub(text, 1, #fence) == fence then
    answers[index] = "A"
    if kind == "C" then
      complete(id, text, claim, fence, ARGV[index * 3 + 1])
    else
      apply(id, text, kind, ARGV[index * 3 + 1])
    end
  else
    answers[index] = claim ~= "0" and parse(text).settled == claim and "D" or "S"
  end
end

if #refs > 0 then
  each("ZREM", root .. ":running", refs)
  each("HSET", root .. ":state", states)
  each("HSET", root .. ":result", results)
  for keyed, set in pairs(finished) do each("ZADD", root .. ":finished:C" .. keyed, set) end
  for lane, list in pairs(lists) do each("ZADD", root .. ":list:C:" .. lane, list) end
  if call("EXISTS", root .. ":failure") == 1 then
    local done = {}
    for index = 1, #states, 2 do done[#done + 1] = states[index] end
    each("HDEL", root .. ":failure", done)
  end
  count("unfinished", -#refs, "completed", #refs)
end
announce(ended)
return table.concat(answers)
`

/**
 * Takes back leases that have run out: due again, cancelled, or quarantined, as `Settlement.rescue` has it.
 *
 * - Arguments: head start, how many at most, the crashes before a task is quarantined (negative: never), what the clock can
 *   show at least and at most, how long after that a lease is of before the clock was set back,
 *   and how far from these times the clock may be.
 * - Answers: the time, then for each task its id, lane, new state (`W` due now, `S` due later, `F`, `X`), crashes and attempt.
 */
import { announce } from "./Announce.ts"
import { entry } from "./Entry.ts"
import { prelude } from "./Prelude.ts"

export const rescue = `${prelude}${entry}${announce}
local headStart, limit, maxCrashes, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), clock()
local running, answers, ended = root .. ":running", { int(now) }, {}

local function quarantine(crashes)
  return '{"kind":"quarantined","tag":"TaskQuarantined","message":"The process running this task died ' .. crashes ..
    " times (maxCrashes is " .. ARGV[3] .. ')"}'
end

-- none after the first crash, then 1 s doubling up to a minute
local function backoff(crashes)
  if crashes <= 1 then return 0 end
  return math.min(1000 * 2 ^ math.min(crashes - 2, 16), 60000)
end

local off = tonumber(ARGV[7])
if now < tonumber(ARGV[4]) - off or now > tonumber(ARGV[5]) + off then limit = 0 end
local refs = call("ZRANGEBYSCORE", running, "-inf", int(math.min(now, tonumber(ARGV[4]))), "LIMIT", 0, limit)
if #refs < limit then
  local endsAfter = "(" .. int(math.max(now, tonumber(ARGV[5])) + tonumber(ARGV[6]))
  local farAhead = call("ZRANGEBYSCORE", running, endsAfter, "+inf", "LIMIT", 0, limit - #refs)
  for _, ref in ipairs(farAhead) do refs[#refs + 1] = ref end
end

for _, ref in ipairs(refs) do
  local id = string.sub(ref, 13)
  local e = load(id)
  call("ZREM", running, ref)
  count("crashed", 1)
  local letter
  if e.cancel == "1" then
    call("HDEL", root .. ":failure", id)
    letter = "X"
  else
    e.crashes = e.crashes + 1
    if maxCrashes >= 0 and e.crashes > maxCrashes then
      call("HSET", root .. ":failure", id, quarantine(e.crashes))
      letter = "F"
    end
  end
  if letter then
    finish(e, id, letter, now)
    ended[#ended + 1] = id
  else
    remember(e, id, now, "crashed")
    e.due = int(now + backoff(e.crashes))
    letter = tonumber(e.due) > now and "S" or "W"
    wait(e, id, now, headStart)
  end
  write(id, e)
  local at = #answers
  answers[at + 1], answers[at + 2], answers[at + 3], answers[at + 4] = id, e.lane, letter, tonumber(e.crashes)
  answers[at + 5] = tonumber(e.claims)
end
announce(ended)
return answers
`

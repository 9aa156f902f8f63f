/**
 * The instances that share the store, and the chores that one of them leads.
 *
 * `instance` holds by id `startedAt;seenAt;` and what the instance says about itself, `alive` its id by the time until
 * which it is listed, `lead` by chore `heldUntil;` and the holder's id.
 */
import { prelude } from "./Prelude.ts"

const forget = `
local now, instances, alive, leads = clock(), root .. ":instance", root .. ":alive", root .. ":lead"

local function forget()
  local gone = call("ZRANGEBYSCORE", alive, "-inf", int(now))
  each("HDEL", instances, gone)
  each("ZREM", alive, gone)
end

local function leadOf(chore)
  local text = call("HGET", leads, chore)
  if not text then return nil end
  local until_, holder = string.match(text, "^([^;]*);(.*)$")
  if tonumber(until_) > now then return holder end
end
`

/**
 * Records a sign of life.
 *
 * - Arguments: id, how long it has been up and how long it is to be listed, in ms, and the rest as JSON.
 * - Answers: nothing.
 */
export const beat = `${prelude}${forget}
forget()
local known = call("HGET", instances, ARGV[1])
local startedAt = known and string.match(known, "^[^;]*") or int(now - ARGV[2])
call("HSET", instances, ARGV[1], startedAt .. ";" .. int(now) .. ";" .. ARGV[4])
call("ZADD", alive, int(now + ARGV[3]), ARGV[1])
return 0
`

/**
 * Takes an instance off the list and gives up its leads.
 *
 * - Arguments: id.
 * - Answers: nothing.
 */
export const leave = `${prelude}${forget}
call("HDEL", instances, ARGV[1])
call("ZREM", alive, ARGV[1])
for _, chore in ipairs(call("HKEYS", leads)) do
  if leadOf(chore) == ARGV[1] then call("HDEL", leads, chore) end
end
return 0
`

/**
 * Those that are alive.
 *
 * - Arguments: none.
 * - Answers: the clock; for each instance its id and its text; for each lead its chore and holder.
 */
export const instances = `${prelude}${forget}
local listed, held = {}, {}
for _, id in ipairs(call("ZRANGEBYSCORE", alive, "(" .. int(now), "+inf")) do
  listed[#listed + 1], listed[#listed + 2] = id, call("HGET", instances, id)
end
for _, chore in ipairs(call("HKEYS", leads)) do
  local holder = leadOf(chore)
  if holder then held[#held + 1], held[#held + 2] = chore, holder end
end
return { now, listed, held }
`

/**
 * Takes or renews the lease of a chore.
 *
 * - Arguments: chore, id, for how long in ms.
 * - Answers: 1 if the instance holds it now, else 0.
 */
export const lead = `${prelude}${forget}
local holder = leadOf(ARGV[1])
if holder and holder ~= ARGV[2] then return 0 end
call("HSET", leads, ARGV[1], int(now + ARGV[3]) .. ";" .. ARGV[2])
return 1
`

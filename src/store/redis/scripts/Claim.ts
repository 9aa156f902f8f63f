/**
 * Hands out work: promotes what is due, then leases the tasks of lowest rank among the types and queues asked for.
 *
 * - Arguments: head start, how many to promote at most, instance (as JSON text), nonce, limit, lease in ms, the types as
 *   `,"a","b",` and the queues like that, or nothing for all.
 * - Answers: the clock, when the next task is due or nothing, the first claim number, then for each task its id, its
 *   text, and `failures;crashes;dueAt;claims` if it was claimed before. Claim numbers follow one another in this order; for a
 *   repeated nonce each id is followed by its number.
 *
 * Claim numbers grow with the clock, by at least a thousand each millisecond. So a server that lost its last writes
 * gives no number twice: an older snapshot or a replica that lagged behind may know an older counter, but the time is
 * past.
 */
import { block } from "./Block.ts"
import { choice, wanted } from "./Choice.ts"
import { state } from "./Entry.ts"
import { lanes } from "./Lanes.ts"
import { prelude } from "./Prelude.ts"

export const claim = `${prelude}${block}${lanes}${state}
local headStart, maxPromoted, instance, nonce = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local limit, now = tonumber(ARGV[5]), clock()
local scheduled, running = root .. ":scheduled", root .. ":running"

local function nextDue() return call("ZRANGE", scheduled, 0, 0, "WITHSCORES")[2] end

local function promote()
  local due = call("ZRANGEBYSCORE", scheduled, "-inf", now, "WITHSCORES", "LIMIT", 0, maxPromoted)
  local works, lists, left = {}, {}, {}
  for index = 1, #due, 2 do
    local seq, priority, lane, id = string.match(due[index], "^(............)([^%[]*)([^\\n]*)\\n(.*)$")
    works[lane], lists[lane], left[lane] = works[lane] or {}, lists[lane] or {}, left[lane] or {}
    local w, l, o, ref = works[lane], lists[lane], left[lane], seq .. id
    w[#w + 1], w[#w + 2] = int(due[index + 1] - priority * headStart), ref
    l[#l + 1], l[#l + 2] = "0", ref
    o[#o + 1] = ref
  end
  call("ZREMRANGEBYRANK", scheduled, 0, #due / 2 - 1)
  for lane, members in pairs(works) do
    local rank, seq
    for index = 1, #members, 2 do
      if rank == nil or tonumber(members[index]) < rank then
        rank, seq = tonumber(members[index]), string.sub(members[index + 1], 1, 12)
      end
    end
    arrive(lane, rank, seq)
    each("ZADD", root .. ":lane:" .. lane, members)
    each("ZADD", root .. ":list:P:" .. lane, lists[lane])
    each("ZREM", root .. ":list:S:" .. lane, left[lane])
  end
end

local due = nextDue()
if due and tonumber(due) <= now then
  promote()
  due = nextDue()
end
due = due and tonumber(due) or false

local answer = { now, due and int(due) or "", 0 }

local function add(id, task, text, number)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = id, task, ""
  if text then
    local e = parse(text)
    answer[at + 3] = e.failures .. ";" .. e.crashes .. ";" .. e.due .. ";" .. e.claims
  end
  if number then answer[at + 4] = number end
end

-- the instance's last claim, if it bore this nonce: whatever is still held
local last = call("HGET", root .. ":claims", instance)
if last and string.sub(last, 1, #nonce + 1) == nonce .. ";" then
  local given = cmsgpack.unpack(string.sub(last, #nonce + 2))
  local ids = given[2]
  local texts, tasks = hmget(root .. ":state", ids), hmget(root .. ":task", ids)
  for index, id in ipairs(ids) do
    local number = int(given[1] + index - 1)
    local fence = "R" .. number .. ";;"
    if texts[index] and string.sub(texts[index], 1, #fence) == fence then add(id, tasks[index], texts[index], number) end
  end
  answer[3] = -1
  return answer
end
if limit <= 0 then return answer end

-- the first member of a lane with its rank
local function headOf(lane) return call("ZRANGE", root .. ":lane:" .. lane, 0, 0, "WITHSCORES") end

-- takes the tasks of lowest rank out of one lane: at most so many, of so many members, of which the head may be known
local function take(lane, amount, members, head)
  local refs, key = {}, root .. ":lane:" .. lane
  while amount > 0 and members > 0 do
    head = head or headOf(lane)
    if head[1] == nil then break end
    local name = blockOf(head[1])
    if name then
      local front = shift(lane, head[2], name, amount)
      for _, ref in ipairs(front) do refs[#refs + 1] = ref end
      amount, members = amount - #front, members - 1
    else
      local asked, alone = math.min(amount, members, maxItems), 0
      local found = asked == 1 and { head[1] } or call("ZRANGE", key, 0, asked - 1)
      if #found < asked then members = #found end
      while found[alone + 1] and not blockOf(found[alone + 1]) do
        alone = alone + 1
        refs[#refs + 1] = found[alone]
      end
      call("ZREMRANGEBYRANK", key, 0, alone - 1)
      each("ZREM", root .. ":list:P:" .. lane, found, alone)
      amount, members = amount - alone, members - alone
    end
    head = nil
  end
  return refs
end

${wanted}
-- what was taken, in pieces in the order of work, each of one lane
local pieces, lanes = {}, call("HLEN", root .. ":head")
if lanes == 1 then
  local lane = call("HKEYS", root .. ":head")[1]
  if isWanted(lane) then
    pieces[1] = take(lane, limit, limit)
    if #pieces[1] < limit then forget(lane) else depart(lane) end
  end
elseif lanes > 1 then
${choice}
end

local ids, refs = {}, {}
for _, piece in ipairs(pieces) do
  for _, ref in ipairs(piece) do ids[#ids + 1], refs[#refs + 1] = string.sub(ref, 13), ref end
end
if #ids == 0 then return answer end

local tally = root .. ":tally"
local first = math.max(tonumber(call("HGET", tally, "claim") or 0) + 1, (now - 1700000000000) * 1000)
call("HSET", tally, "claim", int(first + #ids - 1))
answer[3] = int(first)

local tasks, texts = hmget(root .. ":task", ids), hmget(root .. ":state", ids)
local states, leases, lease, started = {}, {}, int(now + ARGV[6]), int(now)
for index, id in ipairs(ids) do
  local task, text, number = tasks[index], texts[index], int(first + index - 1)
  if text then
    local e = parse(text)
    e.claims = e.claims + 1
    text = "R" .. number .. ";;" .. e.seq .. ";" .. e.keyed .. ";" .. e.cancel .. ";" .. e.priority .. ";" .. e.claims ..
      ";" .. e.settled .. ";" .. e.failures .. ";" .. e.crashes .. ";" .. e.due .. ";" .. started .. "\\n" .. e.lane ..
      "\\n" .. instance
    add(id, task, text)
  else
    local head = string.find(task, "\\n", 1, true)
    local lane = string.find(task, "\\n", head + 1, true)
    text = "R" .. number .. ";;" .. string.sub(task, 1, head - 1) .. ";" .. started .. string.sub(task, head, lane) ..
      instance
    local place = #answer
    answer[place + 1], answer[place + 2], answer[place + 3] = id, task, ""
  end
  states[index * 2 - 1], states[index * 2] = id, text
  leases[index * 2 - 1], leases[index * 2] = lease, refs[index]
end
each("HSET", root .. ":state", states)
each("ZADD", running, leases)
call("HSET", root .. ":claims", instance, nonce .. ";" .. cmsgpack.pack({ first, ids }))
call("ZADD", root .. ":claimed", started, instance)
return answer
`

/**
 * Handing out work: asks for types and queues, and reads the tasks that were leased.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type { ClaimedTask } from "../../domain/TaskRecord.ts"
import * as PausedQueues from "../PausedQueues.ts"
import { type ClaimAnswer, type ClaimRequest, maxPromoted } from "../TaskStore.ts"
import { block, elementsOf, lanes } from "./Order.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import { claimedTaskOf } from "./Task.ts"

type Answer = readonly [now: number, nextDueAt: string, firstClaim: string | number, ...tasks: ReadonlyArray<string>]

/** The claim of one deployment. */
export const make =
  (runner: Runner, headStartMs: number) => (request: ClaimRequest): Effect.Effect<ClaimAnswer, StoreError> =>
    Effect.suspend(() => Effect.map(runner("claim", run, argumentsOf(request, headStartMs)), answerOf))

const argumentsOf = (request: ClaimRequest, headStartMs: number): ReadonlyArray<string> => [
  String(headStartMs),
  String(maxPromoted),
  JSON.stringify(request.instance),
  String(request.nonce),
  String(request.limit),
  String(request.leaseForMs),
  elementsOf(request.types),
  request.queues === undefined ? "" : elementsOf(request.queues)
]

const answerOf = (answer: Answer): ClaimAnswer => {
  const [now, nextDueAt, first, ...texts] = answer
  const isRepeated = Number(first) < 0
  const tasks: Array<ClaimedTask> = []
  for (let at = 0; at < texts.length; at += isRepeated ? 4 : 3) {
    const claim = isRepeated ? Number(texts[at + 3]) : Number(first) + tasks.length
    tasks.push(claimedTaskOf(texts[at]!, texts[at + 1]!, texts[at + 2]!, claim))
  }
  return { tasks, now, nextDueAt: nextDueAt === "" ? null : Number(nextDueAt) }
}

/** Whether a claim asks for a lane. */
const wanted = `
local wantedTypes, wantedQueues, paused = ARGV[7], ARGV[8], nil
for _, queue in ipairs(call("HKEYS", root .. ":record:${PausedQueues.kind}")) do
  paused = paused or {}
  paused[queue] = true
end

local function isWanted(lane)
  local queue, type = namesOf(lane)
  if not string.find(wantedTypes, "," .. type .. ",", 1, true) then return false end
  if wantedQueues ~= "" and not string.find(wantedQueues, "," .. queue .. ",", 1, true) then return false end
  return not (paused and paused[cjson.decode(lane)[1]])
end
`

/**
 * Which tasks a claim takes: those of lowest rank of the wanted types and queues, in pieces of one lane each.
 *
 * Lanes are looked at in the order in which they are filed, and only as far as one may have a task before those found.
 * Where many lanes that are not wanted come first, because this instance cannot run them, the wanted ones are looked up instead.
 */
const choice = `
local maxSteps, maxPairs = 100, 5000

local function before(a, b) return a.rank < b.rank or (a.rank == b.rank and a.seq < b.seq) end

-- keeps a list with the first in the order of work at its end
local function insert(list, item)
  local low, high = 1, #list + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if before(list[middle], item) then high = middle else low = middle + 1 end
  end
  table.insert(list, low, item)
end

-- lanes that are filed in a sorted set, page by page
local function readerOf(key)
  local offset, size, page, at, isLast = 0, 2, {}, 1, false
  return function()
    if page[at] == nil then
      if isLast then return nil end
      page, at = call("ZRANGE", key, offset, offset + size - 1, "WITHSCORES"), 1
      isLast = #page < 2 * size
      offset, size = offset + size, math.min(4 * size, 200)
      if page[1] == nil then return nil end
    end
    local member, rank = page[at], tonumber(page[at + 1])
    at = at + 2
    return { lane = string.sub(member, 13), seq = string.sub(member, 1, 12), rank = rank }
  end
end

-- the JSON texts between the commas of ,"a","b",
local function elementsOf(text)
  local plain, found, at = string.gsub(text, "\\\\.", "  "), {}, 3
  while at <= #plain do
    local last = string.find(plain, '"', at, true)
    found[#found + 1] = string.sub(text, at - 1, last)
    at = last + 3
  end
  return found
end

-- wanted lanes that are next, one of each reader, and the lanes that have been given
local nexts, given, steps = {}, {}, 0

local function advance(reader)
  local lane = reader()
  while lane and (given[lane.lane] or not isWanted(lane.lane)) do lane = reader() end
  if lane then
    lane.reader = reader
    insert(nexts, lane)
  end
end

local function lookUp()
  local types = elementsOf(wantedTypes)
  local queues = wantedQueues ~= "" and elementsOf(wantedQueues)
  nexts = {}
  if queues and #queues * #types <= maxPairs then
    local lanes = {}
    for _, queue in ipairs(queues) do
      for _, type in ipairs(types) do lanes[#lanes + 1] = "[" .. queue .. "," .. type .. "]" end
    end
    for index, filed in ipairs(hmget(root .. ":head", lanes)) do
      local lane = lanes[index]
      if filed and not given[lane] and isWanted(lane) then
        insert(nexts, { lane = lane, seq = string.sub(filed, 1, 12), rank = tonumber(string.sub(filed, 13)) })
        given[lane] = true
      end
    end
  else
    for _, type in ipairs(types) do advance(readerOf(root .. ":ready:" .. type)) end
  end
end

local inOrder = readerOf(root .. ":ready")

-- the next wanted lane, which stays the next until it is taken
local function peek()
  while inOrder and nexts[1] == nil do
    local lane = inOrder()
    if lane == nil then
      inOrder = nil
    elseif isWanted(lane.lane) then
      nexts[1] = lane
    else
      steps = steps + 1
      if steps > maxSteps then
        inOrder = nil
        lookUp()
      end
    end
  end
  return nexts[#nexts]
end

local function pull()
  local lane = table.remove(nexts)
  given[lane.lane] = true
  if lane.reader then advance(lane.reader) end
  return lane
end

-- lanes that were looked at: those that have been emptied, and those that have their first task at a later place
local emptied, moved = {}, {}

-- where a lane really begins, if it has tasks
local function look(lane)
  local head = headOf(lane)
  if head[1] == nil then return nil end
  return { lane = lane, seq = string.sub(head[1], 1, 12), rank = tonumber(head[2]), head = head }
end

-- a piece goes on as long as the head of its lane is the first of all heads
local heads, left = {}, limit
while left > 0 do
  local following = peek()
  while following and (heads[1] == nil or before(following, heads[#heads])) do
    local filed = pull()
    following = peek()
    -- a lane that is alone needs no comparison
    local head = filed
    if heads[1] or following then
      head = look(filed.lane)
      if head == nil then
        emptied[#emptied + 1] = filed.lane
      elseif before(filed, head) then
        moved[filed.lane] = head
      end
    end
    if head then insert(heads, head) end
  end
  local first = table.remove(heads)
  if first == nil then break end
  moved[first.lane] = nil
  local second = heads[#heads]
  if following and (second == nil or before(following, second)) then second = following end
  local members = left
  if second then
    members = math.max(1, call("ZCOUNT", root .. ":lane:" .. first.lane, "-inf", "(" .. int(second.rank)))
  end
  local refs = take(first.lane, left, members, first.head)
  pieces[#pieces + 1] = refs
  left = left - #refs
  if left > 0 then
    local head = look(first.lane)
    if head then insert(heads, head) else emptied[#emptied + 1] = first.lane end
  else
    depart(first.lane)
  end
end

-- readers count places, so only now are lanes forgotten, and those filed again that were looked at in vain
for _, lane in ipairs(emptied) do forget(lane) end
for lane, head in pairs(moved) do
  unfile(lane, call("HGET", root .. ":head", lane))
  file(lane, head.rank, head.seq)
end
`

/**
 * Hands out work: promotes what is due, then leases the tasks of lowest rank among the types and queues asked for.
 *
 * - Arguments: head start, how many to promote at most, instance (as JSON text), nonce, limit, lease in ms, the types as
 *   `,"a","b",` and the queues like that, or nothing for all.
 * - Answers: the clock, when the next task is due or nothing, the first claim number, then for each task its id, its
 *   text, and its state if it was claimed before. Claim numbers follow one another in this order; for a
 *   repeated nonce each id is followed by its number.
 *
 * Claim numbers grow with the clock, by at least a thousand each millisecond. So a server that lost its last writes
 * gives no number twice: an older snapshot or a replica that lagged behind may know an older counter, but the time is
 * past.
 */
const run = script<Answer>(`${prelude}${block}${lanes}
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

-- the instance's last claim, if it bore this nonce: whatever is still held
local last = call("HGET", root .. ":claims", instance)
if last and string.sub(last, 1, #nonce + 1) == nonce .. ";" then
  local given = cmsgpack.unpack(string.sub(last, #nonce + 2))
  local ids = given[2]
  local texts, tasks = hmget(root .. ":state", ids), hmget(root .. ":task", ids)
  for index, id in ipairs(ids) do
    local number = int(given[1] + index - 1)
    local fence = "R" .. number .. ";;"
    if texts[index] and string.sub(texts[index], 1, #fence) == fence then
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = id, tasks[index], texts[index], number
    end
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
-- a state's parts: those that stay, before and after the number of claims, and the lane
local claimed = "^[^;]*;[^;]*;([^;]*;[^;]*;[^;]*;[^;]*;)([^;]*)(;[^;]*;[^;]*;[^;]*;[^;]*;)[^\\n]*(\\n[^\\n]*\\n)"
for index, id in ipairs(ids) do
  local task, text, number, at = tasks[index], texts[index], int(first + index - 1), #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = id, task, ""
  if text then
    local numbers, claims, more, lane = string.match(text, claimed)
    text = "R" .. number .. ";;" .. numbers .. int(claims + 1) .. more .. started .. lane .. instance
    answer[at + 3] = text
  else
    local head = string.find(task, "\\n", 1, true)
    local lane = string.find(task, "\\n", head + 1, true)
    text = "R" .. number .. ";;" .. string.sub(task, 1, head - 1) .. ";" .. started .. string.sub(task, head, lane) ..
      instance
  end
  states[index * 2 - 1], states[index * 2] = id, text
  leases[index * 2 - 1], leases[index * 2] = lease, refs[index]
end
each("HSET", root .. ":state", states)
each("ZADD", running, leases)
call("HSET", root .. ":claims", instance, nonce .. ";" .. cmsgpack.pack({ first, ids }))
call("ZADD", root .. ":claimed", started, instance)
return answer
`)

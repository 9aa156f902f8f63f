/**
 * Handing out work: asks for types and queues, and reads the tasks that were leased.
 */
import { Effect } from "effect"
import type { ClaimedTask } from "../../domain/TaskRecord.ts"
import { afterExpiring } from "../Driver.ts"
import { pausedTypeKind } from "../Gates.ts"
import * as PausedQueues from "../PausedQueues.ts"
import { type ClaimAnswer, type ClaimRequest, maxPromoted, type TaskStore } from "../TaskStore.ts"
import { choice } from "./Choice.ts"
import { adoptLine, lines } from "./Lines.ts"
import { expiring } from "./Operate.ts"
import { block, elementsOf, lanes } from "./Order.ts"
import { limits } from "./Passes.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import { shared } from "./Shared.ts"
import { claimedTaskOf, type Tasks } from "./Task.ts"

type Answer = readonly [now: number, nextDueAt: string, firstClaim: string | number, ...tasks: ReadonlyArray<string>]

/** The claim of one deployment. What has expired is decided about like all ends, so a claim that meets it is made again. */
export const make = (
  runner: Runner,
  tasks: Tasks,
  headStartMs: number,
  tell: TaskStore["Service"]["tell"]
): TaskStore["Service"]["claim"] => {
  const claim = afterExpiring(
    (request) =>
      Effect.map(
        Effect.suspend(() => runner("claim", run, argumentsOf(request, headStartMs))),
        (answer) => ({ answer: answerOf(answer), mustExpire: Number(answer[2]) === expiredFirst })
      ),
    expiring(runner, tasks)
  )
  return Effect.fnUntraced(function*(request) {
    const answer = yield* claim(request)
    if (answer.nextDueAt !== telling) return answer
    // what was claimed is to be answered in any case
    yield* Effect.ignore(tell)
    return { ...answer, nextDueAt: answer.now }
  })
}

/** What stands in the place of the next time where ends are to be told. */
const telling = -1

/** What stands in the place of the first claim number where none is given because tasks have expired. */
const expiredFirst = -2

const argumentsOf = (request: ClaimRequest, headStartMs: number): ReadonlyArray<string> => [
  String(headStartMs),
  String(maxPromoted),
  JSON.stringify(request.instance),
  String(request.nonce),
  String(request.limit),
  String(request.leaseForMs),
  elementsOf(request.types),
  request.queues === undefined ? "" : elementsOf(request.queues),
  request.except === undefined || request.except.length === 0 ? "" : elementsOf(request.except)
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
local wantedTypes, wantedQueues, except, pausedQueues, pausedTypes = ARGV[7], ARGV[8], ARGV[9], nil, nil

local function pausedOf(kind)
  local paused
  for _, name in ipairs(call("HKEYS", root .. ":record:" .. kind)) do
    paused = paused or {}
    paused[name] = true
  end
  return paused
end
if isAnyClosed then pausedQueues, pausedTypes = pausedOf("${PausedQueues.kind}"), pausedOf("${pausedTypeKind}") end

local function isPaused(lane)
  local names = cjson.decode(lane)
  return (pausedQueues and pausedQueues[names[1]]) or (pausedTypes and pausedTypes[string.match(names[2], "^[^\\31]*")])
end

local function isWanted(lane)
  if isShared(lane) then lane = ownerOf(lane) end
  local queue, type = namesOf(lane)
  if not string.find(wantedTypes, "," .. type .. ",", 1, true) then return false end
  if wantedQueues ~= "" and not string.find(wantedQueues, "," .. queue .. ",", 1, true) then return false end
  if except ~= "" and string.find(except, "," .. queue .. ",", 1, true) then return false end
  return not ((pausedQueues or pausedTypes) and isPaused(lane))
end
`

/**
 * Hands out work: promotes what is due, then leases the tasks of lowest rank among the types and queues asked for.
 *
 * - Arguments: head start, how many to promote at most, instance (as JSON text), nonce, limit, lease in ms, the types as
 *   `,"a","b",` and the queues like that, or nothing for all, and those that nothing is taken from.
 * - Answers: the clock, when the next task is due or nothing, the first claim number, then for each task its id, its
 *   text, and its state if it was claimed before. Claim numbers follow one another in this order; for a
 *   repeated nonce each id is followed by its number, and the first number is -1. It is -2 where a waiting task has
 *   expired: then none is given.
 *
 * Claim numbers grow with the clock, by at least a thousand each millisecond. So a server that lost its last writes
 * gives no number twice: an older snapshot or a replica that lagged behind may know an older counter, but the time is
 * past.
 */
const run = script<Answer>(`${prelude}${lanes}${block}${lines}${limits}${adoptLine}
local headStart, maxPromoted, instance, nonce = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local limit, now = tonumber(ARGV[5]), clock()
local scheduled, running = root .. ":scheduled", root .. ":running"

local function nextDue() return call("ZRANGE", scheduled, 0, 0, "WITHSCORES")[2] end

-- when a task was stored whose line goes in that order
local function createdOf(id)
  local state = call("HGET", root .. ":state", id)
  return state and string.match(state, "^[^\\n]*;(%d+)\\n") or
    string.match(call("HGET", root .. ":task", id), "^[^\\n]*\\n[^\\n]*\\n(%d+)")
end

local function promote()
  local due = call("ZRANGEBYSCORE", scheduled, "-inf", now, "WITHSCORES", "LIMIT", 0, maxPromoted)
  local works, lists, left = {}, {}, {}
  for index = 1, #due, 2 do
    local seq, priority, line, id = string.match(due[index], "^(............)([^%[]*)([^\\n]*)\\n(.*)$")
    local lane = laneOf(line)
    works[line], lists[lane], left[lane] = works[line] or {}, lists[lane] or {}, left[lane] or {}
    local w, l, o, ref = works[line], lists[lane], left[lane], seq .. id
    local stored, shift = isOrdered(line, lane) and createdOf(id), 0
    if #priority > 1 then
      local own, within = string.match(priority, "^(.);(.*)$")
      priority, shift = own, stored and 0 or shiftOf(within, headStart)
    end
    w[#w + 1], w[#w + 2] = int((stored or due[index + 1]) - priority * headStart + shift), ref
    l[#l + 1], l[#l + 2] = "0", ref
    o[#o + 1] = ref
  end
  call("ZREMRANGEBYRANK", scheduled, 0, #due / 2 - 1)
  for line, members in pairs(works) do
    local rank, seq
    for index = 1, #members, 2 do
      local its, number = tonumber(members[index]), string.sub(members[index + 1], 1, 12)
      if rank == nil or its < rank or (its == rank and number < seq) then rank, seq = its, number end
    end
    if laneOf(line) == line then arrive(line, rank, seq) else gated().arrive(line, rank, seq, true) end
    each("ZADD", root .. ":lane:" .. line, members)
  end
  for lane, members in pairs(lists) do
    each("ZADD", root .. ":list:P:" .. lane, members)
    each("ZREM", root .. ":list:S:" .. lane, left[lane])
  end
  if madeLines then madeLines.conclude() end
end

local due = nextDue()
if due and tonumber(due) <= now then
  promote()
  due = nextDue()
end
due = due and tonumber(due) or false

-- whether a queue or a type is paused, something waits until a time for its gate to open, tasks expire, ends are to be told
-- or what waits together has to be given to its lines
local untils, expiring, spread, isAnyExpired = root .. ":until", root .. ":expiring", root .. ":spread", false
local telling = root .. ":telling"
local isAnyClosed = call("EXISTS", root .. ":record:${PausedQueues.kind}", root .. ":record:${pausedTypeKind}", untils,
  expiring, spread, telling) > 0
if isAnyClosed then
  local first = tonumber(call("ZRANGE", untils, 0, 0, "WITHSCORES")[2])
  if first and first <= now then
    gated().expire(now)
    gated().conclude()
    first = tonumber(call("ZRANGE", untils, 0, 0, "WITHSCORES")[2])
  end
  if first and not (due and due <= first) then due = first end
  first = tonumber(call("ZRANGE", expiring, 0, 0, "WITHSCORES")[2])
  isAnyExpired = first ~= nil and first <= now
  if call("EXISTS", telling) == 1 then due = ${telling} end
end

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
if isAnyExpired then
  answer[3] = ${expiredFirst}
  return answer
end

-- the first member of a lane with its rank
local function headOf(lane) return call("ZRANGE", root .. ":lane:" .. lane, 0, 0, "WITHSCORES") end

-- takes the tasks of lowest rank out of one line: at most so many, of so many members, of which the head may be known
local function take(line, amount, members, head)
  local refs, key = {}, root .. ":lane:" .. line
  while amount > 0 and members > 0 do
    head = head or headOf(line)
    if head[1] == nil then break end
    local name = blockOf(head[1])
    if name then
      local front = shift(line, head[2], name, amount)
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
      each("ZREM", root .. ":list:P:" .. laneOf(line), found, alone)
      amount, members = amount - alone, members - alone
    end
    head = nil
  end
  return refs
end

${shared}
if isAnyClosed and call("EXISTS", spread) == 1 and not shared().spreadAll() then
  answer[2] = int(now)
  return answer
end

${wanted}
-- whether a name stands for the lines of a lane, or is that of a line which an older version has filed like a lane
local function isAlias(name) return string.byte(name, -2) == 49 end
local function hasGates(name) return isAlias(name) or laneOf(name) ~= name end

-- what was taken, in pieces in the order of work, each of one line, and the ids of tasks that go in the order of storing
local ordered = {}
local pieces, amount, only = {}, call("HLEN", root .. ":head"), nil
if amount == 1 then
  only = call("HKEYS", root .. ":head")[1]
  if hasGates(only) then only = nil end
end
if only and isShared(only) then
  local left, isMore = limit, isWanted(only)
  while isMore and left > 0 and not shared().isTired() do
    local refs
    refs, isMore = shared().take(only, left, left)
    if refs[1] then pieces[#pieces + 1] = refs end
    left = left - #refs
  end
  depart(only)
elseif only then
  if isWanted(only) then
    pieces[1] = take(only, limit, limit)
    if #pieces[1] < limit then forget(only) else depart(only) end
  end
elseif amount > 0 then
${choice}
end

if madeShared then madeShared.conclude() end

-- what waited together was read already
local ids, refs, tasks, texts, heads, passes, perPass, before = {}, {}, nil, nil, nil, nil, 1, nil
local isRead = pieces[1] ~= nil and pieces[2] == nil and pieces[1].tasks
if isRead then
  refs, ids, tasks, texts = pieces[1], pieces[1].ids, pieces[1].tasks, pieces[1].states
  heads, passes, perPass, before = refs.heads, refs.passes, refs.each, refs.before
else
  for _, piece in ipairs(pieces) do
    for _, ref in ipairs(piece) do ids[#ids + 1], refs[#refs + 1] = string.sub(ref, 13), ref end
  end
end
if #ids == 0 then return answer end

local tally = root .. ":tally"
local first = math.max(tonumber(call("HGET", tally, "claim") or 0) + 1, (now - 1700000000000) * 1000)
call("HSET", tally, "claim", int(first + #ids - 1))
answer[3] = int(first)

if not isRead then tasks, texts = hmget(root .. ":task", ids), hmget(root .. ":state", ids) end
local states, leases, lease, started = {}, {}, int(now + ARGV[6]), int(now)
local find, sub = string.find, string.sub
-- a state's parts: those that stay, before and after the number of claims, and the line
local claimed = "^[^;]*;[^;]*;([^;]*;[^;]*;[^;]*;[^;]*;)([^;]*)(;[^;]*;[^;]*;[^;]*;[^;]*;)[^\\n;]*([^\\n]*\\n[^\\n]*\\n)"
for index, id in ipairs(ids) do
  local task, text, number, at = tasks[index], texts[index], int(first + index - 1), #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = id, task, ""
  if text then
    local numbers, claims, more, lane = string.match(text, claimed)
    text = "R" .. number .. ";;" .. numbers .. int(claims + 1) .. more .. started .. lane .. instance
    answer[at + 3] = text
  elseif heads then
    -- its line is put together of what was cut out of its text: one more piece would be another text to be kept for a while
    text = "R" .. number .. ";;" .. heads[index] .. ";" .. started .. before .. passes[(index - 1) * perPass + 1] .. '\\\\"]"]\\n' .. instance
  else
    local head = find(task, "\\n", 1, true)
    local lane = find(task, "\\n", head + 1, true)
    local since = ordered[id] and ";" .. string.match(task, "^%d+", lane + 1) or ""
    text = "R" .. number .. ";;" .. sub(task, 1, head - 1) .. ";" .. started .. since .. sub(task, head, lane) .. instance
  end
  states[index * 2 - 1], states[index * 2] = id, text
  leases[index * 2 - 1], leases[index * 2] = lease, refs[index]
end
each("HSET", root .. ":state", states)
each("ZADD", running, leases)
if isAnyClosed then each("ZREM", expiring, refs) end
call("HSET", root .. ":claims", instance, nonce .. ";" .. cmsgpack.pack({ first, ids }))
call("ZADD", root .. ":claimed", started, instance)
return answer
`)

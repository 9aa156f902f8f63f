import { maxUsualStartMs } from "../../domain/Rank.ts"
import type { NewTask } from "../../domain/TaskRecord.ts"

/** A queue and a type as the scripts name them. */
export type Lane = string

/** The lane of a queue and a type. */
const laneOf = (queue: string, type: string): Lane => JSON.stringify([queue, type])

/**
 * Where a task waits: tasks with the same gate in one line, which is named by queue, type and gate. Without a gate it is the
 * lane itself.
 */
export const lineOf = ({ gate, queue, type }: Pick<NewTask, "gate" | "queue" | "type">): Lane =>
  gate === null ? laneOf(queue, type) : JSON.stringify([queue, type, gate])

/** Names remembered at most: clients choose those of queues, without end. */
const maxNames = 10_000

type Names = readonly [queue: string, type: string, gate: string | undefined]

const names = new Map<Lane, Names>()

/** How the lines begin that have the queue and type of the last one. */
let latest: { readonly start: string; readonly queue: string; readonly type: string } | undefined

/** The queue and type of a lane, and the gate of a line. Nearly all have those of the one before, and few of these lines are the same. */
export const namesOf = (lane: Lane): Names => {
  if (latest !== undefined && lane.startsWith(latest.start)) {
    const end = lane.indexOf("\\", latest.start.length)
    // one pass, without anything that JSON escapes
    if (end === lane.length - 5 && lane.endsWith("\"]\"]")) {
      return [latest.queue, latest.type, `["${lane.slice(latest.start.length, end)}"]`]
    }
  }
  const found = remembered(lane)
  const [queue, type, gate] = found
  if (gate !== undefined && (latest?.queue !== queue || latest.type !== type)) {
    latest = { start: `${laneOf(queue, type).slice(0, -1)},"[\\"`, queue, type }
  }
  return found
}

const remembered = (lane: Lane): Names => {
  let found = names.get(lane)
  if (found === undefined) {
    if (names.size >= maxNames) names.clear()
    names.set(lane, found = JSON.parse(lane) as [string, string, string | undefined])
  }
  return found
}

const elements = new WeakMap<ReadonlyArray<string>, string>()

/**
 * Names as one text that scripts search: `,"a","b",`. In JSON no quote follows a comma but that of an element, so what is
 * found between commas is one. The same array gives the same text.
 */
export const elementsOf = (names: ReadonlyArray<string>): string => {
  let text = elements.get(names)
  if (text === undefined) elements.set(names, text = `,${JSON.stringify(names).slice(1, -1)},`)
  return text
}

/**
 * The lanes that have pending tasks, each filed under a place in the order of work that none of its tasks is before: so
 * a claim finds those that it takes from, however many there are. A lane comes with its first pending task and goes with
 * the last, in the same script. It is filed twice, in `ready` and with the others of its type.
 *
 * A place is written as the sequence number of 12 digits and the rank. Where a claim takes a lane's first tasks, the lane
 * stays where it is: that place is still before all others of it. It is filed again when it was looked at in vain.
 */
export const lanes = `
-- the queue and the type of a lane or a line, as JSON texts
local function namesOf(lane)
  local plain = lane
  if string.find(lane, "\\\\", 1, true) then plain = string.gsub(lane, "\\\\.", "  ") end
  local at = string.find(plain, '","', 3, true)
  return string.sub(lane, 2, at), string.sub(lane, at + 2, string.find(plain, '"', at + 3, true))
end

-- the lane of a line: the line itself, but for one with a gate, which ends with a JSON array in a text
local laneByLine, lastLane, lastStart = {}, nil, nil
local function laneOf(line)
  if string.sub(line, -3) ~= ']"]' then return line end
  if lastStart and string.sub(line, 1, #lastStart) == lastStart then return lastLane end
  local lane = laneByLine[line]
  if lane == nil then
    local queue, type = namesOf(line)
    lane = "[" .. queue .. "," .. type .. "]"
    laneByLine[line] = lane
    if lane ~= line then lastLane, lastStart = lane, string.sub(lane, 1, -2) .. ',"[' end
  end
  return lane
end

-- the name under which tasks of a lane with any gates wait together; its type is one that no version looks for
local function sharedOf(lane)
  local queue, type = namesOf(lane)
  return "[" .. queue .. ',"\\\\u0000' .. string.sub(type, 2) .. ",2]"
end

local function isShared(name) return string.byte(name, -2) == 50 end

-- the lane of such a name
local function ownerOf(name)
  local first, last = string.find(name, '","\\\\u0000', 3, true)
  return string.sub(name, 1, first + 2) .. string.sub(name, last + 1, -4) .. "]"
end

-- the type of a lane or of such a name
local function typeOf(name)
  local _, type = namesOf(name)
  return isShared(name) and '"' .. string.sub(type, 8) or type
end

local function sharedType(type) return '"\\\\u0000' .. string.sub(type, 2) end

-- whether the tasks of a line of a lane go in the order in which they were stored
local function isOrdered(line, lane) return line ~= lane and string.sub(line, #lane, #lane + 5) == ',"[\\\\"!' end

-- what is added to the rank of a task that should start within a time: see Rank
local function shiftOf(within, headStart)
  return within and within - math.min(headStart, ${maxUsualStartMs}) or 0
end

local function file(lane, rank, seq)
  local _, type = namesOf(lane)
  call("HSET", root .. ":head", lane, seq .. int(rank))
  call("ZADD", root .. ":ready", int(rank), seq .. lane)
  call("ZADD", root .. ":ready:" .. type, int(rank), seq .. lane)
end

local function unfile(lane, filed)
  local _, type = namesOf(lane)
  local member = string.sub(filed, 1, 12) .. lane
  call("ZREM", root .. ":ready", member)
  call("ZREM", root .. ":ready:" .. type, member)
end

-- to be called for the first of the tasks of a lane that become pending
local function arrive(lane, rank, seq)
  local filed = call("HGET", root .. ":head", lane)
  if filed then
    local known = tonumber(string.sub(filed, 13))
    if known < tonumber(rank) or (known == tonumber(rank) and string.sub(filed, 1, 12) <= seq) then return end
    unfile(lane, filed)
    file(lane, rank, seq)
  else
    file(lane, rank, seq)
    call("SADD", root .. ":types", typeOf(lane))
  end
end

-- a type is known as long as something of it is pending
local function leaveType(type)
  local ready = root .. ":ready:"
  if call("EXISTS", ready .. type, ready .. sharedType(type), root .. ":gates:" .. type) == 0 then
    call("SREM", root .. ":types", type)
  end
end

-- to be called for a lane that has been emptied
local function forget(lane)
  local filed = call("HGET", root .. ":head", lane)
  if not filed then return end
  call("HDEL", root .. ":head", lane)
  unfile(lane, filed)
  leaveType(typeOf(lane))
  if isShared(lane) then
    call("HDEL", root .. ":shared", lane)
    call("SREM", root .. ":spread", lane)
  end
end

-- to be called when a pending task is taken out of a lane
local function depart(lane)
  if call("EXISTS", root .. ":lane:" .. lane) == 0 then forget(lane) end
end
`

/** The index of lanes by name: a member is the queue, the type and the lane, with a character between that no name has. */
const index = `
local function entryOf(lane)
  local names = cjson.decode(lane)
  return names[1] .. "\\0" .. names[2] .. "\\0" .. lane
end
`

/** How many tasks of each lane are stored, in whatever state: a lane is known and in the index as long as it has any. */
export const admitted = `${index}
-- to be called for new tasks; answers whether the lane is new
local function admit(lane, amount)
  local isNew = call("HINCRBY", root .. ":stored", lane, amount) == amount
  if isNew then call("ZADD", root .. ":index", 0, entryOf(lane)) end
  return isNew
end
`

/**
 * Where there are more than a hundred lanes: which of them have tasks in a stretch of a hundred sequence numbers, an era,
 * named by the first ten digits. So a list knows which lanes to look at where it reads. `era:<era>` is the set of the lanes of
 * its tasks, `eras` has all eras whose tasks are not all gone, and `gone` says how many are. Lanes of tasks that were
 * stored while there were few, or by an older version, are in `old`, and looked at by every list. The field `eras` of the
 * tally is the last number that an era has.
 */
export const eras = `
local eraSize, fewLanes, firstSeq = 100, 100, 100000000000

-- of a sequence number, as text
local function eraOf(seq) return string.sub(seq, 1, 10) end

local function firstOf(era) return tonumber(era) * eraSize end
`

/** The same for new tasks. */
export const entered = `${eras}
-- to be called where there are tasks that no era has, with the lanes that have none of them
local function keepOld(isNew)
  local lanes = {}
  for _, lane in ipairs(call("HKEYS", root .. ":stored")) do
    if not isNew[lane] then lanes[#lanes + 1] = lane end
  end
  each("SADD", root .. ":old", lanes)
end

-- to be called with the lanes of new tasks, by the era as a number, and the last number given
local function enterEras(lanesOf, last)
  for era, lanes in pairs(lanesOf) do
    local names, era = {}, int(era)
    for lane in pairs(lanes) do names[#names + 1] = lane end
    if call("SADD", root .. ":era:" .. era, unpack(names)) == #names then call("ZADD", root .. ":eras", 0, era) end
  end
  call("HSET", root .. ":tally", "eras", last)
end
`

/** The same for tasks that are removed. */
export const left = `${eras}
-- how many were removed of each era
local function leaveEras(amounts)
  local tally = call("HMGET", root .. ":tally", "seq", "eras")
  if not tally[2] then return end
  local newest = firstSeq + tally[1]
  for era, amount in pairs(amounts) do
    if call("ZSCORE", root .. ":eras", era) then
      local gone, first = call("HINCRBY", root .. ":gone", era, amount), firstOf(era)
      -- the first number is not given
      local given = math.min(newest, first + eraSize - 1) - first + (first == firstSeq and 0 or 1)
      if gone >= given then
        call("DEL", root .. ":era:" .. era)
        call("ZREM", root .. ":eras", era)
        if newest >= first + eraSize - 1 then call("HDEL", root .. ":gone", era) end
      end
    end
  end
end

-- forgets some old lanes that have no tasks
local function sweep()
  local lanes = call("SRANDMEMBER", root .. ":old", 100)
  for index, amount in ipairs(hmget(root .. ":stored", lanes)) do
    if not amount then call("SREM", root .. ":old", lanes[index]) end
  end
end
`

/** The same for tasks that are removed. */
export const stored = `${index}
local function hasTasks(lane)
  for _, letter in ipairs({ "C", "F", "X", "E", "S", "P" }) do
    if call("EXISTS", root .. ":list:" .. letter .. ":" .. lane) == 1 then return true end
  end
  return call("EXISTS", root .. ":lane:" .. lane, root .. ":blocks:" .. lane, root .. ":lane:" .. sharedOf(lane)) > 0
end

-- to be called for tasks that have been removed
local function uncount(lane, amount)
  if call("HINCRBY", root .. ":stored", lane, -amount) <= 0 and not hasTasks(lane) then
    call("HDEL", root .. ":stored", lane)
    call("ZREM", root .. ":index", entryOf(lane))
  end
end
`

/** The lines of tasks that run, which are as few as there are slots. */
export const running = `
-- the members of the running tasks, and for each its line and its state
local function runningTasks()
  local refs, ids, lines = call("ZRANGE", root .. ":running", 0, -1), {}, {}
  for index, ref in ipairs(refs) do ids[index] = string.sub(ref, 13) end
  local texts = hmget(root .. ":state", ids)
  for index, text in ipairs(texts) do lines[index] = string.match(text, "^[^\\n]*\\n([^\\n]*)") end
  return refs, lines, texts
end

-- how many of them each lane has
local function runningByLane()
  local amounts, _, lines = {}, runningTasks()
  for _, line in ipairs(lines) do
    local lane = laneOf(line)
    amounts[lane] = (amounts[lane] or 0) + 1
  end
  return amounts
end
`

/**
 * Takes over lanes that an older version has written. One kept the names of all, for ever, and nothing else; the next
 * had no index of them by name.
 */
export const adopt = `${running}
local function adoptNames()
  local old = call("SMEMBERS", root .. ":lanes")
  if #old == 0 then return end
  local runs = runningByLane()
  for _, lane in ipairs(old) do
    local amount = runs[lane] or 0
    for _, letter in ipairs({ "C", "F", "X", "E", "S", "P" }) do
      amount = amount + call("ZCARD", root .. ":list:" .. letter .. ":" .. lane)
    end
    for _, name in ipairs(call("ZRANGE", root .. ":blocks:" .. lane, 0, -1)) do
      amount = amount + call("LLEN", root .. ":block:" .. name)
    end
    if amount > 0 then call("HSET", root .. ":stored", lane, amount) else call("HDEL", root .. ":stored", lane) end
    local head = call("ZRANGE", root .. ":lane:" .. lane, 0, 0, "WITHSCORES")
    if head[1] then arrive(lane, head[2], string.sub(head[1], 1, 12)) end
  end
  call("DEL", root .. ":lanes")
end

local function adopt()
  adoptNames()
  if call("HLEN", root .. ":stored") == call("ZCARD", root .. ":index") then return end
  call("DEL", root .. ":index")
  for _, lane in ipairs(call("HKEYS", root .. ":stored")) do call("ZADD", root .. ":index", 0, entryOf(lane)) end
end
`

/**
 * Blocks: pending tasks that were stored together are one member of their lane.
 *
 * A member of a sorted set costs more than all else that Redis does to store a task, and a pending task would need two.
 * So up to a hundred neighbours of one lane and rank share theirs: a block is a list of their refs (sequence number and
 * id) under the sequence number of its first, which is the member of `blocks:<lane>` and, where a ref would go on with
 * the id, followed by a byte that no id contains, that of `lane:<lane>`.
 *
 * The numbers in a block follow one another. What leaves its front renames it, what leaves its middle splits it. So no
 * other task ever belongs between two of a block, in the order of work or in a list, and any of them is found by number.
 */
export const block = `
-- stores refs that follow one another; answers the names of their blocks
local function store(refs)
  local names, size = {}, 100
  for first = 1, #refs, size do
    local name = string.sub(refs[first], 1, 12)
    names[#names + 1] = name
    call("RPUSH", root .. ":block:" .. name, unpack(refs, first, math.min(first + size - 1, #refs)))
  end
  return names
end

-- ids are UTF-8, which has no such byte
local mark = "\\255"

-- the block that a member of a lane stands for, if it is no task
local function blockOf(member) return string.sub(member, 13) == mark and string.sub(member, 1, 12) or nil end

local function enter(line, rank, name)
  call("ZADD", root .. ":lane:" .. line, rank, name .. mark)
  call("ZADD", root .. ":blocks:" .. laneOf(line), 0, name)
end

local function leave(line, name)
  call("ZREM", root .. ":lane:" .. line, name .. mark)
  call("ZREM", root .. ":blocks:" .. laneOf(line), name)
end

-- takes refs off the front
local function shift(line, rank, name, amount)
  local key = root .. ":block:" .. name
  local refs = call("LPOP", key, amount) or {}
  local first = call("LINDEX", key, 0)
  leave(line, name)
  if first then
    local rest = string.sub(first, 1, 12)
    call("RENAME", key, root .. ":block:" .. rest)
    enter(line, rank, rest)
  end
  return refs
end

-- takes one task out of its block
local function extract(line, rank, seq)
  local name = call("ZREVRANGEBYLEX", root .. ":blocks:" .. laneOf(line), "[" .. seq, "-", "LIMIT", 0, 1)[1]
  local before = seq - name
  if before == 0 then return shift(line, rank, name, 1) end
  local key = root .. ":block:" .. name
  local after = call("LRANGE", key, before + 1, -1)
  call("LTRIM", key, 0, before - 1)
  for _, rest in ipairs(store(after)) do enter(line, rank, rest) end
end
`

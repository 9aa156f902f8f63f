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

local function enter(lane, rank, name)
  call("ZADD", root .. ":lane:" .. lane, rank, name .. mark)
  call("ZADD", root .. ":blocks:" .. lane, 0, name)
end

local function leave(lane, name)
  call("ZREM", root .. ":lane:" .. lane, name .. mark)
  call("ZREM", root .. ":blocks:" .. lane, name)
end

-- takes refs off the front
local function shift(lane, rank, name, amount)
  local key = root .. ":block:" .. name
  local refs = call("LPOP", key, amount) or {}
  local first = call("LINDEX", key, 0)
  leave(lane, name)
  if first then
    local rest = string.sub(first, 1, 12)
    call("RENAME", key, root .. ":block:" .. rest)
    enter(lane, rank, rest)
  end
  return refs
end

-- takes one task out of its block
local function extract(lane, rank, seq)
  local name = call("ZREVRANGEBYLEX", root .. ":blocks:" .. lane, "[" .. seq, "-", "LIMIT", 0, 1)[1]
  local before = seq - name
  if before == 0 then return shift(lane, rank, name, 1) end
  local key = root .. ":block:" .. name
  local after = call("LRANGE", key, before + 1, -1)
  call("LTRIM", key, 0, before - 1)
  for _, rest in ipairs(store(after)) do enter(lane, rank, rest) end
end
`

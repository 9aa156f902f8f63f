/** Whether a claim asks for a lane. */
export const wanted = `
local wantedTypes, wantedQueues, paused = ARGV[7], ARGV[8], nil
if call("EXISTS", root .. ":paused") == 1 then
  paused = {}
  for _, queue in ipairs(call("SMEMBERS", root .. ":paused")) do paused[queue] = true end
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
export const choice = `
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

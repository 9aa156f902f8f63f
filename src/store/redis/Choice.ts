/**
 * Which tasks a claim takes: of the lanes that it wants, and of the lines of these whose gates are open.
 */

/** What a claim decides about lines with gates, as `Gate.refusal` does, and what it writes of it. */
const serving = `
local madeGate
function gate()
  if madeGate then return madeGate end
  local self, lines, limits = {}, gated(), limits()
  madeGate = self
  local holders, started, turns, turned, waited, soonest = {}, {}, {}, {}, {}, nil

  local tasks = {}
  local function taskOf(id)
    tasks[id] = tasks[id] or call("HGET", root .. ":task", id)
    return tasks[id]
  end

  -- the first pass of a line that has a limit of turns, and how many tasks it may have in one
  local fairs = {}
  local function fairOf(line)
    if fairs[line] == nil then
      fairs[line] = false
      for _, pass in ipairs(lines.passesOf(line)) do
        local limit = limits.of(pass)
        if limit and limit.fair then
          fairs[line] = { pass = pass, weight = limit.fair }
          break
        end
      end
    end
    return fairs[line]
  end

  local function loadTurns(list)
    local unknown = {}
    for _, line in ipairs(list) do
      if turns[line] == nil and fairOf(line) then unknown[#unknown + 1] = line end
    end
    for index, text in ipairs(hmget(root .. ":turn", unknown)) do
      local turn, credit = string.match(text or "", "^([^;]*);(.*)$")
      turns[unknown[index]] = { turn = tonumber(turn or "-inf") or -math.huge, credit = tonumber(credit or 0) }
    end
  end

  local function turnOf(line)
    if turns[line] == nil then loadTurns({ line }) end
    return turns[line]
  end

  -- reads what decides about the lines of a page at once
  function self.prepare(page, group)
    local list, passes, counted = {}, {}, {}
    for index = 1, #page, 2 do
      local name = string.sub(page[index], 13)
      lines.know(name, string.sub(page[index], 1, 12), tonumber(page[index + 1]), group or "")
      if string.byte(name) ~= 103 then
        list[#list + 1] = name
        for _, pass in ipairs(lines.passesOf(name)) do passes[#passes + 1] = pass end
      end
    end
    limits.load(passes)
    for _, pass in ipairs(passes) do
      local limit = limits.of(pass)
      if limit and limit.max then counted[#counted + 1] = pass end
    end
    runs().load(counted)
    loadTurns(list)
  end

  -- where a line really begins, if it has tasks
  function self.look(entry)
    local line = entry.lane
    -- the first two: what follows one that is taken is known
    local head, isAll = entry.following, false
    if head == nil then
      head = call("ZRANGE", root .. ":lane:" .. line, 0, 1, "WITHSCORES")
      isAll = head[3] == nil
    end
    if head[1] == nil then return lines.forget(line) end
    local turn, rank, seq = turnOf(line), tonumber(head[2]), string.sub(head[1], 1, 12)
    if turn and turn.turn > rank then rank = turn.turn end
    lines.settle(line, rank, seq, entry.group or "")
    return {
      lane = line, inside = true, group = entry.group, rank = rank, seq = seq, turn = turn and turn.turn, head = head, isAll = isAll
    }
  end

  -- the task that holds the pass of an order, and where it stands
  local function holderOf(pass, limit)
    if holders[pass] == nil then
      holders[pass] = false
      local id = call("HGET", root .. ":holder", pass)
      local text = id and call("HGET", root .. ":state", id)
      if text then
        local letter, seq, line = string.match(text, "^(.)[^;]*;[^;]*;([^;]*)[^\\n]*\\n([^\\n]*)")
        holders[pass] = { letter = letter, ref = seq .. id, line = line }
      end
    end
    local holder = holders[pass]
    if not holder then return nil end
    local isHeld = holder.letter == "R" or holder.letter == "W" or (holder.letter == "F" and limit.order == "block")
    return isHeld and holder or nil
  end

  -- a closed pass closes its group
  local function refuse(entry, pass, cost, till)
    local group, lane = lines.groupOf(laneOf(entry.lane), pass, cost), nil
    if entry.group and entry.group ~= group and cost == nil then
      local _, its = lines.partsOf(entry.group)
      if its == pass then group = entry.group end
    end
    if group == entry.group then lines.shut(group, till) else lines.park(entry.lane, group, till) end
    shut[group], refusals = true, refusals + 1
    if till and (soonest == nil or till < soonest) then soonest = till end
    return false, 0
  end

  local function headRefOf(entry)
    local name = blockOf(entry.head[1])
    return name and call("LINDEX", root .. ":block:" .. name, 0) or entry.head[1]
  end

  local function costsOf(id)
    local text = string.match(taskOf(id), "^[^\\n]*\\n[^\\n]*\\n[^;]*;[^;]*;[^;\\n]*;([^\\n]*)")
    return text and cjson.decode(text) or {}
  end

  -- whether the task that may start is to be looked at later, and how many may start now
  function self.admit(entry, left, second)
    local line, most, isFixed = entry.lane, left, entry.only ~= nil
    local passes = lines.passesOf(line)
    for _, pass in ipairs(passes) do
      local limit = limits.of(pass)
      local holder = limit and limit.order and holderOf(pass, limit)
      if holder and holder.ref ~= (entry.only or entry.head[1]) then
        -- it may wait here, behind others, and goes in the place of the first
        local waits = not isFixed and holder.letter == "W" and holder.line == line and
          call("ZSCORE", root .. ":lane:" .. line, holder.ref)
        if not waits then return refuse(entry, pass) end
        entry.only = holder.ref
      end
      isFixed = isFixed or holder
    end
    for index, pass in ipairs(passes) do
      if limits.isPaused(pass) then return refuse(entry, pass) end
      local limit = limits.of(pass)
      if limit and limit.max then
        if limit.notBefore and now < limit.notBefore then return refuse(entry, pass, nil, limit.notBefore) end
        local room = limit.max - runs().of(pass)
        if room <= 0 then return refuse(entry, pass) end
        most = math.min(most, room)
      elseif limit and limit.order then
        most = 1
      elseif limit and limit.tokens then
        local ref = entry.only or headRefOf(entry)
        local cost = costsOf(string.sub(ref, 13))[index] or 1
        local till = limits.lacksUntil(pass, limit, cost, now)
        if till then return refuse(entry, pass, cost, till) end
        most = 1
      end
    end
    local fair = fairOf(line)
    if fair then most = math.min(most, math.max(1, fair.weight - turnOf(line).credit)) end
    return false, entry.only and 1 or most
  end

  -- starts so many tasks of a line, as far as they come before what is second
  function self.serve(entry, most, second, before)
    local line, head, lane, refs = entry.lane, entry.head, laneOf(entry.lane), nil
    local isAlone = not blockOf(head[1])
    if isAlone and (entry.isAll or (second and head[4] and tonumber(head[4]) >= second.rank)) then most = 1 end
    entry.following = nil
    if entry.only then
      refs = { entry.only }
      call("ZREM", root .. ":lane:" .. line, entry.only)
    elseif isAlone and most == 1 then
      refs = { head[1] }
      call("ZREMRANGEBYRANK", root .. ":lane:" .. line, 0, 0)
      if entry.isAll then entry.following = {} elseif head[3] then entry.following = { head[3], head[4] } end
    else
      local members = most
      if second and most > 1 then
        local isTied = entry.turn and entry.turn >= second.rank
        members = isTied and 1 or
          math.max(1, call("ZCOUNT", root .. ":lane:" .. line, "-inf", "(" .. int(second.rank)))
      end
      refs = take(line, most, members, head)
    end
    if entry.only or (isAlone and most == 1) then
      waited[lane] = waited[lane] or {}
      table.insert(waited[lane], refs[1])
    end
    local last = refs[#refs]
    lines.count(line, #refs)
    local costs
    for index, pass in ipairs(lines.passesOf(line)) do
      local limit = limits.of(pass)
      if limit and limit.order then
        holders[pass], started[pass] = { letter = "R", ref = last, line = line }, string.sub(last, 13)
      elseif limit and limit.tokens then
        costs = costs or costsOf(string.sub(last, 13))
        limits.spend(pass, limit, costs[index] or 1, now)
      end
    end
    local fair, turn = fairOf(line), turnOf(line)
    if fair then
      turn.credit = turn.credit + #refs
      if turn.credit >= fair.weight then
        local priority = string.match(taskOf(string.sub(last, 13)), "^[^;]*;[^;]*;[^;]*;([^;]*)")
        turn.turn, turn.credit = now - priority * headStart + (before + #refs) / 1024, 0
      end
      turned[line] = fair.pass
    end
    if isOrdered(line, laneOf(line)) then
      for _, ref in ipairs(refs) do ordered[string.sub(ref, 13)] = true end
    end
    -- its next task may cost something else
    if entry.group and lines.hasCost(entry.group) then entry.group = nil end
    return refs
  end

  function self.conclude()
    for lane, refs in pairs(waited) do each("ZREM", root .. ":list:P:" .. lane, refs) end
    limits.conclude()
    local held, kept, served = {}, {}, {}
    for pass, id in pairs(started) do held[#held + 1], held[#held + 2] = pass, id end
    each("HSET", root .. ":holder", held)
    for line, pass in pairs(turned) do
      if lines.placeOf(line) then
        local turn = turns[line]
        kept[#kept + 1], kept[#kept + 2] = line, lines.num(turn.turn) .. ";" .. int(turn.credit)
        served[#served + 1], served[#served + 2] = 0, pass .. "\\0" .. line
      end
    end
    lines.conclude()
    each("HSET", root .. ":turn", kept)
    each("ZADD", root .. ":turns", served)
    if refusals >= maxRefusals then soonest = now end
    if soonest and (answer[2] == "" or soonest < tonumber(answer[2])) then answer[2] = int(soonest) end
  end

  return self
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
-- lines that may be refused: a claim that meets more of them ends, and pays to be repeated
local refusals, maxRefusals = 0, 10000

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

-- lanes or lines that are filed in a sorted set, page by page, each of which something may be done with first
local function readerOf(key, prepare)
  local offset, size, page, at, isLast = 0, 2, {}, 1, false
  return function()
    if page[at] == nil then
      if isLast then return nil end
      page, at = call("ZRANGE", key, offset, offset + size - 1, "WITHSCORES"), 1
      isLast = #page < 2 * size
      offset, size = offset + size, math.min(4 * size, 200)
      if page[1] == nil then return nil end
      if prepare then prepare(page) end
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

-- what is next: one of each reader. Lanes that have been given, and those that an older version has filed though they are lines
local nexts, given, strays, steps = {}, {}, {}, 0

local function advance(reader)
  local lane = reader()
  if lane then
    lane.reader = reader
    insert(nexts, lane)
  end
end

local function lookUp()
  local types = elementsOf(wantedTypes)
  local queues = wantedQueues ~= "" and elementsOf(wantedQueues)
  if queues and #queues * #types <= maxPairs then
    local lanes = {}
    for _, queue in ipairs(queues) do
      for _, type in ipairs(types) do lanes[#lanes + 1] = "[" .. queue .. "," .. type .. "]" end
    end
    if call("EXISTS", root .. ":place") == 1 then
      for index = 1, #queues * #types do lanes[#lanes + 1] = aliasOf(lanes[index]) end
    end
    if call("EXISTS", root .. ":shared") == 1 then
      for index = 1, #queues * #types do lanes[#lanes + 1] = sharedOf(lanes[index]) end
    end
    for index, filed in ipairs(hmget(root .. ":head", lanes)) do
      local lane = lanes[index]
      if filed and not given[lane] and isWanted(lane) then
        insert(nexts, { lane = lane, seq = string.sub(filed, 1, 12), rank = tonumber(string.sub(filed, 13)) })
        given[lane] = true
      end
    end
  else
    local names = {}
    for index, type in ipairs(types) do names[index] = type end
    if call("EXISTS", root .. ":shared") == 1 then
      for _, type in ipairs(types) do names[#names + 1] = sharedType(type) end
    end
    for _, type in ipairs(names) do
      local read = readerOf(root .. ":ready:" .. type)
      advance(function()
        local lane = read()
        while lane and (given[lane.lane] or not isWanted(lane.lane)) do lane = read() end
        return lane
      end)
    end
  end
end

local readAll = readerOf(root .. ":ready")
local function inOrder()
  while steps <= maxSteps do
    local lane = readAll()
    if lane == nil or isWanted(lane.lane) then return lane end
    steps = steps + 1
  end
  lookUp()
end

local gate

local function inside(key, group)
  local read = readerOf(key, function(page) gate().prepare(page, group) end)
  return function()
    local line = read()
    if line then line.inside, line.group = true, group end
    return line
  end
end

-- goes on from what is the next
local function skip()
  local next = table.remove(nexts)
  if not next.inside then given[next.lane] = true end
  if next.reader then advance(next.reader) end
  return next
end

-- the next wanted lane or line, which stays the next until it is taken
local function peek()
  while true do
    local next = nexts[#nexts]
    if next == nil then return nil end
    local name = next.lane
    if next.inside then
      if next.group and shut[next.group] then
        table.remove(nexts)
      elseif string.byte(name) ~= 103 then
        return next
      else
        skip()
        if not shut[name] then advance(inside(root .. ":parked:" .. name, name)) end
      end
    elseif isAlias(name) then
      skip()
      advance(inside(root .. ":open:" .. string.sub(name, 1, -4) .. "]", nil))
    elseif laneOf(name) ~= name then
      strays[#strays + 1] = skip().lane
    else
      return next
    end
  end
end

${serving}
-- lanes that were looked at: those that have been emptied, and those that have their first task at a later place
local emptied, moved = {}, {}

-- where a lane really begins, if it has tasks
local function look(lane)
  local head = headOf(lane)
  if head[1] == nil then return nil end
  return { lane = lane, seq = string.sub(head[1], 1, 12), rank = tonumber(head[2]), head = head }
end

-- a piece goes on as long as the head of its lane is the first of all heads
advance(inOrder)
local heads, left = {}, limit
while left > 0 do
  local following = refusals < maxRefusals and peek() or nil
  while following and (heads[1] == nil or before(following, heads[#heads])) do
    local filed = skip()
    following = peek()
    -- a lane that is alone needs no comparison
    local head = filed
    if filed.inside then
      head = gate().look(filed)
    elseif heads[1] or following then
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
  if first.group and shut[first.group] then
    -- another line of its group was refused
  elseif first.inside then
    -- a task of the line that may start first, after others
    local isLater, most = gate().admit(first, left, second)
    if isLater then insert(heads, first) end
    if most > 0 then
      local refs = gate().serve(first, most, second, limit - left)
      pieces[#pieces + 1] = refs
      left = left - #refs
      local head = gate().look(first)
      if head and left > 0 then insert(heads, head) end
    end
  else
    local members = left
    if second then
      members = math.max(1, call("ZCOUNT", root .. ":lane:" .. first.lane, "-inf", "(" .. int(second.rank)))
    end
    local take = isShared(first.lane) and shared().take or take
    local refs = take(first.lane, left, members, first.head)
    pieces[#pieces + 1] = refs
    left = left - #refs
    if madeShared and madeShared.isTired() then
      depart(first.lane)
      break
    end
    if left > 0 then
      local head = look(first.lane)
      if head then insert(heads, head) else emptied[#emptied + 1] = first.lane end
    else
      depart(first.lane)
    end
  end
end

-- readers count places, so only now are lanes forgotten, and those filed again that were looked at in vain
for _, lane in ipairs(emptied) do forget(lane) end
for lane, head in pairs(moved) do
  unfile(lane, call("HGET", root .. ":head", lane))
  file(lane, head.rank, head.seq)
end
if strays[1] then
  for _, line in ipairs(strays) do adoptLine(line) end
  gated().conclude()
  answer[2] = int(now)
end
if madeGate then madeGate.conclude() end
`

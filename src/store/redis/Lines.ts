/**
 * Lines: pending tasks of one queue and type with the same gate wait in one, of which only the first is looked at. Lines of a
 * lane wait apart from the tasks of the lane that have no gate, which know nothing of them. Tasks whose gates were never found closed have
 * none: see `Shared`.
 *
 * A line whose gate is found closed is parked in the group of the pass that is closed, together with all lines of its lane that
 * this pass has stopped; of a pass with a rate with those whose first task costs the same. The group is shut. Whatever may
 * open the pass opens the group, at the same cost however many lines it has: claims then go through its lines in
 * order, and shut it again once one is refused by its pass.
 *
 * So each lane has the sorted sets `open` and `shut`, of its lines that are not parked and of groups, and each group has one of its
 * lines. All of them keep a place in the order of work that no task of it is before, as lanes do. `place` says by the name of a line
 * or a group what its place is and which set it is in: nothing for `open`, `-` for `shut`, else the group. A lane with
 * something in `open` is filed among the lanes, under the name `["queue","type",1]`, at the place of the first: a version that
 * knows nothing of gates takes this for another type.
 */
import { held } from "./Held.ts"

export const lines = `${held}
local function aliasOf(lane) return string.sub(lane, 1, -2) .. ",1]" end

-- the pass of a line if it has but one that is written as it is, which nearly all have
local function onlyPassOf(line, lane)
  local only = string.sub(line, #lane + 5, -6)
  return only ~= "" and not string.find(only, "\\\\", 1, true) and only
end

-- made where a line with a gate is met
local madeLines
function gated()
  if madeLines then return madeLines end
  local self = {}
  madeLines = self

  -- where lines and groups are, as far as it is known, and those that have moved
  local places, moved, changes = {}, {}, {}
  -- lanes and groups that may have another first one, groups to be shut, with the time or none, and lines that were emptied
  local lanesTouched, groupsTouched, shutting, emptied = {}, {}, {}, {}
  -- lanes that have a new group: its lines may have been parked at once
  local founded = {}
  -- passes to be opened, and whether a group was shut that is not any more: what waits in it may start
  local opening, hasOpened = {}, false

  local function num(rank) return rank % 1 == 0 and int(rank) or string.format("%.17g", rank) end
  self.num = num

  local passes = {}
  function self.passesOf(line)
    local known = passes[line]
    if known == nil then
      local only = onlyPassOf(line, laneOf(line))
      if only then
        known = { only }
      else
        local isRead, gate = pcall(function() return cjson.decode(cjson.decode(line)[3]) end)
        known = isRead and gate or {}
      end
      passes[line] = known
    end
    return known
  end

  local parts = {}
  -- the group of a lane, a pass, and what a task costs of it where that matters
  function self.groupOf(lane, pass, cost)
    cost = cost and num(cost) or ""
    local group = "g" .. cost .. ";" .. lane .. pass
    parts[group] = parts[group] or { lane, pass, cost }
    return group
  end

  function self.partsOf(group)
    local known = parts[group]
    if known == nil then
      local cost, rest = string.match(group, "^g([^;]*);(.*)$")
      local queue, type = namesOf(rest)
      local lane = "[" .. queue .. "," .. type .. "]"
      known = { lane, string.sub(rest, #lane + 1), cost }
      parts[group] = known
    end
    return known[1], known[2], known[3]
  end

  function self.hasCost(group) return string.byte(group, 2) ~= 59 end

  local function keyOf(lane, where)
    if where == "" then return root .. ":open:" .. lane end
    if where == "-" then return root .. ":shut:" .. lane end
    return root .. ":parked:" .. where
  end

  function self.know(name, seq, rank, where)
    if places[name] == nil then places[name] = { seq = seq, rank = rank, where = where } end
  end

  function self.load(names)
    local unknown = {}
    for _, name in ipairs(names) do
      if places[name] == nil then unknown[#unknown + 1] = name end
    end
    for index, text in ipairs(hmget(root .. ":place", unknown)) do
      local seq, rank, where = string.match(text or "", "^(............)([^;]*);(.*)$")
      places[unknown[index]] = seq and { seq = seq, rank = tonumber(rank), where = where } or false
    end
  end

  local function placeOf(name)
    if places[name] == nil then self.load({ name }) end
    return places[name]
  end
  self.placeOf = placeOf

  local function note(key, member, rank)
    changes[key] = changes[key] or {}
    changes[key][member] = rank
  end

  -- from where and to where, if it was anywhere and goes anywhere
  local function move(name, lane, from, to)
    local isSame = from and to and from.where == to.where and from.seq == to.seq
    if from and not isSame then note(keyOf(lane, from.where), from.seq .. name, false) end
    if to then note(keyOf(lane, to.where), to.seq .. name, to.rank) end
    places[name], moved[name] = to or false, true
    if (from and from.where == "") or (to and to.where == "") then lanesTouched[lane] = true end
  end

  local function isBefore(rank, seq, place) return rank < place.rank or (rank == place.rank and seq < place.seq) end

  local function moveLine(line, from, to)
    move(line, laneOf(line), from, to)
    if from and from.where ~= "" then groupsTouched[from.where] = true end
    if to and to.where ~= "" then
      -- the first of those that come, as long as nothing leaves
      local first = groupsTouched[to.where]
      if first == nil or (first ~= true and isBefore(to.rank, to.seq, first)) then groupsTouched[to.where] = to end
    end
  end

  -- to be called for the first of the tasks of a line that become pending, and whether one of them was claimed before: it may
  -- be what others wait for. All calls take effect with conclude
  function self.arrive(line, rank, seq, isBack)
    rank = tonumber(rank)
    local at = placeOf(line)
    if not at then return moveLine(line, nil, { seq = seq, rank = rank, where = "" }) end
    local isFirst, where = isBefore(rank, seq, at), at.where
    -- it may open for what its group does not wait for
    if where ~= "" and (isBack or (isFirst and self.hasCost(where))) then where = "" end
    if isFirst then
      moveLine(line, at, { seq = seq, rank = rank, where = where })
    elseif where ~= at.where then
      moveLine(line, at, { seq = at.seq, rank = at.rank, where = where })
    end
  end

  -- to be called where a line was looked at
  function self.settle(line, rank, seq, where)
    local at = placeOf(line)
    if not at or at.rank ~= rank or at.seq ~= seq or at.where ~= where then
      moveLine(line, at or nil, { seq = seq, rank = rank, where = where })
    end
  end

  -- to be called for a line that has been emptied
  function self.forget(line)
    local at = placeOf(line)
    if not at then return end
    moveLine(line, at, nil)
    emptied[#emptied + 1] = line
  end

  -- to be called when a pending task was taken out of a line
  function self.depart(line)
    if call("EXISTS", root .. ":lane:" .. line) == 0 then return self.forget(line) end
    local at = placeOf(line)
    if at and at.where ~= "" and self.hasCost(at.where) then
      moveLine(line, at, { seq = at.seq, rank = at.rank, where = "" })
    end
  end

  -- moves a line to a group, which is shut until a time, or until it is opened
  function self.park(line, group, until_)
    local at = placeOf(line)
    moveLine(line, at, { seq = at.seq, rank = at.rank, where = group })
    shutting[group] = until_ or false
  end

  function self.shut(group, until_)
    shutting[group] = until_ or false
    groupsTouched[group] = true
  end

  function self.open(pass) opening[pass] = true end

  function self.openAll(line)
    for _, pass in ipairs(self.passesOf(line)) do opening[pass] = true end
  end

  -- to be called for tasks that have started, or with less than nothing for those that run no more
  function self.count(line, amount)
    for _, pass in ipairs(self.passesOf(line)) do runs().add(pass, amount) end
  end

  local function openGroups(groups)
    self.load(groups)
    local opened = {}
    for _, group in ipairs(groups) do
      local at = places[group]
      if at and at.where == "-" then
        move(group, self.partsOf(group), at, { seq = at.seq, rank = at.rank, where = "" })
        opened[#opened + 1] = group
      end
    end
    each("ZREM", root .. ":until", opened)
    hasOpened = hasOpened or opened[1] ~= nil
  end

  function self.hasOpened() return hasOpened end

  -- groups whose passes are in a range of names
  local function openRange(first, last)
    local groups = {}
    for index, member in ipairs(call("ZRANGEBYLEX", root .. ":groups", first, last)) do
      groups[index] = string.match(member, "%z(g[^;]*;%[.*)$")
    end
    openGroups(groups)
  end

  -- opens groups that were shut until now; answers until when the next one is
  function self.expire(now)
    local key = root .. ":until"
    local groups = call("ZRANGEBYSCORE", key, "-inf", int(now), "LIMIT", 0, 1000)
    openGroups(groups)
    each("ZREM", key, groups)
  end

  -- to be called where a record of a pass or of a limit's name was written or deleted
  function self.reopen(id)
    local isPass = string.find(id, "=", 1, true)
    local first, last = "[" .. id .. (isPass and "\\0" or "="), "(" .. id .. (isPass and "\\1" or ">")
    openRange(first, last)
    -- turns may count no more
    for _, member in ipairs(call("ZRANGEBYLEX", root .. ":turns", first, last)) do
      local line = string.match(member, "%z(%[.*)$")
      local head = call("ZRANGE", root .. ":lane:" .. line, 0, 0, "WITHSCORES")
      if head[1] then self.arrive(line, head[2], string.sub(head[1], 1, 12)) end
    end
  end

  local function flush()
    for key, members in pairs(changes) do
      local gone, come = {}, {}
      for member, rank in pairs(members) do
        if rank then
          come[#come + 1], come[#come + 2] = num(rank), member
        else
          gone[#gone + 1] = member
        end
      end
      each("ZREM", key, gone)
      each("ZADD", key, come)
    end
    local gone, come = {}, {}
    for name in pairs(moved) do
      local at = places[name]
      if at then
        come[#come + 1], come[#come + 2] = name, at.seq .. num(at.rank) .. ";" .. at.where
      else
        gone[#gone + 1] = name
      end
    end
    each("HDEL", root .. ":place", gone)
    each("HSET", root .. ":place", come)
    changes, moved = {}, {}
  end

  local function concludeGroups()
    local names, new, old, untils, over = {}, {}, {}, {}, {}
    for group in pairs(groupsTouched) do names[#names + 1] = group end
    self.load(names)
    for _, group in ipairs(names) do
      local lane, pass = self.partsOf(group)
      local at, until_, come, rank, seq = places[group], shutting[group], groupsTouched[group], nil, nil
      if not at and come ~= true then
        rank, seq = come.rank, come.seq
      else
        local first = call("ZRANGE", keyOf(lane, group), 0, 0, "WITHSCORES")
        if first[1] then rank, seq = tonumber(first[2]), string.sub(first[1], 1, 12) end
      end
      if rank then
        local where = (until_ ~= nil or not at) and "-" or at.where
        if not at then
          new[#new + 1], new[#new + 2] = 0, pass .. "\\0" .. group
          lanesTouched[lane], founded[lane] = true, true
        end
        if not at or at.where ~= where or at.rank ~= rank or at.seq ~= seq then
          move(group, lane, at or nil, { seq = seq, rank = rank, where = where })
        end
        if until_ then untils[#untils + 1], untils[#untils + 2] = int(until_), group end
      elseif at then
        move(group, lane, at, nil)
        -- a lane without lines is forgotten
        lanesTouched[lane] = true
        old[#old + 1], over[#over + 1] = pass .. "\\0" .. group, group
      end
    end
    each("ZREM", root .. ":groups", old)
    each("ZREM", root .. ":until", over)
    each("ZADD", root .. ":groups", new)
    each("ZADD", root .. ":until", untils)
  end

  -- files a lane where the first of its lines is
  local function refile(lane)
    local alias, first = aliasOf(lane), call("ZRANGE", root .. ":open:" .. lane, 0, 0, "WITHSCORES")
    local filed = call("HGET", root .. ":head", alias)
    if first[1] then
      local rank, seq = math.floor(tonumber(first[2])), string.sub(first[1], 1, 12)
      if filed == seq .. int(rank) then return end
      if filed and string.sub(filed, 1, 12) ~= seq then unfile(alias, filed) end
      file(alias, rank, seq)
      if not filed then
        local type = typeOf(lane)
        call("SADD", root .. ":types", type)
        call("SADD", root .. ":gates:" .. type, lane)
      end
      return
    end
    if call("EXISTS", root .. ":shut:" .. lane) == 0 then
      local type = typeOf(lane)
      call("SREM", root .. ":gates:" .. type, lane)
      if not filed then leaveType(type) end
    elseif founded[lane] then
      local type = typeOf(lane)
      call("SADD", root .. ":types", type)
      call("SADD", root .. ":gates:" .. type, lane)
    end
    if filed then forget(alias) end
  end

  local function concludeTurns()
    if #emptied == 0 or call("EXISTS", root .. ":turn") == 0 then return end
    each("HDEL", root .. ":turn", emptied)
    local members = {}
    for _, line in ipairs(emptied) do
      for _, pass in ipairs(self.passesOf(line)) do members[#members + 1] = pass .. "\\0" .. line end
    end
    each("ZREM", root .. ":turns", members)
  end

  -- to be called once, after all
  function self.conclude()
    if madeRuns then madeRuns.conclude() end
    if next(opening) and call("EXISTS", root .. ":groups") == 1 then
      for pass in pairs(opening) do openRange("[" .. pass .. "\\0", "(" .. pass .. "\\1") end
    end
    flush()
    if next(groupsTouched) then
      concludeGroups()
      flush()
    end
    concludeTurns()
    for lane in pairs(lanesTouched) do refile(lane) end
    opening, lanesTouched, groupsTouched, shutting, emptied, founded = {}, {}, {}, {}, {}, {}
  end

  return self
end
`

/**
 * Takes over what a version that knows nothing of gates has done: it files lines like lanes, under names that it does not want,
 * and does not count tasks that it takes back.
 */
export const adoptLine = `
local function adoptLine(line)
  local lane, head = laneOf(line), call("ZRANGE", root .. ":lane:" .. line, 0, 0, "WITHSCORES")
  forget(line)
  local refs, scored = call("ZRANGE", root .. ":list:P:" .. line, 0, -1), {}
  for index, ref in ipairs(refs) do scored[2 * index - 1], scored[2 * index] = 0, ref end
  each("ZADD", root .. ":list:P:" .. lane, scored)
  each("ZREM", root .. ":list:S:" .. lane, refs)
  call("DEL", root .. ":list:P:" .. line)
  if head[1] then gated().arrive(line, head[2], string.sub(head[1], 1, 12), true) end
end
`

/** All lines of that kind, and the numbers of running tasks. */
export const adoptLines = `${adoptLine}
local function adoptLines()
  for _, line in ipairs(call("HKEYS", root .. ":head")) do
    if laneOf(line) ~= line then adoptLine(line) end
  end
  local _, running = runningTasks()
  local amounts, isKnown = {}, {}
  for _, line in ipairs(running) do
    for _, pass in ipairs(laneOf(line) == line and {} or gated().passesOf(line)) do
      amounts[pass] = (amounts[pass] or 0) + 1
    end
  end
  local held = call("HGETALL", root .. ":held")
  for index = 1, #held, 2 do
    local pass = held[index]
    if not amounts[pass] then
      call("HDEL", root .. ":held", pass)
    elseif int(amounts[pass]) ~= held[index + 1] then
      call("HSET", root .. ":held", pass, int(amounts[pass]))
    end
    isKnown[pass] = true
    if (amounts[pass] or 0) < tonumber(held[index + 1]) then gated().open(pass) end
  end
  for pass, amount in pairs(amounts) do
    if not isKnown[pass] then call("HSET", root .. ":held", pass, int(amount)) end
  end
  if madeLines then madeLines.conclude() end
end
`

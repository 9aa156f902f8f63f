/**
 * Tasks with gates that wait together: as long as none of its tasks was refused, a line costs nothing. Its tasks stand with those of
 * other lines of their lane, in the order of work and in blocks, like tasks without gates. A claim takes the first of them, starts
 * those whose gates are open, and gives each of the others to its line.
 *
 * This is exact where it does not matter to a task which of its line was looked at before: limits of how many run, and breakers. All
 * other limits need lines from the start. Where a record of such a limit is put, the next claim gives all tasks that wait
 * together in a lane with that limit to their lines, before it takes any.
 *
 * Those of a lane are a lane of their own, whose name is `["queue","\u0000type",2]`. `shared` has by this name the names of the limits
 * that its tasks have, each between two U+0000. The names in `spread` are to be given to lines. Tasks get there when they are stored; all that
 * come back are in lines.
 */
/** Neighbours with one gate: more are a line at once, which is looked at as one. */
export const maxAlike = 8

/** Characters of the names of limits in a lane, about: a task with another name has a line. */
const maxNames = 4096

/** Tasks given to lines by a claim at most, and their characters, about: it ends then, and pays to be repeated. */
const [maxMoved, maxMovedSize] = [5000, 32 * 1024 * 1024]

/** Tasks that a claim looks at beyond those that it takes where it has met closed gates, unless they are long. */
const [maxPage, maxPageSize] = [100, 1024 * 1024]

/** Which new tasks wait together. */
export const sharing = `
local function nameOf(pass) return string.match(pass, "^[^=]*") end

-- of lines with gates, those whose new tasks wait with others; and by lane the names of their limits
local function shareable(names)
  local found, limitsOf, passes, some = {}, {}, {}, {}
  if names[1] == nil or call("EXISTS", root .. ":spread") == 1 then return found, limitsOf end
  local places = call("EXISTS", root .. ":place") == 1 and hmget(root .. ":place", names) or {}
  for index, line in ipairs(names) do
    local lane = laneOf(line)
    if not places[index] and lane ~= line and not isOrdered(line, lane) then
      some[#some + 1] = line
      for _, pass in ipairs(gated().passesOf(line)) do passes[#passes + 1] = pass end
    end
  end
  limits().load(passes)
  for _, line in ipairs(some) do
    local its = gated().passesOf(line)
    if limits().areSimple(its) then
      local lane = laneOf(line)
      local known = limitsOf[lane] or {}
      found[line], limitsOf[lane] = true, known
      for _, pass in ipairs(its) do known[nameOf(pass)] = true end
    end
  end
  return found, limitsOf
end

-- writes down the limits of tasks that wait together, by the name of their lane
local function remember(names, limitsOf)
  for index, text in ipairs(hmget(root .. ":shared", names)) do
    local name, before = names[index], text
    text = text or "\\0"
    for limit in pairs(limitsOf[ownerOf(name)]) do
      if not string.find(text, "\\0" .. limit .. "\\0", 1, true) then text = text .. limit .. "\\0" end
    end
    if text ~= before then call("HSET", root .. ":shared", name, text) end
    if #text > ${maxNames} then call("SADD", root .. ":spread", name) end
  end
end
`

/** To be called where records of limits were written: what they may change for tasks that wait together. */
export const spreading = `
local function spreadFor(ids)
  if ids[1] == nil or call("EXISTS", root .. ":shared") == 0 then return end
  -- what was read before does not hold
  madeLimits = nil
  local names, all = {}, call("HGETALL", root .. ":shared")
  for _, id in ipairs(ids) do
    if not limits().areSimple({ id }) then names[#names + 1] = "\\0" .. string.match(id, "^[^=]*") .. "\\0" end
  end
  for at = 1, #all, 2 do
    for _, name in ipairs(names) do
      if string.find(all[at + 1], name, 1, true) then call("SADD", root .. ":spread", all[at]) end
    end
  end
end
`

/** What a claim does with tasks that wait together. */
export const shared = `
-- groups of lines that were found shut
local shut = {}

local madeShared
local function shared()
  if madeShared then return madeShared end
  local self, limits, runs = {}, limits(), runs()
  madeShared = self
  local moved, movedSize, page, soonest, isAnyLeft = 0, 0, 0, nil, false

  local function lineIn(text)
    local head = string.find(text, "\\n", 1, true)
    return string.sub(text, head + 1, string.find(text, "\\n", head + 1, true) - 1)
  end

  -- where a task stands that was never claimed: its text begins with seq;keyed;0;priority;1;0;0;0;times
  local function rankOf(text)
    local at = string.find(text, ";", 18, true)
    local due, within = string.match(text, "^-?%d+", at + 9), nil
    if string.byte(text, at + 9 + #due) ~= 10 then
      within = string.match(text, "^%+[^+\\n]*%+([^+\\n]+)", at + 9 + #due)
    end
    return due + shiftOf(within, headStart) - string.sub(text, 18, at - 1) * headStart
  end

  -- gives tasks to their lines, in the order of work
  local function spread(refs, texts, names)
    local found, members, lists = {}, {}, {}
    for index, ref in ipairs(refs) do
      local line = names[index]
      local lane = laneOf(line)
      local rank, its, list = rankOf(texts[index]), members[line], lists[lane]
      if its == nil then
        its = { rank = rank }
        members[line], found[#found + 1] = its, line
      end
      if list == nil then
        list = {}
        lists[lane] = list
      end
      its[#its + 1], its[#its + 2], list[#list + 1], list[#list + 2] = int(rank), ref, "0", ref
    end
    gated().load(found)
    for _, line in ipairs(found) do
      local its = members[line]
      gated().arrive(line, its.rank, string.sub(its[2], 1, 12))
      each("ZADD", root .. ":lane:" .. line, its)
    end
    for lane, list in pairs(lists) do each("ZADD", root .. ":list:P:" .. lane, list) end
    local size = 0
    for _, text in ipairs(texts) do size = size + #text end
    moved, movedSize = moved + #refs, movedSize + size
    if size > ${maxPageSize} then page = 0 end
  end

  -- whether a pass is closed, and until when; nothing of the kind where its limit needs lines
  local function closed(pass)
    if limits.isPaused(pass) then return true end
    local limit = limits.of(pass)
    if not limit or limit.lifted then return false end
    if not limit.max then return nil end
    if limit.notBefore and now < limit.notBefore then return true, limit.notBefore end
    return runs.of(pass) >= limit.max
  end

  -- the first closed pass of a gate, or an empty text where it needs lines, and until when. What was closed stays so
  local refusals = {}
  local function refusalOf(passes)
    for _, pass in ipairs(passes) do
      if refusals[pass] == nil then
        local isClosed, till = closed(pass)
        if isClosed ~= false then refusals[pass] = { pass = isClosed and pass or "", till = till } end
      end
      if refusals[pass] then return refusals[pass] end
    end
  end

  -- a line whose tasks were refused
  local function park(line, refusal)
    local group, at, till = gated().groupOf(laneOf(line), refusal.pass), gated().placeOf(line), refusal.till
    if at.where == "" then gated().park(line, group, till) elseif at.where == group then gated().shut(group, till) end
    shut[group] = true
    if till and (soonest == nil or till < soonest) then soonest = till end
  end

  -- parts those that start from those that were refused, which go to their lines
  local function sort(name, refs, ids, texts, states, gates, refused)
    local given, out, its, names, refusalsOf = { ids = {}, tasks = {}, states = {} }, {}, {}, {}, {}
    for index, ref in ipairs(refs) do
      if refused[index] then
        local at, line = #out + 1, lineIn(texts[index])
        out[at], its[at], names[at], refusalsOf[line] = ref, texts[index], line, refused[index]
      elseif gates[index] then
        local at = #given + 1
        given[at], given.ids[at], given.tasks[at], given.states[at] = ref, ids[index], texts[index], states[index]
      end
    end
    spread(out, its, names)
    for line, refusal in pairs(refusalsOf) do
      if refusal.pass ~= "" then
        park(line, refusal)
      else
        -- an earlier version has put that limit
        call("SADD", root .. ":spread", name)
        isAnyLeft = true
      end
    end
    return given
  end

  -- what is between the first line feed and a pass, if it is the only one
  local function beforePass(name) return "\\n" .. string.sub(ownerOf(name), 1, -2) .. ',"[\\\\"' end

  -- nearly all tasks wait with one pass, of the limit of the one before. If all of these do, no task runs with any pass, and there is room for
  -- all, nothing else is to be known: enters them, and answers what each text has before the first line feed, and its passes, each before
  -- a number
  local function enterAlike(name, texts, states)
    local find, sub, byte = string.find, string.sub, string.byte
    local before = beforePass(name)
    local from = texts[2] and not runs.hasAny() and find(texts[1] or "", "=", 1, true)
    local start = from and sub(texts[1], find(texts[1], "\\n", 1, true), from)
    if not start or sub(start, 1, #before) ~= before then return nil end
    local own, max = limits.boundOf(sub(start, #before + 1))
    if not max or max < 1 or before .. own ~= start then return nil end
    local skip, heads, numbers, amountOf = #before, {}, {}, {}
    for index = 1, #texts do
      local text = texts[index]
      if not text or states[index] then return nil end
      local first, last = find(text, start, 1, true)
      local after = first and find(text, "\\\\", last + 1, true)
      if not after or byte(text, after + 5) ~= 10 then return nil end
      local pass = sub(text, first + skip, after - 1)
      local amount = (amountOf[pass] or 0) + 1
      if amount > max then return nil end
      amountOf[pass], heads[index] = amount, sub(text, 1, first - 1)
      numbers[2 * index - 1], numbers[2 * index] = pass, amount == 1 and "1" or int(amount)
    end
    runs.enterNew(amountOf, numbers)
    return heads, numbers
  end

  -- the gates of tasks: the pass, or an empty text and a list of passes, or nothing where a task does not wait. And all passes, which
  -- are the gates where each task waits with one; then it is known what each text has before the first line feed, and of how many tasks at the
  -- front the passes are of one limit
  local function gatesOf(name, texts, states)
    local skip, gates, list, passes, heads = #beforePass(name), {}, {}, nil, {}
    local find, sub, byte = string.find, string.sub, string.byte
    -- what is between the first line feed and the key of nearly all of them, and of how many tasks that is known
    local start, alike, isAlike = nil, 0, true
    for index = 1, #texts do
      local text, state, gate = texts[index], states[index], false
      -- an earlier version may have ended it
      if text and not (state and byte(state) ~= 87) then
        local first, last, after
        if start then first, last = find(text, start, 1, true) end
        if first == nil then
          isAlike = index == 1
          first = find(text, "\\n", 1, true)
          last = first + skip - 1
        end
        after = find(text, "\\\\", last + 1, true)
        if after and byte(text, after + 5) == 10 then
          gate, heads[index] = sub(text, first + skip, after - 1), sub(text, 1, first - 1)
          if index == 1 then start = sub(text, first, find(text, "=", last + 1, true)) end
          if isAlike then alike = index end
        else
          gate, list[index], passes = "", gated().passesOf(lineIn(text)), {}
        end
      else
        passes = {}
      end
      gates[index] = gate
    end
    if passes == nil then return gates, list, gates, heads, alike end
    for index = 1, #texts do
      for _, pass in ipairs(list[index] or { gates[index] or nil }) do passes[#passes + 1] = pass end
    end
    return gates, list, passes
  end

  -- the first tasks, at most so many, of so many members
  local function peek(name, amount, members, head)
    head = head or headOf(name)
    local block, refs = head[1] and blockOf(head[1]), {}
    if block then return call("LRANGE", root .. ":block:" .. block, 0, amount - 1) end
    for _, ref in ipairs(call("ZRANGE", root .. ":lane:" .. name, 0, math.min(amount, members) - 1)) do
      if blockOf(ref) then break end
      refs[#refs + 1] = ref
    end
    return refs
  end

  -- takes tasks off the front, of so many members, until so many start; answers these with their texts, and whether there may be more
  function self.take(name, amount, members, head)
    local isAhead, ids, n, last = page > amount, {}, 0, 0
    local refs = isAhead and peek(name, page, members, head) or take(name, amount, members, head)
    for index = 1, #refs do ids[index] = string.sub(refs[index], 13) end
    local texts, states = hmget(root .. ":task", ids), hmget(root .. ":state", ids)
    if not isAhead then
      local heads, numbers = enterAlike(name, texts, states)
      if heads then
        refs.ids, refs.tasks, refs.states, refs.heads, refs.passes, refs.each = ids, texts, states, heads, numbers, 2
        refs.before = beforePass(name)
        return refs, #refs == amount
      end
    end
    local gates, list, passes, heads, alike = gatesOf(name, texts, states)
    limits.load(passes)
    local start, max, refused, isMissing = nil, nil, nil, false
    -- nearly all have one limit, which is that of the one before, and room
    if gates == passes and gates[1] then start, max = limits.boundOf(gates[1]) end
    if max then n = runs.enterAll(gates, math.min(amount, alike), max) else runs.load(passes) end
    last = n
    for index = n + 1, n < amount and #refs or 0 do
      local gate = gates[index]
      last = index
      local isOne = gate and gate ~= ""
      if isOne and not (start and string.sub(gate, 1, #start) == start) then start, max = limits.boundOf(gate) end
      if isOne and max and runs.enter(gate, max) then
        n = n + 1
      elseif gate then
        local several = list[index] or { gate }
        local refusal = refusals[gate] or refusalOf(several)
        if refusal then
          refused = refused or {}
          refused[index] = refusal
        else
          n = n + 1
          for _, each in ipairs(several) do runs.enter(each, math.huge) end
        end
      else
        isMissing = true
      end
      if n == amount then break end
    end
    if isAhead then refs = take(name, last, members) end
    if refused and n == 0 then page = math.min(${maxPage}, 4 * math.max(page, amount)) end
    if not refused and not isMissing and not isAhead then
      refs.ids, refs.tasks, refs.states, refs.heads, refs.passes, refs.each = ids, texts, states, heads, gates, 1
      refs.before = beforePass(name)
      return refs, last == amount
    end
    return sort(name, refs, ids, texts, states, gates, refused or {}), last > 0
  end

  -- whether this claim has given so many to lines that it ends
  function self.isTired() return isAnyLeft or moved >= ${maxMoved} or movedSize > ${maxMovedSize} end

  -- gives all to lines that have to be; answers whether none is left
  function self.spreadAll()
    for _, name in ipairs(call("SMEMBERS", root .. ":spread")) do
      while moved < ${maxMoved} and movedSize <= ${maxMovedSize} do
        local refs, ids, out, its, names = take(name, ${maxPage}, ${maxPage}), {}, {}, {}, {}
        if refs[1] == nil then break end
        for index, ref in ipairs(refs) do ids[index] = string.sub(ref, 13) end
        local texts, states = hmget(root .. ":task", ids), hmget(root .. ":state", ids)
        for index, text in ipairs(texts) do
          if text and not (states[index] and string.byte(states[index]) ~= 87) then
            local at = #out + 1
            out[at], its[at], names[at] = refs[index], text, lineIn(text)
          end
        end
        spread(out, its, names)
      end
      depart(name)
      if call("EXISTS", root .. ":lane:" .. name) == 0 then call("SREM", root .. ":spread", name) else isAnyLeft = true end
    end
    gated().conclude()
    return not isAnyLeft
  end

  function self.conclude()
    runs.conclude()
    if madeLines then madeLines.conclude() end
    if self.isTired() then soonest = now end
    if soonest and (answer[2] == "" or soonest < tonumber(answer[2])) then answer[2] = int(soonest) end
  end

  return self
end
`

/**
 * Stores new tasks: groups, each entirely or not at all, with exact capacity, ids and keys.
 *
 * - Arguments: head start, capacity, then for each group the number of its runs. A run is neighbours of one lane,
 *   priority and time: their number, `["queue","type"]`, priority, when they are due (`+delay` or `=time`, in ms), the
 *   `["type","key"]` of a single keyed task or nothing, and for each task its id and the rest of its text.
 * - Answers: the clock, then for each group `A` where all are new and stored; `{M, id, 0 or 1 …}` where some were there
 *   before (1); `{F, unfinished}` without room; `{C, index, owner}` where the key of the task at that index belongs to
 *   one with another payload.
 *
 * A group is planned before anything of it is written, and all that was planned is written at the end with a handful of
 * commands. The first write is one that Redis refuses when its memory is full, so a refusal leaves no trace.
 */
import { prelude } from "./Prelude.ts"

export const enqueue = `${prelude}
local headStart, capacity, now = tonumber(ARGV[1]), tonumber(ARGV[2]), clock()

local ids, at = {}, 3
while at <= #ARGV do
  local runs = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, runs do
    local last = at + 4 + 2 * ARGV[at]
    for index = at + 5, last, 2 do ids[#ids + 1] = ARGV[index] end
    at = last + 1
  end
end
local known = {}
for index, found in ipairs(hmget(root .. ":task", ids)) do
  if found then known[ids[index]] = true end
end

local unfinished = call("HLEN", root .. ":task")
for _, set in ipairs({ "C0", "C1", "F0", "F1", "X0", "X1" }) do
  unfinished = unfinished - call("ZCARD", root .. ":finished:" .. set)
end

local function payloadOf(rest) return string.match(rest, "^[^\\n]*\\n[^\\n]*\\n(.*)$") end

-- keys taken by this call
local taken = {}
local function ownerOf(field)
  if taken[field] then return taken[field].id, taken[field].payload end
  local id = call("HGET", root .. ":key", field)
  if not id then return nil end
  return id, string.match(call("HGET", root .. ":task", id), "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n(.*)$")
end

local answers, plan, count = { now }, {}, 0

local function group(at)
  local runs = tonumber(ARGV[at])
  at = at + 1
  local mine, stored, fresh, conflict = {}, {}, 0, nil
  local keys, mixed, index = {}, false, 0
  for _ = 1, runs do
    local size, field = tonumber(ARGV[at]), ARGV[at + 4]
    local run = { at = at, field = field }
    for place = at + 5, at + 4 + 2 * size, 2 do
      local id = ARGV[place]
      if known[id] then
        mixed = true
        stored[#stored + 1], stored[#stored + 2] = id, 1
      elseif conflict == nil then
        local owner, payload
        if field ~= "" then owner, payload = ownerOf(field) end
        if owner == nil then
          known[id], fresh = true, fresh + 1
          run[#run + 1] = place
          stored[#stored + 1], stored[#stored + 2] = id, 0
          if field ~= "" then
            taken[field] = { id = id, payload = payloadOf(ARGV[place + 1]) }
            keys[#keys + 1] = field
          end
        elseif payload == payloadOf(ARGV[place + 1]) then
          mixed = true
          stored[#stored + 1], stored[#stored + 2] = owner, 1
        else
          conflict = { "C", index, owner }
        end
      end
      index = index + 1
    end
    mine[#mine + 1] = run
    at = at + 5 + 2 * size
  end
  local full = fresh > 0 and unfinished + fresh > capacity
  if conflict or full then
    for _, run in ipairs(mine) do
      for _, place in ipairs(run) do known[ARGV[place]] = nil end
    end
    for _, field in ipairs(keys) do taken[field] = nil end
    answers[#answers + 1] = conflict or { "F", unfinished }
  else
    for _, run in ipairs(mine) do plan[#plan + 1] = run end
    unfinished, count = unfinished + fresh, count + fresh
    if mixed then table.insert(stored, 1, "M") end
    answers[#answers + 1] = mixed and stored or "A"
  end
  return at
end

at = 3
while at <= #ARGV do at = group(at) end
if count == 0 then return answers end

local seq = 100000000000 + call("HINCRBY", root .. ":tally", "seq", count) - count
call("HINCRBY", root .. ":tally", "created", count)
local tasks, sets, keyed, lanes = {}, {}, {}, {}
for _, run in ipairs(plan) do
  if #run > 0 then
    local lane, priority, time, field = ARGV[run.at + 1], ARGV[run.at + 2], ARGV[run.at + 3], run.field
    local due = tonumber(string.sub(time, 2))
    if string.sub(time, 1, 1) == "+" then due = now + due end
    local later, dueText = due > now, int(due)
    local head = ";" .. (field == "" and "0" or "1") .. ";0;" .. priority .. ";1;0;0;0;" .. dueText .. "\\n" .. lane ..
      "\\n" .. int(now) .. ";"
    local work = later and root .. ":scheduled" or root .. ":lane:" .. lane
    local list = root .. (later and ":list:S:" or ":list:P:") .. lane
    local score = later and dueText or int(due - priority * headStart)
    sets[work], sets[list], lanes[lane] = sets[work] or {}, sets[list] or {}, true
    local works, lists = sets[work], sets[list]
    local w, l, t = #works, #lists, #tasks
    for _, place in ipairs(run) do
      seq = seq + 1
      local number, id = string.format("%d", seq), ARGV[place]
      local ref = number .. id
      tasks[t + 1], tasks[t + 2] = id, number .. head .. ARGV[place + 1]
      works[w + 1], works[w + 2] = score, later and number .. priority .. lane .. "\\n" .. id or ref
      lists[l + 1], lists[l + 2] = "0", ref
      t, w, l = t + 2, w + 2, l + 2
      if field ~= "" then keyed[#keyed + 1], keyed[#keyed + 2] = field, id end
    end
  end
end
each("HSET", root .. ":task", tasks)
each("HSET", root .. ":key", keyed)
for set, members in pairs(sets) do each("ZADD", set, members) end
for lane in pairs(lanes) do call("SADD", root .. ":lanes", lane) end
return answers
`

/**
 * Stores new tasks: groups, each entirely or not at all, with exact capacity, ids and keys.
 *
 * - Arguments: head start, capacity, how many tasks there are, 1 if any has a key, an id comes twice or the payloads have more bytes than
 *   there is room for, or else 0, the sizes of the groups separated by semicolons, the bytes that there is room for or nothing, then the tasks in runs. A run is neighbours of one lane, priority and time, of whatever
 *   groups: their number, `["queue","type"]`, priority, when they are due (`+delay` or `=time`, in ms), the
 *   `["type","key"]` of a single keyed task or nothing, and for each task its id and the rest of its text. Where there
 *   are too many: `packed`, then the same texts in JSON arrays.
 * - Answers: the clock, then one of
 *   - `A` and the places, from 1, of tasks whose id was known; all others are new and stored;
 *   - `G` and an answer for each group: `A` where all are new and stored; `{M, id, 0 or 1 …}` where some were there
 *     before (1); `{F, unfinished}` without room, with the bytes of the room that is left and of the new payloads if these are too many; `{C, index, owner, payload …}` where the key of the task at that index
 *     belongs to one whose payload is another text. The texts may still say the same: the caller compares them, and
 *     asks again with the owner's text. It gets all such tasks of a group at once, as far as their payloads are not too
 *     much for an answer.
 *
 * Where nothing can be refused, because there is room for all and none has a key or comes twice, the groups don't
 * matter. Otherwise each is planned before anything of it is written. All that was planned is written at the end with a handful of commands,
 * for a command costs as much as storing a task. The first write is one that Redis refuses when its memory is full, so a
 * refusal leaves no trace.
 */
import { prelude } from "../Runner.ts"
import { block } from "./Block.ts"
import { admitted, entered, lanes } from "./Lanes.ts"

export const enqueue = `${prelude}${block}${lanes}${admitted}${entered}
local argv, format = ARGV, string.format
if argv[1] == "packed" then
  argv = {}
  for pack = 2, #ARGV do
    for _, text in ipairs(cjson.decode(ARGV[pack])) do argv[#argv + 1] = text end
  end
end
local headStart, capacity, amount, now = tonumber(argv[1]), tonumber(argv[2]), tonumber(argv[3]), clock()

local room = tonumber(argv[6])

local ids, runs, at, n = {}, {}, 7, 0
while argv[at] do
  local last = at + 4 + 2 * argv[at]
  runs[#runs + 1] = at
  for index = at + 5, last, 2 do
    n = n + 1
    ids[n] = argv[index]
  end
  at = last + 1
end
-- ids that are there already, if any
local known
for index, found in ipairs(hmget(root .. ":task", ids)) do
  if found then
    known = known or {}
    known[ids[index]] = true
  end
end
local tally = call("HMGET", root .. ":tally", "seq", "created", "unfinished", "eras")
local seq, created, unfinished = tonumber(tally[1] or 0), tonumber(tally[2] or 0), tonumber(tally[3] or 0)

local answers, fresh = { now }, 0

-- what is stored at the end: chosen says so of a place in ARGV, where it is not everything
local chosen

local function payloadOf(rest) return string.match(rest, "^[^\\n]*\\n[^\\n]*\\n(.*)$") end

-- keys taken by this call
local taken = {}
local function ownerOf(field)
  if taken[field] then return taken[field].id, taken[field].payload end
  local id = call("HGET", root .. ":key", field)
  if not id then return nil end
  return id, string.match(call("HGET", root .. ":task", id), "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n(.*)$")
end

-- characters of payloads in one answer, but for the last
local maxPayloads = 1000000

-- decides about the tasks of one group, given as places in ARGV with the keys of their runs
local function plan(tasks)
  local stored, new, keys, mixed, conflict, size, bytes = { "M" }, {}, {}, false, nil, 0, 0
  for index, task in ipairs(tasks) do
    local id, field = argv[task.place], task.field
    local at = #stored
    if known[id] then
      mixed = true
      stored[at + 1], stored[at + 2] = id, 1
    else
      local owner, payload
      if field ~= "" then owner, payload = ownerOf(field) end
      if owner == nil then
        known[id] = true
        new[#new + 1] = task.place
        if room then bytes = bytes + #payloadOf(argv[task.place + 1]) end
        stored[at + 1], stored[at + 2] = id, 0
        if field ~= "" then
          taken[field] = { id = id, payload = payloadOf(argv[task.place + 1]) }
          keys[#keys + 1] = field
        end
      else
        mixed = true
        stored[at + 1], stored[at + 2] = owner, 1
        if payload ~= payloadOf(argv[task.place + 1]) then
          conflict = conflict or { "C" }
          local c = #conflict
          conflict[c + 1], conflict[c + 2], conflict[c + 3] = index - 1, owner, payload
          size = size + #payload
          if size > maxPayloads then break end
        end
      end
    end
  end
  local full = #new > 0 and unfinished + fresh + #new > capacity and { "F", unfinished + fresh }
  if room and not full and #new > 0 and bytes > room then full = { "F", unfinished + fresh, int(room), int(bytes) } end
  if conflict or full then
    for _, place in ipairs(new) do known[argv[place]] = nil end
    for _, field in ipairs(keys) do taken[field] = nil end
    return conflict or full
  end
  if room then room = room - bytes end
  for _, place in ipairs(new) do chosen[place] = true end
  fresh = fresh + #new
  return mixed and stored or "A"
end

if argv[4] == "0" and unfinished + amount <= capacity then
  answers[2] = "A"
  if known then
    chosen, n = {}, 0
    for _, at in ipairs(runs) do
      for place = at + 5, at + 3 + 2 * argv[at], 2 do
        n = n + 1
        if known[argv[place]] then
          answers[#answers + 1] = n
        else
          chosen[place] = true
        end
      end
    end
  end
else
  answers[2], chosen, known = "G", {}, known or {}
  local run, place, left = 1, runs[1] and runs[1] + 5, runs[1] and tonumber(argv[runs[1]])
  for size in string.gmatch(argv[5], "%d+") do
    local tasks = {}
    for index = 1, tonumber(size) do
      if left == 0 then
        run = run + 1
        place, left = runs[run] + 5, tonumber(argv[runs[run]])
      end
      tasks[index] = { place = place, field = argv[runs[run] + 4] }
      place, left = place + 2, left - 1
    end
    answers[#answers + 1] = plan(tasks)
  end
  if fresh == 0 then return answers end
end

-- the tasks to store move to the front of the arguments, each id and its text: a table of their own would cost more
local sets, keyed, amounts, lanesOf, arrivals, t = {}, {}, {}, {}, {}, 0

local function add(name, score, member)
  local set = sets[name] or {}
  local at = #set
  set[at + 1], set[at + 2] = score, member
  sets[name] = set
end

seq = seq + 100000000000
local first = seq
for _, at in ipairs(runs) do
  local size, lane, priority, time, field = tonumber(argv[at]), argv[at + 1], argv[at + 2], argv[at + 3], argv[at + 4]
  local due = tonumber(string.sub(time, 2))
  if string.sub(time, 1, 1) == "+" then due = now + due end
  local head = ";" .. (field == "" and "0" or "1") .. ";0;" .. priority .. ";1;0;0;0;" .. int(due) .. "\\n" .. lane ..
    "\\n" .. int(now) .. ";"
  local refs, r = {}, 0
  for place = at + 5, at + 3 + 2 * size, 2 do
    if not chosen or chosen[place] then
      seq = seq + 1
      local id, number = argv[place], format("%d", seq)
      argv[t + 1], argv[t + 2] = id, number .. head .. argv[place + 1]
      t, r = t + 2, r + 1
      refs[r] = number .. id
      if field ~= "" then keyed[#keyed + 1], keyed[#keyed + 2] = field, id end
    end
  end
  if r > 0 then
    amounts[lane] = (amounts[lane] or 0) + r
    for era = math.floor((seq - r + 1) / eraSize), math.floor(seq / eraSize) do
      lanesOf[era] = lanesOf[era] or {}
      lanesOf[era][lane] = true
    end
  end
  if due > now then
    for _, ref in ipairs(refs) do
      add(root .. ":scheduled", int(due), string.sub(ref, 1, 12) .. priority .. lane .. "\\n" .. string.sub(ref, 13))
      add(root .. ":list:S:" .. lane, "0", ref)
    end
  elseif r > 0 then
    local rank = due - priority * headStart
    local earliest = arrivals[lane]
    if earliest == nil or rank < earliest.rank then
      arrivals[lane] = { rank = rank, seq = string.sub(refs[1], 1, 12) }
    end
    if r == 1 then
      add(root .. ":lane:" .. lane, int(rank), refs[1])
      add(root .. ":list:P:" .. lane, "0", refs[1])
    else
      for _, name in ipairs(store(refs)) do
        add(root .. ":lane:" .. lane, int(rank), name .. mark)
        add(root .. ":blocks:" .. lane, "0", name)
      end
    end
  end
end
if t == 0 then return answers end
fresh = seq - first
call("HSET", root .. ":tally", "seq", int(seq - 100000000000), "created", int(created + fresh), "unfinished",
  int(unfinished + fresh))
each("HSET", root .. ":task", argv, t)
each("HSET", root .. ":key", keyed)
for set, members in pairs(sets) do each("ZADD", set, members) end
local isNew = {}
for lane, amount in pairs(amounts) do isNew[lane] = admit(lane, amount) or nil end
if tally[4] or (next(isNew) and call("HLEN", root .. ":stored") > fewLanes) then
  if tally[4] ~= int(first - firstSeq) then keepOld(isNew) end
  enterEras(lanesOf, int(seq - firstSeq))
end
for lane, earliest in pairs(arrivals) do arrive(lane, earliest.rank, earliest.seq) end
return answers
`

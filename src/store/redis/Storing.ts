/** The scripts that store new tasks. */
import { lines } from "./Lines.ts"
import * as Merge from "./Merge.ts"
import { admitted, block, entered, lanes } from "./Order.ts"
import type { Telling } from "./Outcome.ts"
import { limits } from "./Passes.ts"
import { prelude, script } from "./Runner.ts"
import { maxAlike, sharing } from "./Shared.ts"
import { changedSize, connectingWrites, writes } from "./Writes.ts"

/** The clock, how many tasks are unfinished unless all were stored, and three values of each that was known before. */
export type Answer = readonly [now: number, unfinished: number | "stored", ...known: ReadonlyArray<number | string>]

/**
 * Stores those of the tasks that are new, or nothing.
 *
 * - Arguments: head start, capacity, 1 to store nothing in any case or 2 to store nothing if any is known, followed by the tasks that
 *   depend on others, if there are any: then nothing is stored if any task is known, or one of these is not. Then the tasks in runs. A run is neighbours of one line,
 *   priority and time: their number, `["queue","type"]` or that with the gate as a third text, priority, when they are due (`+delay` or `=time`, in ms, and after semicolons for how long they are of use and within which time they should start), the
 *   `["type","key"]` of a single keyed task or nothing, after `u` where it is unique in another way and `t` where it takes the key from the task that has it, and for each task its id and the rest of its text. Where there are too
 *   many: `packed`, then the same texts in JSON arrays.
 * - Answers: the clock, and `stored` if all that are not known were stored, else how many tasks are unfinished. Then for each
 *   known one its place, from 1, the id of the task that has its id or its key, and the payload of the latter if this is
 *   another text: the two may still say the same. A tab stands for the payload where one of the two has a window. Then nothing is stored, and where these payloads are too much for an answer, it
 *   does not have them all. Place 0 is that of the id of a task that others depend on and that is not stored.
 *
 * All is written at the end with a handful of commands, for a command costs as much as storing a task. The first write is
 * one that Redis refuses when its memory is full, so a refusal leaves no trace.
 */
export const storing = `
local argv, format = ARGV, string.format
if argv[1] == "packed" then
  argv = {}
  for pack = 2, #ARGV do
    for _, text in ipairs(cjson.decode(ARGV[pack])) do argv[#argv + 1] = text end
  end
end
local headStart, capacity, now = tonumber(argv[1]), tonumber(argv[2]), clock()
local mode, dependents, connecting = string.sub(argv[3], 1, 1), nil, {}
if #argv[3] > 1 then
  dependents = {}
  for _, one in ipairs(cjson.decode(string.sub(argv[3], 2))) do dependents[one[1]] = { policy = one[2], after = one[3] } end
end

-- runs by where they begin; of keyed tasks also their places and keys
local ids, runs, at, n, keyed, fields, gates, isMet = {}, {}, 4, 0, {}, {}, {}, {}
while argv[at] do
  local last, line = at + 4 + 2 * argv[at], argv[at + 1]
  runs[#runs + 1] = at
  if string.sub(line, -3) == ']"]' and not isMet[line] and tonumber(argv[at]) <= ${maxAlike} then
    gates[#gates + 1], isMet[line] = line, true
  end
  for index = at + 5, last, 2 do
    n = n + 1
    ids[n] = argv[index]
  end
  local field = argv[at + 4]
  if field ~= "" then
    local mark = string.sub(field, 1, 1)
    if mark ~= "[" then
      field = string.sub(field, 2)
      argv[at + 4] = field
    end
    if mark ~= "t" then keyed[#keyed + 1], fields[#fields + 1] = { place = n, rest = argv[last], unique = mark == "u" }, field end
  end
  at = last + 1
end

local answer, known, fresh, size = { now, "stored" }, {}, n, 0
local function know(place, owner, payload)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = place, owner, payload
  known[place] = true
  fresh = fresh - 1
end
for place, found in ipairs(hmget(root .. ":task", ids)) do
  if found then know(place, ids[place], "") end
end
-- characters of payloads in an answer, but for the last
local maxPayloads = 1000000
for index, owner in ipairs(hmget(root .. ":key", fields)) do
  local place = keyed[index].place
  if owner and not known[place] and size <= maxPayloads then
    local key, payload = string.match(call("HGET", root .. ":task", owner), "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n([^\\n]*)\\n(.*)$")
    if keyed[index].unique or string.find(key, "\\t", 1, true) then
      payload = "\\t"
    elseif payload == string.match(keyed[index].rest, "^[^\\n]*\\n[^\\n]*\\n(.*)$") then payload = "" end
    size = size + #payload
    know(place, owner, payload)
  end
end

if dependents then
  local isMet, others = {}, {}
  for _, id in ipairs(ids) do isMet[id] = true end
  for place = 1, n do
    for _, id in ipairs(dependents[place] and dependents[place].after or {}) do
      if not isMet[id] then others[#others + 1], isMet[id] = id, true end
    end
  end
  for index, state in ipairs(hmget(root .. ":state", others)) do
    if not state and call("HEXISTS", root .. ":task", others[index]) == 0 then
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3] = 0, others[index], ""
    end
  end
  if answer[3] ~= nil and mode == "0" then mode = "2" end
end

local tally = call("HMGET", root .. ":tally", "seq", "created", "unfinished", "eras")
local seq, created, unfinished = tonumber(tally[1] or 0), tonumber(tally[2] or 0), tonumber(tally[3] or 0)
if mode == "1" or (mode == "2" and answer[3] ~= nil) or size > 0 or (fresh > 0 and unfinished + fresh > capacity) then answer[2] = unfinished end
if fresh == 0 or answer[2] ~= "stored" then return answer end

-- the tasks to store move to the front of the arguments, each id and its text: a table of their own would cost more
local sets, owners, amounts, lanesOf, arrivals, t = {}, {}, {}, {}, {}, 0
n = 0

local function add(name, score, member)
  local set = sets[name] or {}
  local at = #set
  set[at + 1], set[at + 2] = score, member
  sets[name] = set
end

local shared, limitsOf = shareable(gates)
local function arriving(line, rank, ref)
  local earliest = arrivals[line]
  if earliest == nil or rank < earliest.rank then arrivals[line] = { rank = rank, seq = string.sub(ref, 1, 12) } end
end

-- files neighbours in the order of work; those of a line are listed with their lane
local function fileNeighbours(line, lane, rank, refs)
  arriving(line, rank, refs[1])
  if refs[2] == nil then
    add(root .. ":lane:" .. line, int(rank), refs[1])
    add(root .. ":list:P:" .. lane, "0", refs[1])
  else
    for _, name in ipairs(store(refs)) do
      add(root .. ":lane:" .. line, int(rank), name .. mark)
      add(root .. ":blocks:" .. lane, "0", name)
    end
  end
end

-- neighbours that wait together, whose numbers follow one another
local crowd
local function fileCrowd()
  if crowd then fileNeighbours(crowd.name, crowd.name, crowd.rank, crowd.refs) end
  crowd = nil
end

seq = seq + 100000000000
local first = seq
for _, at in ipairs(runs) do
  local size, line, priority, time, field = tonumber(argv[at]), argv[at + 1], argv[at + 2], argv[at + 3], argv[at + 4]
  local lane = laneOf(line)
  local more, expires, within, times = string.find(time, ";", 1, true), nil, nil, ""
  local due = tonumber(string.sub(time, 2, (more or 0) - 1))
  if string.sub(time, 1, 1) == "+" then due = now + due end
  if more then
    expires, within = string.match(time, "^([^;]*);?(.*)$", more + 1)
    expires = expires ~= "" and int(due + expires) or nil
    within = within ~= "" and within or nil
    times = "+" .. (expires or "") .. (within and "+" .. within .. "+" .. int(due + within) or "")
  end
  local head = ";" .. (field == "" and "0" or "1") .. ";0;" .. priority .. ";1;0;0;0;" .. int(due) .. times .. "\\n" ..
    line .. "\\n" .. int(now) .. ";"
  local refs, r, waiting = {}, 0, dependents and dependents[n + 1]
  for place = at + 5, at + 3 + 2 * size, 2 do
    n = n + 1
    if not known[n] then
      seq = seq + 1
      local id, number = argv[place], format("%d", seq)
      argv[t + 1], argv[t + 2] = id, number .. head .. argv[place + 1]
      t, r = t + 2, r + 1
      refs[r] = number .. id
      if waiting then
        connecting[#connecting + 1], dependents[n].id = dependents[n], id
      end
      if field ~= "" then owners[#owners + 1], owners[#owners + 2] = field, id end
    end
  end
  if r > 0 then
    amounts[lane] = (amounts[lane] or 0) + r
    for era = math.floor((seq - r + 1) / eraSize), math.floor(seq / eraSize) do
      lanesOf[era] = lanesOf[era] or {}
      lanesOf[era][lane] = true
    end
  end
  if expires then
    for _, ref in ipairs(refs) do add(root .. ":expiring", expires, ref) end
  end
  if waiting then
    for _, ref in ipairs(refs) do add(root .. ":list:S:" .. lane, "0", ref) end
  elseif due > now then
    for _, ref in ipairs(refs) do
      add(root .. ":scheduled", int(due), string.sub(ref, 1, 12) .. priority .. (within and ";" .. within or "") .. line .. "\\n" .. string.sub(ref, 13))
      add(root .. ":list:S:" .. lane, "0", ref)
    end
  elseif r > 0 then
    local rank = (isOrdered(line, lane) and now or due + shiftOf(within, headStart)) - priority * headStart
    if not shared[line] then
      fileNeighbours(line, lane, rank, refs)
    else
      if not crowd or crowd.lane ~= lane or crowd.rank ~= rank or crowd.last ~= seq - r then
        fileCrowd()
        crowd = { lane = lane, name = sharedOf(lane), rank = rank, refs = {} }
      end
      local all = crowd.refs
      for index = 1, r do all[#all + 1] = refs[index] end
      crowd.last = seq
    end
  end
end
fileCrowd()
call("HSET", root .. ":tally", "seq", int(seq - 100000000000), "created", int(created + fresh), "unfinished",
  int(unfinished + fresh))
each("HSET", root .. ":task", argv, t)
each("HSET", root .. ":key", owners)
for set, members in pairs(sets) do each("ZADD", set, members) end
local isNew = {}
for lane, amount in pairs(amounts) do isNew[lane] = admit(lane, amount) or nil end
if tally[4] or (next(isNew) and call("HLEN", root .. ":stored") > fewLanes) then
  if tally[4] ~= int(first - firstSeq) then keepOld(isNew) end
  enterEras(lanesOf, int(seq - firstSeq))
end
local withGates, together = {}, {}
for line, earliest in pairs(arrivals) do
  if laneOf(line) == line then arrive(line, earliest.rank, earliest.seq) else withGates[#withGates + 1] = line end
  if isShared(line) then together[#together + 1] = line end
end
if together[1] then remember(together, limitsOf) end
if withGates[1] then
  local lines = gated()
  lines.load(withGates)
  for _, line in ipairs(withGates) do lines.arrive(line, arrivals[line].rank, arrivals[line].seq) end
  lines.conclude()
end
if dependents then connected().connect(connecting) end
return answer
`

/**
 * - Arguments: head start, how many texts of guards follow, how many of changed owners, then both, then those of {@link storing} or
 *   nothing.
 * - Answers: the clock when all was written and what has come of it, or nothing where an owner or a new task is not as it was.
 */
const mergeOf = (writes: string) =>
  script<Telling<string>>(
    `${prelude}${writes}${Merge.merging}${admitted}${entered}${limits}${sharing}
local function enqueue(ARGV)
${storing}
end

local now = clock()
clock = function() return now end
local function part(first, last)
  local texts = {}
  for at = first, last do texts[#texts + 1] = ARGV[at] end
  return texts
end
headStart = ARGV[1]
local changesAt = 4 + ARGV[2]
local groupAt = changesAt + ARGV[3]
local guards, changes, group = part(4, changesAt - 1), part(changesAt, groupAt - 1), part(groupAt, #ARGV)
if not areOwners(guards) then return {} end
local tasks = {}
for at = 1, #changes, ${changedSize} do
  tasks[at] = asRead(changes, at)
  if not tasks[at] then return {} end
end
if group[1] and enqueue(group)[2] ~= "stored" then return {} end
for at = 1, #changes, ${changedSize} do change(changes, at, tasks[at]) end
supersede(guards)
return { int(now), conclude() }
`
  )

/** The same where no new task depends on others. */
export const runMerge = mergeOf(writes)

/** The same where some do. */
export const runMergeConnected = mergeOf(connectingWrites)

/** Stores tasks of which none depends on others. */
export const run = script<Answer>(
  `${prelude}${lanes}${block}${lines}${admitted}${entered}${limits}${sharing}${storing}`
)

/** Stores tasks of which some depend on others. */
export const runConnected = script<Telling<number | string>>(
  `${prelude}${connectingWrites}${admitted}${entered}${limits}${sharing}
local function enqueue(ARGV)
${storing}
end
local answer = enqueue(ARGV)
answer[#answer + 1] = conclude()
return answer
`
)

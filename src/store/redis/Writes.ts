/** What scripts know of where a task stands, and how they write what was decided about it: see `Task`. */
import { connectedAfter, ends } from "./Connected.ts"
import { announce } from "./Hints.ts"
import { lines } from "./Lines.ts"
import { block, lanes } from "./Order.ts"

const form = `^(.)${"([^;]*);".repeat(11)}([^\\n]*)\\n([^\\n]*)\\n(.*)$`

/** Where tasks stand. A script pays for each function that it has, called or not. */
export const standing = `
local function parse(text)
  local e = {}
  e.letter, e.claim, e.completed, e.seq, e.keyed, e.cancel, e.priority, e.claims, e.settled, e.failures, e.crashes,
    e.due, e.started, e.line, e.instance = string.match(text, "${form}")
  e.lane = e.line and laneOf(e.line)
  e.times = e.due
  if e.due and string.find(e.due, "+", 1, true) then
    e.due, e.expires, e.within = string.match(e.due, "^([^+]*)%+([^+]*)%+?([^+]*)")
    if e.expires == "" then e.expires = nil end
    if e.within == "" then e.within = nil end
  end
  return e
end

-- the state of a task; nil for an unknown id
local function textOf(id)
  local text = call("HGET", root .. ":state", id)
  if text then return text end
  local task = call("HGET", root .. ":task", id)
  if not task then return nil end
  local numbers, due, line, created = string.match(task, "^([^;]*;[^;]*;[^;]*;[^;]*;)1(;[^\\n]*)\\n([^\\n]*)\\n([^;]*)")
  if isOrdered(line, laneOf(line)) then due = due .. ";;" .. created else due = due .. ";" end
  return "W0;;" .. numbers .. "0" .. due .. "\\n" .. line .. "\\n"
end

local function load(id)
  local text = textOf(id)
  return text and parse(text)
end

-- scheduled members carry what promotion needs: their priority, within which time they should start, and their line
local function appointment(e, id)
  return e.seq .. e.priority .. (e.within and ";" .. e.within or "") .. e.line .. "\\n" .. id
end

-- for how many others a task waits that has not begun, if it does
local hasWaits
local function waitsOf(id)
  if hasWaits == nil then hasWaits = call("EXISTS", root .. ":waits") == 1 end
  return hasWaits and call("HGET", root .. ":waits", id)
end

local function leaseOf(e, id) return e.letter == "R" and call("ZSCORE", root .. ":running", e.seq .. id) or "" end

-- adds seven texts, and answers how long they may be; nothing for an unknown id
local hasDepends
local function stand(answers, id)
  local text = textOf(id)
  if not text then return nil end
  local e, at, scheduled, failure, history, depends = parse(text), #answers, "", false, false, false
  if e.letter == "W" and call("ZSCORE", root .. ":scheduled", appointment(e, id)) then scheduled = "1" end
  if e.claim ~= "0" or e.letter == "F" or e.letter == "X" then
    failure, history = call("HGET", root .. ":failure", id), call("HGET", root .. ":history", id)
  end
  if hasDepends == nil then hasDepends = call("EXISTS", root .. ":depends") == 1 end
  depends = hasDepends and call("HGET", root .. ":depends", id)
  if depends then depends = string.sub(depends, 1, 1) .. (e.letter == "W" and waitsOf(id) or "0") end
  answers[at + 1], answers[at + 2], answers[at + 3], answers[at + 4] = id, text, leaseOf(e, id), scheduled
  answers[at + 5], answers[at + 6], answers[at + 7] = failure, history, depends
  return #(failure or "") + #(history or "")
end
`

/** How tasks are filed under their states. To come after {@link standing} and `ends`. */
const filing = `
local totals, amounts = { C = "completed", F = "failed", X = "cancelled", E = "expired" }, {}
local function add(name, amount) amounts[name] = (amounts[name] or 0) + amount end

local function rankOf(e)
  local stored = isOrdered(e.line, e.lane) and string.match(e.started, ";(%d+)$")
  return int((stored or e.due) - e.priority * headStart + (stored and 0 or shiftOf(e.within, headStart)))
end

-- files a task under its new state: A where it waits for others
local function join(e, id, letter)
  local ref = e.seq .. id
  call("ZADD", root .. ":list:" .. (letter == "A" and "S" or letter) .. ":" .. e.lane, 0, ref)
  if e.expires and not totals[letter] then call("ZADD", root .. ":expiring", e.expires, ref) end
  if letter == "S" then
    call("ZADD", root .. ":scheduled", e.due, appointment(e, id))
  elseif letter == "P" then
    call("ZADD", root .. ":lane:" .. e.line, rankOf(e), ref)
    if e.line == e.lane then arrive(e.lane, rankOf(e), e.seq) else gated().arrive(e.line, rankOf(e), e.seq, true) end
  elseif letter ~= "A" then
    call("ZADD", root .. ":finished:" .. letter .. e.keyed, e.completed, ref)
    add("unfinished", -1)
    add(totals[letter], 1)
    ended[#ended + 1], endedAs[id] = id, letter
  end
end
`

/** What a script needs in which tasks end and nothing else is made of them. To come after `ends`. */
export const ending = connectedAfter(`local headStart\n${standing}${filing}`)

/**
 * Writes tasks that are as they were read, with the moves between the sorted sets that their states are. A task is given as ten
 * texts: its id, state and lease as they were read, the letter of the new state, that state, another total that counts it or
 * nothing, and its result, failure and history: nothing where it stays, `-` where it goes, else `=` and the text. The last one is
 * nothing, or seven lines of a task that is revised: limits and key as they were read, priority, line, costs, hold, and `=` and the
 * payload where that is another one.
 */
const writesOf = (isConnecting: boolean) =>
  `${lanes}${block}${lines}${standing}${announce}${ends}
local headStart
${filing}
if ${isConnecting ? "true" : `call("EXISTS", root .. ":edges", root .. ":depends") > 0`} then
  ${connectedAfter("")}
end

-- takes a task out of those that wait together, if it is one of them
local function quitShared(e, ref)
  local name = sharedOf(e.lane)
  local key = root .. ":lane:" .. name
  if call("EXISTS", key) == 0 then return false end
  if call("ZREM", key, ref) == 1 then
    call("ZREM", root .. ":list:P:" .. name, ref)
  else
    local first = call("ZREVRANGEBYLEX", root .. ":blocks:" .. name, "[" .. e.seq, "-", "LIMIT", 0, 1)[1]
    if not first or e.seq - first >= call("LLEN", root .. ":block:" .. first) then return false end
    extract(name, rankOf(e), e.seq)
  end
  depart(name)
  return true
end

-- takes a task out of the sets of its state
local function quit(e, id)
  local ref = e.seq .. id
  if e.expires and e.letter == "W" then call("ZREM", root .. ":expiring", ref) end
  if e.letter == "R" then
    call("ZREM", root .. ":running", ref)
  elseif totals[e.letter] then
    call("ZREM", root .. ":finished:" .. e.letter .. e.keyed, ref)
    call("ZREM", root .. ":list:" .. e.letter .. ":" .. e.lane, ref)
    add("unfinished", 1)
  elseif waitsOf(id) then
    call("HDEL", root .. ":waits", id)
    call("ZREM", root .. ":list:S:" .. e.lane, ref)
  elseif call("ZREM", root .. ":scheduled", appointment(e, id)) == 1 then
    call("ZREM", root .. ":list:S:" .. e.lane, ref)
  elseif e.line == e.lane or not quitShared(e, ref) then
    if call("ZREM", root .. ":lane:" .. e.line, ref) == 1 then
      call("ZREM", root .. ":list:P:" .. e.lane, ref)
    else
      extract(e.line, rankOf(e), e.seq)
    end
    if e.line == e.lane then depart(e.lane) else gated().depart(e.line) end
  end
end

local parts = "^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$"

-- the task that is given from a place on, if it is as it was read
local function asRead(tasks, at)
  local id, e, revised = tasks[at], parse(tasks[at + 1]), tasks[at + 9]
  if textOf(id) ~= tasks[at + 1] or leaseOf(e, id) ~= tasks[at + 2] then return false end
  if revised ~= "" then
    local _, _, limits, key = string.match(call("HGET", root .. ":task", id), parts)
    if string.sub(revised, 1, #limits + #key + 2) ~= limits .. "\\n" .. key .. "\\n" then return false end
  end
  return e
end

-- rewrites what a task is, and answers its state
local function revise(id, revised, after)
  local head, _, limits, key, payload = string.match(call("HGET", root .. ":task", id), parts)
  local priority, line, costs, hold, new = string.match(string.sub(revised, #limits + #key + 3), parts)
  local before, between = string.match(head, "^([^;]*;[^;]*;[^;]*;)[^;]*(;.*;)[^;]*$")
  local numbers, rest = string.match(after, "^([^\\n]*)\\n[^\\n]*\\n(.*)$")
  numbers = string.match(numbers, "^${"[^;]*;".repeat(11)}[^;]*")
  if isOrdered(line, laneOf(line)) then numbers = numbers .. ";" .. string.match(limits, "^%d+") end
  after = numbers .. "\\n" .. line .. "\\n" .. rest
  limits = string.match(limits, "^[^;]*;[^;]*;[^;]*") .. (costs == "" and "" or ";" .. costs)
  key = string.match(key, "^[^\\t]*") .. (hold == "" and "" or "\\t" .. hold)
  if new ~= "" then payload = string.sub(new, 2) end
  local e = parse(after)
  call("HSET", root .. ":task", id, before .. priority .. between .. e.times .. "\\n" .. line .. "\\n" .. limits ..
    "\\n" .. key .. "\\n" .. payload)
  return after
end

-- writes that task; answers false where it may not run again as a member of a graph, which the letter B asks for
local function change(tasks, at, e)
  local id, letter, after, total = tasks[at], tasks[at + 3], tasks[at + 4], tasks[at + 5]
  if letter == "B" then
    letter = "P"
    if connected and e.letter ~= "W" and connected().standing(id) then return false end
    if e.letter == "W" then
      if not connected then return false end
      quit(e, id)
      join(e, id, connected().waitAgain(id) > 0 and "A" or tonumber(e.due) > clock() and "S" or "P")
      if e.line ~= e.lane then gated().openAll(e.line) end
      return true
    end
  end
  if tasks[at + 9] ~= "" then after = revise(id, tasks[at + 9], after) end
  local waits = e.letter == "W" and waitsOf(id)
  if e.letter == "W" and string.find("SPA", letter, 1, true) then
    -- it may have been released since it was read
    if waits then letter = "A" elseif letter == "A" then letter = tonumber(parse(after).due) > clock() and "S" or "P" end
  end
  if letter ~= e.letter then
    quit(e, id)
    if totals[e.letter] and connected and connected().rerun(id) > 0 then
      letter = "A"
    elseif letter == "A" then
      call("HSET", root .. ":waits", id, waits)
    end
    join(parse(after), id, letter)
    if e.line ~= e.lane then
      if e.letter == "R" then gated().count(e.line, -1) else gated().openAll(e.line) end
    end
  end
  call("HSET", root .. ":state", id, after)
  for index, name in ipairs({ ":result", ":failure", ":history" }) do
    local text = tasks[at + 5 + index]
    if text == "-" then call("HDEL", root .. name, id) end
    if string.sub(text, 1, 1) == "=" then call("HSET", root .. name, id, string.sub(text, 2)) end
  end
  if total ~= "" then add(total, 1) end
end

-- to be called once all are written; answers what has come of it, if anything has
local function conclude()
  if ended[1] and connected then connected().tell() end
  for name, amount in pairs(amounts) do count(name, amount) end
  if madeLines then madeLines.conclude() end
  announce(ended)
  return outcomeOf()
end
`

/** The same where no new task depends on others. */
export const writes = writesOf(false)

/** The same where some do. */
export const connectingWrites = writesOf(true)

/** How many texts it takes of a task. */
export const changedSize = 10

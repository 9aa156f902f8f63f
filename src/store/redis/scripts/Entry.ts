/**
 * How a task is written, and the moves between the sorted sets that its states are.
 *
 * `task` holds what never changes: five parts, each but the last ended by a line feed, which JSON texts don't contain.
 *
 * ```text
 * seq;keyed;0;priority;1;0;0;0;dueAt
 * ["queue","type"]
 * createdAt;maxRetries;timeoutMs
 * ["type","key"], or nothing
 * payload
 * ```
 *
 * `state` holds the rest, small and separate, so that a megabyte of payload is not moved about with every change:
 *
 * ```text
 * <state><claim>;completedAt;seq;keyed;cancelRequested;priority;claims;settledClaim;failures;crashes;dueAt;startedAt
 * ["queue","type"]
 * "instance"
 * ```
 *
 * States are letters: W waiting, R running, C completed, F failed, X cancelled. A task that was never claimed and has not
 * finished has no state: the first part of its `task` is what its state will be after its first claim. A waiting task is
 * scheduled or pending according to the sorted set that it is in, so promotion writes no state. A completed task's
 * settled claim is its claim, whatever is written. A lease is the score in `running`.
 *
 * The fence is a comparison of texts: `R<claim>;;` is how the state of the attempt with that claim begins.
 */
import { block } from "./Block.ts"
import { lanes } from "./Lanes.ts"

const form = `^(.)${"([^;]*);".repeat(11)}([^\\n]*)\\n([^\\n]*)\\n(.*)$`

/** Reads a state. A script pays for each function that it has, called or not. */
export const state = `
local function parse(text)
  local e = {}
  e.letter, e.claim, e.completed, e.seq, e.keyed, e.cancel, e.priority, e.claims, e.settled, e.failures, e.crashes,
    e.due, e.started, e.lane, e.instance = string.match(text, "${form}")
  if e.letter == "C" then e.settled = e.claim end
  return e
end
`

/** What becomes of an attempt that ends: it waits again or has finished, and is remembered. For scripts with lanes. */
export const ending = `
local function write(id, e)
  call("HSET", root .. ":state", id, e.letter .. e.claim .. ";" .. e.completed .. ";" .. e.seq .. ";" .. e.keyed .. ";" ..
    e.cancel .. ";" .. e.priority .. ";" .. e.claims .. ";" .. e.settled .. ";" .. e.failures .. ";" .. e.crashes .. ";" ..
    e.due .. ";" .. e.started .. "\\n" .. e.lane .. "\\n" .. e.instance)
end

-- scheduled members carry what promotion needs: their priority and lane
local function appointment(e, id) return e.seq .. e.priority .. e.lane .. "\\n" .. id end

local function rankOf(e, headStart) return int(e.due - e.priority * headStart) end

-- files a waiting task: in its lane if it is due, else under its due time
local function wait(e, id, now, headStart)
  e.letter, e.completed = "W", ""
  if tonumber(e.due) > now then
    call("ZADD", root .. ":scheduled", e.due, appointment(e, id))
    call("ZADD", root .. ":list:S:" .. e.lane, 0, e.seq .. id)
  else
    call("ZADD", root .. ":lane:" .. e.lane, rankOf(e, headStart), e.seq .. id)
    call("ZADD", root .. ":list:P:" .. e.lane, 0, e.seq .. id)
    arrive(e.lane, rankOf(e, headStart), e.seq)
  end
end

local totals = { C = "completed", F = "failed", X = "cancelled" }

local function finish(e, id, letter, now)
  e.letter, e.completed = letter, int(now)
  call("ZADD", root .. ":finished:" .. letter .. e.keyed, e.completed, e.seq .. id)
  call("ZADD", root .. ":list:" .. letter .. ":" .. e.lane, 0, e.seq .. id)
  count("unfinished", -1, totals[letter], 1)
end

-- what follows the last line feed. A pattern without an anchor would look from every place, and take hours for a megabyte
local function lastLine(text) return string.match(text, "^.*\\n(.*)$") or text end

-- adds an attempt to the history, JSON objects each on a line, of which the latest 20 are kept. A failure with large
-- details has a second line, with what is kept here
local function remember(e, id, now, outcome, failure)
  local line = '{"claim":' .. e.claim .. ',"attempt":' .. e.claims .. ',"instance":' .. e.instance .. ',"startedAt":' .. e.started .. ',"endedAt":' ..
    int(now) .. ',"outcome":"' .. outcome .. '"' .. (failure and ',"failure":' .. lastLine(failure) or "") .. "}"
  local before = call("HGET", root .. ":history", id)
  if before then
    local _, lines = string.gsub(before, "\\n", "")
    if lines >= 19 then before = string.match(before, "\\n(.*)$") end
    line = before .. "\\n" .. line
  end
  call("HSET", root .. ":history", id, line)
end
`

/** All that there is to a task. */
export const entry = `${block}${lanes}${state}${ending}
-- where the task stands; nil for an unknown id
local function load(id)
  local text = call("HGET", root .. ":state", id)
  if text then return parse(text) end
  local task = call("HGET", root .. ":task", id)
  if not task then return nil end
  local head, lane = string.match(task, "^([^\\n]*)\\n([^\\n]*)")
  local e = parse("W0;;" .. head .. ";\\n" .. lane .. "\\n")
  e.claims = "0"
  return e
end

-- takes a waiting task out again
local function unwait(e, id, headStart)
  local ref = e.seq .. id
  if call("ZREM", root .. ":lane:" .. e.lane, ref) == 1 then
    call("ZREM", root .. ":list:P:" .. e.lane, ref)
    depart(e.lane)
  elseif call("ZREM", root .. ":scheduled", appointment(e, id)) == 1 then
    call("ZREM", root .. ":list:S:" .. e.lane, ref)
  else
    extract(e.lane, rankOf(e, headStart), e.seq)
    depart(e.lane)
  end
end
`

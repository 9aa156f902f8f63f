/**
 * What scripts know of tasks that depend on others: see `store/Dependencies`, and `Dependencies` for what a process knows of it.
 *
 * | key | kind | holds |
 * |---|---|---|
 * | `depends` | hash | by id of a task that depends on others: `f`, `c` or `r`, as in `onFailure`, and the ids as a JSON array if they are few |
 * | `after:<id>` | list | else the ids |
 * | `waits` | hash | by id of a task that waits for others: for how many |
 * | `edges` | hash | by id of a task that others depend on: `=` and the id of the only one, or `*told;last;ended` |
 * | `edges:<id>` | sorted set | else their ids, by the numbers of the edges |
 * | `telling` | sorted set | tasks that have ended and have not told it to all, by when they ended |
 *
 * Edges are numbered in the order in which they came, and told in it. `told` is the last one that was told, but for a task that has
 * ended and is not in `telling`: that has told all. Edges up to `ended` lead to tasks that have ended. An edge from or to a task goes
 * with it; the ids of those that a task depends on stay, and hold as far as there are edges.
 *
 * A task that waits is in the list of scheduled tasks of its lane, and in no set that says when it is due.
 */
import { failureOf } from "../../domain/Dependencies.ts"
import type { FinishedState } from "../../domain/TaskState.ts"
import { maxTold } from "../Dependencies.ts"

/** Ids of dependencies that stand in `depends`. */
const maxInline = 16

/** The failures of tasks as JSON, in pieces between which the id of the other task stands. */
const becauseOf = (state: FinishedState): string =>
  JSON.stringify(failureOf({ id: "\u0001", state })).split("\\u0001").map((piece) => `[==[${piece}]==]`).join(", ")

/**
 * What all scripts have in which tasks end: the ids of those that have ended, how, what knows of those that depend on them, and what has come
 * of it. To come after `lines`.
 */
export const ends = `
local ended, endedAs, connected, madeConnected = {}, {}, nil, nil

-- to be called after all; nothing if nothing has come of it
local function outcomeOf()
  local outcome = madeConnected and madeConnected.outcome() or nil
  if madeLines and madeLines.hasOpened() then
    outcome = outcome or {}
    outcome[1] = 1
  end
  return outcome
end
`

/**
 * Defines `connected`. A script pays for each function that it has, and most for one that uses many others. So
 * this stands where it is only come by in a store that has tasks that depend on others, and outside of functions, which would pay the same.
 * `before` comes first in it.
 */
export const connectedAfter = (before: string): string => `
function connected()
  if madeConnected then return madeConnected end
  ${before}
  local self, outcome, now = {}, { 0 }, clock()
  madeConnected = self
  headStart = headStart or call("HGET", root .. ":meta", "headStartMs")
  local edges, waits, depends, telling = root .. ":edges", root .. ":waits", root .. ":depends", root .. ":telling"

  local function numbersOf(text)
    local told, last, over = string.match(text, "^%*(%d+);(%d+);(%d+)$")
    return tonumber(told), tonumber(last), tonumber(over)
  end

  local function textOfNumbers(told, last, over) return "*" .. int(told) .. ";" .. int(last) .. ";" .. int(over) end

  -- the only one that depends on a task, if it is the only one
  local function onlyOf(text) return string.byte(text) == 61 and string.sub(text, 2) or nil end

  local function isOver(state) return state and totals[string.sub(state, 1, 1)] ~= nil end

  -- the ids of what a task depends on, from its text; of a list so many at most, which are taken off it
  local function afterOf(id, text, taken)
    if #text > 1 then return cjson.decode(string.sub(text, 2)) end
    local key = root .. ":after:" .. id
    return taken and call("LPOP", key, taken) or call("LRANGE", key, 0, -1)
  end

  local function stateFrom(e)
    return e.letter .. e.claim .. ";" .. e.completed .. ";" .. e.seq .. ";" .. e.keyed .. ";" .. e.cancel .. ";" .. e.priority ..
      ";" .. e.claims .. ";" .. e.settled .. ";" .. e.failures .. ";" .. e.crashes .. ";" .. e.times .. ";" .. e.started .. "\\n" ..
      e.line .. "\\n" .. e.instance
  end

  -- a task waits for others no more
  local function leave(id)
    local e = parse(textOf(id))
    call("HDEL", waits, id)
    call("ZREM", root .. ":list:S:" .. e.lane, e.seq .. id)
    return e
  end

  local function release(id)
    local e = leave(id)
    if tonumber(e.due) < now then
      e.due = int(now)
      local startBy = string.match(e.times, "^[^+]*%+[^+]*%+[^+]*%+(.*)$")
      e.times = e.due
      if e.within then
        local isFirst = startBy ~= "" or e.claims == "0"
        e.times = e.due .. "+" .. (e.expires or "") .. "+" .. e.within .. "+" .. (isFirst and int(now + e.within) or "")
      elseif e.expires then
        e.times = e.due .. "+" .. e.expires
      end
      call("HSET", root .. ":state", id, stateFrom(e))
    end
    join(e, id, tonumber(e.due) > now and "S" or "P")
    outcome[1] = 1
  end

  local pieces = {
    F = { ${becauseOf("failed")} },
    X = { ${becauseOf("cancelled")} },
    E = { ${becauseOf("expired")} }
  }

  -- a task ends because another one has ended so
  local function drop(id, policy, other, letter)
    local e = leave(id)
    if e.expires then call("ZREM", root .. ":expiring", e.seq .. id) end
    e.letter, e.completed = policy == "c" and "X" or "F", int(now)
    join(e, id, e.letter)
    if e.line ~= e.lane then gated().openAll(e.line) end
    call("HSET", root .. ":state", id, stateFrom(e))
    local failure = table.concat(pieces[letter], string.sub(cjson.encode(other), 2, -2))
    call("HSET", root .. ":failure", id, failure)
    local at = #outcome
    outcome[at + 1], outcome[at + 2], outcome[at + 3], outcome[at + 4], outcome[at + 5] = id, e.line, e.letter, e.claims, failure
  end

  -- what is told to tasks in one go
  local function news()
    local told, order, counts, failures, causes = {}, {}, {}, {}, {}
    function told.note(id, other, letter)
      if not counts[id] then order[#order + 1], counts[id], failures[id] = id, 0, 0 end
      if letter == "C" then
        counts[id] = counts[id] + 1
      else
        failures[id] = failures[id] + 1
        causes[id] = causes[id] or { other, letter }
      end
    end
    function told.conclude()
      local left, written = hmget(waits, order), {}
      for index, id in ipairs(order) do
        local cause, policy = causes[id], nil
        -- it may wait no more
        if left[index] then
          if cause then policy = string.sub(call("HGET", depends, id), 1, 1) end
          if cause and policy ~= "r" then
            drop(id, policy, cause[1], cause[2])
          else
            local rest = left[index] - counts[id] - failures[id]
            if rest > 0 then written[#written + 1], written[#written + 2] = id, int(rest) else release(id) end
          end
        end
      end
      each("HSET", waits, written)
    end
    return told
  end

  -- tells some edges of a task that has ended; answers how many, and whether there are more
  local function tellFrom(told, id, letter, text, limit)
    local only = onlyOf(text)
    if only then
      told.note(only, id, letter)
      return 1, false
    end
    local last, to, over = numbersOf(text)
    if last >= to then return 0, false end
    limit = math.min(limit, ${maxTold})
    local found = call("ZRANGEBYSCORE", root .. ":edges:" .. id, "(" .. int(last), "+inf", "WITHSCORES", "LIMIT", 0, limit)
    for index = 1, #found, 2 do
      told.note(found[index], id, letter)
      last = tonumber(found[index + 1])
    end
    local isMore = #found == 2 * limit and last < to
    if isMore then call("HSET", edges, id, textOfNumbers(last, to, over)) end
    return #found / 2, isMore
  end

  -- tells the ends of tasks, and of those that end because of it, as much as one write does. What is known of the edges of the first
  -- may be given
  function self.tell(found)
    local at, left, rest = 1, ${maxTold} + #ended, {}
    while ended[at] do
      local ids, told = {}, news()
      for index = at, #ended do ids[#ids + 1] = ended[index] end
      at = #ended + 1
      for index, text in ipairs(found or hmget(edges, ids)) do
        local id = ids[index]
        local isMore = left <= 0
        if text and not isMore then
          local amount
          amount, isMore = tellFrom(told, id, endedAs[id] or "C", text, left)
          left = left - amount
        end
        if text and isMore then rest[#rest + 1], rest[#rest + 2] = int(now), id end
      end
      found = nil
      told.conclude()
    end
    each("ZADD", telling, rest)
  end

  -- goes on with tasks that have ended before
  function self.resume()
    local left = ${maxTold}
    while left > 0 do
      local ids, told, done = call("ZRANGE", telling, 0, 99), news(), {}
      if ids[1] == nil then return end
      local texts, states = hmget(edges, ids), hmget(root .. ":state", ids)
      for index, id in ipairs(ids) do
        local text, amount, isMore = texts[index], 0, left <= 0
        if not text or not isOver(states[index]) then
          isMore = false
        elseif left > 0 then
          amount, isMore = tellFrom(told, id, string.sub(states[index], 1, 1), text, left)
        end
        left = left - math.max(1, amount)
        if not isMore then done[#done + 1] = id end
      end
      each("ZREM", telling, done)
      told.conclude()
    end
  end

  -- lets new tasks wait, which are stored and listed: each with its id, policy, and the ids of what it depends on
  function self.connect(new)
    local all, added = {}, {}
    for _, one in ipairs(new) do
      for _, id in ipairs(one.after) do
        if not added[id] then all[#all + 1], added[id] = id, {} end
        table.insert(added[id], one.id)
      end
    end
    local states, letters, isTelling = hmget(root .. ":state", all), {}, call("EXISTS", telling) == 1
    for index, id in ipairs(all) do
      if isOver(states[index]) and not (isTelling and call("ZSCORE", telling, id)) then
        letters[id] = string.sub(states[index], 1, 1)
      end
    end
    local written = {}
    for index, text in ipairs(hmget(edges, all)) do
      local id = all[index]
      local its, told, last, over, members = added[id], 0, 0, 0, {}
      if not text and not its[2] then
        text = "=" .. its[1]
      else
        if text and onlyOf(text) then
          last, members[1], members[2] = 1, "1", onlyOf(text)
        elseif text then
          told, last, over = numbersOf(text)
        end
        for _, dependent in ipairs(its) do
          last = last + 1
          members[#members + 1], members[#members + 2] = int(last), dependent
        end
        each("ZADD", root .. ":edges:" .. id, members)
        text = textOfNumbers(told, last, over)
      end
      written[#written + 1], written[#written + 2] = id, text
    end
    each("HSET", edges, written)
    local policies, amounts, ready = {}, {}, {}
    for _, one in ipairs(new) do
      local open = 0
      for _, id in ipairs(one.after) do
        local letter = letters[id]
        if not letter then open = open + 1 elseif letter ~= "C" and one.policy ~= "r" then one.cause = one.cause or id end
      end
      local text = one.policy
      if #one.after <= ${maxInline} then
        text = text .. cjson.encode(one.after)
      else
        each("RPUSH", root .. ":after:" .. one.id, one.after)
      end
      policies[#policies + 1], policies[#policies + 2] = one.id, text
      if open == 0 or one.cause then
        ready[#ready + 1] = one
      else
        amounts[#amounts + 1], amounts[#amounts + 2] = one.id, int(open)
      end
    end
    each("HSET", depends, policies)
    each("HSET", waits, amounts)
    hasWaits = nil
    for _, one in ipairs(ready) do
      if one.cause then drop(one.id, one.policy, one.cause, letters[one.cause]) else release(one.id) end
    end
  end

  -- counts how many others a task waits for that is run again
  local function reconnect(id, after)
    local texts, states, count, written = hmget(edges, after), hmget(root .. ":state", after), 0, {}
    local isTelling = call("EXISTS", telling) == 1
    for index, other in ipairs(after) do
      local text, nr, told, last, over = texts[index], nil, 0, 1, 0
      local only, key, ends = text and onlyOf(text), root .. ":edges:" .. other, isOver(states[index])
      if only then
        nr = only == id and 1 or nil
      elseif text then
        told, last, over = numbersOf(text)
        nr = tonumber(call("ZSCORE", key, id) or nil)
      end
      -- without an edge it is another task of that id, or none
      if nr then
        local isTold = nr <= told or (ends and not (isTelling and call("ZSCORE", telling, other)))
        if not (ends and isTold) then count = count + 1 end
        if isTold and not ends then
          last = last + 1
          call("ZADD", key, int(last), id)
        end
        if not only then written[#written + 1], written[#written + 2] = other, textOfNumbers(told, last, 0) end
      end
    end
    each("HSET", edges, written)
    return count
  end

  -- one that a task depends on and that has ended without being completed, unless the task is to run all the same; and how many it would
  -- wait for that have not ended, or have not told it
  function self.standing(id)
    local its, blocking, open = call("HGET", depends, id), nil, 0
    if not its then return nil, 0 end
    local after = afterOf(id, its)
    local texts, states, isTelling = hmget(edges, after), hmget(root .. ":state", after), call("EXISTS", telling) == 1
    for index, other in ipairs(after) do
      local text, nr, told, ends = texts[index], nil, 0, isOver(states[index])
      local only = text and onlyOf(text)
      if only then
        nr = only == id and 1 or nil
      elseif text then
        told = numbersOf(text)
        nr = tonumber(call("ZSCORE", edges .. ":" .. other, id) or nil)
      end
      if nr then
        if not ends or (nr > told and isTelling and call("ZSCORE", telling, other)) then open = open + 1 end
        if ends and string.byte(its) ~= 114 and string.byte(states[index]) ~= 67 then blocking = blocking or other end
      end
    end
    return blocking, open
  end

  -- whether a task depends on one of these ids
  function self.follows(id, others)
    local its, isOne = call("HGET", depends, id), {}
    for _, other in ipairs(others) do isOne[other] = true end
    for _, other in ipairs(its and afterOf(id, its) or {}) do
      if isOne[other] then return true end
    end
    return false
  end

  -- to be called for a task that waits, and is in no list: it waits for all that have not ended. Answers how many these are
  function self.waitAgain(id)
    local its = call("HGET", depends, id)
    local count = its and reconnect(id, afterOf(id, its)) or 0
    if count > 0 then call("HSET", waits, id, int(count)) end
    hasWaits = nil
    return count
  end

  -- to be called for a task that is run again; answers how many others it waits for
  function self.rerun(id)
    local text = call("HGET", edges, id)
    if text then
      local isUntold, only, told, last, over = call("ZREM", telling, id) == 1, onlyOf(text), 0, 1, 0
      if only then call("ZADD", root .. ":edges:" .. id, 1, only) else told, last, over = numbersOf(text) end
      call("HSET", edges, id, textOfNumbers(isUntold and told or last, last, over))
    end
    local its = call("HGET", depends, id)
    local count = its and reconnect(id, afterOf(id, its)) or 0
    if count > 0 then call("HSET", waits, id, int(count)) end
    hasWaits = nil
    return count
  end

  -- whether one that has not ended depends on a task, as far as so many looks show, and how many it took
  function self.isAwaited(id, text, looks)
    local only = onlyOf(text)
    if only then return not isOver(call("HGET", root .. ":state", only)), 1 end
    local told, last, before = numbersOf(text)
    local over, looked, isAwaited = before, 0, nil
    while isAwaited == nil do
      local found, ids = call("ZRANGEBYSCORE", root .. ":edges:" .. id, "(" .. int(over), "+inf", "WITHSCORES", "LIMIT", 0, 100), {}
      for index = 1, #found, 2 do ids[#ids + 1] = found[index] end
      if ids[1] == nil then isAwaited = false end
      for index, state in ipairs(hmget(root .. ":state", ids)) do
        if not isOver(state) then
          isAwaited = true
          break
        end
        over = tonumber(found[2 * index])
      end
      looked = looked + #ids + 1
      if looked >= looks and isAwaited == nil then isAwaited = true end
    end
    if over ~= before then call("HSET", edges, id, textOfNumbers(told, last, over)) end
    return isAwaited, looked
  end

  -- takes away the edges that lead to a task, so many at most where they are many; answers whether none is left
  function self.disconnect(id, text, limit)
    local after, gone = afterOf(id, text, limit), {}
    for index, edge in ipairs(hmget(edges, after or {})) do
      local other = after[index]
      local key = root .. ":edges:" .. other
      if edge and (onlyOf(edge) == id or (not onlyOf(edge) and call("ZREM", key, id) == 1 and call("EXISTS", key) == 0)) then
        gone[#gone + 1] = other
      end
    end
    each("HDEL", edges, gone)
    if #text == 1 and call("EXISTS", root .. ":after:" .. id) == 1 then return false end
    call("HDEL", depends, id)
    return true
  end

  -- what has come of it; nothing if nothing has
  function self.outcome() return (outcome[1] == 1 or outcome[2]) and outcome or nil end

  -- writes what was counted, where the script does not
  function self.conclude()
    for name, amount in pairs(amounts) do count(name, amount) end
    if madeLines then madeLines.conclude() end
    return self.outcome()
  end

  return self
end
`

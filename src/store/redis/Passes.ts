/**
 * Limits: what the records say, what passes have taken of them, and what operators ask about them and do.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import { maxLacksUntil, orphanForMs, type Pass, perMsBounds, tokenBounds } from "../../domain/Gate.ts"
import type { Charge, PassState } from "../Gates.ts"
import { limitKind, maxHolders, maxSwept, pausedKeyKind } from "../Gates.ts"
import { lines } from "./Lines.ts"
import { lanes, running } from "./Order.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { stateNames } from "./Task.ts"
import { standing } from "./Writes.ts"

/** The operations of one deployment. */
export const make = (runner: Runner) => ({
  passes: (passes: ReadonlyArray<Pass>): Effect.Effect<ReadonlyArray<PassState>, StoreError> =>
    Effect.map(
      runner("read passes", runPasses, passes),
      (texts) =>
        rowsOf(texts, 5).map(([running, holders, bucket, holder, state], index) => {
          const [level, at] = String(bucket).split(";")
          return {
            pass: passes[index]!,
            running: Number(running),
            holders: holders === "" ? [] : JSON.parse(String(holders)) as ReadonlyArray<string>,
            bucket: bucket === "" ? null : { level: Number(level), at: Number(at) },
            holder: state === "" ? null : { id: String(holder), state: stateNames[String(state)]! }
          }
        })
    ),

  letGo: (passes: ReadonlyArray<Pass>): Effect.Effect<void, StoreError> =>
    passes.length === 0 ? Effect.void : Effect.asVoid(runner("let go of passes", runLetGo, passes)),

  charge: (charges: ReadonlyArray<Charge>): Effect.Effect<void, StoreError> =>
    charges.length === 0 ? Effect.void : Effect.asVoid(
      runner("charge passes", runCharge, charges.flatMap(({ amount, pass }) => [pass, String(amount)]))
    )
})

/** What records say about passes, and their buckets: `Gate.Limit`, `levelAt`, `lacksUntil` and `spend`. */
export const limits = `
-- made where a line with a gate is met
local madeLimits
local function limits()
  if madeLimits then return madeLimits end
  local self, byText, byId, byPass, paused, buckets, spent = {}, {}, {}, {}, {}, {}, {}
  madeLimits = self

  local function isWhole(number) return type(number) == "number" and number % 1 == 0 end
  local function isWithin(number, least, most) return type(number) == "number" and number >= least and number <= most end
  local function isTokens(number)
    return isWithin(number, ${tokenBounds.minimum}, ${tokenBounds.maximum})
  end

  local function parse(text)
    local isRead, limit = pcall(cjson.decode, string.match(text, "^[^;]*;[^;]*;[^;]*;(.*)$"))
    if not isRead or type(limit) ~= "table" then return false end
    if isWhole(limit.max) and limit.max >= 0 and (limit.notBefore == nil or isWhole(limit.notBefore)) then
      return { max = limit.max, notBefore = limit.notBefore }
    end
    if isTokens(limit.tokens) and isTokens(limit.burst)
      and isWithin(limit.perMs, ${perMsBounds.minimum}, ${perMsBounds.maximum}) then
      return { tokens = limit.tokens, perMs = limit.perMs, burst = limit.burst }
    end
    if limit.order == "block" or limit.order == "continue" then return { order = limit.order } end
    if isWhole(limit.fair) and limit.fair >= 1 and limit.fair <= 1000 then return { fair = limit.fair } end
    if limit.lifted == true then return { lifted = true } end
    return false
  end

  local function nameOf(pass) return string.match(pass, "^[^=]*") end

  -- few records are read at once, and where none of them is of one pass alone, a name decides
  local texts, isNamed, isAnyPaused, start, latest
  local function begin()
    isAnyPaused = call("EXISTS", root .. ":record:${pausedKeyKind}") == 1
    if call("HLEN", root .. ":record:${limitKind}") > 16 then return end
    local all = call("HGETALL", root .. ":record:${limitKind}")
    texts, isNamed = {}, true
    for at = 1, #all, 2 do
      texts[all[at]] = all[at + 1]
      if string.find(all[at], "=", 1, true) then isNamed = false end
    end
  end

  local function note(id, text)
    byId[id] = false
    if not text then return end
    local document = string.match(text, ";.*$")
    if byText[document] == nil then byText[document] = parse(text) end
    byId[id] = byText[document]
  end

  -- reads what is not known of passes, all at once
  function self.load(passes)
    if isAnyPaused == nil then begin() end
    if isAnyPaused then
      local unknown = {}
      for _, pass in ipairs(passes) do
        if paused[pass] == nil then
          paused[pass] = false
          unknown[#unknown + 1] = pass
        end
      end
      for index, text in ipairs(hmget(root .. ":record:${pausedKeyKind}", unknown)) do
        if text then paused[unknown[index]] = true end
      end
    end
    if texts then return end
    local ids = {}
    for _, pass in ipairs(passes) do
      for _, id in ipairs({ pass, nameOf(pass) }) do
        if byId[id] == nil then
          byId[id] = false
          ids[#ids + 1] = id
        end
      end
    end
    for index, text in ipairs(hmget(root .. ":record:${limitKind}", ids)) do note(ids[index], text) end
  end

  local function read(id)
    if byId[id] == nil then
      if texts then note(id, texts[id]) else self.load({ id }) end
    end
    return byId[id]
  end

  -- the limit that holds for a pass
  function self.of(pass)
    if start and string.sub(pass, 1, #start) == start then return latest end
    if isAnyPaused == nil then begin() end
    local limit
    if isNamed then
      local name = nameOf(pass)
      limit = read(name) or nil
      start, latest = name .. "=", limit
      return limit
    end
    limit = byPass[pass]
    if limit == nil then
      limit = read(pass) or read(nameOf(pass))
      byPass[pass] = limit
    end
    return limit or nil
  end

  function self.isPaused(pass)
    if isAnyPaused == nil then begin() end
    if not isAnyPaused then return false end
    if paused[pass] == nil then self.load({ pass }) end
    return paused[pass]
  end

  -- how the passes of the same name begin, and how many tasks of each may run, where nothing else decides about them
  function self.boundOf(pass)
    local limit = self.of(pass)
    if not isNamed or isAnyPaused or not limit or not limit.max or limit.notBefore then return nil, nil end
    return start, limit.max
  end

  -- whether tasks with these passes may wait together with those that have others: which starts first depends on no earlier one
  function self.areSimple(passes)
    for _, pass in ipairs(passes) do
      local limit = self.of(pass)
      if limit and not (limit.max or limit.lifted) then return false end
    end
    return true
  end

  local function parseBucket(text)
    local level, at = string.match(text or "", "^([^;]*);(.*)$")
    return level and { level = tonumber(level), at = tonumber(at) } or false
  end

  local function bucketOf(pass)
    if buckets[pass] == nil then buckets[pass] = parseBucket(call("HGET", root .. ":bucket", pass)) end
    return buckets[pass]
  end

  function self.levelAt(pass, limit, now)
    local bucket = bucketOf(pass)
    if not bucket then return limit.burst end
    return math.min(limit.burst, bucket.level + math.max(0, now - bucket.at) * limit.tokens / limit.perMs)
  end

  function self.lacksUntil(pass, limit, cost, now)
    local missing = math.min(cost, limit.burst) - self.levelAt(pass, limit, now)
    if missing <= 0 then return nil end
    return math.min(${maxLacksUntil}, now + math.max(1, math.floor(missing * limit.perMs / limit.tokens)))
  end

  function self.spend(pass, limit, cost, now)
    buckets[pass] = { level = self.levelAt(pass, limit, now) - cost, at = now }
    spent[pass] = true
  end

  -- looks through the next buckets, as Gate.swept says, and answers where it goes on
  function self.sweep(now, cursor)
    local scanned, passes, gone, isOpened = call("HSCAN", root .. ":bucket", cursor, "COUNT", ${maxSwept}), {}, {}, false
    local some = scanned[2]
    for at = 1, #some, 2 do passes[#passes + 1] = some[at] end
    self.load(passes)
    for index, pass in ipairs(passes) do
      local bucket, limit = parseBucket(some[2 * index]), self.of(pass)
      buckets[pass] = bucket
      local isSpent = bucket.at > now - ${orphanForMs}
      if limit and limit.tokens then isSpent = self.levelAt(pass, limit, now) < limit.burst end
      if not isSpent then
        gone[#gone + 1] = pass
      elseif bucket.at > now then
        buckets[pass], spent[pass], isOpened = { level = bucket.level, at = now }, true, true
        gated().open(pass)
      end
    end
    each("HDEL", root .. ":bucket", gone)
    self.conclude()
    if isOpened then gated().conclude() end
    return scanned[1]
  end

  function self.conclude()
    local written = {}
    for pass in pairs(spent) do
      local bucket = buckets[pass]
      written[#written + 1], written[#written + 2] = pass, string.format("%.17g;%s", bucket.level, int(bucket.at))
    end
    each("HSET", root .. ":bucket", written)
    spent = {}
  end

  return self
end
`

/**
 * How passes stand.
 *
 * - Arguments: passes.
 * - Answers: for each how many tasks run with it, a JSON array of the ids of some or nothing, its bucket as `level;at` or nothing, the
 *   task that holds it, and that one's state as a letter or nothing.
 */
const runPasses = script<ReadonlyArray<string | number>>(`${prelude}${lanes}${lines}${running}${standing}
local answers, wanted, isHeld = {}, {}, false
local held, buckets, holders = hmget(root .. ":held", ARGV), hmget(root .. ":bucket", ARGV), hmget(root .. ":holder", ARGV)
for index, pass in ipairs(ARGV) do
  wanted[pass] = {}
  isHeld = isHeld or held[index]
end
if isHeld then
  local refs, lines, texts = runningTasks()
  for index, line in ipairs(lines) do
    for _, pass in ipairs(laneOf(line) == line and {} or gated().passesOf(line)) do
      local list = wanted[pass]
      if list then list[#list + 1] = { ref = refs[index], since = tonumber(string.match(parse(texts[index]).started, "^%d+")) } end
    end
  end
end
for index, pass in ipairs(ARGV) do
  local at, list, ids, id, state = #answers, wanted[pass], {}, holders[index], ""
  table.sort(list, function(a, b) return a.since < b.since or (a.since == b.since and a.ref < b.ref) end)
  for place = 1, math.min(#list, ${maxHolders}) do ids[place] = string.sub(list[place].ref, 13) end
  local e = id and load(id)
  if e then
    state = e.letter
    if state == "W" then state = call("ZSCORE", root .. ":scheduled", appointment(e, id)) and "S" or "P" end
  end
  answers[at + 1], answers[at + 2], answers[at + 3] = tonumber(held[index] or 0), ids[1] and cjson.encode(ids) or "", buckets[index] or ""
  answers[at + 4], answers[at + 5] = id or "", state
end
return answers
`)

/** - Arguments: passes. */
const runLetGo = script<number>(`${prelude}${lanes}${lines}
each("HDEL", root .. ":holder", ARGV)
for _, pass in ipairs(ARGV) do gated().open(pass) end
gated().conclude()
return 0
`)

/** - Arguments: for each pass its name, and what its bucket loses. */
const runCharge = script<number>(`${prelude}${lanes}${lines}${limits}
local now = clock()
for index = 1, #ARGV, 2 do
  local pass, amount = ARGV[index], tonumber(ARGV[index + 1])
  local limit = limits().of(pass)
  if limit and limit.tokens then
    limits().spend(pass, limit, amount, now)
    if amount < 0 then gated().open(pass) end
  end
end
limits().conclude()
gated().conclude()
return 0
`)

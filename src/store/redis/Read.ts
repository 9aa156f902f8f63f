/**
 * Reads for people and for those who wait for results.
 */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { StoreError } from "../../domain/Errors.ts"
import type { TaskRecord } from "../../domain/TaskRecord.ts"
import { all } from "../../domain/TaskState.ts"
import { type Counts, totalsOf } from "../Counts.ts"
import type { Listed, ListRequest, Outcome } from "../TaskStore.ts"
import { eras, lanes, running } from "./Order.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { failureOf, letters, recordOf, type Shown, shownSize, stateNames } from "./Task.ts"
import { standing } from "./Writes.ts"

/** How long the end of a task is announced after a process has said that it waits for it. */
const awaitedForMs = 10 * 60 * 1000

/** The first sequence number, which has 12 digits like all others. */
const firstSeq = 100_000_000_000

/** The reads of one deployment. */
export const make = (runner: Runner, capacity: number) => ({
  get: (id: string): Effect.Effect<TaskRecord | undefined, StoreError> =>
    Effect.map(runner("get", runGet, [id]), (texts) => texts.length === 0 ? undefined : recordOf(texts)),

  results: resultsOf(runner, 0),

  awaitResults: resultsOf(runner, awaitedForMs),

  list: (request: ListRequest): Effect.Effect<Listed, StoreError> =>
    request.before !== undefined && request.before <= firstSeq
      ? Effect.succeed({ tasks: [], next: undefined })
      : Effect.map(
        runner("list", runList, [
          request.before === undefined || request.before >= 10 * firstSeq ? "" : String(request.before),
          String(request.limit),
          String(request.maxBytes ?? Bounds.maxAnswerBytes),
          [...new Set(request.states ?? all)].map((state) => letters[state]).join(""),
          filterOf(request.types),
          filterOf(request.queues)
        ]),
        ([next, ...texts]) => ({
          tasks: rowsOf(texts, shownSize).map(recordOf),
          next: next === "" ? undefined : Number(next)
        })
      ),

  /** Bytes of the server's memory that tasks take, about. */
  memory: Effect.suspend(() => runner("measure", runMemory, [])),

  counts: Effect.map(
    Effect.suspend(() => runner("count", runCounts, [])),
    ([scheduled, running, completed, failed, cancelled, expired, stored, ...totals]): Counts => ({
      scheduled,
      pending: stored - scheduled - running - completed - failed - cancelled - expired,
      running,
      completed,
      failed,
      cancelled,
      expired,
      capacity,
      totals: totalsOf(totals)
    })
  )
})

/** Reads outcomes, and with a time remembers for so long which of the others are awaited. */
const resultsOf = (runner: Runner, rememberForMs: number) =>
  Effect.fnUntraced(function*(
    ids: ReadonlyArray<string>,
    maxBytes?: number
  ): Effect.fn.Return<ReadonlyArray<Outcome | undefined | null>, StoreError> {
    const outcomes: Array<Outcome | undefined | null> = []
    const atLeast = maxBytes === undefined ? ids.length : Math.min(ids.length, 1)
    const bounds = [String(rememberForMs), String(maxBytes ?? Bounds.maxAnswerBytes)]
    // Large results come in several answers: a script blocks the server
    do {
      const left = ids.slice(outcomes.length)
      const texts = yield* runner("read results", runResults, [...bounds, ...left])
      outcomes.push(...rowsOf(texts, 3).map((row, index) => outcomeOf(left[index]!, row)))
    } while (outcomes.length < atLeast)
    return outcomes
  })

/** Names as JSON texts, which is how they stand in lanes. */
const filterOf = (names: ReadonlyArray<string> | undefined): string =>
  names === undefined ? "" : JSON.stringify(names.map((name) => JSON.stringify(name)))

const outcomeOf = (id: string, row: ReadonlyArray<string | null>): Outcome | undefined | null => {
  const [letter, result, failure] = row
  if (letter === "W") return undefined
  return letter === "" ? null : { id, state: stateNames[letter!]!, result: result!, failure: failureOf(failure) }
}

/** A task in ten texts: where it stands, and its task, progress and result. */
const show = `${standing}
local function show(answers, id)
  if not stand(answers, id) then return end
  local at = #answers
  for index, name in ipairs({ ":task", ":progress", ":result" }) do
    answers[at + index] = call("HGET", root .. name, id)
  end
end
`

/**
 * One task.
 *
 * - Arguments: its id.
 * - Answers: the ten texts of the task, or nothing.
 */
const runGet = script<Shown>(`${prelude}${lanes}${show}
local answers = {}
show(answers, ARGV[1])
return answers
`)

/**
 * The outcomes of tasks; can remember which of the others are awaited, so that their end is announced.
 *
 * - Arguments: for how long to remember that in ms, or 0, bytes of results and failures in the answer, then ids.
 * - Answers: for each of the first ids whose results fit, one at least, the state with its result and failure; `W` for a task
 *   that has not finished, nothing for an unknown one.
 */
const runResults = script<ReadonlyArray<string | null>>(`${prelude}
local ids, answers, awaited = {}, {}, {}
local left = tonumber(ARGV[2])
for index = 3, #ARGV do ids[#ids + 1] = ARGV[index] end
local now, isAwaiting = clock(), ARGV[1] ~= "0"
local forget = int(now + ARGV[1])
for index, text in ipairs(hmget(root .. ":state", ids)) do
  local id, at = ids[index], #answers
  local letter = text and string.sub(text, 1, 1) or call("HEXISTS", root .. ":task", id) == 1 and "W" or ""
  if letter == "W" or letter == "R" then
    letter = "W"
    if isAwaiting then awaited[#awaited + 1], awaited[#awaited + 2] = forget, id end
  end
  local finished = letter ~= "W" and letter ~= ""
  if finished then
    left = left - call("HSTRLEN", root .. ":result", id) - call("HSTRLEN", root .. ":failure", id)
    if left < 0 and at > 0 then break end
  end
  answers[at + 1] = letter
  answers[at + 2] = finished and call("HGET", root .. ":result", id) or false
  answers[at + 3] = finished and call("HGET", root .. ":failure", id) or false
end
if #awaited > 0 then
  -- a wait must not fail because there is no room to remember it
  redis.pcall("ZREMRANGEBYSCORE", root .. ":awaited", "-inf", int(now))
  for first = 1, #awaited, maxItems do
    redis.pcall("ZADD", root .. ":awaited", unpack(awaited, first, math.min(first + maxItems - 1, #awaited)))
  end
end
return answers
`)

/**
 * A page of tasks, newest first.
 *
 * - Arguments: the sequence number below which it begins or nothing, how many, how many bytes, the states wanted as letters (`S`
 *   scheduled, `P` pending, `R`, `C`, `F`, `X`), a JSON array of the types wanted or nothing for all, and of the queues; their
 *   names are JSON texts.
 * - Answers: the sequence number below which there may be more, or nothing, then the ten texts of each task.
 *
 * Each state and lane has a list by sequence number. Of many lanes, eras say which have tasks in a stretch of numbers: a
 * page opens the lists of those that it meets, and ends early where it meets too many. Running tasks have no list: they are
 * as few as there are slots, and are looked through.
 */
const runList = script<readonly [next: string, ...shown: Shown]>(`${prelude}${lanes}${eras}${running}${show}
local before, limit, left, wanted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
-- lists and eras that a page looks at, and lanes that are looked up by their names
local work, maxWork, maxNamed = 0, 3000, 50

local function filter(json)
  if json == "" then return nil end
  local names = cjson.decode(json)
  local set = { list = names }
  for _, name in ipairs(names) do set[name] = true end
  return set
end
local types, queues = filter(ARGV[5]), filter(ARGV[6])
local function matches(lane)
  if types == nil and queues == nil then return true end
  local queue, type = namesOf(lane)
  return (types == nil or types[type]) and (queues == nil or queues[queue])
end

-- every source of tasks: a list that is read in pages, the blocks of a lane one by one, or the running ones at once.
-- Those that have a task left are a heap: the one with the newest task comes first
local sources = {}

-- reads on where that is needed; answers whether there is a task, and remembers its number
local function ready(source)
  while source.refs[source.at] == nil and source.more do source.more(source) end
  local ref = source.refs[source.at]
  source.seq = ref and string.sub(ref, 1, 12) + 0
  return ref ~= nil
end

local function push(source)
  if not ready(source) then return end
  local at = #sources + 1
  while at > 1 do
    local parent = math.floor(at / 2)
    if sources[parent].seq >= source.seq then break end
    sources[at], at = sources[parent], parent
  end
  sources[at] = source
end

-- to be called when the first source has moved on
local function settle()
  local source = sources[1]
  if not ready(source) then
    source = table.remove(sources)
    if #sources == 0 then return end
  end
  local at = 1
  while true do
    local child = 2 * at
    if sources[child] == nil then break end
    if sources[child + 1] and sources[child + 1].seq > sources[child].seq then child = child + 1 end
    if sources[child].seq <= source.seq then break end
    sources[at], at = sources[child], child
  end
  sources[at] = source
end

local function below(key, before, amount)
  work = work + 1
  return call("ZREVRANGEBYLEX", key, before == "" and "+" or "(" .. before, "-", "LIMIT", 0, amount)
end

-- of many lanes, most have few tasks on the page
local function nextPage(source)
  local size = source.size or 2
  source.refs, source.at, source.size = below(source.key, source.before, size), 1, math.min(4 * size, 64)
  if #source.refs < size then source.more = nil else source.before = source.refs[size] end
end

local function nextBlock(source)
  local name = below(source.key, source.before, 1)[1]
  source.refs, source.at = {}, 1
  if name == nil then
    source.more = nil
    return
  end
  local refs = call("LRANGE", root .. ":block:" .. name, 0, source.before == "" and -1 or source.before - name - 1)
  for index = #refs, 1, -1 do source.refs[#refs - index + 1] = refs[index] end
  source.before = name
end

local function add(key, more)
  local source = { key = key, before = before, more = more }
  more(source)
  push(source)
end

local opened, isAnyShared = {}, call("EXISTS", root .. ":shared") == 1
local function open(lane)
  if opened[lane] then return end
  opened[lane] = true
  if not matches(lane) then return end
  for letter in string.gmatch(wanted, "[^R]") do
    add(root .. ":list:" .. letter .. ":" .. lane, nextPage)
    if letter == "P" then add(root .. ":blocks:" .. lane, nextBlock) end
    local shared = letter == "P" and isAnyShared and sharedOf(lane)
    if shared and call("HEXISTS", root .. ":shared", shared) == 1 then
      add(root .. ":list:P:" .. shared, nextPage)
      add(root .. ":blocks:" .. shared, nextBlock)
    end
  end
end

if string.find(wanted, "R") then
  local refs, all, lanes = {}, runningTasks()
  for index, ref in ipairs(all) do
    local isBelow = before == "" or string.sub(ref, 1, 12) + 0 < before + 0
    if isBelow and matches(lanes[index]) then refs[#refs + 1] = ref end
  end
  table.sort(refs, function(a, b) return string.sub(a, 1, 12) + 0 > string.sub(b, 1, 12) + 0 end)
  push({ refs = refs, at = 1 })
end

-- eras from the newest on. What is not below the bound was looked at
local bound, marks, nextAt, from = math.huge, {}, 1, before == "" and "+" or "[" .. eraOf(int(before - 1))
local function nextEra()
  if marks[nextAt] == nil and from then
    marks, nextAt = call("ZREVRANGEBYLEX", root .. ":eras", from, "-", "LIMIT", 0, 100), 1
    from = #marks == 100 and "(" .. marks[100] or nil
  end
  nextAt = nextAt + 1
  return marks[nextAt - 1]
end

if types and queues and #types.list * #queues.list <= maxNamed then
  for _, queue in ipairs(queues.list) do
    for _, type in ipairs(types.list) do open("[" .. queue .. "," .. type .. "]") end
  end
  from = nil
else
  local tally = call("HMGET", root .. ":tally", "seq", "eras")
  if tally[1] ~= tally[2] then from = nil end
  for _, lane in ipairs(from and call("SMEMBERS", root .. ":old") or call("HKEYS", root .. ":stored")) do open(lane) end
  work = 0
end

local function sizeOf(id)
  local size = 0
  for _, name in ipairs({ ":task", ":result", ":failure", ":history" }) do
    size = size + call("HSTRLEN", root .. name, id)
  end
  return size
end

local answers, shown = { "" }, 0
while true do
  -- lanes of older tasks are opened until none of these can be newer than what was found
  while sources[1] == nil or sources[1].seq < bound do
    local era = nextEra()
    if era == nil then
      bound = 0
      break
    end
    if work > maxWork then
      answers[1] = int(bound)
      return answers
    end
    local lanes = call("SMEMBERS", root .. ":era:" .. era)
    work = work + 1 + #lanes / 4
    for _, lane in ipairs(lanes) do open(lane) end
    bound = firstOf(era)
  end
  local newest = sources[1]
  if newest == nil then return answers end
  local id = string.sub(newest.refs[newest.at], 13)
  left = left - sizeOf(id)
  if shown == limit or (shown > 0 and left < 0) then
    answers[1] = int(newest.seq + 1)
    return answers
  end
  show(answers, id)
  newest.at, shown = newest.at + 1, shown + 1
  settle()
end
`)

/**
 * Counts by state and totals. Nearly all are sizes of sets, so they cannot drift from what is stored.
 *
 * - Arguments: none.
 * - Answers: scheduled, running, completed, failed, cancelled, expired and all tasks, then the totals created, completed,
 *   failed, cancelled, retried, crashed, expired.
 */
const runCounts = script<
  readonly [
    scheduled: number,
    running: number,
    completed: number,
    failed: number,
    cancelled: number,
    expired: number,
    stored: number,
    ...totals: ReadonlyArray<number>
  ]
>(`${prelude}
local answers = { call("ZCARD", root .. ":scheduled") + call("HLEN", root .. ":waits"), call("ZCARD", root .. ":running") }
for _, letter in ipairs({ "C", "F", "X", "E" }) do
  answers[#answers + 1] = call("ZCARD", root .. ":finished:" .. letter .. "0") +
    call("ZCARD", root .. ":finished:" .. letter .. "1")
end
answers[#answers + 1] = call("HLEN", root .. ":task")
local totals = call("HMGET", root .. ":tally", "created", "completed", "failed", "cancelled", "retried", "crashed", "expired")
for index = 1, 7 do answers[#answers + 1] = tonumber(totals[index] or 0) end
return answers
`)

/**
 * Bytes of memory that tasks take: exact for as few as 5,000, and else estimated by so many, which takes some milliseconds.
 *
 * - Answers: the bytes.
 */
const runMemory = script<number>(`${prelude}
local bytes = 0
for _, name in ipairs({ "task", "result", "failure", "history" }) do
  bytes = bytes + (call("MEMORY", "USAGE", root .. ":" .. name, "SAMPLES", "5000") or 0)
end
return bytes
`)

/**
 * The queues and types that have tasks: how many of those wait and run, and which no instance can run.
 */
import { Effect } from "effect"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import type { StoreError } from "../../domain/Errors.ts"
import { type CountedLanes, coverageOf, type LaneCounts, type LaneRange, type Runnable, startOf } from "../Lanes.ts"
import type { Stranded } from "../TaskStore.ts"
import { block, elementsOf, lanes, namesOf, running } from "./Order.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { standing } from "./Writes.ts"

/** Lanes counted by one script at most: it blocks the server, for about 15 µs a lane. */
const maxLanes = 250

/** The reads of one deployment. */
export const make = (runner: Runner) => ({
  laneCounts: (range: LaneRange): Effect.Effect<CountedLanes, StoreError> => {
    const [queue, type] = startOf(range)
    return Effect.map(
      runner("count by queue and type", runLaneCounts, [
        `[${queue}\u0000${type}`,
        range.queue === undefined ? "+" : `(${ByteOrder.after(range.queue)}`,
        String(Math.min(range.limit, maxLanes))
      ]),
      ([now, more, ...shown]) => ({
        now: Number(now),
        more: more === 1,
        lanes: rowsOf(shown, 5).map(laneOf)
      })
    )
  },

  stranded: (
    runnable: ReadonlyArray<Runnable>,
    limit: number
  ): Effect.Effect<ReadonlyArray<Stranded>, StoreError> =>
    Effect.map(
      runner("find stranded tasks", runStranded, [
        String(limit),
        ...[...coverageOf(runnable)].flatMap(([type, queues]) => [
          JSON.stringify(type),
          queues === "all" ? "" : elementsOf([...queues])
        ])
      ]),
      (texts) =>
        rowsOf(texts, 2).map(([lane, since]) => {
          const [queue, type] = namesOf(lane!)
          return { queue, type, since: Number(since) }
        })
    )
})

const laneOf = ([lane, scheduled, pending, running, since]: ReadonlyArray<string | number>): LaneCounts => {
  const [queue, type] = namesOf(String(lane))
  return {
    queue,
    type,
    scheduled: Number(scheduled),
    pending: Number(pending),
    running: Number(running),
    waitingSince: since === "" ? null : Number(since)
  }
}

/** When the first pending task of a lane in the order of work became due, or nothing. */
const dues = `${prelude}${lanes}${block}${standing}
local hasGates, hasTurns = call("EXISTS", root .. ":place", root .. ":shared") > 0, call("EXISTS", root .. ":turn") == 1

-- the earlier of what was found and the first task of a line
local function earlier(best, line)
  local head = call("ZRANGE", root .. ":lane:" .. line, 0, 0, "WITHSCORES")
  if head[1] == nil then return best end
  local seq, rank = string.sub(head[1], 1, 12), tonumber(head[2])
  if hasTurns then
    rank = math.max(rank, tonumber(string.match(call("HGET", root .. ":turn", line) or "", "^[^;]+") or "-inf"))
  end
  if best and (best.rank < rank or (best.rank == rank and best.seq < seq)) then return best end
  return { rank = rank, seq = seq, member = head[1] }
end

-- the same of all lines and groups in a set, which has each at a place that it is not before
local function earliest(best, key)
  local size, at, page = 10, 0, nil
  repeat
    page = call("ZRANGE", key, at, at + size - 1, "WITHSCORES")
    for index = 1, #page, 2 do
      if best and best.rank < tonumber(page[index + 1]) then return best end
      local name = string.sub(page[index], 13)
      best = string.byte(name) == 103 and earliest(best, root .. ":parked:" .. name) or earlier(best, name)
    end
    at = at + size
  until #page < 2 * size
  return best
end

local function dueOf(lane)
  local member
  if hasGates then
    local best = earlier(earlier(nil, lane), sharedOf(lane))
    best = earliest(earliest(best, root .. ":open:" .. lane), root .. ":shut:" .. lane)
    member = best and best.member
  else
    member = call("ZRANGE", root .. ":lane:" .. lane, 0, 0)[1]
  end
  if not member then return "" end
  local name = blockOf(member)
  local e = load(string.sub(name and call("LINDEX", root .. ":block:" .. name, 0) or member, 13))
  return e and e.due or ""
end
`

/**
 * The lanes of a part of the index, with their counts. Nearly all are sizes of sets, and what is stored besides is pending.
 *
 * - Arguments: where the part begins and where it ends, as `ZRANGEBYLEX` has it, and how many lanes.
 * - Answers: the clock, 1 if there may be more, else 0, then for each lane its name, how many of its tasks are scheduled,
 *   pending and running, and when the first pending one in the order of work became due, or nothing.
 */
const runLaneCounts = script<readonly [now: string, more: number, ...lanes: ReadonlyArray<string | number>]>(
  `${dues}${running}
local first, last, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

local running, answers, found = runningByLane(), { int(clock()), 0 }, 0
while found < limit do
  local members = call("ZRANGEBYLEX", root .. ":index", first, last, "LIMIT", 0, limit - found)
  if #members == 0 then break end
  local names = {}
  for index, member in ipairs(members) do
    local type = string.find(member, "\\0", 1, true) + 1
    names[index] = string.sub(member, string.find(member, "\\0", type, true) + 1)
  end
  for index, stored in ipairs(hmget(root .. ":stored", names)) do
    local lane = names[index]
    -- an older version that still runs forgets lanes without the index
    if stored then
      local scheduled, runs = call("ZCARD", root .. ":list:S:" .. lane), running[lane] or 0
      local pending = stored - scheduled - runs
      for _, letter in ipairs({ "C", "F", "X", "E" }) do
        pending = pending - call("ZCARD", root .. ":list:" .. letter .. ":" .. lane)
      end
      local at = #answers
      answers[at + 1], answers[at + 2], answers[at + 3], answers[at + 4] = lane, scheduled, pending, runs
      answers[at + 5] = dueOf(lane)
      found = found + 1
    end
  end
  first = "(" .. members[#members]
end
if found == limit and call("ZRANGEBYLEX", root .. ":index", first, last, "LIMIT", 0, 1)[1] then answers[2] = 1 end
return answers
`
)

/**
 * Lanes that have pending tasks and that no instance can run.
 *
 * - Arguments: how many at most, then for each type that an instance can run its name as JSON text and the queues as
 *   `,"a","b",`, or nothing for all.
 * - Answers: for each lane its name, and when its first task became due.
 */
const runStranded = script<ReadonlyArray<string>>(`${dues}
local limit, covered, found, isFound = tonumber(ARGV[1]), {}, {}, {}
for index = 2, #ARGV, 2 do covered[ARGV[index]] = ARGV[index + 1] end

for _, type in ipairs(call("SMEMBERS", root .. ":types")) do
  local queues = covered[type]
  if queues ~= "" then
    local _, amount = string.gsub(queues or "", ",", "")
    amount = limit + amount
    -- a lane with gates is filed once more, or not at all where they are closed
    local waiting = {}
    for _, its in ipairs({ type, sharedType(type) }) do
      for _, member in ipairs(call("ZRANGE", root .. ":ready:" .. its, 0, 2 * amount - 1)) do
        waiting[#waiting + 1] = string.sub(member, 13)
      end
    end
    for _, lane in ipairs(call("SRANDMEMBER", root .. ":gates:" .. type, amount)) do waiting[#waiting + 1] = lane end
    for _, name in ipairs(waiting) do
      if #found >= 2 * limit then return found end
      local queue = namesOf(name)
      local lane = "[" .. queue .. "," .. type .. "]"
      if not isFound[lane] and not (queues and string.find(queues, "," .. queue .. ",", 1, true)) then
        isFound[lane] = true
        found[#found + 1], found[#found + 2] = lane, dueOf(lane)
      end
    end
  end
end
return found
`)

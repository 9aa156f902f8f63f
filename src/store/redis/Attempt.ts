/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type * as Settlement from "../../domain/Settlement.ts"
import type { Coalesced } from "../Coalescer.ts"
import type { Aftermath } from "../Dependencies.ts"
import { decideRescue, decideSettle, type Decision } from "../Driver.ts"
import {
  type ClaimRef,
  type ExtendAnswer,
  type ProgressReport,
  rescuable,
  type RescueAnswer,
  type Rescued,
  type RescueRequest
} from "../TaskStore.ts"
import { ends } from "./Connected.ts"
import { announce } from "./Hints.ts"
import { lines } from "./Lines.ts"
import { lanes } from "./Order.ts"
import { type Telling, told } from "./Outcome.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import type { Standing, Tasks } from "./Task.ts"
import { ending } from "./Writes.ts"

/** How often one rescue looks for leases at most. */
const maxLooks = 10

/** The operations of one deployment. */
export const make = (runner: Runner, tasks: Tasks, maxCrashes: number, aftermath: Aftermath) => ({
  extend: (
    refs: ReadonlyArray<ClaimRef>,
    leaseForMs: number
  ): Effect.Effect<ReadonlyArray<ExtendAnswer>, StoreError> =>
    runner("extend", runExtend, [String(leaseForMs), ...refs.flatMap(({ claim, id }) => [id, String(claim)])]),

  report: (reports: ReadonlyArray<ProgressReport>): Effect.Effect<void, StoreError> =>
    Effect.asVoid(
      runner("report", runReport, reports.flatMap(({ claim, id, progress }) => [id, String(claim), String(progress)]))
    ),

  settle: settling(runner, tasks, aftermath),

  rescue: Effect.fnUntraced(function*(request: RescueRequest): Effect.fn.Return<RescueAnswer, StoreError> {
    const now = yield* runner("rescue", runClock, [])
    const leases = rescuable(request, now)
    const rescued: Array<Rescued> = []
    if (leases === undefined) return { now, rescued }
    const decide = (task: Standing, now: number): Decision<Rescued | undefined> => {
      const { leaseUntil } = task
      if (leaseUntil === null || (leaseUntil > leases.until && leaseUntil <= leases.after)) return [undefined]
      return decideRescue(task, maxCrashes, now)
    }
    // where others were faster, there may be more
    for (let looks = 0; looks < maxLooks; looks++) {
      const limit = request.limit - rescued.length
      const ids = yield* runner("rescue", runExpired, [leases.until, leases.after, limit].map(String))
      const answers = yield* tasks.change("rescue", ids, undefined, decide)
      rescued.push(...answers.filter((one) => one !== undefined))
      if (answers.every((one) => one !== undefined)) break
    }
    return { now, rescued }
  })
})

/** The ends of attempts. One script completes, which is how nearly all of them end; the others are read and decided. */
const settling = (
  runner: Runner,
  tasks: Tasks,
  aftermath: Aftermath
): Coalesced<Settlement.Settlement, Settlement.SettleAnswer> =>
(settlements) => {
  const others = new Set(settlements.filter(({ _tag }) => _tag !== "Complete").map(({ id }) => id))
  const answers = settlements.map((): Settlement.SettleAnswer | undefined => undefined)
  const args: Array<string> = []
  const completed: Array<number> = []
  for (const [place, settlement] of settlements.entries()) {
    // several ends of one task are looked at in their order
    if (settlement._tag !== "Complete" || others.has(settlement.id)) continue
    args.push(settlement.id, String(settlement.claim), settlement.result)
    completed.push(place)
    answers[place] = "applied"
  }
  const complete = args.length === 0 ? Effect.succeed([]) : runner("settle", runComplete, args)
  return Effect.flatMap(complete, (answer) => {
    for (const index of told(aftermath, answer)) answers[completed[index - 1]!] = undefined
    const left = [...settlements.keys()].filter((place) => answers[place] === undefined)
    const ids = left.map((place) => settlements[place]!.id)
    return left.length === 0 ? Effect.succeed(answers as Array<Settlement.SettleAnswer>) : Effect.map(
      tasks.change("settle", ids, "stale", (task, now, index) => decideSettle(task, settlements[left[index]!]!, now)),
      (decided) => {
        let next = 0
        return answers.map((answer) => answer ?? decided[next++]!)
      }
    )
  })
}

/** The fence: `R<claim>;;` is how the state of the attempt with that claim begins. */
const held = `
-- of attempts, given as id, claim number and more: their ids, and the state after the fence of those that run
local function held(first, size)
  local ids, rests, sub = {}, {}, string.sub
  for at = first, #ARGV, size do ids[#ids + 1] = ARGV[at] end
  for index, text in ipairs(hmget(root .. ":state", ids)) do
    local fence = "R" .. ARGV[first + size * (index - 1) + 1] .. ";;"
    rests[index] = text and sub(text, 1, #fence) == fence and sub(text, #fence + 1)
  end
  return ids, rests
end
`

/**
 * Prolongs leases. An expired lease that was not rescued is still held.
 *
 * - Arguments: lease in ms, then id and claim number of each attempt.
 * - Answers: one for each.
 */
const runExtend = script<ReadonlyArray<ExtendAnswer>>(`${prelude}${held}
local until_, answers, leases = int(clock() + ARGV[1]), {}, {}
local ids, rests = held(2, 2)
for index, rest in ipairs(rests) do
  answers[index] = rest and (string.sub(rest, 16, 16) == "1" and "cancel" or "held") or "lost"
  if rest then leases[#leases + 1], leases[#leases + 2] = until_, string.sub(rest, 1, 12) .. ids[index] end
end
each("ZADD", root .. ":running", leases)
return answers
`)

/**
 * Stores progress. It carries its claim number, so that the next attempt begins without any.
 *
 * - Arguments: id, claim number and progress of each attempt.
 * - Answers: nothing; reports of lost attempts are ignored.
 */
const runReport = script<number>(`${prelude}${held}
local reports, ids, rests = {}, held(1, 3)
for index, rest in ipairs(rests) do
  if rest then reports[#reports + 1], reports[#reports + 2] = ids[index], ARGV[index * 3 - 1] .. ";" .. ARGV[index * 3] end
end
each("HSET", root .. ":progress", reports)
return 0
`)

/**
 * Counts tasks that were completed at those that depend on them. Nearly all of those wait for more, and depend on tasks that only they depend
 * on: then nothing else is needed, and nothing is made for it.
 */
const countDown = `
  local edges, counts, waiting, isAny = hmget(root .. ":edges", ended), {}, {}, false
  for index, edge in ipairs(edges) do
    isAny = isAny or edge ~= false
    if edge and string.byte(edge) == 61 then
      if not counts[edge] then waiting[#waiting + 1], counts[edge] = string.sub(edge, 2), 0 end
      counts[edge] = counts[edge] + 1
    end
  end
  if isAny then
    local written, isDone = {}, {}
    for index, amount in ipairs(hmget(root .. ":waits", waiting)) do
      local edge = "=" .. waiting[index]
      local rest = amount and amount - counts[edge] or 1
      isDone[edge] = rest > 0
      if amount and rest > 0 then written[#written + 1], written[#written + 2] = waiting[index], int(rest) end
    end
    each("HSET", root .. ":waits", written)
    isAny = false
    for index, edge in ipairs(edges) do
      if isDone[edge] then edges[index] = false end
      isAny = isAny or edges[index] ~= false
    end
    if isAny then
      ${ending}
      connected().tell(edges)
      connected().conclude()
    end
  end
`

/**
 * `Settlement.settle` for Complete, fenced.
 *
 * - Arguments: id, claim number and result of each attempt.
 * - Answers: the places, from 1, of those that do not run, and what has come of the others.
 *
 * The first write is one that Redis allows when its memory is full, and a script that has written may go on: a full Redis
 * finishes what it has begun.
 */
const runComplete = script<Telling<number>>(`${prelude}${lanes}${lines}${held}${announce}${ends}
local now, left, refs, states, results, done = int(clock()), {}, {}, {}, {}, {}
local finished, lists, passes, ids, rests = { ["0"] = {}, ["1"] = {} }, {}, {}, held(1, 3)
local find, sub, byte, start, isLast = string.find, string.sub, string.byte, nil, nil
for index, rest in ipairs(rests) do
  local id = ids[index]
  if rest and not done[id] then
    local ref, set, lane, only = sub(rest, 1, 12) .. id, finished[sub(rest, 14, 14)], lastLane, nil
    -- nearly all lines are of the lane of the one before, and have one pass: what follows it is known
    local _, last, after
    if start then _, last = find(rest, start, 1, true) end
    after = last and not isLast and find(rest, "\\\\", last + 1, true)
    if after and byte(rest, after + 5) == 10 then
      only = sub(rest, last + 1, after - 1)
    elseif not (last and isLast) then
      local from = find(rest, "\\n", 1, true) + 1
      local line = sub(rest, from, find(rest, "\\n", from, true) - 1)
      lane = laneOf(line)
      if line ~= lane then
        -- where no task runs any more and none waits for a pass, nothing has to be known of passes
        if isLast == nil then isLast = call("ZCARD", root .. ":running") == #ids and call("EXISTS", root .. ":groups") == 0 end
        only = not isLast and onlyPassOf(line, lane)
        if not only and not isLast then gated().count(line, -1) end
      end
      if lastStart then start = "\\n" .. lastStart .. '\\\\"' end
    end
    if only then passes[#passes + 1] = only end
    local list = lists[lane]
    if list == nil then
      list = {}
      lists[lane] = list
    end
    local at = #refs + 1
    done[id], refs[at], ended[at], states[2 * at - 1], results[2 * at - 1] = true, ref, id, id, id
    states[2 * at], results[2 * at] = "C" .. ARGV[index * 3 - 1] .. ";" .. now .. ";" .. rest, ARGV[index * 3]
    at = #list
    list[at + 1], list[at + 2] = "0", ref
    at = #set
    set[at + 1], set[at + 2] = now, ref
  else
    left[#left + 1] = index
  end
end
if #refs == 0 then return left end
each("ZREM", root .. ":running", refs)
each("HSET", root .. ":state", states)
each("HSET", root .. ":result", results)
for keyed, set in pairs(finished) do each("ZADD", root .. ":finished:C" .. keyed, set) end
for lane, list in pairs(lists) do each("ZADD", root .. ":list:C:" .. lane, list) end
if isLast and left[1] == nil then
  call("DEL", root .. ":held")
elseif isLast then
  for index = 2, #states, 2 do
    local line = string.match(states[index], "\\n([^\\n]*)")
    if laneOf(line) ~= line then gated().count(line, -1) end
  end
end
if passes[1] then runs().leave(passes) end
if madeRuns then madeRuns.conclude() end
if madeLines then madeLines.conclude() end
if call("EXISTS", root .. ":failure", root .. ":edges") > 0 then
  each("HDEL", root .. ":failure", ended)
  ${countDown}
end
count("unfinished", -#refs)
count("completed", #refs)
announce(ended)
left[#left + 1] = outcomeOf()
return left
`)

const runClock = script<number>(`${prelude}
return clock()
`)

/**
 * Attempts whose leases have run out, or are of before the clock was set back.
 *
 * - Arguments: the time until which leases have ended, that after which they end too late, how many.
 * - Answers: ids.
 */
const runExpired = script<ReadonlyArray<string>>(`${prelude}
local limit, ids = tonumber(ARGV[3]), {}
local function add(first, last)
  for _, ref in ipairs(call("ZRANGEBYSCORE", root .. ":running", first, last, "LIMIT", 0, limit - #ids)) do
    ids[#ids + 1] = string.sub(ref, 13)
  end
end
add("-inf", ARGV[1])
add("(" .. ARGV[2], "+inf")
return ids
`)

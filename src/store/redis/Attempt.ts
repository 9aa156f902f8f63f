/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Settlement from "../../domain/Settlement.ts"
import type { Coalesced } from "../Coalescer.ts"
import { decideRescue } from "../Driver.ts"
import {
  type ClaimRef,
  type ExtendAnswer,
  type ProgressReport,
  rescuable,
  type RescueAnswer,
  type Rescued,
  type RescueRequest
} from "../TaskStore.ts"
import { announce } from "./Hints.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import type { Decision, Standing, Tasks } from "./Task.ts"

/** How often one rescue looks for leases at most. */
const maxLooks = 10

/** The operations of one deployment. */
export const make = (runner: Runner, tasks: Tasks, maxCrashes: number) => ({
  extend: (
    refs: ReadonlyArray<ClaimRef>,
    leaseForMs: number
  ): Effect.Effect<ReadonlyArray<ExtendAnswer>, StoreError> =>
    runner("extend", runExtend, [String(leaseForMs), ...refs.flatMap(({ claim, id }) => [id, String(claim)])]),

  report: (reports: ReadonlyArray<ProgressReport>): Effect.Effect<void, StoreError> =>
    Effect.asVoid(
      runner("report", runReport, reports.flatMap(({ claim, id, progress }) => [id, String(claim), String(progress)]))
    ),

  settle: settling(runner, tasks),

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

type Complete = Extract<Settlement.Settlement, { readonly _tag: "Complete" }>

/** The ends of attempts. Nearly every attempt completes: one script completes these; the others are read and decided. */
const settling =
  (runner: Runner, tasks: Tasks): Coalesced<Settlement.Settlement, Settlement.SettleAnswer> => (settlements) => {
    // several ends of one task are looked at in their order
    const others = new Set(settlements.filter(({ _tag }) => _tag !== "Complete").map(({ id }) => id))
    const isPlain = (settlement: Settlement.Settlement): settlement is Complete =>
      settlement._tag === "Complete" && !others.has(settlement.id)
    const completions = settlements.filter(isPlain)
    return Effect.flatMap(complete(runner, completions), (left) => {
      const answers = settlements.map((): Settlement.SettleAnswer => "applied")
      if (others.size === 0 && left.size === 0) return Effect.succeed(answers)
      const places = [...settlements.keys()].filter((place) => {
        const settlement = settlements[place]!
        return left.has(settlement) || !isPlain(settlement)
      })
      return Effect.map(
        tasks.change(
          "settle",
          places.map((place) => settlements[place]!.id),
          "stale",
          (task, now, index) => decide(task, settlements[places[index]!]!, now)
        ),
        (decided) => {
          for (const [index, place] of places.entries()) answers[place] = decided[index]!
          return answers
        }
      )
    })
  }

const decide = (
  task: Standing,
  settlement: Settlement.Settlement,
  now: number
): Decision<Settlement.SettleAnswer> => {
  const answer = Settlement.fence(task, settlement.claim)
  if (answer !== "applied") return [answer]
  const change = Settlement.settle(task, settlement, now)
  return settlement._tag === "Retry" && change.state !== "cancelled" ? [answer, change, "retried"] : [answer, change]
}

/** Completes what it can; answers what it could not. */
const complete = (
  runner: Runner,
  settlements: ReadonlyArray<Complete>
): Effect.Effect<ReadonlySet<Settlement.Settlement>, StoreError> =>
  settlements.length === 0 ? Effect.succeed(new Set()) : Effect.map(
    runner("settle", runComplete, settlements.flatMap(({ claim, id, result }) => [id, String(claim), result])),
    (places) => new Set(places.map((place) => settlements[place - 1]!))
  )

/**
 * Prolongs leases. An expired lease that was not rescued is still held.
 *
 * - Arguments: lease in ms, then id and claim number of each attempt.
 * - Answers: one for each.
 */
const runExtend = script<ReadonlyArray<ExtendAnswer>>(`${prelude}
local until_, ids = int(clock() + ARGV[1]), {}
for index = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
local answers, leases = {}, {}
for index, text in ipairs(hmget(root .. ":state", ids)) do
  local fence = "R" .. ARGV[index * 2 + 1] .. ";;"
  if text and string.sub(text, 1, #fence) == fence then
    leases[#leases + 1], leases[#leases + 2] = until_, string.sub(text, #fence + 1, #fence + 12) .. ids[index]
    answers[index] = string.sub(text, #fence + 16, #fence + 16) == "1" and "cancel" or "held"
  else
    answers[index] = "lost"
  end
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
const runReport = script<number>(`${prelude}
local ids, reports = {}, {}
for index = 1, #ARGV, 3 do ids[#ids + 1] = ARGV[index] end
for index, text in ipairs(hmget(root .. ":state", ids)) do
  local claim = ARGV[index * 3 - 1]
  local fence = "R" .. claim .. ";;"
  if text and string.sub(text, 1, #fence) == fence then
    reports[#reports + 1], reports[#reports + 2] = ids[index], claim .. ";" .. ARGV[index * 3]
  end
end
each("HSET", root .. ":progress", reports)
return 0
`)

/**
 * `Settlement.settle` for Complete, fenced.
 *
 * - Arguments: id, claim number and result of each attempt.
 * - Answers: the places, from 1, of those that do not run.
 *
 * The first write is one that Redis allows when its memory is full, and a script that has written may go on: a full Redis
 * finishes what it has begun.
 */
const runComplete = script<ReadonlyArray<number>>(`${prelude}${announce}
local now, ids, left, done, refs, states, results = int(clock()), {}, {}, {}, {}, {}, {}
local finished, lists = { ["0"] = {}, ["1"] = {} }, {}
for index = 1, #ARGV, 3 do ids[#ids + 1] = ARGV[index] end
for index, text in ipairs(hmget(root .. ":state", ids)) do
  local id, claim = ids[index], ARGV[index * 3 - 1]
  local fence = "R" .. claim .. ";;"
  if text and not done[id] and string.sub(text, 1, #fence) == fence then
    local ref, keyed = string.sub(text, #fence + 1, #fence + 12) .. id, string.sub(text, #fence + 14, #fence + 14)
    local head = string.find(text, "\\n", #fence, true)
    local lane = string.sub(text, head + 1, string.find(text, "\\n", head + 1, true) - 1)
    done[id] = true
    refs[#refs + 1] = ref
    states[#states + 1], states[#states + 2] = id, "C" .. claim .. ";" .. now .. ";" .. string.sub(text, #fence + 1)
    results[#results + 1], results[#results + 2] = id, ARGV[index * 3]
    local set, list = finished[keyed], lists[lane] or {}
    lists[lane] = list
    set[#set + 1], set[#set + 2] = now, ref
    list[#list + 1], list[#list + 2] = "0", ref
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
local ended = {}
for id in pairs(done) do ended[#ended + 1] = id end
if call("EXISTS", root .. ":failure") == 1 then each("HDEL", root .. ":failure", ended) end
count("unfinished", -#refs)
count("completed", #refs)
announce(ended)
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

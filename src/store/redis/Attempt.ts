/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type { SettleAnswer, Settlement } from "../../domain/Settlement.ts"
import type { Coalesced } from "../Coalescer.ts"
import type { ClaimRef, ExtendAnswer, ProgressReport, RescueAnswer, Rescued, RescueRequest } from "../TaskStore.ts"
import * as Failure from "./Failure.ts"
import { announce } from "./Hints.ts"
import { lanes } from "./Order.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import { ending, entry, namesOf, state, stateNames, textsOf } from "./Task.ts"

const extendAnswers: Readonly<Record<string, ExtendAnswer>> = { H: "held", C: "cancel", L: "lost" }
const settleAnswers: Readonly<Record<string, SettleAnswer>> = { A: "applied", D: "already", S: "stale" }

/** The operations of one deployment. */
export const make = (runner: Runner, headStartMs: number, maxCrashes: number) => {
  const settleAll: Coalesced<Settlement, SettleAnswer> = (settlements) =>
    Effect.flatMap(
      Failure.packing("settle", () => {
        const args = [String(headStartMs)]
        for (const settlement of settlements) pushSettlement(args, settlement)
        return args
      }),
      (args) => Effect.map(runner("settle", runSettle, args), (letters) => lettersAs(letters, settleAnswers))
    )

  return {
    extend: (refs: ReadonlyArray<ClaimRef>, leaseForMs: number): Effect.Effect<
      ReadonlyArray<ExtendAnswer>,
      StoreError
    > =>
      Effect.map(
        runner("extend", runExtend, [String(leaseForMs), ...refs.flatMap(({ claim, id }) => [id, String(claim)])]),
        (letters) => lettersAs(letters, extendAnswers)
      ),

    report: (reports: ReadonlyArray<ProgressReport>): Effect.Effect<void, StoreError> =>
      Effect.asVoid(
        runner("report", runReport, reports.flatMap(({ claim, id, progress }) => [id, String(claim), String(progress)]))
      ),

    settle: settleAll,

    rescue: (
      { earliest, latest, limit, maxAheadMs, maxOffMs }: RescueRequest
    ): Effect.Effect<RescueAnswer, StoreError> =>
      Effect.map(
        runner(
          "rescue",
          runRescue,
          [headStartMs, limit, maxCrashes, earliest, latest, maxAheadMs, maxOffMs].map(String)
        ),
        ([now, ...answer]) => ({
          now: Number(now),
          rescued: Array.from({ length: answer.length / 5 }, (_, index): Rescued => {
            const [id, lane, letter, crashes, attempt] = answer.slice(index * 5)
            return {
              id: String(id),
              type: namesOf(String(lane))[1],
              state: letter === "W" ? "pending" : stateNames[String(letter)]!,
              crashes: Number(crashes),
              attempt: Number(attempt)
            }
          })
        })
      )
  }
}

/** A settlement as the script reads it: id, kind with claim number, and what it brings. */
const pushSettlement = (args: Array<string>, settlement: Settlement): void => {
  const { claim, id } = settlement
  switch (settlement._tag) {
    case "Complete":
      args.push(id, `C${claim}`, settlement.result)
      break
    case "Retry":
      args.push(id, `T${claim}`, `${settlement.delayMs}\n${textsOf(settlement.failure)}`)
      break
    case "Fail":
      args.push(id, `F${claim}`, textsOf(settlement.failure))
      break
    case "Cancel":
      args.push(id, `X${claim}`, "")
      break
    case "Snooze":
      args.push(id, `Z${claim}`, String(settlement.delayMs))
      break
    case "Release":
      args.push(id, `L${claim}`, "")
  }
}

/** Answers of a letter each. */
export const lettersAs = <A>(letters: string, answers: Readonly<Record<string, A>>): ReadonlyArray<A> =>
  Array.from(letters, (letter) => answers[letter]!)

/**
 * Prolongs leases. An expired lease that was not rescued is still held.
 *
 * - Arguments: lease in ms, then id and claim number of each attempt.
 * - Answers: a letter for each: `H` held, `C` held and to be cancelled, `L` lost.
 */
const runExtend = script<string>(`${prelude}
local until_, ids = int(clock() + ARGV[1]), {}
for index = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[index] end
local answers, leases = {}, {}
for index, text in ipairs(hmget(root .. ":state", ids)) do
  local fence = "R" .. ARGV[index * 2 + 1] .. ";;"
  if text and string.sub(text, 1, #fence) == fence then
    leases[#leases + 1], leases[#leases + 2] = until_, string.sub(text, #fence + 1, #fence + 12) .. ids[index]
    answers[index] = string.sub(text, #fence + 16, #fence + 16) == "1" and "C" or "H"
  else
    answers[index] = "L"
  end
end
each("ZADD", root .. ":running", leases)
return table.concat(answers)
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
 * Applies the ends of attempts, each fenced by its claim number; what they do to a task is `Settlement.settle`, held to
 * it by the tests of every driver.
 *
 * - Arguments: head start, then for each settlement its id, a letter with the claim number, and what it brings: `C`
 *   complete, the result; `F` fail, the failure; `T` retry, the delay in ms, a line feed and the failure; `X` cancel;
 *   `Z` snooze, the delay; `L` release.
 * - Answers: a letter for each: `A` applied, `D` already done, `S` stale.
 *
 * Nearly every attempt completes: those are written together. The first write is one that Redis allows when its memory
 * is full, and a script that has written may go on: a full Redis finishes what it has begun.
 */
const runSettle = script<string>(`${prelude}${lanes}${state}${ending}${announce}
local headStart, now = tonumber(ARGV[1]), clock()
local ids, current = {}, {}
for index = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[index] end
for index, text in ipairs(hmget(root .. ":state", ids)) do current[ids[index]] = text end

local answers, ended, completed = {}, {}, int(now)
local refs, states, results, finished, lists = {}, {}, {}, { ["0"] = {}, ["1"] = {} }, {}

local function complete(id, text, claim, fence, result)
  local ref, keyed = string.sub(text, #fence + 1, #fence + 12) .. id, string.sub(text, #fence + 14, #fence + 14)
  local head = string.find(text, "\\n", #fence, true)
  local lane = string.sub(text, head + 1, string.find(text, "\\n", head + 1, true) - 1)
  text = "C" .. claim .. ";" .. completed .. ";" .. string.sub(text, #fence + 1)
  current[id] = text
  refs[#refs + 1], ended[#ended + 1] = ref, id
  states[#states + 1], states[#states + 2] = id, text
  results[#results + 1], results[#results + 2] = id, result
  local set = finished[keyed]
  set[#set + 1], set[#set + 2] = completed, ref
  local list = lists[lane]
  if list == nil then
    list = {}
    lists[lane] = list
  end
  list[#list + 1], list[#list + 2] = "0", ref
end

local function apply(id, text, kind, data)
  local e = parse(text)
  e.settled = e.claim
  call("ZREM", root .. ":running", e.seq .. id)
  local delay, failure = nil, nil
  if kind == "F" then failure = data end
  if kind == "T" then delay, failure = string.match(data, "^([^\\n]*)\\n(.*)$") end
  if kind == "Z" then delay = data end
  if failure then
    e.failures = e.failures + 1
    call("HSET", root .. ":failure", id, failure)
  end
  if kind == "F" then
    finish(e, id, "F", now)
    ended[#ended + 1] = id
  elseif kind == "X" or e.cancel == "1" then
    if not failure then call("HDEL", root .. ":failure", id) end
    finish(e, id, "X", now)
    ended[#ended + 1] = id
  else
    remember(e, id, now, kind == "T" and "failed" or kind == "Z" and "snoozed" or "released", failure)
    if kind == "T" then count("retried", 1) end
    if delay then e.due = int(now + delay) end
    wait(e, id, now, headStart)
  end
  write(id, e)
  current[id] = call("HGET", root .. ":state", id)
end

for index, id in ipairs(ids) do
  local kind, claim = string.match(ARGV[index * 3], "^(.)(.*)$")
  local text, fence = current[id], "R" .. claim .. ";;"
  if not text then
    answers[index] = "S"
  elseif string.sub(text, 1, #fence) == fence then
    answers[index] = "A"
    if kind == "C" then
      complete(id, text, claim, fence, ARGV[index * 3 + 1])
    else
      apply(id, text, kind, ARGV[index * 3 + 1])
    end
  else
    answers[index] = claim ~= "0" and parse(text).settled == claim and "D" or "S"
  end
end

if #refs > 0 then
  each("ZREM", root .. ":running", refs)
  each("HSET", root .. ":state", states)
  each("HSET", root .. ":result", results)
  for keyed, set in pairs(finished) do each("ZADD", root .. ":finished:C" .. keyed, set) end
  for lane, list in pairs(lists) do each("ZADD", root .. ":list:C:" .. lane, list) end
  if call("EXISTS", root .. ":failure") == 1 then
    local done = {}
    for index = 1, #states, 2 do done[#done + 1] = states[index] end
    each("HDEL", root .. ":failure", done)
  end
  count("unfinished", -#refs, "completed", #refs)
end
announce(ended)
return table.concat(answers)
`)

/**
 * Takes back leases that have run out: due again, cancelled, or quarantined, as `Settlement.rescue` has it.
 *
 * - Arguments: head start, how many at most, the crashes before a task is quarantined (negative: never), what the clock can
 *   show at least and at most, how long after that a lease is of before the clock was set back,
 *   and how far from these times the clock may be.
 * - Answers: the time, then for each task its id, lane, new state (`W` due now, `S` due later, `F`, `X`), crashes and attempt.
 */
const runRescue = script<ReadonlyArray<string | number>>(`${prelude}${entry}${announce}
local headStart, limit, maxCrashes, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), clock()
local running, answers, ended = root .. ":running", { int(now) }, {}

local function quarantine(crashes)
  return '{"kind":"quarantined","tag":"TaskQuarantined","message":"The process running this task died ' .. crashes ..
    " times (maxCrashes is " .. ARGV[3] .. ')"}'
end

-- none after the first crash, then 1 s doubling up to a minute
local function backoff(crashes)
  if crashes <= 1 then return 0 end
  return math.min(1000 * 2 ^ math.min(crashes - 2, 16), 60000)
end

local off = tonumber(ARGV[7])
if now < tonumber(ARGV[4]) - off or now > tonumber(ARGV[5]) + off then limit = 0 end
local refs = call("ZRANGEBYSCORE", running, "-inf", int(math.min(now, tonumber(ARGV[4]))), "LIMIT", 0, limit)
if #refs < limit then
  local endsAfter = "(" .. int(math.max(now, tonumber(ARGV[5])) + tonumber(ARGV[6]))
  local farAhead = call("ZRANGEBYSCORE", running, endsAfter, "+inf", "LIMIT", 0, limit - #refs)
  for _, ref in ipairs(farAhead) do refs[#refs + 1] = ref end
end

for _, ref in ipairs(refs) do
  local id = string.sub(ref, 13)
  local e = load(id)
  call("ZREM", running, ref)
  count("crashed", 1)
  local letter
  if e.cancel == "1" then
    call("HDEL", root .. ":failure", id)
    letter = "X"
  else
    e.crashes = e.crashes + 1
    if maxCrashes >= 0 and e.crashes > maxCrashes then
      call("HSET", root .. ":failure", id, quarantine(e.crashes))
      letter = "F"
    end
  end
  if letter then
    finish(e, id, letter, now)
    ended[#ended + 1] = id
  else
    remember(e, id, now, "crashed")
    e.due = int(now + backoff(e.crashes))
    letter = tonumber(e.due) > now and "S" or "W"
    wait(e, id, now, headStart)
  end
  write(id, e)
  local at = #answers
  answers[at + 1], answers[at + 2], answers[at + 3], answers[at + 4] = id, e.lane, letter, tonumber(e.crashes)
  answers[at + 5] = tonumber(e.claims)
end
announce(ended)
return answers
`)

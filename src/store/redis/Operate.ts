/**
 * What operators do to tasks and queues, and what retention does for them.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import { decideCancel, decideExpire, decideRerun, decideReschedule, type Decision } from "../Driver.ts"
import type { RescheduleAnswer, RescheduleRequest } from "../Reschedule.ts"
import {
  type CancelAnswer,
  type Expired,
  keyedForMs,
  lastClaimForMs,
  type RemoveAnswer,
  type RerunAnswer,
  type Retention
} from "../TaskStore.ts"
import { overtaken } from "./Enqueue.ts"
import { adoptLines, lines } from "./Lines.ts"
import * as Merge from "./Merge.ts"
import { adopt, lanes, left, stored } from "./Order.ts"
import { limits } from "./Passes.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import { freeing } from "./Server.ts"
import type { Changed, Tasks } from "./Task.ts"
import { standing } from "./Writes.ts"

/** How often tasks may have changed after they were read. */
const maxRepeats = 10

/** The operations of one deployment. */
export const make = (runner: Runner, tasks: Tasks) => {
  /** Where the look through the buckets goes on. */
  let bucketCursor = "0"
  return {
    expire: expiring(runner, tasks),

    cancel: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<CancelAnswer>, StoreError> =>
      tasks.change("cancel", ids, "unknown", decideCancel),

    rerun: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RerunAnswer>, StoreError> =>
      tasks.change("rerun", ids, { _tag: "unknown" }, decideRerun),

    reschedule: Effect.fnUntraced(function*(
      requests: ReadonlyArray<RescheduleRequest>
    ): Effect.fn.Return<ReadonlyArray<RescheduleAnswer>, StoreError> {
      const answers = requests.map((): RescheduleAnswer => ({ _tag: "unknown" }))
      let places = [...requests.keys()]
      for (let repeats = 0; places.length > 0; repeats++) {
        if (repeats > maxRepeats) return yield* overtaken("reschedule")
        const { met, now } = yield* Merge.read(runner, "reschedule", places.map((place) => requests[place]!.id))
        const changed: Array<Changed> = []
        for (const place of places) {
          const found = met.get(requests[place]!.id)
          const [answer, change]: Decision<RescheduleAnswer> = found === undefined
            ? [{ _tag: "unknown" }]
            : decideReschedule(found.task, requests[place]!, now)
          answers[place] = answer
          if (found !== undefined && change !== undefined) changed.push({ ...found, change })
        }
        // of those that have changed since nothing was written
        const lost = new Set(yield* tasks.write("reschedule", changed))
        places = places.filter((place) => lost.has(requests[place]!.id))
      }
      return answers
    }),

    remove: (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<RemoveAnswer>, StoreError> =>
      runner("remove", runRemove, ids),

    prune: (
      { failedForMs, finishedForMs, maxFinished, maxKeyedFinished }: Retention,
      limit: number
    ): Effect.Effect<number, StoreError> =>
      Effect.map(
        Effect.suspend(() =>
          runner("prune", runPrune, [
            ...[limit, finishedForMs, failedForMs, maxFinished, keyedForMs, lastClaimForMs, maxKeyedFinished].map(
              String
            ),
            bucketCursor
          ])
        ),
        ([removed, cursor]) => {
          bucketCursor = cursor
          return Number(removed)
        }
      )
  }
}

/** Ends waiting tasks that have expired. */
export const expiring = (runner: Runner, tasks: Tasks) =>
  Effect.fnUntraced(function*(limit: number): Effect.fn.Return<ReadonlyArray<Expired>, StoreError> {
    const ids = yield* runner("expire", runExpiring, [String(limit)])
    const answers = yield* tasks.change<Expired | undefined>("expire", ids, undefined, decideExpire)
    return answers.filter((one) => one !== undefined)
  })

/**
 * Waiting tasks that have expired, the earliest first.
 *
 * - Arguments: how many.
 * - Answers: ids.
 */
const runExpiring = script<ReadonlyArray<string>>(`${prelude}
local ids = {}
for index, ref in ipairs(call("ZRANGEBYSCORE", root .. ":expiring", "-inf", int(clock()), "LIMIT", 0, ARGV[1])) do
  ids[index] = string.sub(ref, 13)
end
return ids
`)

/** Removes finished tasks of one set, given as its members, from everywhere. */
const drop = `${stored}${left}
local function drop(set, refs)
  local ids, lists, amounts, passes, holders = {}, {}, {}, {}, {}
  for index, ref in ipairs(refs) do
    local era = eraOf(ref)
    ids[index], amounts[era] = string.sub(ref, 13), (amounts[era] or 0) + 1
  end
  each("ZREM", root .. ":finished:" .. set, refs)
  for index, text in ipairs(hmget(root .. ":state", ids)) do
    local line = string.match(text, "^[^\\n]*\\n([^\\n]*)")
    local lane = laneOf(line)
    lists[lane] = lists[lane] or {}
    table.insert(lists[lane], refs[index])
    if line ~= lane then
      for _, pass in ipairs(gated().passesOf(line)) do passes[#passes + 1], holders[#holders + 1] = pass, ids[index] end
    end
  end
  local freed = {}
  for index, id in ipairs(hmget(root .. ":holder", passes)) do
    if id == holders[index] then
      freed[#freed + 1] = passes[index]
      gated().open(passes[index])
    end
  end
  each("HDEL", root .. ":holder", freed)
  if madeLines then madeLines.conclude() end
  for lane, members in pairs(lists) do
    each("ZREM", root .. ":list:" .. string.sub(set, 1, 1) .. ":" .. lane, members)
    uncount(lane, #members)
  end
  leaveEras(amounts)
  if string.sub(set, 2) == "1" then
    local fields, owned = {}, {}
    for index, task in ipairs(hmget(root .. ":task", ids)) do
      fields[index] = string.match(task, "^[^\\n]*\\n[^\\n]*\\n[^\\n]*\\n([^\\n\\t]*)")
    end
    -- a later task may have the key
    for index, id in ipairs(hmget(root .. ":key", fields)) do
      if id == ids[index] then owned[#owned + 1] = fields[index] end
    end
    each("HDEL", root .. ":key", owned)
  end
  for _, name in ipairs({ ":task", ":state", ":result", ":failure", ":history", ":progress" }) do
    each("HDEL", root .. name, ids)
  end
end
`

/**
 * Removes finished tasks; their ids and keys are free.
 *
 * - Arguments: ids.
 * - Answers: one for each.
 */
const runRemove = script<ReadonlyArray<RemoveAnswer>>(`${prelude}${freeing}${lanes}${lines}${standing}${drop}
local answers = {}
for index, id in ipairs(ARGV) do
  local e = load(id)
  if e == nil then
    answers[index] = "unknown"
  elseif e.letter == "W" or e.letter == "R" then
    answers[index] = "unfinished"
  else
    drop(e.letter .. e.keyed, { e.seq .. id })
    answers[index] = "removed"
  end
end
return answers
`)

/**
 * Removes what retention no longer keeps, first the tasks that are too old, then the oldest beyond the number, and forgets the
 * claims of instances that were silent for long.
 *
 * - Arguments: how many at most; the age at which completed and cancelled tasks go, that of failed ones, the number of
 *   finished tasks to keep, the age at which keyed tasks may be removed by number, that at which claims are forgotten, and the
 *   number of finished tasks to keep whatever keys they have; ages in ms. Last, where the look through the buckets goes on.
 * - Answers: how many tasks were removed, and where that look goes on the next time.
 */
const runPrune = script<readonly [removed: number, bucketCursor: string]>(
  `${prelude}${freeing}${lanes}${lines}${limits}${drop}${adopt}${adoptLines}
-- an older version that still runs writes lanes in its own way
adopt()
if call("EXISTS", root .. ":held", root .. ":place") > 0 then adoptLines() end
sweep()
local limit, now = tonumber(ARGV[1]), clock()
local bucketCursor = "0"
if call("EXISTS", root .. ":bucket") == 1 then bucketCursor = limits().sweep(now, ARGV[8]) end
local sets, kept = { "C0", "C1", "F0", "F1", "X0", "X1", "E0", "E1" }, 0

for _, instance in ipairs(call("ZRANGEBYSCORE", root .. ":claimed", "-inf", int(now - ARGV[6]), "LIMIT", 0, 1000)) do
  call("HDEL", root .. ":claims", instance)
  call("ZREM", root .. ":claimed", instance)
end

-- removes the oldest that finished by then, of all sets together; answers how many
local function forget(amount, untilOf)
  if amount <= 0 then return 0 end
  local found, bySet = {}, {}
  for _, set in ipairs(sets) do
    local members = call("ZRANGEBYSCORE", root .. ":finished:" .. set, "-inf", int(untilOf(set)), "WITHSCORES", "LIMIT", 0,
      int(amount))
    for index = 1, #members, 2 do
      local ref, at = members[index], tonumber(members[index + 1])
      found[#found + 1] = { set = set, ref = ref, at = at, seq = tonumber(string.sub(ref, 1, 12)) }
    end
  end
  table.sort(found, function(a, b) return a.at < b.at or (a.at == b.at and a.seq < b.seq) end)
  local removed = math.min(#found, amount)
  for index = 1, removed do
    local set = found[index].set
    bySet[set] = bySet[set] or {}
    table.insert(bySet[set], found[index].ref)
  end
  for set, refs in pairs(bySet) do drop(set, refs) end
  return removed
end

local aged = forget(limit, function(set) return now - (string.sub(set, 1, 1) == "F" and ARGV[3] or ARGV[2]) end)
for _, set in ipairs(sets) do kept = kept + call("ZCARD", root .. ":finished:" .. set) end
-- a keyed task keeps answering repeated requests for a while
local spared = aged + forget(math.min(kept - ARGV[4], limit - aged), function(set)
  return string.sub(set, 2) == "1" and now - ARGV[5] or now
end)
return { spared + forget(math.min(kept + aged - spared - ARGV[7], limit - spared), function() return now end), bucketCursor }
`
)

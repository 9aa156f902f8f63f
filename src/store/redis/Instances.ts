/** The instances that share a deployment. */
import { type Context, Effect } from "effect"
import { aboutOf, byAge, instanceOf, type InstanceStore, type Roll } from "../InstanceStore.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"

type Texts = ReadonlyArray<string>
type Answer = readonly [now: number, instances: Texts, leads: Texts]

/** The operations of one deployment. */
export const make = (runner: Runner): Context.Service.Shape<typeof InstanceStore> => ({
  beat: (beat, keepForMs) =>
    Effect.asVoid(runner("beat", runBeat, [beat.id, String(beat.upForMs), String(keepForMs), aboutOf(beat)])),
  leave: (id) => Effect.asVoid(runner("leave", runLeave, [id])),
  list: Effect.map(Effect.suspend(() => runner("list the instances", runList, [])), rollOf),
  lead: (chore, id, forMs) => Effect.map(runner("lead", runLead, [chore, id, String(forMs)]), (held) => held === 1)
})

const rollOf = ([now, instances, leads]: Answer): Roll => {
  const held = rowsOf(leads, 2)
  return {
    now,
    instances: rowsOf(instances, 2).map(([id, text]) => recordOf(id!, text!, held)).sort(byAge)
  }
}

const recordOf = (id: string, text: string, leads: ReadonlyArray<Texts>) => {
  const [startedAt, seenAt] = text.split(";", 2)
  const about = text.slice(`${startedAt};${seenAt};`.length)
  const chores = leads.filter(([, holder]) => holder === id).map(([chore]) => chore!).sort()
  return instanceOf(id, Number(startedAt), Number(seenAt), about, chores)
}

/**
 * The instances that share the store, and the chores that one of them leads.
 *
 * `instance` holds by id `startedAt;seenAt;` and what the instance says about itself, `alive` its id by the time until
 * which it is listed, `lead` by chore `heldUntil;` and the holder's id.
 */
const forget = `
local now, instances, alive, leads = clock(), root .. ":instance", root .. ":alive", root .. ":lead"

local function forget()
  local gone = call("ZRANGEBYSCORE", alive, "-inf", int(now))
  each("HDEL", instances, gone)
  each("ZREM", alive, gone)
end

local function leadOf(chore)
  local text = call("HGET", leads, chore)
  if not text then return nil end
  local until_, holder = string.match(text, "^([^;]*);(.*)$")
  if tonumber(until_) > now then return holder end
end
`

/**
 * Records a sign of life.
 *
 * - Arguments: id, how long it has been up and how long it is to be listed, in ms, and the rest as JSON.
 * - Answers: nothing.
 */
const runBeat = script<number>(`${prelude}${forget}
forget()
local known = call("HGET", instances, ARGV[1])
local startedAt = known and string.match(known, "^[^;]*") or int(now - ARGV[2])
call("HSET", instances, ARGV[1], startedAt .. ";" .. int(now) .. ";" .. ARGV[4])
call("ZADD", alive, int(now + ARGV[3]), ARGV[1])
return 0
`)

/**
 * Takes an instance off the list and gives up its leads.
 *
 * - Arguments: id.
 * - Answers: nothing.
 */
const runLeave = script<number>(`${prelude}${forget}
call("HDEL", instances, ARGV[1])
call("ZREM", alive, ARGV[1])
for _, chore in ipairs(call("HKEYS", leads)) do
  if leadOf(chore) == ARGV[1] then call("HDEL", leads, chore) end
end
return 0
`)

/**
 * Those that are alive.
 *
 * - Arguments: none.
 * - Answers: the clock; for each instance its id and its text; for each lead its chore and holder.
 */
const runList = script<Answer>(`${prelude}${forget}
local listed, held = {}, {}
for _, id in ipairs(call("ZRANGEBYSCORE", alive, "(" .. int(now), "+inf")) do
  listed[#listed + 1], listed[#listed + 2] = id, call("HGET", instances, id)
end
for _, chore in ipairs(call("HKEYS", leads)) do
  local holder = leadOf(chore)
  if holder then held[#held + 1], held[#held + 2] = chore, holder end
end
return { now, listed, held }
`)

/**
 * Takes or renews the lease of a chore.
 *
 * - Arguments: chore, id, for how long in ms.
 * - Answers: 1 if the instance holds it now, else 0.
 */
const runLead = script<number>(`${prelude}${forget}
local holder = leadOf(ARGV[1])
if holder and holder ~= ARGV[2] then return 0 end
call("HSET", leads, ARGV[1], int(now + ARGV[3]) .. ";" .. ARGV[2])
return 1
`)

/** What backups need of a deployment. */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import * as Gate from "../../domain/Gate.ts"
import { type Archive, decideAdopt, type Former } from "../Archive.ts"
import type { Aftermath } from "../Dependencies.ts"
import { type Telling, told } from "./Outcome.ts"
import { prelude, type Runner, script } from "./Runner.ts"
import { argumentsOf, type make as makeTasks, type Standing } from "./Task.ts"
import { writes } from "./Writes.ts"

/** Prepares the operations. */
export const make = (
  runner: Runner,
  tasks: ReturnType<typeof makeTasks>,
  headStartMs: number,
  aftermath: Aftermath
): Archive => {
  const adoptOne = Effect.fnUntraced(function*(former: Former): Effect.fn.Return<void, StoreError> {
    // only another adoption of the same task is in the way
    for (let left = maxTries; left > 0; left--) {
      const read = yield* tasks.read("adopt", [former.id])
      const found = read.tasks.get(former.id)
      if (found === undefined) return
      const [, change] = decideAdopt(found.task, former, read.now)
      if (change === undefined) return
      const { createdAt, holds, progress } = former
      const args = [
        String(headStartMs),
        String(createdAt),
        progress === null ? "" : `${former.claim};${progress}`,
        JSON.stringify(holds),
        ...withFacts(argumentsOf({ ...found, change }), found.task, former)
      ]
      const lost = told(aftermath, yield* runner("adopt", runAdopt, args))
      if (lost.length === 0) return
    }
  })
  return {
    kinds: Effect.gen(function*() {
      const kinds = new Set<string>()
      let cursor = "0"
      do {
        const [next, names] = yield* runner("list kinds of records", runKinds, [cursor])
        for (const name of names) kinds.add(name)
        cursor = next
      } while (cursor !== "0")
      return [...kinds]
    }),
    adopt: (formers) => Effect.forEach(formers, adoptOne, { discard: true }),
    claimBeyond: (claim) => runner("adopt", runBeyond, [String(claim)]),
    date: (kind, records) =>
      runner("date records", runDate, [kind, ...records.flatMap(({ id, writtenAt }) => [id, String(writtenAt)])])
  }
}

const maxTries = 10

/** A change as it is written, whose state also has what no other operation changes. */
const withFacts = (
  args: ReadonlyArray<string>,
  { gate }: Standing,
  { claim, claims, createdAt, instance, startedAt }: Former
): ReadonlyArray<string> => {
  const [numbers, line, , ...marks] = args[stateAt]!.split("\n") as [string, string, string, ...Array<string>]
  const fields = numbers.slice(1).split(";")
  fields[0] = String(claim)
  fields[6] = String(claims)
  fields[11] = String(startedAt ?? "")
  if (Gate.isOrdered(gate)) fields[12] = String(createdAt)
  const by = instance === null ? "" : JSON.stringify(instance)
  const state = [`${numbers[0]}${fields.join(";")}`, line, by, ...marks].join("\n")
  return args.map((arg, index) => index === stateAt ? state : arg)
}

/** The place of the new state in a change. */
const stateAt = 4

/**
 * - Arguments: head start, when the task was created, its progress or nothing, the passes that it holds as JSON, and the change.
 * - Answers: its id where it is not as it was read, and what has come of it.
 */
const runAdopt = script<Telling<string>>(`${prelude}${writes}
headStart = ARGV[1]
local lost, at = {}, 5
local e, id = asRead(ARGV, at), ARGV[5]
if not e then return { id } end
local head, line, limits, key, payload = string.match(call("HGET", root .. ":task", id), parts)
call("HSET", root .. ":task", id, head .. "\\n" .. line .. "\\n" .. string.gsub(limits, "^%d+", ARGV[2]) .. "\\n" .. key ..
  "\\n" .. payload)
if change(ARGV, at, e) == false then return { id } end
if ARGV[3] ~= "" then call("HSET", root .. ":progress", id, ARGV[3]) end
for _, pass in ipairs(cjson.decode(ARGV[4])) do call("HSET", root .. ":holder", pass, id) end
return { conclude() }
`)

/**
 * - Arguments: a cursor.
 * - Answers: the next one, and names that were found.
 */
const runKinds = script<readonly [next: string, names: ReadonlyArray<string>]>(`${prelude}
local start = root .. ":record-ids:"
local found = call("SCAN", ARGV[1], "MATCH", string.gsub(start, "[%[%]%?%*\\\\]", "\\\\%0") .. "*", "COUNT", 1000)
local names = {}
for _, key in ipairs(found[2]) do names[#names + 1] = string.sub(key, #start + 1) end
return { found[1], names }
`)

const runBeyond = script<void>(`${prelude}
local last = tonumber(call("HGET", root .. ":tally", "claim") or 0)
if tonumber(ARGV[1]) > last then call("HSET", root .. ":tally", "claim", ARGV[1]) end
`)

/** Arguments: kind, then ids and times. */
const runDate = script<void>(`${prelude}
local key = root .. ":record:" .. ARGV[1]
for at = 2, #ARGV, 2 do
  local text = call("HGET", key, ARGV[at])
  if text then call("HSET", key, ARGV[at], (string.gsub(text, "^(%d+);%d*;", "%1;" .. ARGV[at + 1] .. ";"))) end
end
`)

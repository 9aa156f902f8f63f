/**
 * Records in Redis, and the scripts that keep them. A record is one text: its version, when it was written and when it is
 * due, each with a semicolon, and the document.
 */
import { Effect } from "effect"
import * as RecordDriver from "../RecordDriver.ts"
import { absent, type RecordStore, type StoredRecord } from "../RecordStore.ts"
import { prelude, type Runner, script } from "./Runner.ts"

/** The keys of a kind, and the number of the next put or take, as `RecordDriver.nextVersion` has it. */
const records = `${prelude}
local function recordsOf(kind) return root .. ":record:" .. kind end
local function idsOf(kind) return root .. ":record-ids:" .. kind end
local function wakesOf(kind) return root .. ":record-wakes:" .. kind end

local function nextVersion(now)
  local last = call("HGET", root .. ":tally", "record") or 0
  local clock = (math.min(now, ${RecordDriver.versionEnd}) - ${RecordDriver.versionEpoch}) * ${RecordDriver.versionsPerMs}
  local version = int(math.max(last + 1, clock))
  call("HSET", root .. ":tally", "record", version)
  return version
end
`

/**
 * - Arguments: for each change its kind, id, expected version, document or nothing, and when it is due: `=time`, `+wait` or
 *   nothing.
 * - Answers: the version; where a change meets another one, nothing, then its index and the version found.
 *
 * What is deleted comes first: Redis refuses a script's first write when its memory is full, unless that one frees some.
 */
const runPut = script<readonly [version: string, index: number, found: string]>(`${records}
local now = clock()
for at = 1, #ARGV, 5 do
  local text = call("HGET", recordsOf(ARGV[at]), ARGV[at + 1])
  local found = text and string.match(text, "^%d+") or "${absent}"
  if found ~= ARGV[at + 2] then return { "", (at - 1) / 5, found } end
end
for at = 1, #ARGV, 5 do
  if ARGV[at + 3] == "" then
    call("HDEL", recordsOf(ARGV[at]), ARGV[at + 1])
    call("ZREM", idsOf(ARGV[at]), ARGV[at + 1])
    call("ZREM", wakesOf(ARGV[at]), ARGV[at + 1])
  end
end
local version = nextVersion(now)
for at = 1, #ARGV, 5 do
  local kind, id, document, due = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 4]
  if document ~= "" then
    if due ~= "" then due = int(string.sub(due, 2) + (string.sub(due, 1, 1) == "+" and now or 0)) end
    call("HSET", recordsOf(kind), id, version .. ";" .. int(now) .. ";" .. due .. ";" .. document)
    call("ZADD", idsOf(kind), 0, id)
    if due == "" then call("ZREM", wakesOf(kind), id) else call("ZADD", wakesOf(kind), due, id) end
  end
end
return { version, 0, "" }
`)

/**
 * - Arguments: kind, then ids.
 * - Answers: the texts of the records, nothing for one that is not there.
 */
const runGet = script<ReadonlyArray<string | null>>(`${records}
return hmget(recordsOf(ARGV[1]), { unpack(ARGV, 2) })
`)

/**
 * - Arguments: kind, the ends of the range, each with a bracket that says whether it is in it, how many.
 * - Answers: the ids, and the texts of their records.
 */
const runList = script<readonly [ids: ReadonlyArray<string>, texts: ReadonlyArray<string>]>(`${records}
local ids = call("ZRANGEBYLEX", idsOf(ARGV[1]), ARGV[2], ARGV[3], "LIMIT", 0, ARGV[4])
return { ids, hmget(recordsOf(ARGV[1]), ids) }
`)

/**
 * - Arguments: kind, how many, for how long to take them in ms or nothing.
 * - Answers: the clock, when the next one wakes or nothing, the ids, and the texts of their records.
 */
const runDue = script<readonly [now: number, next: string, ids: ReadonlyArray<string>, texts: ReadonlyArray<string>]>(
  `${records}
local now, kind, wakes = clock(), ARGV[1], wakesOf(ARGV[1])
local ids = call("ZRANGEBYSCORE", wakes, "-inf", int(now), "LIMIT", 0, ARGV[2])
local texts = hmget(recordsOf(kind), ids)
if ARGV[3] ~= "" and ids[1] then
  local version, wake = nextVersion(now), int(now + ARGV[3])
  for index, id in ipairs(ids) do
    texts[index] = string.gsub(texts[index], "^%d+", version)
    call("HSET", recordsOf(kind), id, texts[index])
    call("ZADD", wakes, wake, id)
  end
end
local following = call("ZRANGEBYSCORE", wakes, "(" .. int(now), "+inf", "WITHSCORES", "LIMIT", 0, 1)
return { now, following[2] or "", ids, texts }
`
)

/** The records of one deployment. */
export const make = (runner: Runner): RecordStore["Service"] =>
  RecordDriver.make({
    get: (kind, ids) =>
      Effect.map(
        runner("read records", runGet, [kind, ...ids]),
        (texts) => texts.flatMap((text, index) => text === null ? [] : [recordOf(ids[index]!, text)])
      ),
    put: (changes) =>
      Effect.map(
        runner("put records", runPut, changes.flatMap(argumentsOf)),
        ([version, index, found]) => version === "" ? { index, found: Number(found) } : { version: Number(version) }
      ),
    list: (kind, { from, inclusive, until }, limit) =>
      Effect.map(
        runner("list records", runList, [kind, `${inclusive ? "[" : "("}${from}`, `(${until}`, String(limit)]),
        ([ids, texts]) => ids.map((id, index) => recordOf(id, texts[index]!))
      ),
    due: (kind, limit, leaseForMs) =>
      Effect.map(
        runner("find due records", runDue, [kind, String(limit), leaseForMs === undefined ? "" : String(leaseForMs)]),
        ([now, next, ids, texts]) => ({
          records: ids.map((id, index) => recordOf(id, texts[index]!)),
          now,
          nextDueAt: next === "" ? null : Number(next)
        })
      )
  })

const argumentsOf = ({ document, dueAt, dueInMs, expects, id, kind }: RecordDriver.PackedChange) => [
  kind,
  id,
  String(expects),
  document ?? "",
  dueAt !== null ? `=${dueAt}` : dueInMs !== null ? `+${dueInMs}` : ""
]

const recordOf = (id: string, text: string): StoredRecord => {
  const [head, version, writtenAt, dueAt] = /^(\d+);(-?\d+);(-?\d*);/.exec(text)!
  return {
    id,
    version: Number(version),
    document: text.slice(head.length),
    dueAt: dueAt === "" ? null : Number(dueAt),
    writtenAt: Number(writtenAt)
  }
}

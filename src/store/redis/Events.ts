/** The log of events in Redis. A batch is one JSON text: no query looks inside. */
import { type Context, Effect } from "effect"
import { type Batch, type EventLog, keptBytes, keptEvents, pageOf } from "../EventLog.ts"
import { prelude, type Runner, script } from "./Runner.ts"

/** Batches read together at most. */
const batchesAtOnce = 50

/** The log of one deployment. */
export const make = (runner: Runner): Context.Service.Shape<typeof EventLog> => ({
  append: (events, lost = false) =>
    Effect.asVoid(
      runner("append events", runAppend, [
        lost ? "1" : "0",
        String(keptEvents),
        String(keptBytes),
        String(events.length),
        JSON.stringify(events)
      ])
    ),
  read: (after, limit) =>
    Effect.map(
      runner("read events", runRead, [String(after), String(Math.min(limit, batchesAtOnce))]),
      ([seq, floor, batches]) => pageOf(after, seq, floor, () => batches.map(batchOf))
    ),
  end: Effect.map(Effect.suspend(() => runner("read events", runRead, ["0", "0"])), ([seq]) => seq),
  attend: (forMs) => Effect.asVoid(runner("attend to events", runAttend, [String(forMs)])),
  attended: Effect.map(
    Effect.suspend(() => runner("read events", runAttended, [])),
    (ms) => ms < 0 ? undefined : ms
  )
})

const batchOf = (text: string): Batch => {
  const [first, at] = text.split(";", 2)
  return [Number(first), Number(at), text.slice(`${first};${at};`.length)]
}

/**
 * The log of events. `:event:head` is a hash of `seq` (the last number given), `floor` (everything after it is in the log),
 * `bytes` (of all batches) and `from` and `until` (since and till when a reader attends). `:event:log` is a sorted set of
 * batches by their last number, each the text `first;time;JSON array`.
 */
const shared = `${prelude}
local head, log = root .. ":event:head", root .. ":event:log"
local function field(name) return tonumber(call("HGET", head, name) or "0") end
local function beginAnew()
  local seq = call("HINCRBY", head, "seq", 1)
  call("HSET", head, "floor", int(seq), "bytes", "0")
  call("DEL", log)
end
`

/**
 * Appends events.
 *
 * - Arguments: 1 if events were lost before, events kept, bytes kept, number of events, events as a JSON array.
 * - Answers: the last number given.
 */
const runAppend = script<number>(`${shared}
if ARGV[1] == "1" then beginAnew() end
local count = tonumber(ARGV[4])
if count == 0 then return field("seq") end
local last = call("HINCRBY", head, "seq", ARGV[4])
local batch = int(last - count + 1) .. ";" .. int(clock()) .. ";" .. ARGV[5]
call("ZADD", log, int(last), batch)
local bytes = field("bytes") + #batch
while bytes > tonumber(ARGV[3]) or call("ZCOUNT", log, "-inf", int(last - ARGV[2])) > 0 do
  local oldest = call("ZPOPMIN", log)
  call("HSET", head, "floor", oldest[2])
  -- an older version that still runs does not count
  bytes = call("ZCARD", log) == 1 and #batch or math.max(0, bytes - #oldest[1])
end
call("HSET", head, "bytes", int(bytes))
return last
`)

/**
 * Batches after a number.
 *
 * - Arguments: the number, batches at most.
 * - Answers: the last number given, the floor, the batches.
 */
const runRead = script<readonly [seq: number, floor: number, batches: ReadonlyArray<string>]>(`${shared}
local after, seq, floor = tonumber(ARGV[1]), field("seq"), field("floor")
if after < floor or after > seq then after = floor end
return { seq, floor, call("ZRANGEBYSCORE", log, "(" .. int(after), "+inf", "LIMIT", 0, tonumber(ARGV[2])) }
`)

/**
 * Says that a reader attends.
 *
 * - Arguments: for how long.
 * - Answers: 1.
 */
const runAttend = script<number>(`${shared}
local now, till = clock(), field("until")
if till <= now then
  beginAnew()
  call("HSET", head, "from", int(now))
end
call("HSET", head, "until", int(math.max(till, now + tonumber(ARGV[1]))))
return 1
`)

/**
 * Since when a reader attends.
 *
 * - Arguments: none.
 * - Answers: milliseconds, or -1 when none does.
 */
const runAttended = script<number>(`${shared}
local now = clock()
if field("until") <= now then return -1 end
return now - field("from")
`)

/**
 * What the server itself promises: whether it may throw tasks away to save memory, and what it keeps through a crash. And
 * what the stored queue on it must be: of a layout that this version knows, with the settings that this process has.
 */
import { Effect, Result } from "effect"
import type { Redis, RedisError } from "effect/persistence/Redis"
import { type StoreError, StoreIncompatible } from "../../domain/Errors.ts"
import { refuseHeadStart, refuseLayout, refuseReading } from "../Driver.ts"
import * as PausedQueues from "../PausedQueues.ts"
import { probeBytes, type Refusals, type WriteHealth } from "../WriteHealth.ts"
import * as Failure from "./Failure.ts"
import { adoptLines, lines } from "./Lines.ts"
import { adopt, lanes, stored } from "./Order.ts"
import { prelude, type Runner, script } from "./Runner.ts"

/** What a server says about itself; what it keeps to itself is missing. */
export interface Facts {
  /** Of Redis, or the one that Valkey is compatible with. */
  readonly version: string
  /** What it does when its memory is full. */
  readonly evictionPolicy: string | undefined
  /** Bytes it may use; 0 is no limit. */
  readonly maxMemory: number
  readonly appendOnly: boolean
  /** When the append-only file is synced. */
  readonly appendFsync: string | undefined
  /** When snapshots are written; empty for never. */
  readonly save: string | undefined
}

/** Reads `INFO`, and `CONFIG` where the server allows it. */
export const read = Effect.fnUntraced(function*(redis: Redis["Service"]): Effect.fn.Return<Facts, RedisError> {
  const info = fieldsOf(yield* redis.send<string>("INFO"))
  const config = (name: string) =>
    Effect.map(
      Effect.result(redis.send("CONFIG", "GET", name)),
      (answer) => Result.isSuccess(answer) ? settingOf(answer.success, name) : undefined
    )
  return {
    version: info.get("redis_version") ?? "unknown",
    evictionPolicy: info.get("maxmemory_policy"),
    maxMemory: Number(info.get("maxmemory") ?? 0),
    appendOnly: info.get("aof_enabled") === "1",
    appendFsync: yield* config("appendfsync"),
    save: yield* config("save")
  }
})

/** Fails for a server that cannot hold a store. */
export const check = ({ version }: Facts): Effect.Effect<void, StoreIncompatible> => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > 6 || (major === 6 && minor >= 2) || Number.isNaN(major)
    ? Effect.void
    : Effect.fail(new StoreIncompatible({ reason: `Redis ${version} is too old; 6.2 or newer is needed, or Valkey` }))
}

/** Something about the server that an operator should know before it costs tasks. */
export interface Risk {
  readonly _tag: "Evicts"
  readonly message: string
}

/**
 * What may cost tasks. Policies that evict only keys with an expiry do no harm: the store's have none.
 */
export const risks = ({ evictionPolicy, maxMemory }: Facts): ReadonlyArray<Risk> => {
  if (evictionPolicy?.startsWith("allkeys-") !== true) return []
  const when = maxMemory > 0 ? `once it uses ${Math.round(maxMemory / 2 ** 20)} MiB` : "as soon as maxmemory is set"
  return [{
    _tag: "Evicts",
    message:
      `Redis may delete tasks without a trace: its maxmemory-policy is ${evictionPolicy}, which removes any key ` +
      `${when}. Set maxmemory-policy to noeviction: a full server then refuses new tasks and keeps those it has`
  }]
}

/** Whether anything survives the death of the server. */
export const isKept = ({ appendOnly, save }: Facts): boolean => appendOnly || save !== ""

/** What survives the death of the server, as a sentence. */
export const persistence = ({ appendFsync, appendOnly, save }: Facts): string => {
  if (appendOnly) {
    switch (appendFsync) {
      case "always":
        return "append-only file synced at each write: an accepted task survives a crash of the server's machine"
      case "no":
        return "append-only file synced by the operating system: a crash of the server's machine loses the last half minute"
      default:
        return "append-only file synced each second: a crash of the server's machine loses up to two seconds"
    }
  }
  return save === ""
    ? "none: a restart of the server loses every task"
    : "snapshots: a crash of the server loses what was stored since the last one"
}

const fieldsOf = (info: string): ReadonlyMap<string, string> =>
  new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(":")
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : []
    })
  )

/** Names and values in turns, or an object of them: the answer depends on the protocol. */
const settingOf = (answer: unknown, name: string): string | undefined => {
  const value: unknown = Array.isArray(answer) ? answer[1] : Object(answer)[name]
  return typeof value === "string" ? value : undefined
}

/**
 * The layout that this version of the driver writes: keys, texts, and what scripts make of them. It reads earlier ones
 * too. Since 2, pending tasks may be in blocks; since 3, lanes are known as long as they have tasks; since 4, API keys are
 * records; since 5, paused queues are; since 6, tasks may have gates; since 7, keys may have windows; since 8,
 * tasks may expire; since 9, they may have a time within which they should start; since 10, tasks with gates may wait together;
 * since 11, they may depend on others; since 12, they may have a trace; since 13, tags.
 */
const layout = 13

/** Stores the settings of a new store; fails when an old one has others. `where` names it. */
export const agree = (
  runner: Runner,
  where: string,
  headStartMs: number,
  readOnly = false
): Effect.Effect<void, StoreError | StoreIncompatible> =>
  Effect.flatMap(runner("open", readOnly ? runLook : runOpen, [String(layout), String(headStartMs)]), (found) => {
    const [version, stored] = found
    const refusal = refuseLayout(where, "another prefix", Number(version), layout) ??
      (readOnly ? refuseReading(where, Number(version), layout) : undefined) ??
      refuseHeadStart(where, "another prefix", Number(stored), headStartMs)
    return refusal === undefined ? Effect.void : Effect.fail(refusal)
  })

/** Reads who made the store; zeros where there is none. */
const runLook = script<readonly [version: string, headStartMs: string]>(`${prelude}
local found = call("HMGET", root .. ":meta", "version", "headStartMs")
return { found[1] or "0", found[2] or "0" }
`)

/** Makes records of what an older version has kept in another way. The first version that there is was given to none. */
const adoptRecords = `
local function adoptRecords()
  local keys = call("HGETALL", root .. ":apikey")
  if #keys > 0 then call("HSETNX", root .. ":tally", "record", 1) end
  for at = 1, #keys, 2 do
    local id, document = keys[at], keys[at + 1]
    local createdAt = string.match(document, '^{"createdAt":(%d+)')
    call("HSETNX", root .. ":record:api-key", id, "1;" .. createdAt .. ";;" .. document)
    call("ZADD", root .. ":record-ids:api-key", 0, id)
  end
  local queues = call("SMEMBERS", root .. ":paused")
  if #queues > 0 then call("HSETNX", root .. ":tally", "record", 1) end
  for _, queue in ipairs(queues) do
    call("HSETNX", root .. ":record:${PausedQueues.kind}", queue, "1;" .. int(clock()) .. ";;{}")
    call("ZADD", root .. ":record-ids:${PausedQueues.kind}", 0, queue)
  end
  call("DEL", root .. ":apikey", root .. ":paused")
end
`

/**
 * Opens the store, or says who made it. One of an earlier layout gets this one's number, so that earlier versions leave
 * it alone from now on.
 *
 * - Arguments: the layout's version, the head start in milliseconds.
 * - Answers: the version, which is at least the given one, and the stored head start.
 */
const runOpen = script<readonly [version: string, headStartMs: string]>(
  `${prelude}${lanes}${lines}${stored}${adopt}${adoptLines}${adoptRecords}
local meta = root .. ":meta"
if call("EXISTS", meta) == 0 then call("HSET", meta, "version", ARGV[1], "headStartMs", ARGV[2]) end
if tonumber(call("HGET", meta, "version")) < tonumber(ARGV[1]) then call("HSET", meta, "version", ARGV[1]) end
if tonumber(call("HGET", meta, "version")) == tonumber(ARGV[1]) then
  adopt()
  adoptLines()
  adoptRecords()
end
return call("HMGET", meta, "version", "headStartMs")
`
)

/** Whether Redis takes writes, and still has the store's keys. What is noted by the deployment's runner is in `refusals`. */
export const writeHealth = (runner: Runner, root: string, refusals: Refusals): WriteHealth => ({
  refusal: Effect.sync(() => refusals.current),
  probe: Effect.gen(function*() {
    const isRefused = refusals.current !== undefined
    const found = yield* runner("write", runProbe, [isRefused ? "x".repeat(probeBytes) : ""])
    if (found === 1) return refusals.end()
    const error = Failure.gone(root)
    refusals.note(error)
    return yield* error
  }).pipe(
    // That Redis does not answer is told by those who ask it for something
    Effect.catchIf((error) => error.advice === undefined && refusals.current === undefined, () => Effect.void)
  )
})

/**
 * What scripts begin with that free memory, though they write some: Redis refuses a script's first write when its memory
 * is full, unless that is one that only frees. Those that follow are then allowed.
 */
export const freeing = `
call("DEL", root .. ":probe")
`

/**
 * Looks whether the store's own record is there, and tries a write where that is asked for.
 *
 * - Arguments: what to write, or nothing.
 * - Answers: 1 when the store is there, 0 when it was removed.
 */
const runProbe = script<number>(`${prelude}
if call("EXISTS", root .. ":meta") == 0 then return 0 end
if ARGV[1] ~= "" then call("SET", root .. ":probe", ARGV[1], "PX", 1000) end
return 1
`)

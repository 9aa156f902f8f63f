/**
 * How a task is written and read, on this side and in scripts, and the moves between the sorted sets that its states are.
 *
 * `task` holds what never changes: five parts, each but the last ended by a line feed, which JSON texts don't contain.
 *
 * ```text
 * seq;keyed;0;priority;1;0;0;0;dueAt
 * ["queue","type"]
 * createdAt;maxRetries;timeoutMs
 * ["type","key"], or nothing
 * payload
 * ```
 *
 * `state` holds the rest, small and separate, so that a megabyte of payload is not moved about with every change:
 *
 * ```text
 * <state><claim>;completedAt;seq;keyed;cancelRequested;priority;claims;settledClaim;failures;crashes;dueAt;startedAt
 * ["queue","type"]
 * "instance"
 * ```
 *
 * States are letters: W waiting, R running, C completed, F failed, X cancelled. A task that was never claimed and has not
 * finished has no state: the first part of its `task` is what its state will be after its first claim. A waiting task is
 * scheduled or pending according to the sorted set that it is in, so promotion writes no state. A completed task's
 * settled claim is its claim, whatever is written. A lease is the score in `running`.
 *
 * The fence is a comparison of texts: `R<claim>;;` is how the state of the attempt with that claim begins.
 */
import { brief } from "../../domain/Settlement.ts"
import {
  type ClaimedTask,
  historyOf,
  type NewTask,
  type TaskFailure,
  type TaskRecord
} from "../../domain/TaskRecord.ts"
import type { TaskState } from "../../domain/TaskState.ts"
import { block, lanes } from "./Order.ts"

/** A queue and a type as the scripts name them. */
export type Lane = string

/** Names remembered at most: clients choose those of queues, without end. */
const maxNames = 10_000

const known = new Map<string, Map<string, Lane>>()
let laneCount = 0

/** The lane of a queue and a type. */
export const laneOf = (queue: string, type: string): Lane => {
  const found = known.get(queue)?.get(type)
  if (found !== undefined) return found
  if (laneCount >= maxNames) {
    known.clear()
    laneCount = 0
  }
  const lane = JSON.stringify([queue, type])
  const types = known.get(queue)
  if (types === undefined) known.set(queue, new Map([[type, lane]]))
  else types.set(type, lane)
  laneCount++
  return lane
}

const names = new Map<Lane, readonly [queue: string, type: string]>()

/** The queue and type of a lane. */
export const namesOf = (lane: Lane): readonly [queue: string, type: string] => {
  let found = names.get(lane)
  if (found === undefined) {
    if (names.size >= maxNames) names.clear()
    names.set(lane, found = JSON.parse(lane) as [string, string])
  }
  return found
}

const elements = new WeakMap<ReadonlyArray<string>, string>()

/**
 * Names as one text that scripts search: `,"a","b",`. In JSON no quote follows a comma but that of an element, so what is
 * found between commas is one. The same array gives the same text.
 */
export const elementsOf = (names: ReadonlyArray<string>): string => {
  let text = elements.get(names)
  if (text === undefined) elements.set(names, text = `,${JSON.stringify(names).slice(1, -1)},`)
  return text
}

/** The field under which a key's owner is kept; empty without a key. */
export const keyFieldOf = ({ key, type }: NewTask): string => key === null ? "" : JSON.stringify([type, key])

/** What is written of a task besides what the script adds. */
export const restOf = (task: NewTask, keyField: string): string =>
  `${task.maxRetries};${task.timeoutMs ?? ""}\n${keyField}\n${task.payload}`

/** The five parts of a task's text. */
const partsOf = (text: string) => {
  const head = text.indexOf("\n")
  const lane = text.indexOf("\n", head + 1)
  const limits = text.indexOf("\n", lane + 1)
  const key = text.indexOf("\n", limits + 1)
  return {
    head: text.slice(0, head).split(";"),
    lane: text.slice(head + 1, lane),
    limits: text.slice(lane + 1, limits).split(";"),
    key: text.slice(limits + 1, key),
    payload: text.slice(key + 1)
  }
}

/** A claimed task. `earlier` is `failures;crashes;dueAt;claims` where it has been touched before. */
export const claimedTaskOf = (id: string, text: string, earlier: string, claim: number): ClaimedTask => {
  const { head, lane, limits, payload } = partsOf(text)
  const [queue, type] = namesOf(lane)
  const [failures, crashes, dueAt, attempt] = earlier === "" ? ["0", "0", head[8], "1"] : earlier.split(";")
  return {
    id,
    type,
    queue,
    payload,
    priority: Number(head[3]),
    maxRetries: Number(limits[1]),
    timeoutMs: numberOrNull(limits[2]),
    dueAt: Number(dueAt),
    failures: Number(failures),
    crashes: Number(crashes),
    attempt: Number(attempt),
    claim
  }
}

/** A task in nine texts: id, task, state, lease, whether it is scheduled, progress, result, failure, history. */
export type Shown = ReadonlyArray<string | null>

/** How many texts a task is shown in. */
export const shownSize = 9

/** The record of a task, from its nine texts at a position. */
export const recordOf = (texts: Shown, at: number): TaskRecord => {
  const { head, key, lane, limits, payload } = partsOf(texts[at + 1]!)
  const [queue, type] = namesOf(lane)
  const state = stateOf(texts[at + 2]!, head)
  const [claimOfProgress, progress] = texts[at + 5]?.split(";") ?? []
  return {
    id: texts[at]!,
    seq: Number(head[0]),
    type,
    queue,
    payload,
    priority: Number(head[3]),
    key: key === "" ? null : (JSON.parse(key) as [string, string])[1],
    maxRetries: Number(limits[1]),
    timeoutMs: numberOrNull(limits[2]),
    state: state.letter === "W" ? texts[at + 4] === "1" ? "scheduled" : "pending" : stateNames[state.letter]!,
    createdAt: Number(limits[0]),
    dueAt: state.dueAt,
    startedAt: state.startedAt,
    completedAt: state.completedAt,
    failures: state.failures,
    crashes: state.crashes,
    claims: state.claims,
    claim: state.claim,
    settledClaim: state.settledClaim,
    leaseUntil: numberOrNull(texts[at + 3]),
    instance: state.instance,
    cancelRequested: state.cancelRequested,
    progress: Number(claimOfProgress) === state.claim ? Number(progress) : null,
    result: texts[at + 6] ?? null,
    failure: failureOf(texts[at + 7]),
    history: historyOf(texts[at + 8]?.split("\n").map((line) => JSON.parse(line)) ?? [], state)
  }
}

/** A failure as it is written, followed on a line of its own by what the history will keep where that is less. */
export const textsOf = (failure: TaskFailure): string => {
  const kept = brief(failure)
  return kept === failure ? JSON.stringify(failure) : `${JSON.stringify(failure)}\n${JSON.stringify(kept)}`
}

/** A stored failure. */
export const failureOf = (text: string | null | undefined): TaskFailure | null => {
  if (typeof text !== "string") return null
  const end = text.indexOf("\n")
  return JSON.parse(end < 0 ? text : text.slice(0, end)) as TaskFailure
}

/** The states that letters stand for, but for a waiting task. */
export const stateNames: Readonly<Record<string, TaskState>> = {
  S: "scheduled",
  P: "pending",
  R: "running",
  C: "completed",
  F: "failed",
  X: "cancelled"
}

/** A state's text; without one, the task was never claimed and has not finished. */
const stateOf = (text: string, head: ReadonlyArray<string>) => {
  if (text === "") {
    return {
      letter: "W",
      claim: 0,
      completedAt: null,
      cancelRequested: false,
      claims: 0,
      settledClaim: 0,
      failures: 0,
      crashes: 0,
      dueAt: Number(head[8]),
      startedAt: null,
      instance: null
    }
  }
  const numbers = text.indexOf("\n")
  const lane = text.indexOf("\n", numbers + 1)
  const fields = text.slice(1, numbers).split(";")
  const instance = text.slice(lane + 1)
  const letter = text[0]!
  const claim = Number(fields[0])
  return {
    letter,
    claim,
    completedAt: numberOrNull(fields[1]),
    cancelRequested: fields[4] === "1",
    claims: Number(fields[6]),
    settledClaim: letter === "C" ? claim : Number(fields[7]),
    failures: Number(fields[8]),
    crashes: Number(fields[9]),
    dueAt: Number(fields[10]),
    startedAt: numberOrNull(fields[11]),
    instance: instance === "" ? null : JSON.parse(instance) as string
  }
}

const numberOrNull = (text: string | null | undefined): number | null =>
  text === undefined || text === null || text === "" ? null : Number(text)

const form = `^(.)${"([^;]*);".repeat(11)}([^\\n]*)\\n([^\\n]*)\\n(.*)$`

/** Reads a state. A script pays for each function that it has, called or not. */
export const state = `
local function parse(text)
  local e = {}
  e.letter, e.claim, e.completed, e.seq, e.keyed, e.cancel, e.priority, e.claims, e.settled, e.failures, e.crashes,
    e.due, e.started, e.lane, e.instance = string.match(text, "${form}")
  if e.letter == "C" then e.settled = e.claim end
  return e
end
`

/** What becomes of an attempt that ends: it waits again or has finished, and is remembered. For scripts with lanes. */
export const ending = `
local function write(id, e)
  call("HSET", root .. ":state", id, e.letter .. e.claim .. ";" .. e.completed .. ";" .. e.seq .. ";" .. e.keyed .. ";" ..
    e.cancel .. ";" .. e.priority .. ";" .. e.claims .. ";" .. e.settled .. ";" .. e.failures .. ";" .. e.crashes .. ";" ..
    e.due .. ";" .. e.started .. "\\n" .. e.lane .. "\\n" .. e.instance)
end

-- scheduled members carry what promotion needs: their priority and lane
local function appointment(e, id) return e.seq .. e.priority .. e.lane .. "\\n" .. id end

local function rankOf(e, headStart) return int(e.due - e.priority * headStart) end

-- files a waiting task: in its lane if it is due, else under its due time
local function wait(e, id, now, headStart)
  e.letter, e.completed = "W", ""
  if tonumber(e.due) > now then
    call("ZADD", root .. ":scheduled", e.due, appointment(e, id))
    call("ZADD", root .. ":list:S:" .. e.lane, 0, e.seq .. id)
  else
    call("ZADD", root .. ":lane:" .. e.lane, rankOf(e, headStart), e.seq .. id)
    call("ZADD", root .. ":list:P:" .. e.lane, 0, e.seq .. id)
    arrive(e.lane, rankOf(e, headStart), e.seq)
  end
end

local totals = { C = "completed", F = "failed", X = "cancelled" }

local function finish(e, id, letter, now)
  e.letter, e.completed = letter, int(now)
  call("ZADD", root .. ":finished:" .. letter .. e.keyed, e.completed, e.seq .. id)
  call("ZADD", root .. ":list:" .. letter .. ":" .. e.lane, 0, e.seq .. id)
  count("unfinished", -1, totals[letter], 1)
end

-- what follows the last line feed. A pattern without an anchor would look from every place, and take hours for a megabyte
local function lastLine(text) return string.match(text, "^.*\\n(.*)$") or text end

-- adds an attempt to the history, JSON objects each on a line, of which the latest 20 are kept. A failure with large
-- details has a second line, with what is kept here
local function remember(e, id, now, outcome, failure)
  local line = '{"claim":' .. e.claim .. ',"attempt":' .. e.claims .. ',"instance":' .. e.instance .. ',"startedAt":' .. e.started .. ',"endedAt":' ..
    int(now) .. ',"outcome":"' .. outcome .. '"' .. (failure and ',"failure":' .. lastLine(failure) or "") .. "}"
  local before = call("HGET", root .. ":history", id)
  if before then
    local _, lines = string.gsub(before, "\\n", "")
    if lines >= 19 then before = string.match(before, "\\n(.*)$") end
    line = before .. "\\n" .. line
  end
  call("HSET", root .. ":history", id, line)
end
`

/** All that there is to a task. */
export const entry = `${block}${lanes}${state}${ending}
-- where the task stands; nil for an unknown id
local function load(id)
  local text = call("HGET", root .. ":state", id)
  if text then return parse(text) end
  local task = call("HGET", root .. ":task", id)
  if not task then return nil end
  local head, lane = string.match(task, "^([^\\n]*)\\n([^\\n]*)")
  local e = parse("W0;;" .. head .. ";\\n" .. lane .. "\\n")
  e.claims = "0"
  return e
end

-- takes a waiting task out again
local function unwait(e, id, headStart)
  local ref = e.seq .. id
  if call("ZREM", root .. ":lane:" .. e.lane, ref) == 1 then
    call("ZREM", root .. ":list:P:" .. e.lane, ref)
    depart(e.lane)
  elseif call("ZREM", root .. ":scheduled", appointment(e, id)) == 1 then
    call("ZREM", root .. ":list:S:" .. e.lane, ref)
  else
    extract(e.lane, rankOf(e, headStart), e.seq)
    depart(e.lane)
  end
end
`

/**
 * How a task is written and read, on this side and in scripts, and how what was decided about it is applied.
 *
 * `task` holds what changes only while a task waits, and seldom: five parts, each but the last ended by a line feed, which JSON texts don't contain.
 *
 * ```text
 * seq;keyed;0;priority;1;0;0;0;dueAt, and where the task expires a plus sign and when; and where it should start within a time
 *   plus signs and when it expires or nothing, that time, and until when the first start is in time or nothing
 * ["queue","type"], and its gate as a third text
 * createdAt;maxRetries;timeoutMs, where it was enqueued in a span a comma and that, where it has tags a comma, that span or nothing, a
 *   comma and these as part of a URL, and where its gate has other costs than 1 these as a JSON array
 * ["type","key"], or nothing; and where the key has a window, a tab and how the task holds it
 * payload
 * ```
 *
 * `state` holds the rest, small and separate, so that a megabyte of payload is not moved about with every change:
 *
 * ```text
 * <state><claim>;completedAt;seq;keyed;cancelRequested;priority;claims;settledClaim;failures;crashes;dueAt;startedAt
 * ["queue","type"], and its gate as a third text
 * "instance"
 * ```
 *
 * dueAt may be followed by plus signs and other times, as above. After startedAt follows when it was created, if its line goes in the order of storing. A fourth line, `-`, says that a later
 * task has the key, so that this one can't be run again.
 *
 * States are letters: W waiting, R running, C completed, F failed, X cancelled, E expired. A task that was never claimed and has not
 * finished has no state: the first part of its `task` is what its state will be after its first claim. A waiting task is
 * scheduled or pending according to the sorted set that it is in, so promotion writes no state. A completed task's
 * settled claim is its claim, whatever is written. A lease is the score in `running`.
 */
import { Effect } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import type { OnFailure } from "../../domain/Dependencies.ts"
import { StoreError } from "../../domain/Errors.ts"
import type * as Settlement from "../../domain/Settlement.ts"
import { typeOf } from "../../domain/StoredType.ts"
import {
  type ClaimedTask,
  historyOf,
  type NewTask,
  type TaskFailure,
  type TaskRecord
} from "../../domain/TaskRecord.ts"
import type { TaskState } from "../../domain/TaskState.ts"
import { holdOf, superseded } from "../../domain/Uniqueness.ts"
import type { Aftermath } from "../Dependencies.ts"
import type { Decision } from "../Driver.ts"
import * as Failure from "./Failure.ts"
import { lanes, lineOf, namesOf } from "./Order.ts"
import { type Telling, told } from "./Outcome.ts"
import { prelude, rowsOf, type Runner, script } from "./Runner.ts"
import { freeing } from "./Server.ts"
import { changedSize, standing, writes } from "./Writes.ts"

/** Changes tasks of one deployment as `Settlement` decides. */
export type Tasks = ReturnType<typeof make>

/** Tasks that are read and written by one script at most. */
const maxAtOnce = 1024

/** How often tasks may have changed after they were read. An attempt can only be cancelled, ended and rescued. */
const maxRepeats = 10

/** The changes of one deployment. */
export const make = (runner: Runner, headStartMs: number, aftermath: Aftermath) => {
  const write = (
    operation: string,
    changed: ReadonlyArray<Changed>
  ): Effect.Effect<ReadonlyArray<string>, StoreError> =>
    changed.length === 0 ? Effect.succeed([]) : Effect.flatMap(
      Failure.packing(operation, () => [String(headStartMs), ...changed.flatMap(argumentsOf)]),
      (args) => Effect.map(runner(operation, runWrite, args), (answer) => told(aftermath, answer))
    )
  return {
    /** Writes those of the changes whose tasks are as they were read; answers the ids of the others. */
    write,

    /** Tasks by id, each once, and the clock. */
    read: Effect.fnUntraced(function*(
      operation: string,
      ids: ReadonlyArray<string>
    ): Effect.fn.Return<{ readonly now: number; readonly tasks: ReadonlyMap<string, Read> }, StoreError> {
      const tasks = new Map<string, Read>()
      let now = 0
      for (let start = 0; start < ids.length;) {
        const asked = ids.slice(start, start + maxAtOnce)
        const [at, amount, ...texts] = yield* runner(operation, runRead, [String(Bounds.maxAnswerBytes), ...asked])
        for (const [id, read] of rowsOf(texts, stoodSize).map(readOf)) tasks.set(id, read)
        now = Number(at)
        start += Number(amount)
      }
      return { now, tasks }
    }),

    /**
     * Decides about each id in turn, on what the ones before have made of its task, and applies the changes: one script reads
     * the tasks, another one writes those that are as they were read. Of the others nothing is written, and all that was asked
     * about them is decided again.
     */
    change: Effect.fnUntraced(function*<A>(
      operation: string,
      ids: ReadonlyArray<string>,
      unknown: A,
      decide: (task: Standing, now: number, place: number) => Decision<A>
    ): Effect.fn.Return<ReadonlyArray<A>, StoreError> {
      const answers = ids.map(() => unknown)
      let places = [...ids.keys()]
      for (let repeats = 0; places.length > 0;) {
        const asked = [...new Set(places.map((place) => ids[place]!))].slice(0, maxAtOnce)
        const [now, amount, ...texts] = yield* runner(operation, runRead, [String(Bounds.maxAnswerBytes), ...asked])
        const tasks = new Map(rowsOf(texts, stoodSize).map(readOf))
        for (const place of places) {
          const id = ids[place]!
          const read = tasks.get(id)
          const [answer, change, counts]: Decision<A> = read === undefined
            ? [unknown]
            : decide({ ...read.task, ...read.change }, Number(now), place)
          answers[place] = answer
          if (read !== undefined && change !== undefined) tasks.set(id, { ...read, change, counts })
        }
        const changed = [...tasks.values()].filter((read): read is Changed => read.change !== undefined)
        const lost = yield* write(operation, changed)
        if (lost.length > 0 && repeats++ === maxRepeats) {
          return yield* new StoreError({ operation, reason: `Redis: ${lost.length} tasks changed again and again` })
        }
        const done = new Set(asked.slice(0, Number(amount)))
        for (const id of lost) done.delete(id)
        places = places.filter((place) => !done.has(ids[place]!))
      }
      return answers
    })
  }
}

/** A task as it was read, with its state and lease as texts, and what was decided about it. */
export interface Read {
  readonly task: Standing
  readonly state: string
  readonly lease: string
  /** What its text has about its limits and its key, where it was read. */
  readonly about?: string
  readonly change?: Settlement.Change | undefined
  readonly counts?: Decision<unknown>[2]
  /** Whether it runs again as a member of a graph: the script says for how many it waits, and whether it may. */
  readonly isMember?: boolean
}

/** The same where it is changed. */
export interface Changed extends Read {
  readonly change: Settlement.Change
}

const readOf = (row: Stood): readonly [id: string, read: Read] => [
  row[0]!,
  { task: standingOf(row), state: row[1]!, lease: row[2]! }
]

/** A change as {@link writes} takes it. */
export const argumentsOf = (
  { about, change, counts, isMember = false, lease, state, task }: Changed
): ReadonlyArray<string> => [
  task.id,
  state,
  lease,
  isMember ? "B" : change.waitsFor > 0 ? "A" : letters[change.state],
  stateAfter(task, state, change),
  counts ?? "",
  // what decisions are made about has no result
  change.result !== task.result ? `=${change.result}` : task.state === "completed" ? "-" : "",
  change.failure === task.failure ? "" : change.failure === null ? "-" : `=${JSON.stringify(change.failure)}`,
  change.history === task.history ? "" : `=${change.history.map((attempt) => JSON.stringify(attempt)).join("\n")}`,
  change.revised === undefined ? "" : `${about}\n${revisionOf(task, change.revised)}`
]

const revisionOf = (
  { queue, type }: Standing,
  { costs, gate, hold, payload, priority }: Settlement.Revision
): string =>
  `${priority}\n${lineOf({ queue, type, gate })}\n${costs ?? ""}\n${hold ?? ""}\n${
    payload === null ? "" : `=${payload}`
  }`

/** The field under which a key's owner is kept; empty without a key. */
export const fieldOf = ({ key, type }: Pick<NewTask, "key" | "type">): string =>
  key === null ? "" : JSON.stringify([typeOf(type), key])

/** What is written of a task besides what the script adds. */
export const restOf = (task: NewTask): string => {
  const hold = holdOf(task.unique)
  return `${task.maxRetries};${task.timeoutMs ?? ""}${marksOf(task)}${task.costs === null ? "" : `;${task.costs}`}\n${
    fieldOf(task)
  }${hold === null ? "" : `\t${hold}`}\n${task.payload}`
}

/** Its trace and its tags, of which nearly all tasks have none. Tags may have any character, and those of a URL end no part. */
const marksOf = ({ tags, trace }: NewTask): string =>
  tags !== undefined ? `,${trace ?? ""},${encodeURIComponent(tags)}` : trace !== undefined ? `,${trace}` : ""

const firstParts = /^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n/

/** The five parts of a task's text. */
const partsOf = (text: string) => {
  const [all, head, lane, limits, key] = firstParts.exec(text) as unknown as [string, string, string, string, string]
  const [field, hold = null] = key.split("\t")
  return {
    head: head.split(";"),
    lane,
    limits: limits.split(";"),
    field: field!,
    hold,
    payload: text.slice(all.length)
  }
}

/** The lines of a task's text that are about its limits and its key. */
export const aboutOf = (text: string): string => {
  const [, , , limits, key] = firstParts.exec(text)!
  return `${limits}\n${key}`
}

/** A claimed task, with its state where it has been claimed before. */
export const claimedTaskOf = (id: string, text: string, state: string, claim: number): ClaimedTask => {
  const { head, lane, limits, payload } = partsOf(text)
  const [queue, type, gate = null] = namesOf(lane)
  // a task begins as its state goes on after the fence
  const [, , , priority, claims, , failures, crashes, times] = state === "" ? head : state.split(";").slice(2)
  const [due, , , startBy] = times!.split("+")
  return {
    id,
    type,
    queue,
    payload,
    priority: Number(priority),
    maxRetries: Number(limits[1]),
    ...timeoutOf(limits[2]!),
    gate,
    costs: limits[3] ?? null,
    dueAt: Number(due),
    startBy: numberOrNull(startBy),
    failures: Number(failures),
    crashes: Number(crashes),
    attempt: Number(claims),
    claim
  }
}

/** What a task's text has of its time limit and its trace. */
const timeoutOf = (text: string): Pick<TaskRecord, "timeoutMs" | "trace"> => {
  const [timeoutMs, trace = ""] = text.split(",", 2)
  return { timeoutMs: numberOrNull(timeoutMs), trace: trace === "" ? null : trace }
}

/** The tags in the same part. */
const tagsOf = (text: string): string | null => {
  const tags = text.split(",", 3)[2]
  return tags === undefined ? null : decodeURIComponent(tags)
}

/** When a task is due, when it expires, and when it should start. */
const timesOf = (text: string): Pick<TaskRecord, "dueAt" | "expiresAt" | "startWithinMs" | "startBy"> => {
  const [dueAt, expiresAt, startWithin, startBy] = text.split("+")
  return {
    dueAt: Number(dueAt),
    expiresAt: numberOrNull(expiresAt),
    startWithinMs: numberOrNull(startWithin),
    startBy: numberOrNull(startBy)
  }
}

const textOfTimes = (
  { dueAt, expiresAt, startBy }: Pick<TaskRecord, "dueAt" | "expiresAt" | "startBy">,
  startWithinMs: number | null
): string =>
  startWithinMs !== null
    ? `${dueAt}+${expiresAt ?? ""}+${startWithinMs}+${startBy ?? ""}`
    : expiresAt === null
    ? String(dueAt)
    : `${dueAt}+${expiresAt}`

/**
 * Where a task stands in seven texts: id, state, lease, whether it is scheduled, failure, history, and of one that depends on others what
 * becomes of it when these fail and for how many it waits. The state of one that was
 * never claimed and has not finished is that which it would have after a claim with the number 0.
 */
type Stood = ReadonlyArray<string | null>

/** How many texts {@link Stood} has. */
const stoodSize = 7

/** What decisions are made about. Those that store a result have none before, so it is not read. */
export type Standing =
  & Settlement.Current
  & Pick<TaskRecord, "id" | "seq" | "queue" | "type" | "gate" | "priority" | "leaseUntil" | "hold">

const standingOf = ([id, text, lease, isScheduled, failure, history, depends]: Stood): Standing => {
  const [numbers, lane, instance, mark] = text!.split("\n")
  const letter = numbers![0]!
  const fields = numbers!.slice(1).split(";")
  const [claim, completed, seq, , cancel, priority, claims, settled, failures, crashes, due, started] = fields
  const [queue, type, gate = null] = namesOf(lane!)
  const counts = { claim: Number(claim), claims: Number(claims) }
  const waitsFor = typeof depends === "string" ? Number(depends.slice(1)) : 0
  return {
    ...counts,
    id: id!,
    seq: Number(seq),
    queue,
    type,
    gate,
    priority: Number(priority),
    // how it holds its key is read with its payload, unless it has lost it
    hold: mark === undefined ? null : superseded,
    state: letter === "W" ? isScheduled === "1" || waitsFor > 0 ? "scheduled" : "pending" : stateNames[letter]!,
    ...timesOf(due!),
    startedAt: numberOrNull(started),
    completedAt: numberOrNull(completed),
    failures: Number(failures),
    crashes: Number(crashes),
    settledClaim: letter === "C" ? counts.claim : Number(settled),
    leaseUntil: numberOrNull(lease),
    instance: instance === "" ? null : JSON.parse(instance!) as string,
    cancelRequested: cancel === "1",
    result: null,
    failure: failureOf(failure),
    history: historyOf(history?.split("\n").map((line) => JSON.parse(line)) ?? [], counts),
    onFailure: typeof depends === "string" ? policies[depends[0]!]! : null,
    waitsFor
  }
}

const policies: Readonly<Record<string, OnFailure>> = { f: "fail", c: "cancel", r: "run" }

/** A state after a change. */
const stateAfter = (task: Standing, state: string, change: Settlement.Change): string => {
  const end = state.indexOf("\n")
  const fields = state.slice(1, end).split(";")
  fields[1] = String(change.completedAt ?? "")
  fields[4] = change.cancelRequested ? "1" : "0"
  if (change.revised !== undefined) fields[5] = String(change.revised.priority)
  fields[7] = String(change.settledClaim)
  fields[8] = String(change.failures)
  fields[9] = String(change.crashes)
  fields[10] = textOfTimes(change, change.revised === undefined ? task.startWithinMs : change.revised.startWithinMs)
  return `${letters[change.state].replace(/[SP]/, "W")}${fields.join(";")}${state.slice(end)}`
}

/** A task in ten texts: those of {@link Stood}, then task, progress, result. */
export type Shown = ReadonlyArray<string | null>

/** How many texts a task is shown in. */
export const shownSize = 10

/** The record of a task, from its ten texts. */
export const recordOf = (texts: Shown): TaskRecord => {
  const standing = standingOf(texts)
  const [text, reported, result] = texts.slice(stoodSize)
  const { field, hold, limits, payload } = partsOf(text!)
  const [claimOfProgress, progress] = reported?.split(";") ?? []
  return {
    ...standing,
    costs: limits[3] ?? null,
    payload,
    key: field === "" ? null : (JSON.parse(field) as [string, string])[1],
    hold: standing.hold ?? hold,
    maxRetries: Number(limits[1]),
    ...timeoutOf(limits[2]!),
    tags: tagsOf(limits[2]!),
    createdAt: Number(limits[0]),
    progress: Number(claimOfProgress) === standing.claim ? Number(progress) : null,
    result: result ?? null
  }
}

/** A stored failure. An older version wrote a second line after it. */
export const failureOf = (text: string | null | undefined): TaskFailure | null =>
  typeof text === "string" ? JSON.parse(text.split("\n", 1)[0]!) as TaskFailure : null

/** The states that letters stand for, but for a waiting task. */
export const stateNames: Readonly<Record<string, TaskState>> = {
  S: "scheduled",
  P: "pending",
  R: "running",
  C: "completed",
  F: "failed",
  X: "cancelled",
  E: "expired"
}

/** The letters of states. */
export const letters = Object.fromEntries(
  Object.entries(stateNames).map(([letter, state]) => [state, letter])
) as Record<TaskState, string>

const numberOrNull = (text: string | null | undefined): number | null =>
  text === undefined || text === null || text === "" ? null : Number(text)

/**
 * Reads what decisions need. Payloads and results are not read: a batch of large ones would not fit into memory.
 *
 * - Arguments: how many bytes of failures and histories, then ids.
 * - Answers: the clock, about how many ids this is: the first ones that fit, one at least. Then seven texts of each task.
 */
const runRead = script<readonly [now: string, amount: number, ...texts: Stood]>(`${prelude}${lanes}${standing}
local answers, left = { int(clock()), 0 }, tonumber(ARGV[1])
for index = 2, #ARGV do
  left = left - (stand(answers, ARGV[index]) or 0)
  answers[2] = index - 1
  if left < 0 then break end
end
return answers
`)

/**
 * - Arguments: head start, then the tasks.
 * - Answers: the ids of those that are not as they were read, of which nothing was written, and what has come of the others.
 */
const runWrite = script<Telling<string>>(`${prelude}${freeing}${writes}
local lost = {}
headStart = ARGV[1]
for at = 2, #ARGV, ${changedSize} do
  local e, id = asRead(ARGV, at), ARGV[at]
  -- what is run again with another one, which has changed, is decided again with it
  local isEarly = e and lost[1] and totals[e.letter] and connected and connected().follows(id, lost)
  if not e or isEarly or change(ARGV, at, e) == false then lost[#lost + 1] = id end
end
lost[#lost + 1] = conclude()
return lost
`)

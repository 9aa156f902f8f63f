/**
 * The reasons that the gate of a task gives: its type or a key of it is paused, or a limit does not let it start. Each pass is decided
 * as a claim decides it.
 */
import { DateTime, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Breaker from "../domain/Breaker.ts"
import type { StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as LimitRule from "../domain/LimitRule.ts"
import { shortened } from "../domain/Quoting.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import type { TaskState } from "../domain/TaskState.ts"
import * as BreakerRecords from "../store/BreakerRecords.ts"
import { limitFor, type PassState } from "../store/Gates.ts"
import * as LimitRecords from "../store/LimitRecords.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import type { Paused } from "../store/PausedRecords.ts"
import { type RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** Who paused something, why, and until when. */
export interface PauseFacts {
  readonly text: string
  readonly by: string | null
  readonly reason: string | null
  readonly since: DateTime.Utc
  readonly until: DateTime.Utc | null
}

/** Which key of which limit. A limit without keys has the key `""`. */
export interface OfKey {
  readonly text: string
  readonly limit: string
  readonly key: string
}

/** The failure of a dependency that was counted last. */
export interface LastFailure {
  readonly tag: string
  /** Cut, and without secrets of URLs. */
  readonly message: string
  /** The task that failed. */
  readonly task: string
  readonly at: DateTime.Utc
}

/** A reason that the gate of a task gives. */
export type GateReason =
  | PauseFacts & { readonly code: "type_paused"; readonly type: string }
  | PauseFacts & OfKey & { readonly code: "key_paused" }
  | OfKey & {
    readonly code: "limit_full"
    readonly max: number
    readonly running: number
    /** The ids of tasks that run with the key, the longest first: 10 at most. */
    readonly holders: ReadonlyArray<string>
  }
  | {
    readonly code: "breaker_open"
    readonly text: string
    readonly breaker: string
    /** Empty where the breaker has no keys. */
    readonly key: string
    /** Since when no task starts as it likes. */
    readonly since: DateTime.Utc | null
    /** When a task may try; `null` while one does. */
    readonly until: DateTime.Utc | null
    /** The task that tries. */
    readonly tries: string | null
    readonly lastFailure: LastFailure | null
    /** Who opened it by hand, and why. */
    readonly by: string | null
    readonly reason: string | null
  }
  | OfKey & {
    readonly code: "rate_spent"
    /** When it has the tokens, if no one takes them before. */
    readonly until: DateTime.Utc
  }
  | OfKey & { readonly code: "key_blocked"; readonly holder: { readonly id: string; readonly state: TaskState } }

/** What is said of a pause. */
export const pauseFacts = (
  what: string,
  { by, reason, since, until }: Omit<Paused, "id">,
  now: number
): PauseFacts => {
  const end = until === null
    ? "until someone resumes it"
    : until > now
    ? `until ${timeText(until)}`
    : `until an instance resumes it: its time ended at ${timeText(until)}`
  const who = by === null ? "" : ` by ${by}`
  return {
    text: `${what} is paused${who} ${end}${reason === null ? "." : `: ${sentence(reason)}`}`,
    by,
    reason,
    since: utc(since),
    until: utcOrNull(until)
  }
}

/** A time in a sentence. */
export const timeText = (millis: number): string => DateTime.formatIso(utc(millis))

/** What others wrote, as the end of a sentence. */
export const sentence = (text: string): string => `${shortened(text, Bounds.maxReasonLength).replace(/[\s.]+$/, "")}.`

/** All reasons that the gate of a task gives now. Only one that is due is kept back by its limits. */
export const gateReasons = Effect.fnUntraced(function*(
  store: TaskStore["Service"],
  task: TaskRecord,
  now: number
): Effect.fn.Return<ReadonlyArray<GateReason>, StoreError, RecordStore> {
  const reasons: Array<GateReason> = []
  const typePause = yield* PausedQueues.types.pauseOf(task.type)
  if (typePause !== null) {
    const facts = pauseFacts(`Its type ${JSON.stringify(task.type)}`, typePause, now)
    reasons.push({ code: "type_paused", type: task.type, ...facts })
  }
  const passes = Gate.passesOf(task.gate)
  if (passes.length === 0) return reasons
  const pauses = new Map<Gate.Pass, Paused>()
  for (const pass of passes) {
    const pause = yield* PausedQueues.keys.pauseOf(pass)
    if (pause !== null) pauses.set(pass, pause)
  }
  const ids = [...new Set(passes.flatMap((pass) => [pass, Gate.limitOf(pass)]))]
  const limits = new Map(
    (yield* LimitRecords.get(ids)).flatMap((one) => one === undefined ? [] : [[one.id, one.limit]])
  )
  const states = new Map((yield* store.passes(passes)).map((state) => [state.pass, state]))
  const known: Gate.Passes = {
    isPaused: (pass) => pauses.has(pass),
    limitOf: (pass) => limitFor(pass, (id) => limits.get(id)),
    running: (pass) => states.get(pass)?.running ?? 0,
    bucketOf: (pass) => states.get(pass)?.bucket ?? undefined,
    holderOf: (pass) => states.get(pass)?.holder ?? undefined
  }
  const ofBreakers = Breaker.passesOf(task.gate)
  const breakers = new Map(
    (ofBreakers.length === 0 ? [] : yield* BreakerRecords.statesOf(ofBreakers)).map(({ pass, state }) => [pass, state])
  )
  const costs = Gate.costsOf(task)
  // a pending task stays due although the clock was set back
  const isDue = task.state === "pending" || task.dueAt <= now
  passes.forEach((pass, index) => {
    const refusal = Gate.refusal(task.id, [pass], [costs[index] ?? 1], known, now)
    if (refusal === undefined || (!isDue && refusal.code !== "key_paused")) return
    reasons.push(
      refusal.code === "breaker_open"
        ? breakerReason(refusal, breakers.get(pass) ?? Breaker.closed, states.get(pass))
        : reasonOf(refusal, states.get(pass), pauses.get(pass), now)
    )
  })
  return reasons
})

const breakerReason = (
  { pass, until }: Extract<Gate.Refusal, { readonly code: "breaker_open" }>,
  { by, last, reason, since }: Breaker.State,
  state: PassState | undefined
): GateReason => {
  const breaker = Breaker.nameOf(pass)
  const key = Gate.keyOf(pass)
  const tries = until === null ? state?.holders[0] ?? null : null
  const what = `The breaker ${JSON.stringify(breaker)}${key === "" ? "" : ` of the key ${JSON.stringify(key)}`}`
  const opened = since === null ? "" : ` since ${timeText(since)}`
  const next = until === null
    ? `the task ${tries ?? "that runs"} tries it now, and closes it if it succeeds`
    : `one task tries it at ${timeText(until)}`
  const who = by === null ? "" : ` ${by} opened it${reason === null ? "." : `: ${sentence(reason)}`}`
  const why = by === null && last !== null ? ` The last failure was ${last.tag}: ${sentence(last.message)}` : ""
  return {
    code: "breaker_open",
    text: `${what} is open${opened}: ${next}.${who}${why}`,
    breaker,
    key,
    since: utcOrNull(since),
    until: utcOrNull(until),
    tries,
    lastFailure: last && { tag: last.tag, message: last.message, task: last.task, at: utc(last.at) },
    by,
    reason
  }
}

const reasonOf = (
  refusal: Exclude<Gate.Refusal, { readonly code: "breaker_open" }>,
  state: PassState | undefined,
  pause: Paused | undefined,
  now: number
): GateReason => {
  const limit = LimitRule.shownName(Gate.limitOf(refusal.pass))
  const key = Gate.keyOf(refusal.pass)
  const name = `The limit ${JSON.stringify(limit)}`
  const ofKey = key === "" ? name : `${name} of the key ${JSON.stringify(key)}`
  switch (refusal.code) {
    case "key_paused": {
      const what = key === "" ? name : `The key ${JSON.stringify(key)} of the limit ${JSON.stringify(limit)}`
      return { code: refusal.code, limit, key, ...pauseFacts(what, pause!, now) }
    }
    case "limit_full": {
      const { max } = refusal
      const { holders = [], running = 0 } = state ?? {}
      const shown = holders.slice(0, maxShown).join(", ")
      const by = shown === "" ? "" : `, held by ${shown}${running > maxShown ? " and others" : ""}`
      return {
        code: refusal.code,
        limit,
        key,
        max,
        running,
        holders,
        text: `${ofKey} is full: ${running} of ${max} run${by}.`
      }
    }
    case "rate_spent": {
      const { until } = refusal
      return { code: refusal.code, limit, key, until: utc(until), text: `${ofKey} is spent until ${timeText(until)}.` }
    }
    case "key_blocked": {
      const { id, state } = refusal.holder
      const holder = { id, state }
      const what = key === "" ? "The order" : `The key ${JSON.stringify(key)}`
      const why = state === "failed"
        ? `, which failed: run it again, remove it, or release the key of ${JSON.stringify(limit)}`
        : `, which is ${state}`
      return { code: refusal.code, limit, key, holder, text: `${what} is blocked by the task ${id}${why}.` }
    }
  }
}

/** Holders that a sentence names. */
const maxShown = 3

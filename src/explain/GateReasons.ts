/**
 * The reasons that the gate of a task gives: its type or a key of it is paused, or a limit does not let it start. Each pass is decided
 * as a claim decides it.
 */
import { DateTime, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as LimitRule from "../domain/LimitRule.ts"
import { shortened } from "../domain/Quoting.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import type { TaskState } from "../domain/TaskState.ts"
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
  const costs = Gate.costsOf(task)
  const isDue = task.dueAt <= now
  passes.forEach((pass, index) => {
    const refusal = Gate.refusal(task.id, [pass], [costs[index] ?? 1], known, now)
    if (refusal === undefined || (!isDue && refusal.code !== "key_paused")) return
    reasons.push(reasonOf(refusal, states.get(pass), pauses.get(pass), now))
  })
  return reasons
})

const reasonOf = (
  refusal: Gate.Refusal,
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

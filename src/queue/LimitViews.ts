/** Limits as programs ask for them and read them: what each is, who set it, and how its keys stand. */
import { type DateTime, Duration } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as LimitRule from "../domain/LimitRule.ts"
import { utc } from "../domain/StoredTime.ts"
import type { TaskState } from "../domain/TaskState.ts"
import type { PassState } from "../store/Gates.ts"
import type { StoredLimit } from "../store/LimitRecords.ts"
import type { Pause } from "./Pauses.ts"

/**
 * What a limit is.
 *
 * - `concurrency`: so many tasks of a key run at the same time
 * - `rate`: a key gets `max` tokens `per` a time, evenly, and holds `burst` at most
 * - `order`: tasks of a key go in the order in which they were enqueued, one at a time
 * - `fair`: keys take turns of `weight` tasks
 * - `lifted`: no limit
 */
export type LimitSetting =
  | { readonly kind: "concurrency"; readonly max: number }
  | { readonly kind: "rate"; readonly max: number; readonly per: Duration.Duration; readonly burst: number }
  | { readonly kind: "order"; readonly onFailure: "block" | "continue" }
  | { readonly kind: "fair"; readonly weight: number }
  | { readonly kind: "lifted" }

/** The kinds of {@link LimitSetting}. */
export type LimitKind = LimitSetting["kind"]

/** A limit, or that of a single key, and who set it. */
export interface LimitView {
  readonly name: string
  /** The key that it holds for; `null` where it holds for each. */
  readonly key: string | null
  readonly setting: LimitSetting
  /** `operator` until it is reset. */
  readonly setBy: "definition" | "operator"
  readonly by: string | null
  readonly reason: string | null
  /** What the definition says; `null` where none says anything about it. */
  readonly definition: LimitSetting | null
  /** By the store's clock. */
  readonly changedAt: DateTime.Utc
}

/** A page of limits, by name; those of single keys are behind that of the name. */
export interface LimitPage {
  readonly limits: ReadonlyArray<LimitView>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
}

/** How a key stands. */
export interface LimitKey {
  readonly key: string
  /** What holds for it. */
  readonly setting: LimitSetting
  /** Whether it is one of its own. */
  readonly isOwn: boolean
  /** Tasks that run with it. */
  readonly running: number
  /** The ids of some of them, the longest first. */
  readonly holders: ReadonlyArray<string>
  /** Tokens that it has now; `null` where it is no rate. Below 0 after a task that cost more than there was. */
  readonly tokens: number | null
  /** The task of an order that keeps the others from starting. */
  readonly blockedBy: { readonly id: string; readonly state: TaskState } | null
  readonly pause: Pause | null
}

/** A limit, and how some of its keys stand. */
export interface LimitDetail extends LimitView {
  readonly key: null
  /** Whether it has keys. One without has the key `""`. */
  readonly isKeyed: boolean
  /** Those that were asked for; else those that have limits of their own, are paused, or are blocked: 100 at most. */
  readonly keys: ReadonlyArray<LimitKey>
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** Which limit, and who changes it. */
export interface LimitOptions {
  /** Only for this key. */
  readonly key?: string | undefined
  /** Who changes it. Over HTTP, the name of a key takes its place. */
  readonly by?: string | undefined
  /** At most {@link Bounds.maxReasonLength} characters. */
  readonly reason?: string | undefined
}

/** How a limit is changed. What is left out stays; only what belongs to its kind may be said. */
export interface LimitChange extends LimitOptions {
  /** Of a limit of concurrency, or of a rate. Where a `burst` was the same as `max`, it stays the same. */
  readonly max?: number | undefined
  /** Of a rate. */
  readonly per?: Duration.Input | undefined
  /** Of a rate. */
  readonly burst?: number | undefined
  /** Of an order. */
  readonly onFailure?: "block" | "continue" | undefined
  /** Of fairness. */
  readonly weight?: number | undefined
}

const optionBounds: { readonly [Name in keyof LimitOptions]-?: Bounds.Bound<any> } = {
  key: LimitRule.key,
  by: Bounds.name,
  reason: Bounds.reason
}

const onFailure: Bounds.Bound<string> = {
  expected: "\"block\" or \"continue\"",
  accepts: (word) => word === "block" || word === "continue"
}

const changeBounds: { readonly [Name in keyof LimitChange]-?: Bounds.Bound<any> } = {
  ...optionBounds,
  max: LimitRule.tokens,
  per: LimitRule.time,
  burst: LimitRule.tokens,
  onFailure,
  weight: LimitRule.weight
}

const boundsOf = {
  concurrency: { ...optionBounds, max: LimitRule.concurrency },
  rate: { ...optionBounds, max: LimitRule.tokens, per: LimitRule.time, burst: LimitRule.tokens },
  order: { ...optionBounds, onFailure },
  fair: { ...optionBounds, weight: LimitRule.weight }
}

const refuseEach = (given: object, bounds: Readonly<Record<string, Bounds.Bound<any>>>): InvalidOption | undefined => {
  for (const [name, bound] of Object.entries(bounds)) {
    const invalid = Bounds.refuse(name, bound, (given as Readonly<Record<string, unknown>>)[name])
    if (invalid !== undefined) return invalid
  }
  return undefined
}

/** Why options of a limit are refused, if they are. */
export const refuseOptions = (options: LimitOptions): InvalidOption | undefined =>
  Bounds.refuseUnknown(options, optionBounds) ?? refuseEach(options, optionBounds)

/** Why a change is refused before it is known what it changes, if it is. */
export const refuseChange = (change: LimitChange): InvalidOption | undefined =>
  Bounds.refuseUnknown(change ?? null, changeBounds) ?? refuseEach(change, optionBounds)

/** A limit as it is after a change, or why the change is refused. */
export const changed = (limit: Gate.Limit, change: LimitChange): Gate.Limit | InvalidOption => {
  const kind = kindOf(limit)
  if (kind === "lifted") {
    return new InvalidOption({ option: "name", found: "a limit that is lifted", expected: "one that is not", index: 0 })
  }
  const bounds = boundsOf[kind]
  const settings = Object.keys(bounds).filter((name) => !Object.hasOwn(optionBounds, name))
  for (const name of Object.keys(changeBounds)) {
    if (Object.hasOwn(bounds, name) || change[name as keyof LimitChange] === undefined) continue
    const expected = `${settings.join(", ")}: the limit is one of kind ${kind}`
    return new InvalidOption({ option: name, found: "given", expected, index: 0 })
  }
  const invalid = refuseEach(change, bounds)
  if (invalid !== undefined) return invalid
  if (settings.every((name) => change[name as keyof LimitChange] === undefined)) {
    const option = settings[0]!
    const { expected } = (bounds as Readonly<Record<string, Bounds.Bound<never>>>)[option]!
    return new InvalidOption({ option, found: "missing", expected, index: 0 })
  }
  if ("order" in limit) return { order: change.onFailure! }
  if ("fair" in limit) return { fair: change.weight! }
  if ("tokens" in limit) {
    const tokens = change.max ?? limit.tokens
    return {
      tokens,
      perMs: change.per === undefined ? limit.perMs : Duration.toMillis(change.per),
      burst: change.burst ?? (limit.burst === limit.tokens ? tokens : limit.burst)
    }
  }
  return { max: change.max! }
}

const kindOf = (limit: Gate.Limit): LimitKind =>
  "order" in limit
    ? "order"
    : "fair" in limit
    ? "fair"
    : "tokens" in limit
    ? "rate"
    : "max" in limit
    ? "concurrency"
    : "lifted"

/** What a stored limit is. */
const settingOf = (limit: Gate.Limit): LimitSetting =>
  "order" in limit
    ? { kind: "order", onFailure: limit.order }
    : "fair" in limit
    ? { kind: "fair", weight: limit.fair }
    : "tokens" in limit
    ? { kind: "rate", max: limit.tokens, per: Duration.millis(limit.perMs), burst: limit.burst }
    : "max" in limit
    ? { kind: "concurrency", max: limit.max }
    : { kind: "lifted" }

/** A stored limit, read. */
export const viewOf = ({ by, changedAt, definition, from, id, limit, reason }: StoredLimit): LimitView => {
  const isOfKey = id.includes("=")
  return {
    name: LimitRule.shownName(isOfKey ? Gate.limitOf(id) : id),
    key: isOfKey ? Gate.keyOf(id) : null,
    setting: settingOf(limit),
    setBy: from,
    by,
    reason,
    definition: definition && settingOf(definition),
    changedAt: utc(changedAt)
  }
}

/** How a key stands now. */
export const keyOf = (
  { bucket, holder, holders, pass, running }: PassState,
  named: Gate.Limit,
  own: Gate.Limit | undefined,
  pause: Pause | null,
  now: number
): LimitKey => {
  const limit = own ?? named
  return {
    key: Gate.keyOf(pass),
    setting: settingOf(limit),
    isOwn: own !== undefined,
    running,
    holders,
    tokens: "tokens" in limit ? Gate.levelAt(bucket ?? undefined, limit, now) : null,
    blockedBy: "order" in limit && Gate.isHeld(holder ?? undefined, limit) ? holder : null,
    pause
  }
}

/**
 * What a definition or an enqueue says about tasks with the same key: how long one keeps others away, and what becomes of these.
 */
import { Duration } from "effect"
import * as Bounds from "./Bounds.ts"
import * as DurationText from "./DurationText.ts"
import { InvalidOption } from "./Errors.ts"
import type { OnConflict, Unique } from "./Uniqueness.ts"

/**
 * How long a task keeps others with its key away:
 *
 * - `waiting`: until it is started for the first time
 * - `unfinished`: until it has ended, through its retries
 * - `kept`: as long as it is stored
 * - a duration: so long from its creation by the store's clock, whatever becomes of it, and no longer than it is stored
 */
export type Window = "waiting" | "unfinished" | "kept" | Duration.Input

/** How a waiting task is postponed by others with its key. */
export interface PostponeOptions {
  /** How far from the latest one it is due. */
  readonly by: Duration.Input
  /** How far from its creation at most, which is no less than `by`. Default: no end, as long as others come. */
  readonly maxDelay?: Duration.Input | undefined
}

/** What may be said besides the key. */
export interface UniqueSettings {
  /** Default `unfinished`; `waiting` with `postpone`. */
  readonly window?: Window | undefined
  /**
   * What becomes of a task whose key another one holds. `return`, the default: the other one is the answer. `refuse`: a
   * `KeyConflict`. `replace`: the other one gets the new payload, if it waits; else a `KeyConflict`. `postpone`, the default with
   * `postpone`: that, and it is due later.
   */
  readonly onConflict?: OnConflict | undefined
  /** With `onConflict: "postpone"`. The first task is due that late too. */
  readonly postpone?: PostponeOptions | undefined
}

/** How tasks of a type are unique, by a key that is made of their payload. */
export interface UniqueOptions<in Payload> extends UniqueSettings {
  readonly key: (payload: Payload) => string
}

/** How one task is unique. */
export interface UniqueOption extends UniqueSettings {
  readonly key: string
}

const windows: ReadonlyArray<unknown> = ["waiting", "unfinished", "kept"] satisfies ReadonlyArray<Window>
const conflicts: ReadonlyArray<unknown> = ["return", "refuse", "replace", "postpone"] satisfies ReadonlyArray<
  OnConflict
>

/** How long a task keeps others away. */
const window: Bounds.Bound<Window> = {
  expected: `"waiting", "unfinished", "kept", or ${Bounds.timeout.expected}`,
  accepts: (window) => windows.includes(window) || Bounds.timeout.accepts(window as Duration.Input)
}

/** What becomes of others. */
const onConflict: Bounds.Bound<OnConflict> = {
  expected: "\"return\", \"refuse\", \"replace\" or \"postpone\"",
  accepts: (word) => conflicts.includes(word)
}

const aFunction: Bounds.Bound<unknown> = {
  expected: "a function of the payload",
  accepts: (key) => typeof key === "function"
}

const names: Bounds.Names<UniqueOption> = { key: 1, window: 1, onConflict: 1, postpone: 1 }
const postponeNames: Bounds.Names<PostponeOptions> = { by: 1, maxDelay: 1 }

const refuseSettings = (given: UniqueSettings, index: number): InvalidOption | undefined => {
  const { postpone } = given
  const isPostponing = (given.onConflict ?? (postpone === undefined ? "return" : "postpone")) === "postpone"
  return Bounds.refuseUnknown(given, names, "unique.", index) ??
    Bounds.refuse("unique.window", window, given.window, index) ??
    Bounds.refuse("unique.onConflict", onConflict, given.onConflict, index) ??
    Bounds.refuseUnknown(postpone, postponeNames, "unique.postpone.", index) ??
    (postpone === undefined
      ? undefined
      : Bounds.refuse("unique.postpone.by", Bounds.timeout, postpone.by ?? NaN, index)) ??
    Bounds.refuse("unique.postpone.maxDelay", Bounds.timeout, postpone?.maxDelay, index) ??
    refuseDelays(postpone, index) ??
    (isPostponing === (postpone !== undefined) ? undefined : new InvalidOption({
      option: "unique.postpone",
      found: postpone === undefined ? "left out" : `given with onConflict ${given.onConflict}`,
      expected: isPostponing ? "how far a task is postponed, with onConflict postpone" : "onConflict postpone with it",
      index
    }))
}

/** The first task is due `by` after its creation, which is not to be too late. */
const refuseDelays = (postpone: PostponeOptions | undefined, index: number): InvalidOption | undefined => {
  if (postpone?.maxDelay === undefined || millisOf(postpone.by) <= millisOf(postpone.maxDelay)) return undefined
  const [by, found] = [postpone.by, postpone.maxDelay].map((input) =>
    DurationText.format(Duration.fromInputUnsafe(input))
  )
  const expected = `no less than by, ${by}`
  return new InvalidOption({ option: "unique.postpone.maxDelay", found: found!, expected, index })
}

/** Throws where a definition says what cannot be. */
export const demand = (options: UniqueOptions<never> | undefined, hasIdempotencyKey: boolean): void => {
  if (options === undefined) return
  const invalid = Bounds.refuseUnknown(options, names, "unique.") ??
    Bounds.refuse("unique.key", aFunction, options.key ?? null) ?? refuseSettings(options, 0) ??
    (hasIdempotencyKey
      ? new InvalidOption({ option: "unique", found: "given with idempotencyKey", expected: "one of both", index: 0 })
      : undefined)
  if (invalid !== undefined) throw invalid
}

/** Why an option of an enqueue is refused, if it is. */
export const refuse = (option: UniqueOption, index: number): InvalidOption | undefined =>
  Bounds.refuse("unique.key", Bounds.key, option.key ?? "", index) ?? refuseSettings(option, index)

/** How a task is unique, as stores take it. */
export const uniqueOf = ({ onConflict, postpone, window }: UniqueSettings): Unique => ({
  window: window === undefined
    ? postpone === undefined ? "unfinished" : "waiting"
    : window === "waiting" || window === "unfinished" || window === "kept"
    ? window
    : millisOf(window),
  onConflict: onConflict ?? (postpone === undefined ? "return" : "postpone"),
  byMs: postpone === undefined ? 0 : millisOf(postpone.by),
  maxMs: postpone?.maxDelay === undefined ? null : millisOf(postpone.maxDelay)
})

const millisOf = (input: Duration.Input): number => Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(input)))

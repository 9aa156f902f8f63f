/**
 * Tasks of a type that are unique by a key, for a while: two common kinds of it.
 *
 * @example
 * ```ts
 * const Reindex = Task.make("reindex", {
 *   payload: { document: Schema.String },
 *   unique: ({ debounce }) =>
 *     debounce({ key: ({ document }) => document, by: "5 seconds", maxDelay: "1 minute" })
 * })
 * ```
 */
import type { Duration } from "effect"
import * as Bounds from "./domain/Bounds.ts"
import type { UniqueOptions } from "./domain/UniqueRule.ts"

/** How tasks are put off until no more of them come. */
export interface DebounceOptions<in Payload> {
  readonly key: (payload: Payload) => string
  /** How far from the latest one the task is due. */
  readonly by: Duration.Input
  /** How far from the first one at most. Default: no end, as long as others come. */
  readonly maxDelay?: Duration.Input | undefined
}

/** How tasks are thinned out. */
export interface ThrottleOptions<in Payload> {
  readonly key: (payload: Payload) => string
  /** How long the first one keeps others away. */
  readonly per: Duration.Input
  /** What becomes of the others: `return`, the default, answers with the first one, `refuse` is a `KeyConflict`. */
  readonly onConflict?: "return" | "refuse" | undefined
}

const debounceNames: Bounds.Names<DebounceOptions<never>> = { key: 1, by: 1, maxDelay: 1 }
const throttleNames: Bounds.Names<ThrottleOptions<never>> = { key: 1, per: 1, onConflict: 1 }

/** What `unique` of a task type is called with: these constructors, typed by its payload. */
export interface Uniques<in out Payload> {
  /** See {@link debounce}. */
  readonly debounce: (options: DebounceOptions<Payload>) => UniqueOptions<Payload>
  /** See {@link throttle}. */
  readonly throttle: (options: ThrottleOptions<Payload>) => UniqueOptions<Payload>
}

/**
 * One task does what many were enqueued for, some time after the latest of them, with its payload. A task that has started is
 * done with: the next one is a new task.
 *
 * @example
 * ```ts
 * const byDocument = Unique.debounce({
 *   key: ({ document }: { readonly document: string }) => document,
 *   by: "5 seconds",
 *   maxDelay: "1 minute"
 * })
 * ```
 */
export const debounce = <Payload = unknown>(
  options: DebounceOptions<Payload>
): UniqueOptions<Payload> => {
  Bounds.demandKnown(options ?? null, debounceNames, "debounce.")
  const { by, key, maxDelay } = options
  const postpone = maxDelay === undefined ? { by } : { by, maxDelay }
  return { key, window: "waiting", onConflict: "postpone", postpone }
}

/**
 * The first task starts at once, and keeps others with its key away for a time.
 *
 * @example
 * ```ts
 * const oncePerMinute = Unique.throttle({
 *   key: ({ tenant }: { readonly tenant: string }) => tenant,
 *   per: "1 minute"
 * })
 * ```
 */
export const throttle = <Payload = unknown>(
  options: ThrottleOptions<Payload>
): UniqueOptions<Payload> => {
  Bounds.demandKnown(options ?? null, throttleNames, "throttle.")
  const { key, onConflict = "return", per } = options
  // Left out, it would be the usual window: not a number is refused
  return { key, window: per ?? NaN, onConflict }
}

/** How a task type is given what is unique: as it is, or made with the constructors for its payload. */
export type GivenUnique<Payload> = UniqueOptions<Payload> | ((uniques: Uniques<Payload>) => UniqueOptions<Payload>)

/** What is given. */
export const given = <Payload>(unique: GivenUnique<Payload> | undefined): UniqueOptions<Payload> | undefined =>
  typeof unique === "function" ? unique({ debounce, throttle }) : unique

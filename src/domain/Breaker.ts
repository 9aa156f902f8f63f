/**
 * Circuit breakers: what a definition says about a dependency of its tasks, and what failures and successes make of it. While a
 * dependency is down, its breaker is open and no task that needs it starts; then one task at a time tries, until one succeeds.
 */
import { Duration, Schema } from "effect"
import * as Bounds from "./Bounds.ts"
import { InvalidOption } from "./Errors.ts"
import * as Gate from "./Gate.ts"
import { type Key, limitName } from "./LimitRule.ts"
import * as Redaction from "./Redaction.ts"
import * as Thrown from "./Thrown.ts"

/** What may be said about a breaker; only `failures` is needed. */
export interface Options<in Payload> {
  /** Failures within `within` that open it: 1 to 1,000. */
  readonly failures: number
  /** Default 1 minute. Counted in sixtieths of it. */
  readonly within?: Duration.Input | undefined
  /** How long it is open before a task may try. Default 30 seconds. */
  readonly openFor?: Duration.Input | undefined
  /** Each try that fails doubles the time until the next one, up to this. Default: it stays `openFor`. */
  readonly maxOpenFor?: Duration.Input | undefined
  /** Each key has a breaker of its own: a host, a tenant. Default: one for all. */
  readonly key?: Key<Payload> | undefined
  /** Which errors of a handler are failures of the dependency. Default: all. A timeout always is. */
  readonly countsAsFailure?: ((error: unknown) => boolean) | undefined
}

/** The settings of a breaker, as they are stored. Durations are whole milliseconds. */
export const Settings = Schema.Struct({
  failures: Schema.Int,
  withinMs: Schema.Int,
  openForMs: Schema.Int,
  maxOpenForMs: Schema.Int
})

export type Settings = typeof Settings.Type

/** A breaker of a definition. */
export interface Rule<in Payload> {
  readonly name: string
  readonly settings: Settings
  readonly key?: Key<Payload> | undefined
  readonly countsAsFailure?: ((error: unknown) => boolean) | undefined
}

const failures = Bounds.whole(1, 1000)

const aFunction: Bounds.Bound<unknown> = {
  expected: "a function",
  accepts: (value) => typeof value === "function"
}

const names: Bounds.Names<Options<never>> = {
  failures: 1,
  within: 1,
  openFor: 1,
  maxOpenFor: 1,
  key: 1,
  countsAsFailure: 1
}

/** Breakers of a type at most, its limits, order and fairness not counted. */
export const maxBreakers: number = Gate.maxPasses

/** A breaker of a definition. Throws `InvalidOption` where an option is outside of its bound. */
export const ruleOf = <Payload>(name: string, options: Options<Payload>): Rule<Payload> => {
  Bounds.demandKnown(options ?? null, names, "breaker.")
  const { countsAsFailure, key, maxOpenFor, openFor = "30 seconds", within = "1 minute" } = options
  Bounds.demand("breaker.name", limitName, name ?? "")
  // Without types it may be missing, which no other bound refuses
  Bounds.demand("breaker.failures", failures, options.failures ?? NaN)
  Bounds.demand("breaker.within", Bounds.timeout, within)
  Bounds.demand("breaker.openFor", Bounds.timeout, openFor)
  Bounds.demand("breaker.maxOpenFor", Bounds.timeout, maxOpenFor)
  Bounds.demand("breaker.key", aFunction, key)
  Bounds.demand("breaker.countsAsFailure", aFunction, countsAsFailure)
  const openForMs = millis(openFor)
  const maxOpenForMs = maxOpenFor === undefined ? openForMs : millis(maxOpenFor)
  if (maxOpenForMs < openForMs) {
    throw new InvalidOption({
      option: "breaker.maxOpenFor",
      found: `${maxOpenForMs} ms`,
      expected: `at least openFor, which is ${openForMs} ms`,
      index: 0
    })
  }
  return {
    name,
    settings: { failures: options.failures, withinMs: millis(within), openForMs, maxOpenForMs },
    key,
    countsAsFailure
  }
}

const millis = (input: Duration.Input): number => Math.ceil(Duration.toMillis(input))

/** The settings of a breaker that no definition names any more. */
export const defaultSettings: Settings = { failures: 5, withinMs: 60_000, openForMs: 30_000, maxOpenForMs: 30_000 }

/** The pass of a breaker and a key of it. */
export const passOf = (name: string, key: string): Gate.Pass => Gate.passOf(Gate.breakerMark + name, key)

/** The name of the breaker of a pass. */
export const nameOf = (pass: Gate.Pass): string => Gate.limitOf(pass).slice(Gate.breakerMark.length)

/** The breakers among the passes of a gate. Nearly all gates have none, and are not parsed for it. */
export const passesOf = (gate: string | null): ReadonlyArray<Gate.Pass> =>
  gate === null || !gate.includes(`"${Gate.breakerMark}`)
    ? none
    : Gate.passesOf(gate).filter((pass) => pass.startsWith(Gate.breakerMark))

const none: ReadonlyArray<Gate.Pass> = []

/** The failure that was counted last. */
const Last = Schema.Struct({ at: Schema.Finite, task: Schema.String, tag: Schema.String, message: Schema.String })

export type Last = typeof Last.Type

/** What is known of a breaker that has failures. Times are by the store's clock. */
export const State = Schema.Struct({
  /** While it is closed: when failures were, and how many then. */
  failures: Schema.Array(Schema.Tuple([Schema.Finite, Schema.Int])),
  /** How often it has opened since it was closed. */
  openings: Schema.Int,
  /** When it opened first since it was closed; `null` while it is closed. */
  since: Schema.NullOr(Schema.Finite),
  /** When a task may try; `null` while it is closed. */
  until: Schema.NullOr(Schema.Finite),
  last: Schema.NullOr(Last),
  /** Who opened it by hand, and why. */
  by: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String)
})

export type State = typeof State.Type

/** A breaker without failures. Nothing is stored of it. */
export const closed: State = {
  failures: [],
  openings: 0,
  since: null,
  until: null,
  last: null,
  by: null,
  reason: null
}

/** How a breaker stands: tasks start; none does; or one at a time does, to try. */
export type Phase = "closed" | "open" | "half_open"

/** How a breaker stands at a time. */
export const phaseOf = ({ until }: State, now: number): Phase =>
  until === null ? "closed" : now < until ? "open" : "half_open"

/** Parts of the time within which failures are counted. */
const slices = 60

/** The failures that still count. */
export const recent = ({ failures }: State, { withinMs }: Settings, now: number): State["failures"] =>
  // a clock that was set back keeps none for longer than that
  failures.filter(([at]) => Math.abs(now - at) < withinMs)

/** How many failures count. */
export const countOf = (failures: State["failures"]): number => failures.reduce((sum, [, count]) => sum + count, 0)

/**
 * What so many more failures make of a breaker; nothing where it stays as it is: what fails while it is open was started before.
 * A failure of a half-open breaker is that of the task that tried it.
 */
export const failed = (state: State, settings: Settings, count: number, last: Last, now: number): State | undefined => {
  const phase = phaseOf(state, now)
  if (phase === "open") return undefined
  if (phase === "half_open") return opened({ ...state, last }, settings, now)
  const before = recent(state, settings, now)
  const latest = before.at(-1)
  const failures = latest !== undefined && Math.abs(now - latest[0]) < settings.withinMs / slices
    ? [...before.slice(0, -1), [latest[0], latest[1] + count] as const]
    : [...before, [now, count] as const]
  return countOf(failures) < settings.failures
    ? { ...state, failures, last }
    : opened({ ...state, last }, settings, now)
}

const opened = (state: State, { maxOpenForMs, openForMs }: Settings, now: number): State => {
  const openings = state.openings + 1
  const waitMs = Math.min(maxOpenForMs, openForMs * 2 ** Math.min(openings - 1, 50))
  return { ...state, failures: [], openings, since: state.since ?? now, until: now + waitMs, by: null, reason: null }
}

/** What a person makes of a breaker who opens it for a time. */
export const openedByHand = (
  state: State,
  forMs: number,
  author: { readonly by: string | null; readonly reason: string | null },
  now: number
): State => ({
  ...state,
  ...author,
  openings: Math.max(1, state.openings),
  since: state.since ?? now,
  until: now + forMs
})

/** Whether a success closes the breaker: it is half open, and a task has tried. */
export const isClosedBySuccess = (state: State, now: number): boolean => phaseOf(state, now) === "half_open"

/** What claims read of a breaker: nothing starts until it may be tried, and then one task at a time. */
export const limitOf = ({ until }: State): Gate.Limit | null => until === null ? null : { max: 1, notBefore: until }

/** How long an open breaker is kept that no task tries. */
const untriedForMs = 24 * 60 * 60 * 1000

/** How long a state is kept from now on, if nothing is done to it. */
export const keptForMs = ({ until }: State, { withinMs }: Settings, now: number): number =>
  until === null ? withinMs : until - now + untriedForMs

/** Characters of the message of a failure that are kept. */
const maxMessageLength = 300

/** What is kept of a failure: its message is cut, and without secrets of URLs. */
export const lastOf = (
  task: string,
  { message, tag }: { readonly message: string; readonly tag: string },
  at: number
): Last => ({ at, task, tag, message: Thrown.cut(Redaction.text(message), maxMessageLength) })

/**
 * What a definition says about the start of its tasks: limits, order and fairness, each by a key that it makes of the payload.
 * A rule has the name under which the limit is stored, so that several types can share one and an operator can change it.
 */
import { Duration } from "effect"
import * as Bounds from "./Bounds.ts"
import { InvalidOption } from "./Errors.ts"
import * as Gate from "./Gate.ts"
import { shortened } from "./Quoting.ts"
import * as Thrown from "./Thrown.ts"

/** What a payload gives as its key: tasks with the same key share the limit. */
export type Key<in Payload> = (payload: Payload) => string

/** What may be said about a limit of tasks that run at the same time. */
export interface ConcurrencyOptions<in Payload> {
  /** Default: all tasks share the limit. */
  readonly key?: Key<Payload> | undefined
  /** Tasks of one key that run at the same time, over all instances. */
  readonly max: number
  /** Default `<type>:concurrency`. Types whose limits have the same name share them. */
  readonly name?: string | undefined
}

/** What may be said about a limit of tasks that start in a time. */
export interface RateOptions<in Payload> {
  /** Default: all tasks share the limit. */
  readonly key?: Key<Payload> | undefined
  /** Tokens that each key gets in the time, evenly. */
  readonly max: number
  /** The time. */
  readonly per: Duration.Input
  /** Tokens that a key can have saved up. Default `max`. */
  readonly burst?: number | undefined
  /** Tokens that a task takes when it starts. Default 1. */
  readonly cost?: ((payload: Payload) => number) | undefined
  /** Default `<type>:rate`. Types whose limits have the same name share them. */
  readonly name?: string | undefined
}

/** In which order tasks of a key go: the order in which they were enqueued, one at a time. */
export interface OrderOptions<in Payload> {
  readonly key: Key<Payload>
  /**
   * What a task does that has failed for good. `block`, the default: it holds up those behind it until it is run again and
   * completes, is removed, or is let go. `continue`: the next one starts.
   */
  readonly onFailure?: "block" | "continue" | undefined
  /** Default `<type>:order`. */
  readonly name?: string | undefined
}

/** Keys that take turns. */
export interface FairOptions<in Payload> {
  readonly key: Key<Payload>
  /** Tasks of a key that go in one turn, where it is not 1: `{ gold: 3 }`. At most 100 keys; more can be set at run time. */
  readonly weights?: Readonly<Record<string, number>> | undefined
  /** Default `<type>:fair`. */
  readonly name?: string | undefined
}

/** A limit of a definition, as `Limit.concurrency` and `Limit.rate` make it. */
export interface Limit<in Payload> {
  readonly limit: Gate.Limit
  readonly key?: Key<Payload> | undefined
  readonly cost?: ((payload: Payload) => number) | undefined
  readonly name?: string | undefined
}

/** What is known of a breaker here: the name of it, and how it makes its keys. */
export interface Named<in Payload> {
  readonly name: string
  readonly key?: Key<Payload> | undefined
}

/** What a definition says about the start of its tasks. */
export interface Options<in Payload> {
  readonly limits?: ReadonlyArray<Limit<Payload>> | undefined
  readonly breakers?: ReadonlyArray<Named<Payload>> | undefined
  readonly orderBy?: Key<Payload> | OrderOptions<Payload> | undefined
  readonly fairBy?: Key<Payload> | FairOptions<Payload> | undefined
}

/** A rule with its name. */
export interface LimitRule<in Payload> extends Limit<Payload> {
  /** The id of the limit's record. That of an order begins with `Gate.orderMark`. */
  readonly name: string
  /** Limits of single keys. */
  readonly ofKeys: ReadonlyMap<string, Gate.Limit>
}

/** Characters of the name of a limit. */
export const maxLimitNameLength = 100

/** The name of a limit. An equals sign ends it in a pass. */
export const limitName: Bounds.Bound<string> = {
  expected: `1 to ${maxLimitNameLength} characters, without =, U+0000 and lone surrogates, no ${Gate.orderMark} or ` +
    `${Gate.breakerMark} at the start, and neither "." nor ".."`,
  accepts: (name) =>
    Bounds.name.accepts(name) && name.length <= maxLimitNameLength && !name.includes("=") &&
    !name.startsWith(Gate.orderMark) && !name.startsWith(Gate.breakerMark) && name !== "." && name !== ".."
}

/** Tokens of a task, and tasks of a limit, at most. */
const maxTokens = Gate.tokenBounds.maximum

/** The times that a task may go in one turn. */
export const weight: Bounds.Bound<number> = Bounds.whole(1, 1000)

/** Weights in a definition at most. */
const maxWeights = 100

/** Tasks that may run at the same time. None do where it is 0. */
export const concurrency = Bounds.whole(0, maxTokens)

const minTokens = Gate.tokenBounds.minimum

/** Tokens of a bucket. */
export const tokens: Bounds.Bound<number> = {
  expected: `a number from ${minTokens.toFixed(6)} to ${maxTokens}`,
  accepts: (value) => Number.isFinite(value) && value >= minTokens && value <= maxTokens
}

/** The time of a rate. */
export const time: Bounds.Bound<Duration.Input> = {
  expected: `a duration from ${Gate.perMsBounds.minimum} millisecond to ${Duration.toDays(Bounds.maxTimeout)} days`,
  accepts: (input) => Bounds.timeout.accepts(input) && Duration.toMillis(input) >= Gate.perMsBounds.minimum
}

/** What a task takes of a rate. */
export const cost: Bounds.Bound<number> = {
  expected: `a number from 0 to ${maxTokens}`,
  accepts: (value) => Number.isFinite(value) && value >= 0 && value <= maxTokens
}

/** What a payload gives as its key. */
export const key: Bounds.Bound<string> = {
  expected: `a string of at most ${Bounds.maxKeyLength} characters, without U+0000 and lone surrogates`,
  accepts: (value) => typeof value === "string" && (value === "" || Bounds.key.accepts(value))
}

const aFunction: Bounds.Bound<unknown> = {
  expected: "a function of the payload",
  accepts: (value) => typeof value === "function"
}

const aKey: Bounds.Bound<unknown> = {
  expected: "a function of the payload, or an object with key",
  accepts: (value) => typeof value === "function" || (typeof value === "object" && value !== null)
}

const perKey: Bounds.Bound<unknown> = {
  expected: "an object with a number for each key",
  accepts: (value) => typeof value === "object" && value !== null && !Array.isArray(value)
}

const someBreakers: Bounds.Bound<unknown> = {
  expected: "an array of breakers, made with Breaker.make",
  accepts: (value) =>
    Array.isArray(value) &&
    value.every((one: Partial<Named<never>> | null | undefined) => typeof one?.name === "string")
}

const anArray: Bounds.Bound<unknown> = {
  expected: "an array of limits, made with concurrency and rate",
  accepts: (value) =>
    Array.isArray(value) &&
    value.every((one: Partial<Limit<never>> | null | undefined) => typeof one?.limit === "object")
}

const onFailure: Bounds.Bound<string> = {
  expected: "\"block\" or \"continue\"",
  accepts: (word) => word === "block" || word === "continue"
}

const concurrencyNames: Bounds.Names<ConcurrencyOptions<never>> = { key: 1, max: 1, name: 1 }
const rateNames: Bounds.Names<RateOptions<never>> = { key: 1, max: 1, per: 1, burst: 1, cost: 1, name: 1 }
const orderNames: Bounds.Names<OrderOptions<never>> = { key: 1, onFailure: 1, name: 1 }
const fairNames: Bounds.Names<FairOptions<never>> = { key: 1, weights: 1, name: 1 }

/** A limit of tasks that run at the same time. Throws `InvalidOption` where an option is outside of its bound. */
export const ofConcurrency = <Payload>(options: ConcurrencyOptions<Payload>): Limit<Payload> => {
  Bounds.demandKnown(options ?? null, concurrencyNames, "concurrency.")
  const { key, max, name } = options
  Bounds.demand("concurrency.key", aFunction, key)
  Bounds.demand("concurrency.name", limitName, name)
  demandGiven("concurrency.max", Bounds.whole(1, maxTokens), max)
  return { limit: { max }, key, name }
}

/** A limit of tasks that start in a time. Throws `InvalidOption` where an option is outside of its bound. */
export const ofRate = <Payload>(options: RateOptions<Payload>): Limit<Payload> => {
  Bounds.demandKnown(options ?? null, rateNames, "rate.")
  const { burst, cost, key, max, name, per } = options
  Bounds.demand("rate.key", aFunction, key)
  Bounds.demand("rate.cost", aFunction, cost)
  Bounds.demand("rate.name", limitName, name)
  demandGiven("rate.max", tokens, max)
  demandGiven("rate.per", time, per)
  Bounds.demand("rate.burst", tokens, burst)
  return { limit: { tokens: max, perMs: Duration.toMillis(per), burst: burst ?? max }, key, cost, name }
}

/** Throws also where nothing is given: for programs without types. */
const demandGiven = <A>(option: string, bound: Bounds.Bound<A>, value: A): void => {
  if (value === undefined) {
    throw new InvalidOption({ option, found: "undefined", expected: bound.expected, index: 0 })
  }
  Bounds.demand(option, bound, value)
}

/** These limits. Throws `InvalidOption` where they are something else, such as what a function gives that forgot its `return`. */
export const demandArray = <Payload>(
  option: string,
  limits: ReadonlyArray<Limit<Payload>>
): ReadonlyArray<Limit<Payload>> => {
  demandGiven(option, anArray, limits)
  return limits
}

/**
 * The rules of a definition: its order first, then its breakers and its limits as they are given, and fairness last. Throws `InvalidOption` where
 * something in them is outside of its bound.
 */
export const rulesOf = <Payload>(
  type: string,
  { breakers = [], fairBy, limits = [], orderBy }: Options<Payload>
): ReadonlyArray<LimitRule<Payload>> => {
  const rules: Array<LimitRule<Payload>> = []
  Bounds.demand("orderBy", aKey, orderBy)
  Bounds.demand("fairBy", aKey, fairBy)
  if (orderBy !== undefined) rules.push(orderOf(type, typeof orderBy === "function" ? { key: orderBy } : orderBy))
  Bounds.demand("breakers", someBreakers, breakers)
  for (const { key, name } of breakers) {
    rules.push({ name: Gate.breakerMark + name, limit: { lifted: true }, key, ofKeys: noKeys })
  }
  const count = { concurrency: 0, rate: 0 }
  for (const given of limits) {
    const kind = "max" in given.limit ? "concurrency" : "rate"
    const number = ++count[kind]
    const name = given.name ?? `${type}:${kind}${number === 1 ? "" : `-${number}`}`
    Bounds.demand(`limits.name`, limitName, name)
    rules.push({ ...given, name, ofKeys: noKeys })
  }
  if (fairBy !== undefined) rules.push(fairOf(type, typeof fairBy === "function" ? { key: fairBy } : fairBy))
  Bounds.demand("limits", atMost(Gate.maxPasses), rules.length)
  const names = new Set<string>()
  for (const { name } of rules) {
    if (names.has(name)) {
      throw new InvalidOption({
        option: "limits.name",
        found: `${JSON.stringify(shownName(name))} twice`,
        expected: "another name for each limit and breaker of a type",
        index: 0
      })
    }
    names.add(name)
  }
  return rules
}

const noKeys: ReadonlyMap<string, Gate.Limit> = new Map()

const atMost = (max: number): Bounds.Bound<number> => ({
  expected: `at most ${max} of them, breakers, orderBy and fairBy included`,
  accepts: (count) => count <= max
})

const orderOf = <Payload>(type: string, options: OrderOptions<Payload>): LimitRule<Payload> => {
  Bounds.demandKnown(options, orderNames, "orderBy.")
  const { key, name = `${type}:order`, onFailure: order = "block" } = options
  demandGiven<unknown>("orderBy.key", aFunction, key)
  Bounds.demand("orderBy.name", limitName, name)
  Bounds.demand("orderBy.onFailure", onFailure, order)
  return { name: Gate.orderMark + name, limit: { order }, key, ofKeys: noKeys }
}

const fairOf = <Payload>(type: string, options: FairOptions<Payload>): LimitRule<Payload> => {
  Bounds.demandKnown(options, fairNames, "fairBy.")
  const { key: keyOf, name = `${type}:fair`, weights = {} } = options
  demandGiven<unknown>("fairBy.key", aFunction, keyOf)
  Bounds.demand("fairBy.name", limitName, name)
  Bounds.demand("fairBy.weights", perKey, weights)
  const ofKeys = new Map<string, Gate.Limit>()
  for (const [one, fair] of Object.entries(weights)) {
    Bounds.demand("fairBy.weights", key, one)
    Bounds.demand(`fairBy.weights.${one}`, weight, fair)
    ofKeys.set(one, { fair })
  }
  Bounds.demand(
    "fairBy.weights",
    { expected: `at most ${maxWeights} keys`, accepts: (n) => n <= maxWeights },
    ofKeys.size
  )
  return { name, limit: { fair: 1 }, key: keyOf, ofKeys }
}

/** Whether tasks of these rules go in the order in which they were enqueued. */
export const areOrdered = (rules: ReadonlyArray<LimitRule<never>>): boolean =>
  rules[0] !== undefined && "order" in rules[0].limit

/** What a task must pass to start. Throws where a rule makes no key of the payload, or no cost, with the reason as its message. */
export const gatedBy = <Payload>(rules: ReadonlyArray<LimitRule<Payload>>, payload: Payload): Gate.Gated => {
  const passes = rules.map((rule): readonly [Gate.Pass, number] => [
    Gate.passOf(rule.name, rule.key === undefined ? "" : made(rule, "key", rule.key, key, payload)),
    rule.cost === undefined ? 1 : made(rule, "cost", rule.cost, cost, payload)
  ])
  const gated = Gate.gated(passes)
  // a character is three bytes at most
  if (gated.gate !== null && gated.gate.length > Gate.maxGateBytes / 3) demandBytes(gated.gate, passes)
  return gated
}

const made = <Payload, A>(
  { name }: LimitRule<Payload>,
  what: "key" | "cost",
  make: (payload: Payload) => A,
  bound: Bounds.Bound<A>,
  payload: Payload
): A => {
  const about = `the ${what} of ${JSON.stringify(shownName(name))}`
  let value: A
  try {
    value = make(payload)
  } catch (cause) {
    throw new Error(`${about}: ${Thrown.show(cause).message}`, { cause: cause })
  }
  const invalid = Bounds.refuse(what, bound, value)
  if (invalid !== undefined || value === undefined) {
    throw new Error(`${about} is ${invalid?.found ?? "undefined"}; expected ${bound.expected}`)
  }
  return value
}

const demandBytes = (gate: string, passes: ReadonlyArray<readonly [Gate.Pass, number]>): void => {
  const bytes = new TextEncoder().encode(gate).length
  if (bytes <= Gate.maxGateBytes) return
  const [longest] = passes.map(([pass]) => pass).toSorted((a, b) => b.length - a.length)
  throw new Error(
    `the names and keys have ${bytes} bytes together; expected at most ${Gate.maxGateBytes}: the key of ` +
      `${JSON.stringify(shownName(Gate.limitOf(longest!)))} is ${JSON.stringify(shortened(Gate.keyOf(longest!), 80))}`
  )
}

/** The name of a limit or a breaker as people know it: an order's and a breaker's are not told by their marks. */
export const shownName = (name: string): string =>
  name.startsWith(Gate.orderMark) || name.startsWith(Gate.breakerMark) ? name.slice(1) : name

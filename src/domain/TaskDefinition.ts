/**
 * A task type as data: its name, its schemas, and how it is run. `Task.make` adds `enqueue` and `toLayer`.
 */
import { Duration, Effect, Schema } from "effect"
import * as Bounds from "./Bounds.ts"
import type * as Breaker from "./Breaker.ts"
import * as LimitRule from "./LimitRule.ts"
import type { PlainSchema } from "./PlainFields.ts"
import { bound as priorityBound, type PriorityInput, toNumber } from "./Priority.ts"
import type { RetryPolicy, RetryRule } from "./RetryPolicy.ts"
import * as StepOptions from "./StepOptions.ts"
import * as StoredType from "./StoredType.ts"
import * as Tags from "./Tags.ts"
import * as TaskCodec from "./TaskCodec.ts"
import * as UniqueRule from "./UniqueRule.ts"
import type { Versions } from "./Versions.ts"

export type { PlainSchema } from "./PlainFields.ts"
export type { TaskCodec } from "./TaskCodec.ts"

/** A field of a payload that may be left out, and what holds then, as it is written in JSON. */
export const withDefault = <S extends PlainSchema>(schema: S, value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)

/** Any task type, where its types do not matter. */
export interface AnyTaskDefinition {
  readonly type: string
  readonly payload: PlainSchema
  /** The version of its payloads: 1, or one more than the last of the earlier ones. */
  readonly version: number
  readonly success: PlainSchema
  readonly error: PlainSchema
  /** Where its tasks wait; pausing and ordering are per queue. */
  readonly queue: string
  readonly priority: number
  /** The idempotency key of a task that is enqueued without one. */
  readonly idempotencyKey: ((payload: any) => string) | undefined
  /** How its tasks are unique, unless one is enqueued with another `unique`. */
  readonly unique: UniqueRule.UniqueOptions<any> | undefined
  readonly retry: RetryPolicy<never>
  /** Time limit of one attempt; `undefined` is the instance's default. */
  readonly timeoutMs: number | undefined
  /** How long after it is due for the first time a task is of use; `undefined` is for ever. */
  readonly expiresInMs: number | undefined
  /** Within which time after it is due a task should start; `undefined` says nothing. */
  readonly startWithinMs: number | undefined
  /** Words that its tasks are found by, besides those that each is enqueued with. */
  readonly tags: ReadonlyArray<string> | ((payload: any) => ReadonlyArray<string>)
  /** What its tasks must pass to start: their order, breakers, limits and fairness. */
  readonly limits: ReadonlyArray<LimitRule.LimitRule<any>>
  /** What stops their start while a dependency is down. */
  readonly breakers: ReadonlyArray<Breaker.Rule<any>>
  /** What becomes of a task whose handler has other steps than when it began. */
  readonly steps: StepOptions.StepOptions
  /** One line for people: shown in the API's reference. */
  readonly description: string | undefined
  /** JSON texts from and to values; compiled once per definition. */
  readonly codec: TaskCodec.TaskCodec<any, any, any>
}

/** A task type: what it takes, gives and fails with, and how it is run. */
export interface TaskDefinition<
  Type extends string,
  Payload extends PlainSchema,
  Success extends PlainSchema,
  Error extends PlainSchema
> extends AnyTaskDefinition {
  readonly type: Type
  readonly payload: Payload
  readonly success: Success
  readonly error: Error
  readonly idempotencyKey: ((payload: Payload["Type"]) => string) | undefined
  readonly unique: UniqueRule.UniqueOptions<Payload["Type"]> | undefined
  readonly retry: RetryPolicy<Error["Type"]>
  readonly tags: ReadonlyArray<string> | ((payload: Payload["Type"]) => ReadonlyArray<string>)
  readonly limits: ReadonlyArray<LimitRule.LimitRule<Payload["Type"]>>
  readonly breakers: ReadonlyArray<Breaker.Rule<Payload["Type"]>>
  readonly codec: TaskCodec.TaskCodec<Payload["Type"], Success["Type"], Error["Type"]>
}

/** The options of a definition, with every default left out. */
export interface Options<
  Payload extends PlainSchema,
  Success extends PlainSchema,
  Error extends PlainSchema
> extends LimitRule.Options<Payload["Type"]> {
  readonly payload: Payload
  readonly earlier?: Versions<Payload["Type"]> | undefined
  readonly success: Success
  readonly error: Error
  readonly queue?: string | undefined
  readonly priority?: PriorityInput | undefined
  readonly idempotencyKey?: ((payload: Payload["Type"]) => string) | undefined
  readonly unique?: UniqueRule.UniqueOptions<Payload["Type"]> | undefined
  readonly retry?: RetryPolicy<Error["Type"]> | undefined
  readonly timeout?: Duration.Input | undefined
  readonly expiresIn?: Duration.Input | undefined
  readonly startWithin?: Duration.Input | undefined
  readonly tags?: ReadonlyArray<string> | ((payload: Payload["Type"]) => ReadonlyArray<string>) | undefined
  readonly steps?: StepOptions.StepSettings | undefined
  readonly description?: string | undefined
  readonly breakers?: ReadonlyArray<Breaker.Rule<Payload["Type"]>> | undefined
}

/** The queue of a task that names none. */
const defaultQueue = "default"

/** Builds a definition. Throws `InvalidOption` where something in it is outside of its bound. */
export const make = <
  const Type extends string,
  Payload extends PlainSchema,
  Success extends PlainSchema,
  Error extends PlainSchema
>(type: Type, options: Options<Payload, Success, Error>): TaskDefinition<Type, Payload, Success, Error> => {
  demandBounds(type, options)
  return {
    type,
    payload: options.payload,
    version: options.earlier?.version ?? 1,
    success: options.success,
    error: options.error,
    queue: options.queue ?? defaultQueue,
    priority: toNumber(options.priority ?? "normal"),
    idempotencyKey: options.idempotencyKey,
    unique: options.unique,
    retry: options.retry ?? {},
    timeoutMs: options.timeout === undefined ? undefined : Math.ceil(Duration.toMillis(options.timeout)),
    expiresInMs: options.expiresIn === undefined ? undefined : Math.ceil(Duration.toMillis(options.expiresIn)),
    startWithinMs: options.startWithin === undefined ? undefined : Math.ceil(Duration.toMillis(options.startWithin)),
    tags: options.tags ?? [],
    limits: LimitRule.rulesOf(type, options),
    breakers: options.breakers ?? [],
    steps: StepOptions.of(options.steps),
    description: options.description,
    codec: TaskCodec.make(options.payload, options.success, options.error, options.earlier)
  }
}

const ruleNames: Bounds.Names<RetryRule<never>> = { times: 1, schedule: 1, maxDelay: 1 }
const policyNames: Bounds.Names<RetryPolicy<never>> = { ...ruleNames, byTag: 1, retryable: 1 }

const typeName: Bounds.Bound<string> = {
  expected: `${Bounds.name.expected}, nor U+001F`,
  accepts: (name) => Bounds.name.accepts(name) && !name.includes(StoredType.mark)
}

const tags: Bounds.Bound<unknown> = {
  expected: `${Tags.tags.expected}; or a function of the payload that gives such`,
  accepts: (tags) => typeof tags === "function" || Tags.tags.accepts(tags as ReadonlyArray<string>)
}

const someVersions: Bounds.Bound<Versions<any>> = {
  expected: "versions, made with Versions.first or Versions.from",
  accepts: (earlier: Partial<Versions<any>> | null) => typeof earlier?.decode === "function"
}

const demandBounds = (
  type: string,
  options: Options<any, any, any>
): void => {
  const { earlier, expiresIn, idempotencyKey, priority, queue, retry, startWithin, timeout, unique } = options
  UniqueRule.demand(unique, idempotencyKey !== undefined)
  Bounds.demand("type", typeName, type)
  Bounds.demand("earlier", someVersions, earlier)
  Bounds.demand("queue", Bounds.name, queue)
  Bounds.demand("priority", priorityBound, priority)
  Bounds.demand("timeout", Bounds.timeout, timeout)
  Bounds.demand("expiresIn", Bounds.span, expiresIn)
  Bounds.demand("startWithin", Bounds.span, startWithin)
  Bounds.demand("tags", tags, options.tags)
  if (retry === undefined) return
  Bounds.demandKnown(retry, policyNames, "retry.")
  const rules: ReadonlyArray<readonly [name: string, rule: RetryRule<never>]> = [
    ["retry", retry],
    ...Object.entries(retry.byTag ?? {}).flatMap(([tag, rule]): ReadonlyArray<[string, RetryRule<never>]> =>
      rule === undefined || rule === false ? [] : [[`retry.byTag.${tag}`, rule]]
    )
  ]
  for (const [name, rule] of rules) {
    const { maxDelay, times } = rule
    Bounds.demandKnown(rule, name === "retry" ? policyNames : ruleNames, `${name}.`)
    Bounds.demand(`${name}.times`, Bounds.retries, times)
    Bounds.demand(`${name}.maxDelay`, Bounds.delay, maxDelay)
  }
}

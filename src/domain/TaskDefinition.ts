/**
 * A task type as data: its name, its schemas, and how it is run. `Task.make` adds `enqueue` and `toLayer`.
 */
import { Duration, Effect, Exit, Schema, SchemaAST } from "effect"
import * as Bounds from "./Bounds.ts"
import type * as Breaker from "./Breaker.ts"
import * as JsonText from "./JsonText.ts"
import * as LimitRule from "./LimitRule.ts"
import { bound as priorityBound, type PriorityInput, toNumber } from "./Priority.ts"
import type { RetryPolicy, RetryRule } from "./RetryPolicy.ts"
import * as StepOptions from "./StepOptions.ts"
import * as UniqueRule from "./UniqueRule.ts"
import * as UnknownFields from "./UnknownFields.ts"

/** A schema that needs no services to decode or encode. */
export interface PlainSchema<out T = any, out E = any> extends Schema.ConstraintCodec<T, E, never, never> {}

/** A field of a payload that may be left out, and what holds then, as it is written in JSON. */
export const withDefault = <S extends PlainSchema>(schema: S, value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)

/** Any task type, where its types do not matter. */
export interface AnyTaskDefinition {
  readonly type: string
  readonly payload: PlainSchema
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
  /** What its tasks must pass to start: their order, breakers, limits and fairness. */
  readonly limits: ReadonlyArray<LimitRule.LimitRule<any>>
  /** What stops their start while a dependency is down. */
  readonly breakers: ReadonlyArray<Breaker.Rule<any>>
  /** What becomes of a task whose handler has other steps than when it began. */
  readonly steps: StepOptions.StepOptions
  /** One line for people: shown in the API's reference. */
  readonly description: string | undefined
  /** JSON texts from and to values; compiled once per definition. */
  readonly codec: TaskCodec<any, any, any>
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
  readonly limits: ReadonlyArray<LimitRule.LimitRule<Payload["Type"]>>
  readonly breakers: ReadonlyArray<Breaker.Rule<Payload["Type"]>>
  readonly codec: TaskCodec<Payload["Type"], Success["Type"], Error["Type"]>
}

/** The options of a definition, with every default left out. */
export interface Options<
  Payload extends PlainSchema,
  Success extends PlainSchema,
  Error extends PlainSchema
> extends LimitRule.Options<Payload["Type"]> {
  readonly payload: Payload
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
    limits: LimitRule.rulesOf(type, options),
    breakers: options.breakers ?? [],
    steps: StepOptions.of(options.steps),
    description: options.description,
    codec: makeCodec(options.payload, options.success, options.error)
  }
}

const ruleNames: Bounds.Names<RetryRule<never>> = { times: 1, schedule: 1, maxDelay: 1 }
const policyNames: Bounds.Names<RetryPolicy<never>> = { ...ruleNames, byTag: 1, retryable: 1 }

const demandBounds = (
  type: string,
  { expiresIn, idempotencyKey, priority, queue, retry, startWithin, timeout, unique }: Options<any, any, any>
): void => {
  UniqueRule.demand(unique, idempotencyKey !== undefined)
  Bounds.demand("type", Bounds.name, type)
  Bounds.demand("queue", Bounds.name, queue)
  Bounds.demand("priority", priorityBound, priority)
  Bounds.demand("timeout", Bounds.timeout, timeout)
  Bounds.demand("expiresIn", Bounds.span, expiresIn)
  Bounds.demand("startWithin", Bounds.span, startWithin)
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

/**
 * How a definition's values become JSON texts and come back. What is encoded is proven to be JSON within its bounds;
 * whatever else a value is, and whatever an encoder throws, is a failure with a readable issue. Encoders are methods, so
 * that every definition is also an {@link AnyTaskDefinition}.
 */
export interface TaskCodec<Payload, Success, Error> {
  /** Fails with each field that the schema does not know: a program would else lose it without a word. */
  encodePayload(payload: Payload): Exit.Exit<string, Schema.SchemaError>
  /** Checks a payload that is JSON already, on its way in: fails with each field that the schema does not know. */
  readonly checkPayload: (json: Schema.Json) => Exit.Exit<Payload, Schema.SchemaError>
  /** Reads a stored payload. Unknown fields are ignored: tasks of an older definition stay runnable. */
  readonly decodePayload: (text: string) => Exit.Exit<Payload, Schema.SchemaError>
  /** The same of a payload that is parsed already. */
  readonly readPayload: (json: Schema.Json) => Exit.Exit<Payload, Schema.SchemaError>
  encodeSuccess(success: Success): Exit.Exit<string, Schema.SchemaError>
  readonly decodeSuccess: (text: string) => Exit.Exit<Success, Schema.SchemaError>
  readonly readSuccess: (json: Schema.Json) => Exit.Exit<Success, Schema.SchemaError>
  encodeError(error: Error): Exit.Exit<Schema.Json, Schema.SchemaError>
  readonly decodeError: (error: Schema.Json) => Exit.Exit<Error, Schema.SchemaError>
}

const toText = (
  encode: (input: unknown) => Exit.Exit<unknown, Schema.SchemaError>,
  value: unknown,
  maxBytes: number
): Exit.Exit<string, Schema.SchemaError> => {
  const encoded = JsonText.guarded(() => encode(value))
  return Exit.isSuccess(encoded) ? JsonText.encode(encoded.value, maxBytes) : Exit.failCause(encoded.cause)
}

/** Reads a JSON text; one that is none fails as any other value that does not fit. */
const decodeText = <A>(
  decode: (input: unknown) => Exit.Exit<A, Schema.SchemaError>,
  json: string
): Exit.Exit<A, Schema.SchemaError> => {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    const { message } = cause as SyntaxError
    return JsonText.unfit(`Expected a JSON text: ${message}`)
  }
  return decode(value)
}

/** All that is wrong with a payload, unknown fields included; or in a large one, which can be wrong everywhere, the first. */
const strict = (value: unknown): SchemaAST.ParseOptions => ({
  onExcessProperty: "error",
  errors: partsIn(value, maxSearchedParts) < maxSearchedParts ? "all" : "first"
})

/** Values inside a value, counted so far, in which all that is wrong is looked for. */
const maxSearchedParts = 1000

/** How many values are inside a value, as far as `max`. */
const partsIn = (value: unknown, max: number): number => {
  const waiting = [value]
  let parts = 0
  while (waiting.length > 0 && parts < max) {
    const next = waiting.pop()
    parts++
    if (typeof next !== "object" || next === null) continue
    if (Array.isArray(next) && next.length > max) return max
    for (const key in next) {
      if (waiting.push((next as Record<string, unknown>)[key]) > max) return max
    }
  }
  return parts
}

/** Parses quickly, and a second time and strictly where that may find more. */
const closed = <A>(
  parse: (input: unknown, options?: SchemaAST.ParseOptions) => Exit.Exit<A, Schema.SchemaError>,
  hasNoUnknownField: UnknownFields.Look
) =>
(input: unknown): Exit.Exit<A, Schema.SchemaError> => {
  const exit = parse(input)
  return Exit.isSuccess(exit) && hasNoUnknownField(input) ? exit : parse(input, strict(input))
}

/** Plain JSON, whatever it was made of: nothing that could throw or change when a store reads it. */
const toJson = (text: string): Schema.Json => JSON.parse(text) as Schema.Json

const makeCodec = (
  payload: PlainSchema,
  success: PlainSchema,
  error: PlainSchema
): TaskCodec<any, any, any> => {
  const ofPayload = Schema.toCodecJson(payload)
  const ofSuccess = Schema.toCodecJson(success)
  const ofError = Schema.toCodecJson(error)
  const encodePayload = closed(
    Schema.encodeUnknownExit(ofPayload),
    UnknownFields.lookFor(SchemaAST.toType(ofPayload.ast))
  )
  const decodePayload = Schema.decodeUnknownExit(ofPayload)
  const encodeSuccess = Schema.encodeUnknownExit(ofSuccess)
  const decodeSuccess = Schema.decodeUnknownExit(ofSuccess)
  const encodeError = Schema.encodeUnknownExit(ofError)
  return {
    checkPayload: closed(decodePayload, UnknownFields.lookFor(SchemaAST.toEncoded(ofPayload.ast))),
    encodePayload: (value) => toText(encodePayload, value, Bounds.maxPayloadBytes),
    decodePayload: (json) => decodeText(decodePayload, json),
    readPayload: decodePayload,
    encodeSuccess: (value) => toText(encodeSuccess, value, Bounds.maxResultBytes),
    decodeSuccess: (json) => decodeText(decodeSuccess, json),
    readSuccess: decodeSuccess,
    encodeError: (value) => Exit.map(toText(encodeError, value, Infinity), toJson),
    decodeError: Schema.decodeUnknownExit(ofError)
  }
}

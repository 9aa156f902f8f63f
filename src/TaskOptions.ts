/** What may be said about a task type. */
import type { Duration } from "effect"
import type { Breaker } from "./Breaker.ts"
import type * as Bounds from "./domain/Bounds.ts"
import type { FairOptions, Key, OrderOptions } from "./domain/LimitRule.ts"
import type { PlainFields, ToSchema } from "./domain/PlainFields.ts"
import type { PriorityInput } from "./domain/Priority.ts"
import type { RetryPolicy } from "./domain/RetryPolicy.ts"
import type { StepSettings } from "./domain/StepOptions.ts"
import type * as TaskDefinition from "./domain/TaskDefinition.ts"
import type { Versions } from "./domain/Versions.ts"
import type { GivenLimits } from "./Limit.ts"
import type * as Unique from "./Unique.ts"

/** What may be said about a task type; only the name is needed. */
export interface Options<
  Payload extends TaskDefinition.PlainSchema | PlainFields,
  Success extends TaskDefinition.PlainSchema,
  Error extends TaskDefinition.PlainSchema
> {
  /** A schema, or the fields of a struct. Default: nothing. */
  readonly payload?: Payload | undefined
  /** The versions before this one: see `Versions`. Default: it is the first. */
  readonly earlier?: Versions<ToSchema<Payload>["Type"]> | undefined
  /** Default: nothing. */
  readonly success?: Success | undefined
  /** The failure that handlers may end with and that reaches the callers that await the result. Default: none. */
  readonly error?: Error | undefined
  /** The queue in which its tasks wait. Default `default`. */
  readonly queue?: string | undefined
  /** Default `normal`. */
  readonly priority?: PriorityInput | undefined
  /** The idempotency key of a task that is enqueued without a `key`, from its payload: see `EnqueueOptions`. */
  readonly idempotencyKey?: ((payload: ToSchema<Payload>["Type"]) => string) | undefined
  /**
   * How tasks with the same key keep each other away, for a while. A function gets typed constructors. Not with `idempotencyKey`.
   */
  readonly unique?: Unique.GivenUnique<ToSchema<Payload>["Type"]> | undefined
  /** Default: three retries, exponential from one second with jitter, at most an hour apart. */
  readonly retry?: RetryPolicy<Error["Type"]> | undefined
  /** Time limit of one attempt. */
  readonly timeout?: Duration.Input | undefined
  /** How long a task is of use once it is due for the first time: see `EnqueueOptions`. Default: for ever. */
  readonly expiresIn?: Duration.Input | undefined
  /** Within which time a task should start once it is due: see `EnqueueOptions`. Default: none. */
  readonly startWithin?: Duration.Input | undefined
  /** Words that its tasks are found by, with those of the enqueue: some for all of them, or what a function makes of the payload. */
  readonly tags?: ReadonlyArray<string> | ((payload: ToSchema<Payload>["Type"]) => ReadonlyArray<string>) | undefined
  /** How many of its tasks run at a time and start in a time, per key if a limit has one. A function gets typed constructors. */
  readonly limits?: GivenLimits<ToSchema<Payload>["Type"]> | undefined
  /** Dependencies of its handler: while the breaker of one is open, none of its tasks starts. See `Breaker.make`. */
  readonly breakers?: ReadonlyArray<Breaker<ToSchema<Payload>["Type"]>> | undefined
  /** Tasks of the same key go in the order in which they were enqueued, one at a time, retries included. No task has a `priority`. */
  readonly orderBy?: Key<ToSchema<Payload>["Type"]> | OrderOptions<ToSchema<Payload>["Type"]> | undefined
  /** Keys take turns, however many tasks one of them has. */
  readonly fairBy?: Key<ToSchema<Payload>["Type"]> | FairOptions<ToSchema<Payload>["Type"]> | undefined
  /** What becomes of a task whose handler has other steps than when it began. See `Step`. */
  readonly steps?: StepSettings | undefined
  readonly description?: string | undefined
}

/** The names of {@link Options}. */
export const optionNames: Bounds.Names<Options<any, any, any>> = {
  payload: 1,
  earlier: 1,
  success: 1,
  error: 1,
  queue: 1,
  priority: 1,
  idempotencyKey: 1,
  unique: 1,
  retry: 1,
  timeout: 1,
  expiresIn: 1,
  startWithin: 1,
  tags: 1,
  limits: 1,
  breakers: 1,
  orderBy: 1,
  fairBy: 1,
  steps: 1,
  description: 1
}

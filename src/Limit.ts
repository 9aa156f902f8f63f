/**
 * Limits of task types: how many of them run at the same time, and how many start in a time, over all instances that share the
 * store.
 *
 * @example
 * ```ts
 * const Sync = Task.make("sync", {
 *   payload: { tenant: Schema.String, url: Schema.String },
 *   limits: ({ concurrency, rate }) => [
 *     concurrency({ key: ({ tenant }) => tenant, max: 2 }),
 *     rate({ key: ({ url }) => new URL(url).host, max: 100, per: "1 minute" })
 *   ]
 * })
 * ```
 */
import * as LimitRule from "./domain/LimitRule.ts"

/** A limit of a task type. */
export type Limit<Payload> = LimitRule.Limit<Payload>

/** What `limits` of a task type is called with: these constructors, typed by its payload. */
export interface Limits<in out Payload> {
  /** See {@link concurrency}. */
  readonly concurrency: (options: LimitRule.ConcurrencyOptions<Payload>) => Limit<Payload>
  /** See {@link rate}. */
  readonly rate: (options: LimitRule.RateOptions<Payload>) => Limit<Payload>
}

/**
 * At most `max` tasks of a key run at the same time. No one overshoots it: neither several instances, nor after a crash.
 *
 * @example
 * ```ts
 * const smtp = Limit.concurrency({ name: "smtp", max: 5 })
 * const Welcome = Task.make("welcome", { limits: [smtp] })
 * const Goodbye = Task.make("goodbye", { limits: [smtp] })
 * ```
 */
export const concurrency = <Payload = unknown>(options: LimitRule.ConcurrencyOptions<Payload>): Limit<Payload> =>
  LimitRule.ofConcurrency(options)

/**
 * Each key has a bucket that gets `max` tokens `per` a time, evenly, and holds at most `burst`. A task starts when the bucket has
 * what it costs, and takes it out; one that costs more than `burst` starts when the bucket is full.
 *
 * @example
 * ```ts
 * const tokens = Limit.rate({ cost: ({ estimate }: { readonly estimate: number }) => estimate, max: 90_000, per: "1 minute" })
 * const Prompt = Task.make("prompt", { payload: { estimate: Schema.Int, text: Schema.String }, limits: [tokens] })
 * ```
 */
export const rate = <Payload = unknown>(options: LimitRule.RateOptions<Payload>): Limit<Payload> =>
  LimitRule.ofRate(options)

/** Limits as a task type is given them: as they are, or made with the constructors for its payload. */
export type GivenLimits<Payload> =
  | ReadonlyArray<Limit<Payload>>
  | ((limits: Limits<Payload>) => ReadonlyArray<Limit<Payload>>)

/** The limits that are given. */
export const given = <Payload>(limits: GivenLimits<Payload> | undefined): ReadonlyArray<Limit<Payload>> | undefined =>
  limits === undefined
    ? undefined
    : LimitRule.demandArray("limits", typeof limits === "function" ? limits({ concurrency, rate }) : limits)

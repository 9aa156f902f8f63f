/**
 * When a failed attempt is tried again.
 *
 * The delay is the policy's `Schedule` replayed to the stored failure count, so it survives restarts and needs no
 * state next to the task. Replay runs on a virtual clock that the delays themselves advance; schedules therefore see
 * how often and with what the task failed, and nothing else.
 */
import { Duration, Effect, Pull, Schedule } from "effect"

/** The part of a policy that may differ per error tag. */
export interface RetryRule<in E> {
  /** Retries after the first execution; `-1` is unlimited. */
  readonly times?: number | undefined
  /** Delay before each retry; a schedule that ends ends the retries. */
  readonly schedule?: Schedule.Schedule<unknown, E> | undefined
  /** No delay is longer than this. Default one hour. */
  readonly maxDelay?: Duration.Input | undefined
}

/**
 * A task type's retry policy.
 *
 * @example
 * ```ts
 * const retry = {
 *   times: 5,
 *   schedule: Schedule.exponential("1 second"),
 *   byTag: { AddressRejected: false, ServerBusy: { schedule: Schedule.spaced("1 minute") } }
 * }
 * ```
 */
export interface RetryPolicy<in E> extends RetryRule<E> {
  /** Rules per error tag; `false` never retries that error. `times` counts all failures of the task. */
  readonly byTag?: { readonly [tag: string]: RetryRule<E> | false | undefined } | undefined
  /** Errors for which this is false fail the task at once. */
  readonly retryable?: ((error: E) => boolean) | undefined
}

/** No delay is longer than this, unless the policy says otherwise. */
const defaultMaxDelay: Duration.Duration = Duration.hours(1)

/** Exponential from one second, with 20 % jitter either way. */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.jittered(Schedule.exponential("1 second"))

/** Steps that are replayed at most: by then every schedule has reached its longest delay. */
const maxReplay = 1000

/**
 * The delay before the retry that follows failure number `failures` (counted from 1), in whole milliseconds, or
 * `undefined` when the schedule has ended.
 */
export const delayMs = Effect.fnUntraced(function*<E>(
  rule: RetryRule<E>,
  failures: number,
  error: E
): Effect.fn.Return<number | undefined> {
  const maxDelayMs = Math.ceil(Duration.toMillis(rule.maxDelay ?? defaultMaxDelay))
  const step = yield* Schedule.toStep(rule.schedule ?? (defaultSchedule as Schedule.Schedule<unknown, E>))
  let now = 0
  let delay = 0
  for (let i = 0; i < Math.min(failures, maxReplay); i++) {
    const next = yield* Pull.catchDone(step(now, error), () => Effect.undefined)
    if (next === undefined) return undefined
    // A schedule is the application's code, and may give any duration
    delay = Math.max(0, Math.min(Math.ceil(Duration.toMillis(next[1])), maxDelayMs))
    now += delay
  }
  return delay
})

/** Whether a rule still allows a retry after this many failures, given the task's own budget. */
const hasBudget = (rule: RetryRule<never>, failures: number, maxRetries: number): boolean =>
  (maxRetries < 0 || failures <= maxRetries) &&
  (rule.times === undefined || rule.times < 0 || failures <= rule.times)

/**
 * What to do after a failure: the delay before the next attempt, or `undefined` to fail for good.
 *
 * `failures` includes the one just met. The task's own `maxRetries` is the budget; a rule per tag can only narrow it.
 * `declared` is absent for defects and timeouts, which only the policy's general rule concerns, except that a rule for its
 * tag counts `byTag`: for errors of a database, which need not be declared.
 */
export const next = <E>(
  policy: RetryPolicy<E>,
  options: {
    readonly failures: number
    readonly maxRetries: number
    readonly tag: string
    readonly byTag?: boolean | undefined
    readonly declared?: { readonly error: E } | undefined
  }
): Effect.Effect<number | undefined> => {
  // Its own rules: an error may be named like something that every object has
  const rules = (options.byTag ?? options.declared !== undefined) ? policy.byTag : undefined
  const byTag = rules !== undefined && Object.hasOwn(rules, options.tag) ? rules[options.tag] : undefined
  if (byTag === false) return Effect.undefined
  if (options.declared !== undefined && policy.retryable?.(options.declared.error) === false) return Effect.undefined
  const rule: RetryRule<E> = {
    times: byTag?.times,
    schedule: byTag?.schedule ?? policy.schedule,
    maxDelay: byTag?.maxDelay ?? policy.maxDelay
  }
  if (!hasBudget(rule as RetryRule<never>, options.failures, options.maxRetries)) return Effect.undefined
  return delayMs(rule, options.failures, options.declared?.error as E)
}

/** Why a request of a task did not succeed. The three kinds differ in what helps: nothing, another request, time. */
import { Duration, Effect, Schedule, Schema } from "effect"
import type { RetryPolicy } from "../../domain/RetryPolicy.ts"
import { maxRetryAfterMillis } from "./RetryAfter.ts"

/** The server does not send such a request, or not this far: an address that is not allowed, too many redirects. */
export class RequestRefused extends Schema.TaggedError<RequestRefused>()("RequestRefused", {
  url: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.url}: ${this.reason}`
  }
}

/** The other side does not want the request (a status from 400 to 499): repeating it changes nothing. */
export class RequestRejected extends Schema.TaggedError<RequestRejected>()("RequestRejected", {
  url: Schema.String,
  status: Schema.Int,
  /** The beginning of the answer. */
  answer: Schema.String
}) {
  /** Without the answer: messages are logged, and it is not known what the other side wrote. */
  override get message(): string {
    return `${this.url} answered ${this.status}`
  }
}

/** No answer, or one that says to try again: later it may succeed. */
export class RequestFailed extends Schema.TaggedError<RequestFailed>()("RequestFailed", {
  url: Schema.String,
  /** The status of the answer; null when there was none. */
  status: Schema.NullOr(Schema.Int),
  reason: Schema.String,
  /** How long the other side asks to be left alone, in milliseconds. */
  retry_after_ms: Schema.NullOr(Schema.Finite)
}) {
  override get message(): string {
    return `${this.url}: ${this.reason}`
  }
}

/** Everything that a request may fail with. */
export const OutboundError = Schema.Union([RequestRefused, RequestRejected, RequestFailed])

export type OutboundError = typeof OutboundError.Type

/** Only failures are retried, and not before the other side's `Retry-After`, which may be longer than our own delays. */
export const retry = {
  retryable: (error: { readonly _tag: string }) => error._tag === "RequestFailed",
  maxDelay: Duration.millis(maxRetryAfterMillis),
  schedule: Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 hour")]).pipe(
    Schedule.jittered,
    Schedule.setInputType<{ readonly _tag: string }>(),
    Schedule.modifyDelay(({ duration, input }) => Effect.succeed(Duration.max(duration, retryAfterOf(input))))
  )
} satisfies RetryPolicy<{ readonly _tag: string }>

const retryAfterOf = (error: unknown): Duration.Duration =>
  Duration.millis(error instanceof RequestFailed ? error.retry_after_ms ?? 0 : 0)

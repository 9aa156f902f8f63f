/**
 * One attempt, from the stored payload to its settlement: decode, run the handler, look at how it ended, settle.
 * This is the only place that catches defects.
 */
import { Cause, Duration, Effect, Exit, type Schema } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as RetryPolicy from "../domain/RetryPolicy.ts"
import type { Settlement } from "../domain/Settlement.ts"
import { StepRefused, StepsChanged, StepUnfit } from "../domain/StepErrors.ts"
import type { FailureKind, TaskFailure } from "../domain/TaskRecord.ts"
import * as Thrown from "../domain/Thrown.ts"
import type { ClaimRef } from "../store/TaskStore.ts"
import { type Attempt, Snoozed, Unfit, Withdrawn } from "./Attempt.ts"
import * as AttemptError from "./AttemptError.ts"
import type { EndedAttempt } from "./Endings.ts"
import * as ErrorDetails from "./ErrorDetails.ts"
import type { Handler } from "./HandlerRegistry.ts"
import type { TaskContext } from "./TaskContext.ts"

/** The attempt itself: decodes the payload, runs the handler, and encodes its result as JSON text. */
export const perform = (handler: Handler, attempt: Attempt): Effect.Effect<string, unknown, TaskContext> => {
  const { codec } = handler.definition
  const payload = codec.decodePayload(attempt.task.payload, attempt.task.version ?? 1)
  if (Exit.isFailure(payload)) return Effect.die(new Unfit({ subject: "payload", cause: payload.cause }))
  return Effect.flatMap(Effect.suspend(() => handler.run(payload.value, attempt)), (success) => {
    const encoded = codec.encodeSuccess(success)
    const result = Exit.isFailure(encoded)
      ? Effect.die(new Unfit({ subject: "result", cause: encoded.cause }))
      : encoded
    return attempt.knownSteps === undefined ? result : Effect.andThen(attempt.knownSteps.close, result)
  })
}

/** What is known of an attempt where it is decided what becomes of it. */
export type Judged = Pick<EndedAttempt, "id" | "claim" | "definition" | "task">

/** What an attempt becomes. A lost attempt becomes nothing, because another attempt owns the task. */
export const decide = (
  attempt: Attempt,
  exit: Exit.Exit<string, unknown>
): Effect.Effect<Settlement | undefined> =>
  Exit.isSuccess(exit)
    ? Effect.succeed(complete(attempt, exit.value))
    : Effect.suspend(() => decideFailed(attempt, exit.cause)).pipe(
      // The retry policy is the application's code: when it throws, the attempt must end all the same.
      Effect.catchCause((cause) =>
        Effect.succeed<Settlement>({
          _tag: "Fail",
          id: attempt.id,
          claim: attempt.claim,
          failure: describe("defect", Cause.squash(cause))
        })
      )
    )

/** The settlement of a success. */
export const complete = ({ claim, id }: ClaimRef, result: string): Settlement => ({
  _tag: "Complete",
  id,
  claim,
  result
})

/** What an attempt becomes whose end the store cannot keep, with the store's own reason. It is fenced like any end. */
export const refused = ({ claim, id }: ClaimRef, reason: string): Settlement => ({
  _tag: "Fail",
  id,
  claim,
  failure: {
    kind: "invalid",
    tag: "InvalidEnd",
    message: Thrown.cut(`The store cannot keep how the attempt ended: ${reason}`, Thrown.maxMessageLength)
  }
})

/** What a failed attempt becomes, from its cause and the reason recorded before it was interrupted. */
const decideFailed = (
  attempt: Attempt,
  cause: Cause.Cause<unknown>
): Effect.Effect<Settlement | undefined> => {
  const { claim, definition, id } = attempt
  if (attempt.reason !== undefined && Cause.hasInterrupts(cause)) return decideInterrupted(attempt)
  const defect = cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect).find(isOurs)
  if (defect instanceof Snoozed) return Effect.succeed({ _tag: "Snooze", id, claim, delayMs: defect.delayMs })
  if (defect instanceof Withdrawn) return Effect.succeed({ _tag: "Cancel", id, claim })
  if (defect instanceof Unfit) return Effect.succeed(unfit(attempt, defect))
  if (defect !== undefined) {
    const { message, tag } = Thrown.show(defect)
    return Effect.succeed({ _tag: "Fail", id, claim, failure: { kind: "invalid", tag, message } })
  }
  const met = AttemptError.of(cause, (error) => Exit.isSuccess(definition.codec.encodeError(error)))
  return met === undefined || met.isDefect
    ? retryOrFail(attempt, describe("defect", met === undefined ? interrupted : met.error))
    : decideDeclared(attempt, met.error)
}

/** How the engine itself leaves a handler: of these, no attempt is tried again. */
type Ours = Snoozed | Withdrawn | Unfit | StepsChanged | StepUnfit | StepRefused

/** What else was thrown may throw when it is looked at. */
const isOurs = (defect: unknown): defect is Ours => {
  try {
    return defect instanceof Snoozed || defect instanceof Withdrawn || defect instanceof Unfit ||
      defect instanceof StepsChanged || defect instanceof StepUnfit || defect instanceof StepRefused
  } catch {
    return false
  }
}

/** What an attempt becomes that failed with an error. One that its definition does not declare is a defect. */
const decideDeclared = (attempt: Attempt, error: unknown): Effect.Effect<Settlement> => {
  const encoded = attempt.definition.codec.encodeError(error)
  if (Exit.isFailure(encoded)) {
    return retryOrFail(attempt, describe("defect", error), undefined, AttemptError.isStorage(error))
  }
  const { message, tag } = describe("error", error)
  return retryOrFail(attempt, failureOf(tag, message, encoded.value), { error })
}

/** What is kept of an error with details: as much of both as there is room for. */
export const failureOf = (tag: string, message: string, error: Schema.Json): TaskFailure => {
  const { note, ...details } = ErrorDetails.of(error)
  const shown = message === "" ? JSON.stringify(error) : message
  return {
    kind: "error",
    tag,
    message: note === undefined
      ? Thrown.cut(shown, Thrown.maxMessageLength)
      : `${Thrown.cut(shown, Thrown.maxMessageLength - note.length - 1)} ${note}`,
    ...details
  }
}

/** What an attempt becomes whose fiber was told to stop. */
export const decideInterrupted = (attempt: Attempt): Effect.Effect<Settlement | undefined> => {
  const { claim, id } = attempt
  switch (attempt.reason) {
    case "cancelled":
      return Effect.succeed({ _tag: "Cancel", id, claim })
    case "shutdown":
      return Effect.succeed({ _tag: "Release", id, claim })
    case "timeout":
      return timedOut(attempt, attempt.deadline - attempt.startedAt)
    default:
      return Effect.undefined
  }
}

/** What an attempt becomes that ran out of time. */
export const timedOut = (attempt: Judged, timeoutMs: number): Effect.Effect<Settlement> =>
  retryOrFail(attempt, {
    kind: "timeout",
    tag: "Timeout",
    message: `The attempt ran longer than its timeout of ${Math.round(timeoutMs)} ms`
  })

/** What an attempt becomes whose payload or result does not fit: no other one would do better. */
export const unfit = ({ claim, definition, id }: Judged, why: Unfit): Settlement => ({
  _tag: "Fail",
  id,
  claim,
  failure: describeUnfit(why, definition.type)
})

/** Tries a failed attempt again after a time, if the policy of its type and the budget of its task allow that. */
export const retryOrFail = (
  attempt: Judged,
  failure: TaskFailure,
  declared?: { readonly error: unknown },
  byTag = declared !== undefined
): Effect.Effect<Settlement> => {
  const { claim, definition, id, task } = attempt
  return Effect.map(
    RetryPolicy.next(definition.retry as RetryPolicy.RetryPolicy<unknown>, {
      failures: task.failures + 1,
      maxRetries: task.maxRetries,
      tag: failure.tag,
      byTag,
      declared
    }),
    (delayMs) =>
      delayMs === undefined
        ? { _tag: "Fail", id, claim, failure }
        : { _tag: "Retry", id, claim, failure, delayMs: storableDelay(delayMs) }
  )
}

const maxDelayMs = Duration.toMillis(Bounds.maxDelay)

/** A policy may say anything; a store keeps whole milliseconds within the bound. What is no number is no wait. */
export const storableDelay = (delayMs: number): number => Math.min(Math.max(0, Math.ceil(delayMs) || 0), maxDelayMs)

const interrupted = new Error("The handler was interrupted from within, by a fiber that it joined")

const describe = (kind: FailureKind, error: unknown): TaskFailure => {
  const { message, stack, tag } = Thrown.show(error)
  return { kind, tag, message, ...(stack === undefined || kind !== "defect" ? {} : { stack }) }
}

const describeUnfit = (unfit: Unfit, type: string): TaskFailure => ({
  kind: "invalid",
  tag: unfit.subject === "payload" ? "InvalidPayload" : "InvalidResult",
  message: Thrown.cut(
    `The ${unfit.subject} does not fit task type ${JSON.stringify(type)}${
      unfit.subject === "result" ? ", so the task has failed and is not tried again" : ""
    }: ${Cause.prettyErrors(unfit.cause).map((error) => error.message).join("; ")}`,
    Thrown.maxMessageLength
  )
})

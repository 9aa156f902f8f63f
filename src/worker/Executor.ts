/**
 * One attempt, from the stored payload to its settlement: decode, run the handler, look at how it ended, settle.
 * This is the only place that catches defects.
 */
import { Cause, Effect, Exit, Predicate } from "effect"
import * as RetryPolicy from "../domain/RetryPolicy.ts"
import type { Settlement } from "../domain/Settlement.ts"
import type { FailureKind, TaskFailure } from "../domain/TaskRecord.ts"
import { type Attempt, Snoozed } from "./Attempt.ts"
import * as AttemptError from "./AttemptError.ts"
import type { Handler } from "./HandlerRegistry.ts"
import type { TaskContext } from "./TaskContext.ts"
import { Unfit } from "./Unfit.ts"

/** The attempt itself: decodes the payload, runs the handler, and encodes its result as JSON text. */
export const perform = (handler: Handler, attempt: Attempt): Effect.Effect<string, unknown, TaskContext> => {
  const { codec } = handler.definition
  const payload = codec.decodePayload(attempt.task.payload)
  if (Exit.isFailure(payload)) return Effect.die(new Unfit("payload", payload.cause))
  return Effect.flatMap(Effect.suspend(() => handler.run(payload.value)), (success) => {
    const result = codec.encodeSuccess(success)
    return Exit.isFailure(result) ? Effect.die(new Unfit("result", result.cause)) : result
  })
}

/** What an attempt becomes. A lost attempt becomes nothing, because somebody else owns the task. */
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
export const complete = ({ claim, id }: Attempt, result: string): Settlement => ({
  _tag: "Complete",
  id,
  claim,
  result
})

/** What a failed attempt becomes, from its cause and the reason recorded before it was interrupted. */
const decideFailed = (
  attempt: Attempt,
  cause: Cause.Cause<unknown>
): Effect.Effect<Settlement | undefined> => {
  const { claim, definition, id } = attempt
  if (attempt.reason !== undefined && Cause.hasInterrupts(cause)) return decideInterrupted(attempt)
  const defects = cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect)
  const defect = defects.find((one) => one instanceof Snoozed || one instanceof Unfit)
  if (defect instanceof Snoozed) return Effect.succeed({ _tag: "Snooze", id, claim, delayMs: defect.delayMs })
  if (defect instanceof Unfit) {
    return Effect.succeed({ _tag: "Fail", id, claim, failure: describeUnfit(defect, definition.type) })
  }
  const { encodeError } = definition.codec
  const met = AttemptError.of(cause, (error) => Exit.isSuccess(encodeError(error)))
  if (met === undefined || met.isDefect) return retryOrFail(attempt, describe("defect", met ? met.error : interrupted))
  const { error } = met
  const encoded = encodeError(error)
  if (Exit.isFailure(encoded)) {
    return retryOrFail(attempt, describe("defect", error), undefined, AttemptError.isStorage(error))
  }
  const failure = describe("error", error)
  const message = failure.message === "" ? JSON.stringify(encoded.value).slice(0, longestMessage) : failure.message
  return retryOrFail(attempt, { ...failure, message, error: encoded.value }, { error })
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
      return retryOrFail(attempt, {
        kind: "timeout",
        tag: "Timeout",
        message: `The attempt ran longer than its timeout of ${Math.round(attempt.deadline - attempt.startedAt)} ms`
      })
    default:
      return Effect.undefined
  }
}

const retryOrFail = (
  attempt: Attempt,
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
        : { _tag: "Retry", id, claim, failure, delayMs }
  )
}

const interrupted = new Error("The handler was interrupted from within, by a fiber that it joined")

/** Failures are stored: their texts are kept readable, not endless. */
const longestMessage = 2000
const longestStack = 8000

const describe = (kind: FailureKind, error: unknown): TaskFailure => {
  const message = textOf(error)
  const stack = error instanceof Error && kind === "defect" ? error.stack : undefined
  return {
    kind,
    tag: tagOf(error),
    message: message.slice(0, longestMessage),
    ...(stack === undefined ? {} : { stack: stack.slice(0, longestStack) })
  }
}

/** Anything can be thrown, even what cannot be shown. */
const textOf = (error: unknown): string => {
  try {
    return Predicate.hasProperty(error, "message") ? String(error.message) : String(error)
  } catch {
    return `An error that cannot be shown as text`
  }
}

const tagOf = (error: unknown): string =>
  Predicate.hasProperty(error, "_tag") && typeof error._tag === "string"
    ? error._tag
    : error instanceof Error
    ? error.name
    : typeof error

const describeUnfit = (unfit: Unfit, type: string): TaskFailure => ({
  kind: "invalid",
  tag: unfit.subject === "payload" ? "InvalidPayload" : "InvalidResult",
  message: `The ${unfit.subject} does not fit task type ${JSON.stringify(type)}: ${
    Cause.prettyErrors(unfit.cause).map((error) => error.message).join("; ")
  }`.slice(0, longestMessage)
})

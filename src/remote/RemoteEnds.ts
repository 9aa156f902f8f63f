/** What becomes of a task by the end of an attempt in another process: decided by the same rules as the end of one in an engine. */
import { Cause, Effect, Exit, type Schema } from "effect"
import type { Settlement } from "../domain/Settlement.ts"
import * as Thrown from "../domain/Thrown.ts"
import { Unfit } from "../worker/Attempt.ts"
import * as Executor from "../worker/Executor.ts"
import type { RemoteAttempt } from "./RemoteAttempt.ts"
import type { RemoteEnd } from "./RemoteTask.ts"

/** A settlement, and what breakers look at: how the attempt ended. */
export interface Decided {
  readonly settlement: Settlement
  readonly exit: Exit.Exit<unknown, unknown> | undefined
}

/** What an attempt becomes by what its worker says. */
export const decide = (attempt: RemoteAttempt, end: RemoteEnd): Effect.Effect<Decided> => {
  const { claim, id } = attempt
  switch (end._tag) {
    case "Complete":
      return Effect.sync(() => completed(attempt, end.result))
    case "Fail":
      return end.timeout ? Effect.map(timedOut(attempt), plain) : failed(attempt, end)
    case "Snooze":
      return Effect.succeed(plain({ _tag: "Snooze", id, claim, delayMs: Executor.storableDelay(end.delayMs) }))
    case "Release":
      return Effect.succeed(plain({ _tag: "Release", id, claim }))
    case "Cancel":
      return Effect.succeed(plain({ _tag: "Cancel", id, claim }))
  }
}

/** What an attempt becomes whose time is up. */
export const timedOut = (attempt: RemoteAttempt): Effect.Effect<Settlement> =>
  Executor.timedOut(attempt, attempt.facts.timeoutMs ?? 0)

/** What an attempt becomes whose stored payload its type does not take. */
export const withUnfitPayload = (attempt: RemoteAttempt, cause: Cause.Cause<unknown>): Settlement =>
  Executor.unfit(attempt, new Unfit({ subject: "payload", cause }))

const plain = (settlement: Settlement): Decided => ({ settlement, exit: undefined })

/** A result is stored as its type encodes it. One that it does not take fails the task, as it does in an engine. */
const completed = (attempt: RemoteAttempt, result: Schema.Json): Decided => {
  const { codec } = attempt.definition
  const value = codec.readSuccess(result)
  const text = Exit.isSuccess(value) ? codec.encodeSuccess(value.value) : value
  return Exit.isSuccess(text)
    ? { settlement: Executor.complete(attempt, text.value), exit: Exit.void }
    : plain(Executor.unfit(attempt, new Unfit({ subject: "result", cause: text.cause })))
}

const failed = (attempt: RemoteAttempt, end: RemoteEnd & { readonly _tag: "Fail" }): Effect.Effect<Decided> => {
  const tag = Thrown.cut(end.tag, Thrown.maxTagLength)
  const message = Thrown.cut(end.message, Thrown.maxMessageLength)
  const failure = end.details === undefined
    ? { kind: "error" as const, tag, message }
    : Executor.failureOf(tag, message, end.details)
  const known = end.details === undefined ? undefined : attempt.definition.codec.decodeError(end.details)
  // What the definition declares, its own rules judge; all else they judge by its tag
  const declared = known !== undefined && Exit.isSuccess(known) ? { error: known.value } : undefined
  const exit = Exit.fail(declared?.error ?? { _tag: tag, message })
  const { claim, id } = attempt
  if (!end.retry) return Effect.succeed({ settlement: { _tag: "Fail", id, claim, failure }, exit })
  return Executor.retryOrFail(attempt, failure, declared, true).pipe(
    // The policy is the application's code
    Effect.catchCause((cause) =>
      Effect.succeed<Settlement>({
        _tag: "Fail",
        id,
        claim,
        failure: { kind: "defect", ...Thrown.show(Cause.squash(cause)) }
      })
    ),
    Effect.map((settlement) => ({
      settlement: settlement._tag === "Retry" && end.delayMs !== undefined
        ? { ...settlement, delayMs: Executor.storableDelay(end.delayMs) }
        : settlement,
      exit
    }))
  )
}

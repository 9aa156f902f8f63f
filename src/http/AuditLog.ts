/**
 * What operators do, who they are and what came of it: one line of the log each, marked `audit`. It is written whether
 * the action succeeded or not.
 */
import { Effect, Exit, Option, Predicate, References } from "effect"
import { HttpServerRequest } from "effect/http"
import { Caller } from "./Access.ts"

/** Runs an action and writes down what became of it. */
export const recorded = <A, E, R>(
  action: string,
  subject: Readonly<Record<string, string>>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.onExit(effect, (exit) =>
    Effect.gen(function*() {
      const caller = yield* Caller
      const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
      const outcome = Exit.isSuccess(exit) ? outcomeOf(exit.value) : "failed"
      const line = Effect.logInfo(`${action} ${Object.values(subject).join(" ")}: ${outcome}`)
      // Also where the log is told to be quiet
      yield* Effect.annotateLogs(Effect.provideService(line, References.MinimumLogLevel, "Info"), {
        audit: true,
        action,
        ...subject,
        outcome,
        key_id: caller?.id ?? null,
        key_name: caller?.name ?? null,
        address: Option.getOrElse(remoteAddress, () => "unknown")
      })
    }))

const outcomeOf = (value: unknown): string =>
  Predicate.hasProperty(value, "status") && typeof value.status === "string" ? value.status : "done"

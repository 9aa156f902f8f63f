/**
 * What operators do and what callers are denied: one line of the log each, marked `audit`, with who it was and what came
 * of it. A line is written also where the log is told to be quiet.
 */
import { Clock, Effect, Exit, Option, Predicate, References } from "effect"
import { HttpServerRequest } from "effect/http"
import type { ApiKey } from "../domain/ApiKey.ts"
import * as LogModule from "../domain/LogModule.ts"
import { CurrentVisitor, keyOf, type Visitor } from "./Visitor.ts"

/** Runs an action and writes down what became of it, whether it succeeded or not. */
export const recorded = <A, E, R>(
  action: string,
  subject: Readonly<Record<string, string>>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.onExit(effect, (exit) => done(action, subject, Exit.isSuccess(exit) ? outcomeOf(exit.value) : "failed"))

/** Runs an action on several tasks and writes down what became of each. */
export const recordedEach = <A, E, R>(
  action: string,
  ids: ReadonlyArray<string>,
  effect: Effect.Effect<ReadonlyArray<A>, E, R>
): Effect.Effect<ReadonlyArray<A>, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.onExit(effect, (exit) =>
    Effect.forEach(
      ids,
      (task, index) => done(action, { task }, Exit.isSuccess(exit) ? outcomeOf(exit.value[index]) : "failed"),
      { discard: true }
    ))

const done = Effect.fnUntraced(function*(
  action: string,
  subject: Readonly<Record<string, string>>,
  outcome: string
) {
  const visitor = yield* CurrentVisitor
  const request = yield* HttpServerRequest.HttpServerRequest
  yield* write(`${action} ${Object.values(subject).join(" ")}: ${outcome}`, {
    action,
    ...subject,
    outcome,
    ...whoIs(visitor, request)
  })
})

/** Denials written within a second; what is more is counted, so that strangers cannot fill the log. */
const maxDenialsPerSecond = 20

/** A log of refused requests. `path` is the route's own, without what the caller put into it. */
export const denials = Effect.map(Clock.Clock, (clock) => {
  let second = 0n
  let written = 0
  let left = 0
  return (visitor: Visitor, request: HttpServerRequest.HttpServerRequest, path: string, status: number) =>
    Effect.suspend(() => {
      const now = clock.monotonicTimeNanosUnsafe() / 1_000_000_000n
      if (now !== second) {
        second = now
        written = 0
      }
      if (written >= maxDenialsPerSecond) {
        left++
        return Effect.void
      }
      written++
      const omitted = left
      left = 0
      const { method } = request
      return write(`denied ${method} ${path}: ${status}`, {
        action: "denied",
        method,
        path,
        status,
        ...(visitor._tag === "Stranger" ? { unknown_key: visitor.hasKey } : {}),
        ...(omitted === 0 ? {} : { omitted }),
        ...whoIs(visitor, request)
      })
    })
})

/** Writes down that a request was refused. */
export type Denied = Effect.Success<typeof denials>

/** Writes down that a key has come or gone, as this server has found out. */
export const keyChanged = (action: "key_added" | "key_revoked", { id, name, role }: ApiKey): Effect.Effect<void> =>
  write(`${action} ${name}`, { action, key_id: id, key_name: name, role })

const write = (message: string, facts: Readonly<Record<string, unknown>>): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.provideService(Effect.logInfo(message), References.MinimumLogLevel, "Info"), {
    audit: true,
    ...facts
  }).pipe(LogModule.within("audit"))

const whoIs = (visitor: Visitor, { remoteAddress }: HttpServerRequest.HttpServerRequest) => {
  const key = keyOf(visitor)
  return {
    key_id: key?.id ?? null,
    key_name: key?.name ?? null,
    address: Option.getOrElse(remoteAddress, () => "unknown")
  }
}

const outcomeOf = (value: unknown): string =>
  Predicate.hasProperty(value, "status") && typeof value.status === "string" ? value.status : "done"

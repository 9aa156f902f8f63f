/**
 * Around every request: it is counted and timed, and whatever goes wrong ends as an error answer. What a handler did
 * not foresee is logged in full and answered without detail.
 */
import { Cause, Clock, Context, Effect, type Layer, type Types } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, type HttpServerResponse } from "effect/http"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import { RequestMetrics } from "./RequestMetrics.ts"

/** Puts the boundary around all routes. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function*(router) {
    const clock = yield* Clock.Clock
    const metrics = new RequestMetrics(yield* Effect.context<never>())

    yield* router.addGlobalMiddleware((routes) =>
      Effect.withFiber((fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
        const startedAt = clock.monotonicTimeNanosUnsafe()
        const answer = (response: HttpServerResponse.HttpServerResponse) => {
          const route = Context.getOrUndefined(fiber.context, HttpRouter.RouteContext)?.route
          const seconds = Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9
          metrics.answered(request.method, route?.path, response.status, seconds)
          return Effect.succeed(response)
        }
        return Effect.matchCauseEffect(routes, {
          onSuccess: answer,
          onFailure: (cause): Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled> =>
            // A client that left, or a server that stops: the server knows how to end those
            Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.flatMap(toAnswer(cause, request), answer)
        })
      })
    )
  })
)

const toAnswer = (cause: Cause.Cause<unknown>, request: HttpServerRequest.HttpServerRequest) => {
  for (const reason of cause.reasons) {
    if (
      reason._tag === "Fail" && HttpServerError.isHttpServerError(reason.error) &&
      reason.error.reason._tag === "RouteNotFound"
    ) {
      return Effect.succeed(notFound(request))
    }
  }
  return Effect.as(Effect.logError(`${request.method} ${pathOf(request)} failed`, cause), ErrorAnswer.internal)
}

const notFound = (request: HttpServerRequest.HttpServerRequest) =>
  ErrorAnswer.make(404, "route_not_found", `There is nothing at ${request.method} ${pathOf(request)}; see /docs`)

const pathOf = (request: HttpServerRequest.HttpServerRequest): string => request.url.split(/[?#]/, 1)[0] ?? "/"

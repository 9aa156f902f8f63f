/**
 * Around every request: it is counted, timed and, if wanted, logged, its answer gets the headers that keep browsers
 * careful, and whatever goes wrong ends as an error answer. What a handler did not foresee is logged in full and
 * answered without detail.
 */
import { Cause, Clock, Context, Effect, type Layer, LogLevel, Option, References, type Types } from "effect"
import { Headers, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Access from "./Access.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import { KeyRing } from "./KeyRing.ts"
import { pathOf } from "./pathOf.ts"
import { RequestMetrics } from "./RequestMetrics.ts"

/** How requests are seen. */
export interface Options {
  /** A line of log for each, at level Info. */
  readonly logRequests: boolean
}

/** Characters of a path that an answer shows. */
const maxShownLength = 300

/** A longer target is refused. */
const maxUrlLength = 8192

/** Puts the boundary around all routes. */
export const layer = (options: Options): Layer.Layer<never, never, HttpRouter.HttpRouter | KeyRing> =>
  HttpRouter.use(
    Effect.fnUntraced(function*(router) {
      const ring = yield* KeyRing
      const clock = yield* Clock.Clock
      const metrics = new RequestMetrics(yield* Effect.context<never>())
      const logged = options.logRequests &&
        LogLevel.isGreaterThanOrEqualTo("Info", yield* References.MinimumLogLevel)

      yield* router.addGlobalMiddleware((routes) =>
        Effect.withFiber((fiber) => {
          const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
          const startedAt = clock.monotonicTimeNanosUnsafe()
          const answer = (response: HttpServerResponse.HttpServerResponse) => {
            const route = Context.getOrUndefined(fiber.context, HttpRouter.RouteContext)?.route
            const seconds = Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9
            metrics.answered(request.method, route?.path, response.status, seconds)
            const careful = withCarefulHeaders(response)
            return logged ? Effect.as(log(request, response.status, seconds), careful) : Effect.succeed(careful)
          }
          if (request.url.length > maxUrlLength) return answer(tooLong)
          if (request.headers["host"] === undefined && mustHaveHost(request.source)) return answer(hostless)
          return Effect.matchCauseEffect(routes, {
            onSuccess: answer,
            onFailure: (cause): Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled> =>
              // A client that left, or a server that stops: the server knows how to end those
              Cause.hasInterruptsOnly(cause)
                ? Effect.failCause(cause)
                : Effect.flatMap(toAnswer(cause, request, ring), answer)
          })
        })
      )
    })
  )

const toAnswer = (
  cause: Cause.Cause<unknown>,
  request: HttpServerRequest.HttpServerRequest,
  ring: KeyRing["Service"]
) => {
  for (const reason of cause.reasons) {
    if (
      reason._tag === "Fail" && HttpServerError.isHttpServerError(reason.error) &&
      reason.error.reason._tag === "RouteNotFound"
    ) {
      return Access.unmatched(ring, request, notFound(request))
    }
  }
  return Effect.as(Effect.logError(`${request.method} ${pathOf(request.url)} failed`, cause), ErrorAnswer.internal)
}

const tooLong = ErrorAnswer.make(414, "uri_too_long", `The address is longer than ${maxUrlLength} characters`)

const hostless = ErrorAnswer.make(400, "malformed_request", "A request of HTTP/1.1 has a Host header")

const mustHaveHost = (source: object): boolean => "httpVersionMinor" in source && source.httpVersionMinor === 1

/** Nothing here is meant to be framed, guessed at, kept by proxies, or to tell other sites where it was linked from. */
const carefulHeaders = Headers.fromInput({
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
})
const carefulNames = Object.keys(carefulHeaders)

/** A page's own headers win. Most answers have none, and merging once costs half of merging twice. */
const withCarefulHeaders = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const careful = HttpServerResponse.setHeaders(response, carefulHeaders)
  return carefulNames.some((name) => name in response.headers)
    ? HttpServerResponse.setHeaders(careful, response.headers)
    : careful
}

const log = ({ method, remoteAddress, url }: HttpServerRequest.HttpServerRequest, status: number, seconds: number) => {
  const path = pathOf(url)
  return Effect.annotateLogs(Effect.logInfo(`${method} ${path} ${status}`), {
    method,
    path,
    status,
    duration: Math.round(seconds * 1e6) / 1000,
    address: Option.getOrElse(remoteAddress, () => "unknown")
  })
}

const notFound = (request: HttpServerRequest.HttpServerRequest) =>
  ErrorAnswer.make(
    404,
    "route_not_found",
    `There is nothing at ${request.method} ${pathOf(request.url).slice(0, maxShownLength)}; see /docs`
  )

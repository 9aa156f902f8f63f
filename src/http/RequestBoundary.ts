/**
 * Around every request: it is counted, timed and, if wanted, logged, its answer gets the headers that keep browsers
 * careful, and whatever goes wrong ends as an error answer. What a handler did not foresee is logged in full and
 * answered without detail.
 */
import { Cause, Clock, Context, Effect, type Layer, type Metric, Option, Tracer, type Types } from "effect"
import { Headers, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as LogLevels from "../domain/LogLevels.ts"
import * as LogModule from "../domain/LogModule.ts"
import * as TraceContext from "../domain/TraceContext.ts"
import * as Metrics from "../observability/Metrics.ts"
import * as Access from "./Access.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import { KeyRing } from "./KeyRing.ts"

/** Characters of a path that an answer shows. */
const maxShownLength = 300

/** A longer target is refused. */
const maxUrlLength = 8192

/** Puts the boundary around all routes. With `logRequests` there is a line of log for each request, at level Info. */
export const layer = (logRequests: boolean): Layer.Layer<never, never, HttpRouter.HttpRouter | KeyRing> =>
  HttpRouter.use(
    Effect.fnUntraced(function*(router) {
      const ring = yield* KeyRing
      const clock = yield* Clock.Clock
      const metrics = new RequestMetrics(yield* Effect.context<never>())
      const mayLog = yield* LogLevels.probe("http", "Info")
      const isLogged = logRequests ? mayLog : () => false

      yield* router.addGlobalMiddleware((routes) =>
        Effect.withFiber((fiber) => {
          const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
          const startedAt = clock.monotonicTimeNanosUnsafe()
          const answer = (response: HttpServerResponse.HttpServerResponse) => {
            const route = Context.getOrUndefined(fiber.context, HttpRouter.RouteContext)?.route
            const seconds = Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9
            metrics.answered(request.method, route?.path, response.status, seconds)
            const careful = withCarefulHeaders(response)
            return isLogged()
              ? Effect.as(log(request, route?.path, response.status, seconds), careful)
              : Effect.succeed(careful)
          }
          if (request.url.length > maxUrlLength) return answer(tooLong)
          if (mustHaveHost(request.source) && countOfHosts(request.source.rawHeaders) !== 1) return answer(hostless)
          if (request.url.includes("#")) return answer(fragmented)
          const literal = toTheLetter(request.url)
          if (literal !== request.url) {
            const modified = request.modify({ url: literal })
            // As the router does with what it finds out: the fiber is the request's own
            fiber.setContext(Context.add(fiber.context, HttpServerRequest.HttpServerRequest, modified))
          }
          // A server without a tracer passes on the trace of its caller all the same
          const caller = fiber.cache.span === undefined
            ? TraceContext.fromHeader(request.headers["traceparent"])
            : undefined
          if (caller !== undefined) {
            fiber.setContext(Context.add(fiber.context, Tracer.ParentSpan, Tracer.externalSpan(caller)))
          }
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
  return Effect.as(
    LogModule.within("http")(Effect.logError(`${request.method} ${loggedPath(request.url, undefined)} failed`, cause)),
    ErrorAnswer.internal
  )
}

const tooLong = ErrorAnswer.make(414, "uri_too_long", `The address is longer than ${maxUrlLength} characters`)

const hostless = ErrorAnswer.make(400, "malformed_request", "A request of HTTP/1.1 has one Host header")

const fragmented = ErrorAnswer.make(400, "malformed_request", "The target of a request has no fragment; write # as %23")

const mustHaveHost = (source: object): source is { readonly rawHeaders: ReadonlyArray<string> } =>
  "httpVersionMinor" in source && source.httpVersionMinor === 1 && "rawHeaders" in source

/** Names and values by turns. A proxy in front may have believed another one of several than Node, which takes the first. */
const countOfHosts = (rawHeaders: ReadonlyArray<string>): number => {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!
    if (name.length === 4 && name.toLowerCase() === "host") count += 1
  }
  return count
}

/**
 * The target with each semicolon of its path encoded. The router ends the path at one, as at a question mark, so the
 * target of the task `a;b` would be that of the task `a`.
 */
const toTheLetter = (url: string): string => {
  if (!url.includes(";")) return url
  const path = pathOf(url)
  return path.replaceAll(";", "%3B") + url.slice(path.length)
}

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

const log = (
  { method, remoteAddress, url }: HttpServerRequest.HttpServerRequest,
  route: string | undefined,
  status: number,
  seconds: number
): Effect.Effect<void> => {
  const path = loggedPath(url, route)
  return Effect.annotateLogs(Effect.logInfo(`${method} ${path} ${status}`), {
    method,
    path,
    status,
    duration: Math.round(seconds * 1e6) / 1000,
    address: Option.getOrElse(remoteAddress, () => "unknown")
  }).pipe(LogModule.within("http"))
}

const notFound = (request: HttpServerRequest.HttpServerRequest) =>
  ErrorAnswer.make(
    404,
    "route_not_found",
    `There is nothing at ${request.method} ${pathOf(request.url).slice(0, maxShownLength)}; see /docs`
  )

/** The path as it may be logged: who has the token of a signal may complete it. A target can be written in many ways, its route cannot. */
const loggedPath = (url: string, route: string | undefined): string =>
  route?.endsWith("/signals/:token") === true
    ? route.replace(":token", "***")
    : pathOf(url).replace(/(\/signals\/+)[^/]+(?=\/|$)(?!\/+events\/)/, "$1***")

/** The path of a request's target, without query and fragment. */
const pathOf = (url: string): string => {
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}

const requests = Metrics.counters("taskforge_http_requests_total", "HTTP requests by endpoint and status")

const duration = Metrics.histograms("taskforge_http_request_duration_seconds", {
  description: "Time from a request's head to its answer, by endpoint",
  boundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})

interface OfEndpoint {
  readonly labels: { readonly method: string; readonly endpoint: string }
  readonly duration: Metric.Histogram<number>
  readonly requests: Map<number, Metric.Counter<number>>
}

/**
 * Counts and times the requests of one server by endpoint. An endpoint is a route's pattern, so that ids cannot grow the
 * registry. Plain calls, because they run for every request.
 */
class RequestMetrics {
  private readonly endpoints = new Map<string, Map<string, OfEndpoint>>()
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.context = context
    const { labels, duration } = this.of("any", "unmatched")
    Metrics.register(duration, context)
    Metrics.register(requests({ ...labels, status: "404" }), context)
  }

  /** `endpoint` is a route's pattern such as `/api/v1/tasks/:id`, or none. */
  answered(method: string, endpoint: string | undefined, status: number, seconds: number): void {
    const metrics = endpoint === undefined ? this.of("any", "unmatched") : this.of(method, endpoint)
    let counter = metrics.requests.get(status)
    if (counter === undefined) {
      counter = requests({ ...metrics.labels, status: String(status) })
      metrics.requests.set(status, counter)
    }
    counter.updateUnsafe(1, this.context)
    metrics.duration.updateUnsafe(seconds, this.context)
  }

  private of(method: string, endpoint: string): OfEndpoint {
    let byMethod = this.endpoints.get(endpoint)
    if (byMethod === undefined) this.endpoints.set(endpoint, byMethod = new Map())
    let metrics = byMethod.get(method)
    if (metrics === undefined) {
      const labels = { method, endpoint: endpoint.replace(/:(\w+)/g, "{$1}") }
      metrics = { labels, duration: duration(labels), requests: new Map() }
      byMethod.set(method, metrics)
    }
    return metrics
  }
}

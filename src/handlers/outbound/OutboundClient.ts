/** How requests are sent: see `Outbound`. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Cause, Clock, Context, Duration, Effect, Exit, Layer, Scope, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest } from "effect/http"
import { CircuitBreaker } from "effect/persistence"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import * as Redaction from "../../domain/Redaction.ts"
import * as Guard from "./ConnectionGuard.ts"
import { type OutboundError, RequestFailed, RequestRefused, RequestRejected } from "./OutboundErrors.ts"
import type { LeftAlone, Options, OutboundRequest, Send } from "./OutboundRequest.ts"
import * as RetryAfter from "./RetryAfter.ts"

/** How much of a rejection is kept. */
const maxAnswerBytes = 500

/** A host whose probe is under way may be asked again soon. */
const probeTakes = Duration.seconds(1)

/** The client, as long as the scope. */
export const make = Effect.fnUntraced(function*(
  {
    allow = [],
    breakAfter = 5,
    breakFor = "30 seconds",
    lookup,
    maxBytes = 10 * 1024 * 1024,
    maxRedirects = 5,
    timeout = "30 seconds"
  }: Options,
  scope: Scope.Scope
): Effect.fn.Return<Send> {
  const dispatcher = yield* Scope.provide(Guard.makeDispatcher({ allow, lookup }), scope)
  const client = yield* Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
  const breakers = yield* Layer.buildWithScope(
    CircuitBreaker.layer({
      tripPolicy: CircuitBreaker.consecutive(breakAfter),
      openDuration: breakFor,
      maxOpenDuration: RetryAfter.maxRetryAfterMillis
    }).pipe(
      // Payloads name the hosts, without end
      Layer.provide(CircuitBreaker.layerStoreMemory({ idleTimeToLive: "5 minutes" }))
    ),
    scope
  )
  const breaker = Context.get(breakers, CircuitBreaker.CircuitBreaker)
  const clock = yield* Clock.Clock
  const steady = MonotonicClock.steady(clock)

  const once = (request: OutboundRequest, url: URL, time: number) =>
    breaker.execute(
      // Within the breaker, so that a host that hangs counts as one that fails
      Effect.timeoutOrElse(exchange(client, request, url, Math.min(request.maxBytes ?? maxBytes, maxBytes)), {
        duration: Math.max(0, time),
        orElse: () => failed(url, "there was no whole answer in time")
      }).pipe(Effect.provideService(Clock.Clock, clock)),
      { key: url.host, classify: outcomeOf }
    ).pipe(Effect.provideService(Clock.Clock, steady))

  const follow = Effect.fnUntraced(function*(request: OutboundRequest) {
    const maxTime = Duration.fromInputUnsafe(timeout)
    const time = request.timeout === undefined ? maxTime : Duration.min(request.timeout, maxTime)
    const deadline = (yield* MonotonicClock.now) + Duration.toMillis(time)
    let current = request
    for (let redirects = 0;; redirects++) {
      const url = yield* parse(current.url)
      const answer = yield* once(current, url, deadline - (yield* MonotonicClock.now))
      const next = request.redirects === "none" ? undefined : redirected(current, url, answer)
      if (next === undefined) return { ...answer, redirects }
      if (request.redirects === "same" && next.method !== current.method) {
        return yield* refused(
          url,
          `it answered ${answer.status}, which would turn ${current.method} into ${next.method}`
        )
      }
      if (redirects === maxRedirects) {
        return yield* refused(request.url, `it redirects more than ${maxRedirects} times`)
      }
      current = next
    }
  })

  return (request) =>
    follow(request).pipe(
      // A trace's id is no business of the other side; a task that wants to pass it on sets the header itself
      Effect.provideService(HttpClient.TracerPropagationEnabled, false),
      Effect.catchTag("CircuitBreakerError", ({ reason }): Effect.Effect<LeftAlone> =>
        Effect.succeed({
          _tag: "LeftAlone",
          retryAfter: reason._tag === "CircuitOpen" ? reason.retryAfter : probeTakes
        }))
    )
})

const refused = (url: string | URL, reason: string): RequestRefused =>
  new RequestRefused({ url: Redaction.url(String(url)), reason })

const failed = (
  url: URL,
  reason: string,
  answer: Pick<RequestFailed, "status" | "retry_after_ms"> = { status: null, retry_after_ms: null }
): RequestFailed => new RequestFailed({ url: Redaction.url(url.href), reason, ...answer })

/** The URL of a request, if tasks may use it at all. */
const parse = (text: string): Effect.Effect<URL, RequestRefused> => {
  const url = URL.parse(text)
  const reason = url === null
    ? "it is no URL"
    : url.protocol !== "http:" && url.protocol !== "https:"
    ? `${url.protocol} is not sent, only http: and https:`
    : url.username !== "" || url.password !== ""
    ? "a user and a password belong into a header"
    : undefined
  return url === null || reason !== undefined
    ? Effect.fail(refused(text, reason!))
    : Effect.succeed(url)
}

/** One request with its answer, whole. */
const exchange = Effect.fnUntraced(
  function*(client: HttpClient.HttpClient, request: OutboundRequest, url: URL, maxBytes: number) {
    const response = yield* client.execute(
      HttpClientRequest.make(request.method)(url, {
        ...(request.headers === undefined ? {} : { headers: request.headers }),
        ...(request.body === undefined ? {} : { body: HttpBody.uint8Array(request.body, contentTypeOf(request)) })
      })
    )
    const { headers, status } = response
    const chunks: Array<Uint8Array> = []
    let size = 0
    yield* Stream.runForEach(response.stream, (chunk) => {
      chunks.push(chunk)
      size += chunk.byteLength
      return size > maxBytes ? refused(url, `its answer has more than ${maxBytes} bytes`) : Effect.void
    })
    const answer = { status, headers: { ...headers }, body: Buffer.concat(chunks), url: url.href }
    if (status < 400) return answer
    if (mayPass.has(status) || status >= 500) {
      const retry_after_ms = RetryAfter.read(headers["retry-after"], yield* Clock.currentTimeMillis)
      return yield* failed(url, `it answered ${status}`, { status, retry_after_ms })
    }
    const text = answer.body.toString("utf8", 0, maxAnswerBytes)
    return yield* new RequestRejected({ url: Redaction.url(url.href), status, answer: text })
  },
  (effect, _client, _request, url) =>
    Effect.catchTag(effect, "HttpClientError", ({ cause, reason }) => Effect.fail(failureOf(url, cause ?? reason)))
)

const contentTypeOf = ({ headers = {} }: OutboundRequest): string =>
  Object.entries(headers).find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "application/octet-stream"

/** Request Timeout, Too Early and Too Many Requests say "not now", not "not this". */
const mayPass = new Set([408, 425, 429])

/** An error of the transport, or what kept a connection from being made. */
const failureOf = (url: URL, error: unknown): RequestRefused | RequestFailed => {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof Guard.AddressRefused) return refused(url, cause.message)
    // What cannot be sent at all, such as a header with a line break
    if ("code" in cause && (cause.code === "UND_ERR_INVALID_ARG" || cause.code === "ERR_INVALID_CHAR")) {
      return refused(url, cause.message)
    }
    if (cause.cause === undefined) return failed(url, reasonOf(cause))
  }
  return failed(url, String(error))
}

/** What the codes of the client mean to those who sent the request. Its own texts are for those who work on it. */
const reasons: Readonly<Record<string, string>> = {
  // An assertion of the client's own fails where nothing else stops such an answer
  ERR_ASSERTION: "it answered with a change of protocol, or with a status that HTTP does not have",
  UND_ERR_BODY_TIMEOUT: "there was no whole answer in time",
  UND_ERR_CONNECT_TIMEOUT: "no connection was made in time",
  UND_ERR_HEADERS_OVERFLOW: "the head of its answer is too large",
  UND_ERR_HEADERS_TIMEOUT: "there was no answer in time",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "its answer has another length than it says"
}

const socketReasons: Readonly<Record<string, string>> = {
  "bad response": "it answered with a status that was not asked for",
  "bad upgrade": "it answered with a change of protocol that was not asked for",
  "other side closed": "it closed the connection before there was a whole answer"
}

/** Errors of the system (`connect ECONNREFUSED`, `getaddrinfo ENOTFOUND`) say best what they are. */
const reasonOf = (error: Error): string => {
  const code = "code" in error ? String(error.code) : ""
  if (error.name === "HTTPParserError") return "its answer is not HTTP/1.1"
  return (code === "UND_ERR_SOCKET" ? socketReasons[error.message] : reasons[code]) ?? error.message
}

/** The host is in trouble when it does not answer or answers 5xx, not when it rejects or when we refuse. */
const outcomeOf = (exit: Exit.Exit<unknown, OutboundError>): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return { _tag: "Success" }
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  if (error === undefined) return { _tag: "Ignored" }
  switch (error._tag) {
    case "RequestRefused":
      return { _tag: "Ignored" }
    case "RequestRejected":
      return { _tag: "Success" }
    case "RequestFailed":
      return {
        _tag: "Failure",
        retryAfter: error.retry_after_ms === null ? undefined : Duration.millis(error.retry_after_ms)
      }
  }
}

/** Where an answer sends its request on to, by the rules of `fetch`; `undefined` when it is no redirect. */
const redirected = (
  request: OutboundRequest,
  url: URL,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>> }
): OutboundRequest | undefined => {
  const location = answer.headers["location"]
  const target = redirectStatuses.has(answer.status) && location !== undefined ? URL.parse(location, url.href) : null
  if (target === null) return undefined
  const becomesGet = (answer.status === 303 && request.method !== "HEAD") ||
    (answer.status <= 302 && request.method === "POST")
  const headers = Object.entries(request.headers ?? {}).filter(([name]) =>
    (target.origin === url.origin || harmless.has(name.toLowerCase())) &&
    !(becomesGet && name.toLowerCase().startsWith("content-"))
  )
  return {
    ...request,
    url: target.href,
    headers: Object.fromEntries(headers),
    ...(becomesGet ? { method: "GET", body: undefined } : {})
  }
}

const redirectStatuses = new Set([301, 302, 303, 307, 308])

/** Headers that another origin may see. Any other may be a secret, whatever it is called. */
const harmless = new Set([
  "accept",
  "accept-language",
  "content-type",
  "user-agent",
  "webhook-id",
  "webhook-timestamp"
])

/**
 * How many requests a key and an address may make. The counts are in the `RateLimiterStore`: shared by all instances
 * where the store is. While that does not answer, requests pass.
 */
import { Context, Duration, Effect, type Fiber, identity, type Layer, Option } from "effect"
import { Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import { CurrentVisitor, keyOf } from "./Visitor.ts"

/** So many requests per window. */
export interface Rate {
  readonly limit: number
  readonly window: Duration.Duration
}

/** What is limited; nothing is unless it is named. */
export interface Options {
  readonly perAddress?: Rate | undefined
  readonly perKey?: Rate | undefined
}

/**
 * Limits requests by their address: to be put before the check of keys, so that guessing them is limited too. Probes pass: they
 * may come from the address of a busy client, and counting them would ask a store that may be away.
 */
export const layerPerAddress = (
  rate: Rate | undefined,
  probes: ReadonlySet<string>
): Layer.Layer<never, never, HttpRouter.HttpRouter | RateLimiter.RateLimiterStore> =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    if (rate === undefined) return
    yield* router.addGlobalMiddleware(
      yield* limiting(rate, (fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
        if (probes.has(request.url.split("?", 1)[0]!)) return undefined
        return `address:${network(Option.getOrElse(request.remoteAddress, () => "unknown"))}`
      })
    )
  }))

/** Limits requests by their key: to be put behind the check of keys. */
export const perKey = (rate: Rate | undefined): Effect.Effect<Limiting, never, RateLimiter.RateLimiterStore> =>
  rate === undefined ? Effect.succeed(identity) : limiting(rate, (fiber) => {
    const key = keyOf(fiber.getRef(CurrentVisitor))
    return key && `key:${key.id}`
  })

/** Puts a limit before an answer. */
type Limiting = <E, R>(
  routes: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

const limiting = Effect.fnUntraced(function*(
  rate: Rate,
  subject: (fiber: Fiber.Fiber<unknown, unknown>) => string | undefined
): Effect.fn.Return<Limiting, never, RateLimiter.RateLimiterStore> {
  const limiter = yield* RateLimiter.make
  const { limit, window } = rate

  return (routes) =>
    Effect.withFiber((fiber) => {
      const key = subject(fiber)
      if (key === undefined) return routes
      return Effect.matchEffect(
        limiter.consume({ algorithm: "fixed-window", onExceeded: "fail", key, limit, window }),
        {
          onSuccess: ({ remaining, resetAfter }) =>
            Effect.map(routes, (response) =>
              // What the limit inside says holds where it leaves less
              Number(response.headers["ratelimit-remaining"] ?? Infinity) <= remaining
                ? response
                : HttpServerResponse.setHeaders(response, headersOf(limit, remaining, resetAfter))),
          onFailure: ({ reason }) =>
            reason._tag === "RateLimitExceeded"
              ? Effect.succeed(exceeded(rate, reason.retryAfter))
              : Effect.andThen(
                Effect.logWarning("requests are not limited: the store of limits failed", reason),
                routes
              )
        }
      )
    })
})

const headersOf = (limit: number, remaining: number, resetAfter: Duration.Duration) =>
  Headers.fromRecordUnsafe({
    "ratelimit-limit": String(limit),
    "ratelimit-remaining": String(Math.max(0, Math.floor(remaining))),
    "ratelimit-reset": String(seconds(resetAfter))
  })

const exceeded = ({ limit, window }: Rate, retryAfter: Duration.Duration): HttpServerResponse.HttpServerResponse => {
  const wait = Math.max(1, seconds(retryAfter))
  return ErrorAnswer.make(
    429,
    "rate_limited",
    `More than ${limit} requests within ${Duration.format(window)}; try again in ${wait} s`,
    { ...headersOf(limit, 0, retryAfter), "retry-after": String(wait) },
    { limit, retry_after: wait }
  )
}

const seconds = (duration: Duration.Duration): number => Math.ceil(Duration.toMillis(duration) / 1000)

/** One subscriber of IPv6 has a whole /64 to take addresses from. */
const network = (address: string): string => {
  const mapped = address.replace(/^::ffff:(?=\d+\.)/i, "")
  if (!mapped.includes(":")) return mapped
  const [head = ""] = mapped.split("::", 1)
  return head.split(":").slice(0, 4).join(":")
}

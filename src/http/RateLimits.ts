/**
 * How many requests a key and an address may make. The counts are in the `RateLimiterStore`: shared by all instances
 * where the store is. While that does not answer, requests pass.
 */
import { Context, Duration, Effect, type Layer, Option } from "effect"
import { Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { Caller } from "./Access.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"

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

/** Limits requests by their address: to be put before the check of keys, so that guessing them is limited too. */
export const layerPerAddress = (
  rate: Rate | undefined
): Layer.Layer<never, never, HttpRouter.HttpRouter | RateLimiter.RateLimiterStore> =>
  limiting(rate, (request) => `address:${network(Option.getOrElse(request.remoteAddress, () => "unknown"))}`)

/** Limits requests by their key: to be put behind the check of keys. */
export const layerPerKey = (
  rate: Rate | undefined
): Layer.Layer<never, never, HttpRouter.HttpRouter | RateLimiter.RateLimiterStore> =>
  limiting(rate, (_, caller) => caller === undefined ? undefined : `key:${caller.id}`)

const limiting = (
  rate: Rate | undefined,
  subject: (request: HttpServerRequest.HttpServerRequest, caller: typeof Caller.Service) => string | undefined
) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    if (rate === undefined) return
    const limiter = yield* RateLimiter.make
    const { limit, window } = rate

    yield* router.addGlobalMiddleware((routes) =>
      Effect.withFiber((fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
        const key = subject(request, fiber.getRef(Caller))
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
    )
  }))

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

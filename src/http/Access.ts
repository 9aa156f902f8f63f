/**
 * Who may do what: finds the key of a request and refuses what its role does not allow. Applies to every path, known
 * or not, except those that anybody may read.
 */
import { Context, Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { allows, type ApiKey, type Role } from "../domain/ApiKey.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import { KeyRing } from "./KeyRing.ts"
import { pathOf } from "./pathOf.ts"

/** The key that a request came with; `undefined` where none is needed. */
export class Caller extends Context.Reference<ApiKey | undefined>("taskforge/http/Caller", {
  defaultValue: () => undefined
}) {}

/** What probes and people without a key may read: whether the server is up, and how to use it. */
const publicPaths = new Set(["/", "/health", "/api/v1/health", "/docs", "/openapi.json"])

/** Puts the check before all routes. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | KeyRing> = HttpRouter.use(
  Effect.fnUntraced(function*(router) {
    const ring = yield* KeyRing
    const anonymous = <E, R>(routes: Routes<E, R>) =>
      Effect.flatMap(ring.isRequired, (required): Routes<E, R> => required ? Effect.succeed(unauthorized) : routes)

    yield* router.addGlobalMiddleware((routes) =>
      Effect.withFiber((fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
        if (isPublic(request)) return routes
        const secret = secretOf(request)
        if (secret === undefined) return anonymous(routes)
        return Effect.flatMap(ring.find(secret), (key) => {
          if (key === undefined) return anonymous(routes)
          const needed = roleFor(request)
          if (!allows(key.role, needed)) return Effect.succeed(forbidden(needed))
          // As the router does: what is around the request finds it there, and the fiber is the request's own
          fiber.setContext(Context.add(fiber.context, Caller, key))
          return routes
        })
      })
    )
  })
)

type Routes<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

const isPublic = ({ method, url }: HttpServerRequest.HttpServerRequest): boolean =>
  (method === "GET" || method === "HEAD") && publicPaths.has(pathOf(url))

const roleFor = ({ method, url }: HttpServerRequest.HttpServerRequest): Role =>
  method === "GET" || method === "HEAD" || method === "OPTIONS" || pathOf(url) === "/api/v1/results"
    ? "read"
    : url.startsWith("/api/v1/queues")
    ? "admin"
    : "write"

/** `Authorization: Bearer`, `X-API-Key`, or `?access_token` where a browser cannot send headers. */
const secretOf = ({ headers, method, url }: HttpServerRequest.HttpServerRequest): string | undefined => {
  const authorization = headers["authorization"]
  if (authorization !== undefined) {
    return /^bearer +/i.test(authorization) ? authorization.slice("bearer".length).trim() : undefined
  }
  const header = headers["x-api-key"]
  if (header !== undefined) return header
  if (method !== "GET" || !streams.test(url)) return undefined
  return new URLSearchParams(url.slice(url.indexOf("?"))).get("access_token") ?? undefined
}

const streams = /^(?:\/ws|\/api\/v1\/(?:[^?]*\/)?events)\?/

const unauthorized = ErrorAnswer.make(
  401,
  "unauthorized",
  "This server needs an API key: send Authorization: Bearer <key>",
  { "www-authenticate": "Bearer realm=\"taskforge\"" }
)

const forbidden = (needed: Role): HttpServerResponse.HttpServerResponse =>
  ErrorAnswer.make(403, "forbidden", `This needs a key with the role ${needed}`, {}, { needed })

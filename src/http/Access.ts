/**
 * The gate of every route: finds out who sent a request and refuses what its role does not allow. The role belongs to
 * the route that the router has chosen, so that no spelling of a path reaches a route with the role of another one.
 */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { RateLimiter } from "effect/persistence"
import { allows } from "../domain/ApiKey.ts"
import type { GuardedRoute, Needed } from "./api/NeededRole.ts"
import * as AuditLog from "./AuditLog.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import * as ForeignPages from "./ForeignPages.ts"
import { KeyRing } from "./KeyRing.ts"
import * as RateLimits from "./RateLimits.ts"
import { CurrentVisitor, type Visitor } from "./Visitor.ts"

/** What the gate looks at. */
export interface Options {
  /** Every route that may be added. */
  readonly routes: Iterable<GuardedRoute>
  /** Whose pages may send requests without a key. */
  readonly pages: ForeignPages.Options
  readonly perKey: RateLimits.Rate | undefined
}

/**
 * A router that puts the gate before each route that is added to it. A route that nothing is declared about is refused
 * when it is added: the server does not start.
 */
export const layer = (
  options: Options
): Layer.Layer<HttpRouter.HttpRouter, never, HttpRouter.HttpRouter | KeyRing | RateLimiter.RateLimiterStore> =>
  Layer.effect(
    HttpRouter.HttpRouter,
    Effect.gen(function*() {
      const router = yield* HttpRouter.HttpRouter
      const ring = yield* KeyRing
      const limited = yield* RateLimits.perKey(options.perKey)
      const refuse = refusing(yield* AuditLog.denials, options.pages)
      const declared = new Map(Array.from(options.routes, (route) => [`${route.method} ${route.path}`, route]))

      const guarded = <E, R>(route: HttpRouter.Route<E, R>): HttpRouter.Route<E, R> => {
        const known = declared.get(`${route.method} ${route.path}`)
        if (known === undefined) throw new Error(`Nothing says who may use ${route.method} ${route.path}`)
        const answer = limited(route.handler)
        const handler = Effect.withFiber<HttpServerResponse.HttpServerResponse, E, R>((fiber) => {
          const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
          const secret = secretOf(request, known.takesKeyInQuery)
          const enter = (visitor: Visitor) => {
            const refusal = refuse(visitor, known, request)
            if (refusal !== undefined) return refusal
            if (visitor._tag === "Anonymous") return answer
            // As the router does with what it finds out: the fiber is the request's own
            fiber.setContext(Context.add(fiber.context, CurrentVisitor, visitor))
            return answer
          }
          const visitor = ring.admitNow(secret)
          return visitor === undefined ? Effect.flatMap(ring.admit(secret), enter) : enter(visitor)
        })
        return { ...route, handler: handler as HttpRouter.Route<E, R>["handler"] }
      }

      return HttpRouter.HttpRouter.of({
        ...router,
        add: (method, path, handler, options) =>
          router.addAll([guarded(HttpRouter.route(method, path, handler, options))]),
        addAll: (<Routes extends ReadonlyArray<HttpRouter.Route<any, any>>>(routes: Routes) =>
          router.addAll(routes.map(guarded))) as typeof router.addAll,
        prefixed: () => {
          throw new Error("Routes are declared by their whole path")
        }
      })
    })
  )

/** The answer to a request for a path that is no route: strangers do not learn that. */
export const unmatched = (
  ring: KeyRing["Service"],
  request: HttpServerRequest.HttpServerRequest,
  answer: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(
    ring.admit(secretOf(request, false)),
    (visitor) => visitor._tag === "Stranger" ? unauthorized(visitor) : answer
  )

/** The answer to a visitor who may not do this, after it was logged; `undefined` when it may. */
const refusing = (denied: AuditLog.Denied, pages: ForeignPages.Options) => {
  const refuseForeign = ForeignPages.make(pages)
  return (
    visitor: Visitor,
    { needed, path }: GuardedRoute,
    request: HttpServerRequest.HttpServerRequest
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined => {
    const answer = visitor._tag === "Anonymous"
      ? refuseForeign(request)
      : needed === "public"
      ? undefined
      : visitor._tag === "Stranger"
      ? unauthorized(visitor)
      : allows(visitor.key.role, needed)
      ? undefined
      : forbidden(needed)
    return answer && Effect.as(denied(visitor, request, path, answer.status), answer)
  }
}

/** `Authorization: Bearer`, `X-API-Key`, or `?access_token` where the route takes one there. */
const secretOf = (
  { headers, url }: HttpServerRequest.HttpServerRequest,
  takesKeyInQuery = false
): string | undefined => {
  const authorization = headers["authorization"]
  if (authorization !== undefined) {
    return /^bearer +/i.test(authorization) ? authorization.slice("bearer".length).trim() : undefined
  }
  const header = headers["x-api-key"]
  if (header !== undefined) return header
  const query = takesKeyInQuery ? url.indexOf("?") : -1
  return query === -1 ? undefined : new URLSearchParams(url.slice(query)).get("access_token") ?? undefined
}

const challenge = "Bearer realm=\"taskforge\""

const withoutKey = ErrorAnswer.make(
  401,
  "unauthorized",
  "This server needs an API key: send Authorization: Bearer <key>",
  { "www-authenticate": challenge }
)

const withUnknownKey = ErrorAnswer.make(
  401,
  "unknown_key",
  "This server does not know the API key: it was mistyped, revoked, or made for another store",
  { "www-authenticate": `${challenge}, error="invalid_token"` }
)

const unauthorized = ({ hasKey }: Visitor & { readonly _tag: "Stranger" }): HttpServerResponse.HttpServerResponse =>
  hasKey ? withUnknownKey : withoutKey

const forbidden = (needed: Needed): HttpServerResponse.HttpServerResponse =>
  ErrorAnswer.make(403, "forbidden", `This needs a key with the role ${needed}`, {}, { needed })

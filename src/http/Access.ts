/**
 * The gate of every route: finds out who sent a request and refuses what its role does not allow. The role belongs to
 * the route that the router has chosen, so that no spelling of a path reaches a route with the role of another one.
 */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { RateLimiter } from "effect/persistence"
import { isIP } from "node:net"
import { allows } from "../domain/ApiKey.ts"
import type { GuardedRoute, Needed } from "./api/NeededRole.ts"
import * as AuditLog from "./AuditLog.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import { KeyRing } from "./KeyRing.ts"
import * as RateLimits from "./RateLimits.ts"
import { CurrentVisitor, type Visitor } from "./Visitor.ts"

/** What is not foreign to a server. */
interface OwnPages {
  /** Names that the server goes by, besides `localhost` and addresses. */
  readonly hosts: Iterable<string>
  /** Origins whose pages may send requests. */
  readonly origins: Iterable<string>
}

/** What the gate looks at. */
export interface Options {
  /** Every route that may be added. */
  readonly routes: Iterable<GuardedRoute>
  /** Whose pages may send requests without a key. */
  readonly pages: OwnPages
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
        if (known.isProbe === true) return route
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
const refusing = (denied: AuditLog.Denied, pages: OwnPages) => {
  const refuseForeign = refusingForeign(pages)
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

/**
 * Keeps web pages away from a server that asks for no key. A browser on the machine sends whatever a page asks it to
 * send, to loopback as well, so a request that needs no key has to come from the server's own pages, from a listed
 * origin, or from a program that is no browser. Gives the answer to a request that another page may have caused, and
 * `undefined` for any other.
 */
const refusingForeign = ({ hosts, origins }: OwnPages) => {
  const names = new Set(Array.from(hosts, (host) => host.toLowerCase()))
  const listed = new Set(origins)
  /** Most requests name the same host as the one before. */
  let lastOwn: string | undefined

  const isOwnHost = (host: string): boolean => {
    if (host === lastOwn) return true
    if (!isOwn(nameOf(host.toLowerCase()), names)) return false
    lastOwn = host
    return true
  }

  return (request: HttpServerRequest.HttpServerRequest): HttpServerResponse.HttpServerResponse | undefined => {
    const { headers, method } = request
    const host = headers["host"]
    // A page can make its own name resolve to this address, and then counts as same-origin: the name tells
    if (host !== undefined && !isOwnHost(host)) return foreignHost
    const origin = headers["origin"]
    if (origin !== undefined) {
      return listed.has(origin) || hostOf(origin) === host?.toLowerCase() || isHarmless(method, headers)
        ? undefined
        : foreignOrigin
    }
    const site = headers["sec-fetch-site"]
    return site === undefined || site === "same-origin" || site === "none" || isHarmless(method, headers)
      ? undefined
      : foreignOrigin
  }
}

/** Changes nothing and opens no socket; browsers do not show the answer to a foreign page. */
const isHarmless = (method: string, headers: HttpServerRequest.HttpServerRequest["headers"]): boolean =>
  (method === "GET" || method === "HEAD" || method === "OPTIONS") && headers["upgrade"] === undefined

const isOwn = (name: string, names: ReadonlySet<string>): boolean =>
  name === "localhost" || name.endsWith(".localhost") || isIP(name) !== 0 || names.has(name)

/** A host without its port, its brackets and the dot at its end. */
const nameOf = (host: string): string => {
  const bracketed = /^\[(.*)\](?::\d*)?$/.exec(host)
  return bracketed?.[1] ?? host.replace(/:\d*$/, "").replace(/\.$/, "")
}

/** The host and port of an origin; of `null`, which sandboxed pages and files send, there is none. */
const hostOf = (origin: string): string | undefined => /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase()

const foreignHost = ErrorAnswer.make(
  403,
  "foreign_host",
  "This server asks for no API key, so it answers only to localhost, to addresses and to the names in " +
    "TASKFORGE_ALLOWED_HOSTS: add this name there, or make a key"
)

const foreignOrigin = ErrorAnswer.make(
  403,
  "foreign_origin",
  "This server asks for no API key, so pages of other origins may not use it: list the origin in " +
    "TASKFORGE_ALLOWED_ORIGINS, or make a key"
)

/**
 * The API's reference for people. Its script is 3 MB, so neither it nor the page exists before the first request for it.
 */
import { Effect, type Layer, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiScalar } from "effect/http-api"
import type { GuardedRoute } from "./api/NeededRole.ts"
import * as Favicon from "./Favicon.ts"
import * as OpenApiDocument from "./OpenApiDocument.ts"
import { TaskCatalog } from "./TaskCatalog.ts"

/** Where the reference is. */
const path = "/docs"

/** Who may read it. */
export const route: GuardedRoute = { method: "GET", path, needed: "public" }

/** The script is part of the page, and may talk to this server only. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'unsafe-inline'",
  "style-src 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

/**
 * How the reference shows itself. What its maker offers (a hosted client, tools to publish the document, links to its
 * site) is left out: it has nothing to do with this server, and would send the description of the API elsewhere.
 */
const appearance = {
  withDefaultFonts: false,
  favicon: Favicon.path,
  hideClientButton: true,
  showDeveloperTools: "never",
  telemetry: false,
  // On a phone some of its lists are wider than the page, which would then move sideways
  customCss: `a[href*="scalar.com"]{display:none!important}html,.scalar-api-reference{overflow-x:clip!important}`
} as const

/** Serves the reference of an API that is under a path of the server, or at its root. */
export const layer = (base: string): Layer.Layer<never, never, HttpRouter.HttpRouter | TaskCatalog> =>
  HttpRouter.use(
    Effect.fnUntraced(function*(router) {
      const catalog = yield* TaskCatalog
      const scope = yield* Effect.scope
      const page = yield* Effect.cached(
        HttpRouter.toHttpEffect(HttpApiScalar.layer(OpenApiDocument.describe(catalog, base), {
          path,
          scalar: appearance
        })).pipe(Effect.provideService(Scope.Scope, scope))
      )
      yield* router.add(
        "GET",
        path,
        Effect.gen(function*() {
          const answer = yield* Effect.orDie(yield* page)
          return HttpServerResponse.setHeader(answer, "content-security-policy", contentSecurityPolicy)
        })
      )
    })
  )

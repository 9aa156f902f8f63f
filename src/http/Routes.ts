/** Every route of the server on one page. */
import { Layer, type Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { IpNetwork } from "effect/net"
import { maxIdLength } from "../domain/Bounds.ts"
import * as Access from "./Access.ts"
import { Api } from "./api/Api.ts"
import { type GuardedRoute, routesOf } from "./api/NeededRole.ts"
import * as DocsPage from "./DocsPage.ts"
import * as EventsHandlers from "./EventsHandlers.ts"
import * as Favicon from "./Favicon.ts"
import * as FirstPage from "./FirstPage.ts"
import * as ForwardedFor from "./ForwardedFor.ts"
import { KeyRing } from "./KeyRing.ts"
import * as MethodNotAllowed from "./MethodNotAllowed.ts"
import * as MetricsPage from "./MetricsPage.ts"
import * as OlderRoutes from "./OlderRoutes.ts"
import * as OpenApiDocument from "./OpenApiDocument.ts"
import * as Origins from "./Origins.ts"
import * as QueuesHandlers from "./QueuesHandlers.ts"
import * as RateLimits from "./RateLimits.ts"
import * as RequestBoundary from "./RequestBoundary.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import * as SystemHandlers from "./SystemHandlers.ts"
import { SystemStatus } from "./SystemStatus.ts"
import * as TasksHandlers from "./TasksHandlers.ts"

/** What is between a request and its route. */
export interface Options {
  /** `true`: always require a key. `false`, the default: once one exists. `"never"`: never. */
  readonly requireKeys?: boolean | "never" | undefined
  /** A key of the role `admin` that is not in the store. With one, requests need a key from the start. */
  readonly adminKey?: Redacted.Redacted | undefined
  readonly rateLimits?: RateLimits.Options | undefined
  /** Names of the server besides `localhost` and its addresses. Without keys, it answers to no other. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Pages of these origins may call the API from a browser. */
  readonly allowedOrigins?: ReadonlyArray<string> | undefined
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: ReadonlyArray<IpNetwork.IpNetwork> | undefined
  /** A line of log for each request. */
  readonly logRequests?: boolean | undefined
}

/**
 * How paths are read: to the letter. Path parameters may be ids with every character percent-encoded from three bytes.
 */
export const routerConfig = {
  maxParamLength: maxIdLength * 9,
  caseSensitive: true,
  ignoreDuplicateSlashes: false,
  ignoreTrailingSlash: false
} as const

/** The API and its pages. Under a path in another router it has no page of its own at `/`. */
export const layer = (options: Options, path: string = "") => {
  const pages = path === "" ? [...homePages, ...apiPages] : apiPages
  return Layer.merge(
    Layer.mergeAll(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide([
          TasksHandlers.layer,
          EventsHandlers.layer,
          QueuesHandlers.layer,
          SystemHandlers.layer,
          OlderRoutes.layer
        ]),
        Layer.provide(RequestCheckLive.layer)
      ),
      path === "" ? Layer.merge(FirstPage.layer, Favicon.layer) : Layer.empty,
      DocsPage.layer(path),
      OpenApiDocument.layer(path),
      MetricsPage.layer,
      MethodNotAllowed.layer(pages)
    ).pipe(Layer.provide(guardedRouter(options, pages))),
    gates(options)
  ).pipe(
    Layer.provide(SystemStatus.layer),
    Layer.provide(
      options.requireKeys === "never"
        ? KeyRing.layerOpen
        : KeyRing.layer({ required: options.requireKeys ?? false, adminKey: options.adminKey })
    )
  )
}

const homePages = [FirstPage.route, ...Favicon.routes]
const apiPages = [DocsPage.route, OpenApiDocument.route, MetricsPage.route]

/** What a request passes between the router and the handler of its route. */
const guardedRouter = (
  { allowedHosts = [], allowedOrigins = [], rateLimits = {} }: Options,
  pages: ReadonlyArray<GuardedRoute>
) =>
  Access.layer({
    routes: [...routesOf(Api), ...pages, ...MethodNotAllowed.routes(pages)],
    pages: { hosts: allowedHosts, origins: allowedOrigins },
    perKey: rateLimits.perKey
  })

/** What a request passes on its way to the router; the last one provided here is the first that it meets. */
const gates = ({ allowedOrigins = [], logRequests = false, rateLimits = {}, trustedProxies = [] }: Options) =>
  RateLimits.layerPerAddress(rateLimits.perAddress).pipe(
    Layer.provide(OlderRoutes.aliases),
    Layer.provide(Origins.layer(allowedOrigins)),
    Layer.provide(RequestBoundary.layer({ logRequests })),
    Layer.provide(ForwardedFor.layer(trustedProxies))
  )

/** Every route of the server on one page. */
import { Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { IpNetwork } from "effect/net"
import * as Access from "./Access.ts"
import { Api } from "./api/Api.ts"
import * as DocsPage from "./DocsPage.ts"
import * as EventsHandlers from "./EventsHandlers.ts"
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
  /** Refuse requests without a key from the start, as soon as there is one, which is the default, or never. */
  readonly requireKeys?: boolean | "never" | undefined
  readonly rateLimits?: RateLimits.Options | undefined
  /** Pages of these origins may call the API from a browser. */
  readonly allowedOrigins?: ReadonlyArray<string> | undefined
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: ReadonlyArray<IpNetwork.IpNetwork> | undefined
  /** A line of log for each request. */
  readonly logRequests?: boolean | undefined
}

/** The API and the pages beside it. */
export const layer = (options: Options) =>
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
    FirstPage.layer,
    DocsPage.layer,
    OpenApiDocument.layer,
    MetricsPage.layer,
    MethodNotAllowed.layer([FirstPage.path, DocsPage.path, OpenApiDocument.path, MetricsPage.path]),
    gates(options)
  ).pipe(
    Layer.provide(SystemStatus.layer),
    Layer.provide(options.requireKeys === "never" ? KeyRing.layerOpen : KeyRing.layer(options.requireKeys ?? false))
  )

/** What a request passes on its way to its route; the last one provided here is the first that it meets. */
const gates = ({ allowedOrigins = [], logRequests = false, rateLimits = {}, trustedProxies = [] }: Options) =>
  RateLimits.layerPerKey(rateLimits.perKey).pipe(
    Layer.provide(Access.layer),
    Layer.provide(RateLimits.layerPerAddress(rateLimits.perAddress)),
    Layer.provide(OlderRoutes.aliases),
    Layer.provide(Origins.layer(allowedOrigins)),
    Layer.provide(RequestBoundary.layer({ logRequests })),
    Layer.provide(ForwardedFor.layer(trustedProxies))
  )

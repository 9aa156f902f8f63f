/**
 * Every route of the server on one page, and what a request passes on its way to one:
 *
 * ```text
 * RequestBoundary ─► limit of the address ─► router ─► Access: key, role, limit of the key ─► RequestCheckLive ─► handler
 * ```
 */
import { Effect, Layer, type Redacted } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { IpNetwork } from "effect/net"
import * as Dashboard from "../dashboard/Dashboard.ts"
import { maxIdLength } from "../domain/Bounds.ts"
import * as Access from "./Access.ts"
import { type GuardedRoute, routesOf } from "./api/NeededRole.ts"
import * as ApiDescription from "./ApiDescription.ts"
import * as BatchHandlers from "./BatchHandlers.ts"
import * as BreakerHandlers from "./BreakerHandlers.ts"
import * as ClaimHandlers from "./ClaimHandlers.ts"
import { ServedApi } from "./compat/OlderApi.ts"
import * as OlderRoutes from "./compat/OlderRoutes.ts"
import * as DeadLettersHandlers from "./DeadLettersHandlers.ts"
import * as DependencyHandlers from "./DependencyHandlers.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import * as EventsHandlers from "./EventsHandlers.ts"
import * as FirstPage from "./FirstPage.ts"
import * as InstanceHandlers from "./InstanceHandlers.ts"
import { KeyRing } from "./KeyRing.ts"
import * as LimitHandlers from "./LimitHandlers.ts"
import * as LogLevelHandlers from "./LogLevelHandlers.ts"
import * as MetricsPage from "./MetricsPage.ts"
import * as OperationHandlers from "./OperationHandlers.ts"
import * as QueueHandlers from "./QueueHandlers.ts"
import * as RateLimits from "./RateLimits.ts"
import * as RequestBoundary from "./RequestBoundary.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import * as ScheduleHandlers from "./ScheduleHandlers.ts"
import * as SignalHandlers from "./SignalHandlers.ts"
import * as StatisticsHandlers from "./StatisticsHandlers.ts"
import * as SystemStatus from "./SystemStatus.ts"

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
  /** The dashboard, a page for people. Default `true`. */
  readonly dashboard?: boolean | undefined
  /** Where traces are shown, with `{trace_id}` in place of the id: the dashboard has links. */
  readonly traceUrl?: string | undefined
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

/** Whether the page of the path is the dashboard. The sources alone have none: it is built. */
export const hasDashboard = ({ dashboard = true }: Options): boolean => dashboard && Dashboard.isBuilt

/**
 * The API and its pages, the dashboard first. Without the dashboard the first page is a plain one, and under a path in another
 * router there is none.
 */
export const layer = (options: Options, path: string = "") => {
  const first = hasDashboard(options) ? "dashboard" : path === "" ? "plain" : "none"
  const apiPages = [...ApiDescription.routes, MetricsPage.route]
  const pages = [
    ...first === "dashboard" ? Dashboard.routes : first === "plain" ? [FirstPage.route] : [],
    ...path === "" ? FirstPage.pictures : [],
    ...apiPages
  ]
  return Layer.merge(
    Layer.mergeAll(
      HttpApiBuilder.layer(ServedApi).pipe(
        Layer.provide([
          QueueHandlers.tasks,
          QueueHandlers.queues,
          DependencyHandlers.dependencies,
          BatchHandlers.batches,
          InstanceHandlers.layer,
          LogLevelHandlers.layer,
          LimitHandlers.limits,
          BreakerHandlers.breakers,
          ScheduleHandlers.schedules,
          SignalHandlers.signals,
          ClaimHandlers.claims,
          DeadLettersHandlers.deadLetters,
          OperationHandlers.operations,
          EventsHandlers.layer,
          StatisticsHandlers.layer,
          SystemStatus.endpoints,
          OlderRoutes.layer
        ]),
        Layer.provide(RequestCheckLive.layer)
      ),
      first === "dashboard" ? Dashboard.layer : first === "plain" ? FirstPage.layer : Layer.empty,
      path === "" ? FirstPage.layerPictures : Layer.empty,
      ApiDescription.layer(path),
      MetricsPage.layer,
      methodNotAllowed(pages)
    ).pipe(Layer.provide(guardedRouter(options, pages))),
    gates(options)
  ).pipe(
    Layer.provide(SystemStatus.SystemStatus.layer),
    Layer.provide(Layer.succeed(SystemStatus.TraceUrl, options.traceUrl)),
    Layer.provide(
      options.requireKeys === "never"
        ? KeyRing.layerOpen
        : KeyRing.layer({ required: options.requireKeys ?? false, adminKey: options.adminKey })
    )
  )
}

/** What a request passes between the router and the handler of its route. */
const guardedRouter = (
  { allowedHosts = [], allowedOrigins = [], rateLimits = {} }: Options,
  pages: ReadonlyArray<GuardedRoute>
) =>
  Access.layer({
    routes: [...routesOf(ServedApi), ...pages, ...absent(pages)],
    pages: { hosts: allowedHosts, origins: allowedOrigins },
    perKey: rateLimits.perKey
  }).pipe(Layer.provide(OlderRoutes.layerAliases))

const probes = new Set(routesOf(ServedApi).filter(({ isProbe }) => isProbe).map(({ path }) => path))

/** What a request passes on its way to the router; the last one provided here is the first that it meets. */
const gates = ({ allowedOrigins = [], logRequests = false, rateLimits = {}, trustedProxies = [] }: Options) =>
  RateLimits.layerPerAddress(rateLimits.perAddress, probes).pipe(
    Layer.provide(crossOrigin(allowedOrigins)),
    Layer.provide(RequestBoundary.layer(logRequests)),
    Layer.provide(forwardedFor(trustedProxies))
  )

/** Believes `X-Forwarded-For` of these proxies; without any, the address of a client is the connection's. */
const forwardedFor = (trustedProxies: ReadonlyArray<IpNetwork.IpNetwork>) =>
  HttpRouter.use((router) =>
    trustedProxies.length === 0
      ? Effect.void
      : router.addGlobalMiddleware(HttpMiddleware.xForwardedHeaders({ trustedProxies }))
  )

/** Answers preflights and marks answers for the origins; without any, browsers keep other pages out. */
const crossOrigin = (origins: ReadonlyArray<string>) =>
  HttpRouter.use((router) => {
    if (origins.length === 0) return Effect.void
    const allowed = new Set(origins)
    return router.addGlobalMiddleware(HttpMiddleware.cors({
      // A list of one would be answered to every origin
      allowedOrigins: (origin) => allowed.has(origin),
      allowedMethods: ["GET", "HEAD", "POST", "PUT", "DELETE"],
      allowedHeaders: ["authorization", "content-type", "last-event-id", "x-api-key"],
      exposedHeaders: ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
      maxAge: 600
    }))
  })

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

/** Answers methods that a known path does not have with 405 and the ones it has. */
const methodNotAllowed = (pages: ReadonlyArray<GuardedRoute>) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    for (const { allow, method, path } of absent(pages)) {
      yield* router.add(
        method,
        path,
        ErrorAnswer.make(405, "method_not_allowed", `This path takes ${allow}`, { allow })
      )
    }
  }))

/** The methods that the paths of the API and of pages do not have. Who may read may learn that. */
const absent = (pages: ReadonlyArray<GuardedRoute>) => {
  const known = new Map<string, Set<string>>()
  for (const { method, path } of [...routesOf(ServedApi), ...pages]) {
    known.set(path, (known.get(path) ?? new Set()).add(method))
  }
  return Array.from(known).flatMap(([path, has]) =>
    methods.filter((method) => !has.has(method)).map((method) => ({
      method,
      path: path as HttpRouter.PathInput,
      needed: "read" as const,
      allow: [...has].join(", ")
    }))
  )
}

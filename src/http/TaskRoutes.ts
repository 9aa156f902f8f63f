/**
 * The API's routes in an application's own `HttpRouter`, under a path, next to its own routes and behind its own
 * middleware. They are a router of their own there: nothing of the application answers for them, nor they for it. A middleware
 * in front may not read bodies: Effect's router does not hand them on to what is under a path.
 *
 * @example
 * ```ts
 * const ServerLive = HttpRouter.serve(
 *   Layer.merge(TaskRoutes.layer({ path: "/tasks", allowedHosts: ["example.org"] }), HttpRouter.add("GET", "/", home))
 * ).pipe(
 *   Layer.provide(TaskCatalog.layer([SendEmail])),
 *   Layer.provide(Engine.layer(SendEmailLive)),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 }))
 * )
 * ```
 */
import { ByteSize, Effect, Layer } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { RateLimiter } from "effect/persistence"
import type { StoreError } from "../domain/Errors.ts"
import { EventFeed } from "../events/EventFeed.ts"
import type { Signals } from "../flow/Signals.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { TaskQueue } from "../queue/TaskQueue.ts"
import type { RemoteClaims } from "../remote/RemoteClaims.ts"
import type { Schedules } from "../schedule/Schedules.ts"
import type { Statistics } from "../statistics/Statistics.ts"
import type { EventLog } from "../store/EventLog.ts"
import type { Notifier } from "../store/Notifier.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import type { WorkerPool } from "../worker/WorkerPool.ts"
import * as Routes from "./Routes.ts"
import type { TaskCatalog } from "./TaskCatalog.ts"

/** Where the routes are, and whom they answer. */
export interface Options extends Routes.Options {
  /** Such as `/tasks`: the API is at `/tasks/api/v1`. */
  readonly path: `/${string}`
  /** A larger body is refused. Default {@link maxBodyBytes}. */
  readonly maxBodyBytes?: number | undefined
}

/** What routes need: an engine with its store, and the types that they accept. */
export type Services =
  | TaskQueue
  | Schedules
  | Signals
  | RemoteClaims
  | Statistics
  | TaskStore
  | Supervisor
  | TaskCatalog
  | RecordStore
  | EventLog
  | Notifier
  | WorkerPool
  | RateLimiter.RateLimiterStore

/** The bytes of a body that is accepted, unless an option says otherwise. */
export const maxBodyBytes: number = 1024 * 1024

/** Adds the routes. The dashboard is at the path itself, with a slash at its end. */
export const layer = (options: Options): Layer.Layer<never, StoreError, HttpRouter.HttpRouter | Services> =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const bodySize = yield* HttpIncomingMessage.MaxBodySize
    const routes = yield* standalone(options, options.path)
    const answer = Effect.provideService(Effect.orDie(routes), HttpIncomingMessage.MaxBodySize, bodySize)
    const complete = Routes.hasDashboard(options) ? withSlash(answer) : answer
    yield* router.prefixed(options.path).add("*", "*", complete)
  })).pipe(Layer.provide(services(options.maxBodyBytes)))

/** The page loads what is next to it, so its path ends with a slash. Relative, since a proxy in front may add another path. */
const withSlash = <E, R>(answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, originalUrl, url }) => {
    const [path = ""] = originalUrl.split(/[?#]/, 1)
    return method === "GET" && /^\/?([?#]|$)/.test(url) && !path.endsWith("/")
      ? Effect.succeed(HttpServerResponse.redirect(`${path.slice(path.lastIndexOf("/") + 1)}/`, { status: 308 }))
      : answer
  })

/** All routes as one answer to any request, from a router that has nothing else. */
export const standalone = (options: Routes.Options, path?: string) =>
  HttpRouter.toHttpEffect(Routes.layer(options, path)).pipe(
    // Not the router in which they are mounted
    Effect.provideService(Layer.CurrentMemoMap, Layer.makeMemoMapUnsafe()),
    Effect.provide([Layer.succeed(HttpRouter.RouterConfig, Routes.routerConfig), HttpServer.layerServices])
  )

/** What all routes share. */
export const services = (bytes: number = maxBodyBytes): Layer.Layer<
  EventFeed,
  never,
  EventLog | Notifier | Supervisor
> =>
  Layer.mergeAll(
    EventFeed.layer,
    Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bytes))
  )

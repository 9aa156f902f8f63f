/**
 * The server. It binds once the engine below it and all of its routes stand, and closes before them: no new connections,
 * then a moment for the answers on their way.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { DateTime, Duration, Effect, Layer } from "effect"
import { HttpMiddleware, HttpServer, type HttpServerError } from "effect/http"
import { createServer, type ServerOptions } from "node:http"
import type { StoreError } from "../domain/Errors.ts"
import * as LogModule from "../domain/LogModule.ts"
import { EventFeed } from "../events/EventFeed.ts"
import { RemoteClaims } from "../remote/RemoteClaims.ts"
import * as Connections from "./Connections.ts"
import { Stopping } from "./Probes.ts"
import type * as Routes from "./Routes.ts"
import * as TaskRoutes from "./TaskRoutes.ts"

/** How the server listens, and whom it answers. Every field has a default. */
export interface Options extends Routes.Options {
  /** Default `127.0.0.1`. */
  readonly host?: string | undefined
  /** Default 8080; 0 is any free port, see `HttpServer.address`. */
  readonly port?: number | undefined
  /**
   * How long clients have to be silent before a stopping server closes their connections. Until then it answers, with
   * `Connection: close`, so that no client is cut off between two requests. While requests come, it waits up to five times as
   * long. Counts towards `gracefulShutdown`, half of it at most. Default 100 ms; a server without connections does not wait.
   */
  readonly farewell?: Duration.Input | undefined
  /** How long open requests may take once the server stops. Default 2 s. */
  readonly gracefulShutdown?: Duration.Input | undefined
  /** A larger body is refused. Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** Open connections at most; more are closed at once. Default 10,000. */
  readonly maxConnections?: number | undefined
}

/** The defaults of {@link Options}. */
export const defaults = {
  host: "127.0.0.1",
  port: 8080,
  farewell: Duration.millis(100),
  gracefulShutdown: Duration.seconds(2),
  maxBodyBytes: TaskRoutes.maxBodyBytes,
  maxConnections: 10_000
} as const

/** Bytes of a message that a WebSocket's client may send: none is expected, and a larger one closes the socket. */
const maxMessageBytes = 4096

/** Clients that send nothing, too slowly or too much of a head are cut off. */
const limits: ServerOptions = {
  requestTimeout: 30_000,
  headersTimeout: 10_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 2000,
  maxHeaderSize: 16_384,
  // Node's own refusal has no body; ours has
  requireHostHeader: false
}

/**
 * Serves the API and its pages. With a `WorkerPool` in this process it shows the slots too.
 *
 * @example
 * ```ts
 * const ServerLive = TaskServer.layer({ port: 8080 }).pipe(
 *   Layer.provide(TaskCatalog.layer([SendEmail])),
 *   Layer.provide(Engine.layer(SendEmailLive))
 * )
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  HttpServer.HttpServer,
  HttpServerError.ServeError | StoreError,
  TaskRoutes.Services
> => {
  const gracefulShutdown = Duration.fromInputUnsafe(options.gracefulShutdown ?? defaults.gracefulShutdown)
  const farewellFor = Duration.fromInputUnsafe(options.farewell ?? defaults.farewell)
  const max = Duration.min(Duration.times(farewellFor, 5), Duration.times(gracefulShutdown, 0.5))
  const listen = {
    host: options.host ?? defaults.host,
    port: options.port ?? defaults.port,
    gracefulShutdownTimeout: Duration.subtract(gracefulShutdown, max),
    websocket: { maxPayload: maxMessageBytes }
  }
  return Layer.suspend(() => {
    const server = createServer(limits)
    server.maxConnections = options.maxConnections ?? defaults.maxConnections
    server.on("clientError", Connections.answerMalformed)
    server.on("checkExpectation", Connections.refuseExpectation)
    const farewell = Connections.farewell(server, { quiet: Duration.min(farewellFor, max), max })
    Connections.answerUnserved(server)
    const cutOff = Connections.cutOff(server)
    // Runs after the wait for open requests and before the one for the last connection to end, which has no limit
    const listening = Layer.effectDiscard(Effect.addFinalizer(() => cutOff)).pipe(
      Layer.provideMerge(NodeHttpServer.layerServer(() => server, listen))
    )
    return stop(farewell).pipe(
      Layer.provideMerge(serve({ ...options, allowedHosts: [...options.allowedHosts ?? [], listen.host] }, listening)),
      LogModule.layerWithin("http"),
      Layer.provide(Layer.sync(Stopping, () => ({ since: undefined }))),
      Layer.provide(TaskRoutes.services(options.maxBodyBytes)),
      Layer.provide(probesUntraced)
    )
  })
}

/** What load balancers and Prometheus ask again and again makes no traces. */
const probesUntraced = Layer.succeed(
  HttpMiddleware.TracerDisabledWhen,
  ({ url }) => /^\/(?:api\/v1\/)?(?:health|metrics)(?:[/?]|$)/.test(url)
)

/** Binds last: a client that connects to a server whose store is slow to answer is refused and may try another one. */
const serve = (
  options: Routes.Options,
  listening: Layer.Layer<HttpServer.HttpServer, HttpServerError.ServeError>
) =>
  Layer.unwrap(Effect.map(TaskRoutes.standalone(options), (routes) =>
    Layer.merge(
      HttpServer.serve(routes),
      Layer.effectDiscard(HttpServer.addressFormattedWith((address) => Effect.logDebug(`listening on ${address}`)))
    ).pipe(Layer.provideMerge(listening))))

/** Comes before the server waits for open requests; streams have no end of their own. */
const stop = (farewell: Effect.Effect<void>) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const feed = yield* EventFeed
      const remote = yield* RemoteClaims
      const stopping = yield* Stopping
      const begin = Effect.map(DateTime.now, (now) => {
        stopping.since = now
      })
      // Those that wait for tasks ask another server
      yield* Effect.addFinalizer(() =>
        begin.pipe(Effect.andThen(remote.close), Effect.andThen(farewell), Effect.andThen(feed.close))
      )
    })
  )

/**
 * The server. It binds once the engine below it stands, and closes before it: no new connections, then a moment for
 * the answers on their way.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Duration, Effect, Layer } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import { createServer } from "node:http"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { TaskQueue } from "../queue/TaskQueue.ts"
import { maxNameLength } from "./api/NewTaskJson.ts"
import * as Routes from "./Routes.ts"
import type { TaskCatalog } from "./TaskCatalog.ts"

/** How the server listens. Every field has a default. */
export interface Options {
  /** Default `127.0.0.1`. */
  readonly host?: string | undefined
  /** Default 8080; 0 is any free port, see `HttpServer.address`. */
  readonly port?: number | undefined
  /** How long open requests may take once the server stops. Default 2 s. */
  readonly gracefulShutdown?: Duration.Input | undefined
  /** A larger body is refused. Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined
}

/** The defaults of {@link Options}. */
export const defaults = {
  host: "127.0.0.1",
  port: 8080,
  gracefulShutdown: Duration.seconds(2),
  maxBodyBytes: 1024 * 1024
} as const

/** A client that takes longer to send a request is cut off. */
const requestTimeoutMs = 30_000

/** Path parameters may be ids with every character percent-encoded from three bytes. */
const maxParamLength = maxNameLength * 9

/**
 * Serves the API and its pages. With a `WorkerPool` beside the queue it shows the workers too.
 *
 * @example
 * ```ts
 * const ServerLive = HttpServer.layer({ port: 8080 }).pipe(
 *   Layer.provide(TaskCatalog.layer([SendEmail])),
 *   Layer.provide(Engine.layer(SendEmailLive))
 * )
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  HttpServer.HttpServer,
  HttpServerError.ServeError,
  TaskQueue | Supervisor | TaskCatalog
> => {
  const listen = {
    host: options.host ?? defaults.host,
    port: options.port ?? defaults.port,
    gracefulShutdownTimeout: options.gracefulShutdown ?? defaults.gracefulShutdown
  }
  const maxBodySize = ByteSize.bytes(options.maxBodyBytes ?? defaults.maxBodyBytes)
  return Layer.suspend(() => {
    const server = createServer({ requestTimeout: requestTimeoutMs })
    // Runs after the wait for open requests and before the one for the last connection to end, which has no limit
    const cutOff = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections())))
    return serve.pipe(
      Layer.provide(cutOff),
      Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, maxBodySize)),
      Layer.provideMerge(NodeHttpServer.layerServer(() => server, listen))
    )
  })
}

const serve = HttpRouter.serve(Routes.layer, {
  disableLogger: true,
  disableListenLog: true,
  routerConfig: { maxParamLength }
}).pipe(
  Layer.merge(
    Layer.effectDiscard(HttpServer.addressFormattedWith((address) => Effect.logDebug(`listening on ${address}`)))
  ),
  Layer.provide(HttpServer.layerServices)
)

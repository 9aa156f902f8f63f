/** The server: settings, a store, the engine with the handlers that ship with it, and the HTTP API. */
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import { Duration, Effect, Layer, Stdio } from "effect"
import { HttpServer as Listener } from "effect/http"
import * as ApiKeys from "../access/ApiKeys.ts"
import * as ListenAddress from "../config/ListenAddress.ts"
import * as ServerLog from "../config/ServerLog.ts"
import * as Settings from "../config/Settings.ts"
import * as StoreUrl from "../config/StoreUrl.ts"
import * as UnknownVariables from "../config/UnknownVariables.ts"
import * as DurationText from "../domain/DurationText.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import * as Engine from "../engine/Engine.ts"
import * as Handlers from "../handlers/index.ts"
import * as HttpServer from "../http/HttpServer.ts"
import { TaskCatalog } from "../http/TaskCatalog.ts"
import type { HandlerRegistry } from "../worker/HandlerRegistry.ts"
import { WorkerPool } from "../worker/WorkerPool.ts"
import * as SelectedStore from "./SelectedStore.ts"
import * as ShippedHandlers from "./ShippedHandlers.ts"
import * as StartupMemory from "./StartupMemory.ts"

/** Task types that a server has beside those that ship with it. */
export interface MoreTypes {
  readonly definitions: ReadonlyArray<AnyTaskDefinition>
  readonly handlers: Layer.Layer<never, never, HandlerRegistry>
}

/** Reads the configuration and serves until it is interrupted. */
export const programWith = (more: MoreTypes) =>
  Effect.gen(function*() {
    const settings = yield* Settings.load
    return yield* Effect.provide(
      Effect.onInterrupt(Layer.launch(server(settings, more)), () => Effect.logInfo("stopped")),
      log(settings)
    )
  })

/** The server with the types that ship with it. */
export const program = programWith({ definitions: [], handlers: Layer.empty })

/** Each layer closes before the ones below it: this is the order of the shutdown, from the top. */
const server = (settings: Settings.Settings, more: MoreTypes) =>
  Layer.unwrap(Effect.map(listenAddress(settings), (address) =>
    announcement(settings).pipe(
      Layer.provide(http(settings, address)),
      Layer.provide(TaskCatalog.layer([...Handlers.definitions, ...more.definitions])),
      Layer.provide(engine(settings, more))
    ))).pipe(Layer.provide(SelectedStore.layer(settings)))

/** Decided before anything runs: a server that may not listen claims no tasks. */
const listenAddress = (settings: Settings.Settings) =>
  Effect.flatMap(ApiKeys.list, (keys) => ListenAddress.decide(settings, keys.length > 0))

const http = (settings: Settings.Settings, { host, requireKeys }: ListenAddress.ListenAddress) =>
  HttpServer.layer({
    host,
    port: settings.port,
    gracefulShutdown: Engine.shutdownPlan(settings.shutdown).http,
    requireKeys,
    rateLimits: { perAddress: settings.ratePerAddress, perKey: settings.ratePerKey },
    allowedOrigins: settings.allowedOrigins,
    trustedProxies: settings.trustedProxies,
    maxConnections: settings.maxConnections,
    logRequests: settings.requestLog
  })

const engine = (settings: Settings.Settings, more: MoreTypes) =>
  Engine.layer(Layer.merge(ShippedHandlers.layer(settings), more.handlers), {
    queue: { maxRetries: settings.retryAttempts, pollInterval: settings.pollInterval },
    worker: {
      concurrency: settings.workers,
      lease: settings.lease,
      pollInterval: settings.pollInterval,
      timeout: settings.jobTimeout,
      logCompletions: "Info"
    },
    retention: {
      keepFinished: settings.keepFinished,
      keepFailed: settings.keepFailed,
      maxFinished: settings.maxFinished
    },
    shutdown: settings.shutdown
  })

const log = ({ logFormat, logLevel }: Settings.Settings) =>
  Layer.unwrap(Effect.gen(function*() {
    const colours = yield* (yield* Stdio.Stdio).stdoutIsTerminal
    const format = logFormat === "auto" ? colours ? "pretty" : "json" : logFormat
    return ServerLog.layer({ format, colours, level: logLevel })
  })).pipe(Layer.provide(NodeStdio.layer))

/** Says where the server listens once it does, and what it waits for when it is told to stop. */
const announcement = (settings: Settings.Settings) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const pool = yield* WorkerPool
    const listener = yield* Listener.HttpServer
    for (const sentence of yield* UnknownVariables.find) yield* Effect.logWarning(sentence)
    const url = Listener.formatAddress(listener.address)
    yield* Effect.annotateLogs(
      Effect.logInfo(`taskforge listens on ${url}`),
      { url, store: StoreUrl.format(settings.store), workers: settings.workers, instance: pool.instance }
    )
    yield* StartupMemory.giveBack
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(pool.active, (active) => {
        const grace = DurationText.format(Duration.millis(Engine.shutdownPlan(settings.shutdown).grace))
        return Effect.annotateLogs(
          Effect.logInfo(
            active === 0
              ? "shutting down"
              : `shutting down: running tasks have ${grace} to end; a second signal exits at once`
          ),
          { active }
        )
      })
    )
  }))

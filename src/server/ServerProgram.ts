/** The server: settings, a store, the engine with the handlers that ship with it, and the HTTP API. */
import { Effect, Layer } from "effect"
import { hostname } from "node:os"
import * as ApiKeys from "../access/ApiKeys.ts"
import * as ListenAddress from "../config/ListenAddress.ts"
import type * as Settings from "../config/Settings.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import * as Engine from "../engine/Engine.ts"
import * as Handlers from "../handlers/index.ts"
import { TaskCatalog } from "../http/TaskCatalog.ts"
import * as TaskServer from "../http/TaskServer.ts"
import type { HandlerRegistry } from "../worker/HandlerRegistry.ts"
import * as ConfiguredEngine from "./ConfiguredEngine.ts"
import * as FileDescriptors from "./FileDescriptors.ts"
import * as ProgramLife from "./ProgramLife.ts"
import * as SelectedStore from "./SelectedStore.ts"
import * as Welcome from "./Welcome.ts"

/** Task types that a server has besides those that ship with it. */
export interface MoreTypes {
  readonly definitions: ReadonlyArray<AnyTaskDefinition>
  readonly handlers: Layer.Layer<never, never, HandlerRegistry>
}

/** Reads the configuration and serves until it is interrupted. */
export const programWith = (more: MoreTypes) => ProgramLife.launch((settings) => server(settings, more))

/** The server with the types that ship with it. */
export const program = programWith({ definitions: [], handlers: Layer.empty })

/** Each layer closes before the ones below it: this is the order of the shutdown, from the top. */
const server = (settings: Settings.Settings, more: MoreTypes) =>
  Layer.unwrap(
    Effect.map(listenAddress(settings), (address) =>
      Layer.effectDiscard(ProgramLife.stand(settings.shutdown)).pipe(
        Layer.provide(Welcome.layer(settings, address)),
        Layer.provide(http(settings, address)),
        Layer.provide(TaskCatalog.layer([...Handlers.definitions, ...more.definitions])),
        Layer.provide(ConfiguredEngine.layer(settings, more.handlers))
      ))
  ).pipe(Layer.provide(SelectedStore.layer(settings)))

/** Decided before anything runs: a server that may not listen claims no tasks. */
const listenAddress = (settings: Settings.Settings) =>
  Effect.gen(function*() {
    const keys = yield* ApiKeys.list
    const address = yield* ListenAddress.decide(settings, keys.length > 0)
    yield* warnOfAccess(settings, address, keys.length)
    return address
  })

const http = (settings: Settings.Settings, { host, requireKeys }: ListenAddress.ListenAddress) =>
  Layer.unwrap(
    Effect.map(FileDescriptors.boundConnections(settings.maxConnections), (maxConnections) =>
      TaskServer.layer({
        host,
        port: settings.port,
        gracefulShutdown: Engine.shutdownPlan(settings.shutdown).http,
        requireKeys,
        adminKey: settings.adminKey,
        allowedHosts: [...settings.allowedHosts ?? [], hostname()],
        rateLimits: { perAddress: settings.ratePerAddress, perKey: settings.ratePerKey },
        allowedOrigins: settings.allowedOrigins,
        trustedProxies: settings.trustedProxies,
        maxConnections,
        logRequests: settings.requestLog,
        dashboard: settings.dashboard,
        traceUrl: settings.traceUrl
      }))
  )

/** Says at each start that every machine that reaches the server may do everything, or that no caller may do anything. */
const warnOfAccess = (settings: Settings.Settings, address: ListenAddress.ListenAddress, keys: number) =>
  settings.insecure && !address.requireKeys
    ? Effect.logWarning(
      `TASKFORGE_INSECURE=1: every machine that reaches ${address.host} may run, read and remove tasks here, without a key`
    )
    : settings.requireKeys && settings.adminKey === undefined && keys === 0
    ? Effect.logWarning(
      "TASKFORGE_REQUIRE_KEYS=1, and the store has no API keys: all calls are refused; make one with taskforge keys " +
        "create, or set TASKFORGE_ADMIN_KEY"
    )
    : Effect.void

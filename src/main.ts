/**
 * The server program: settings, a store, the engine with the handlers that ship with it, and the HTTP API.
 *
 * SIGINT and SIGTERM stop it in order: HTTP stops accepting, claiming stops, running tasks get their time, the rest
 * is released, settlements are flushed, the store closes. A second signal ends it at once; the leases of its tasks
 * then run out and they run again, so nothing is lost either way.
 *
 * Exit codes: 0 stopped by a signal, 78 the configuration cannot be used, 1 anything else that prevents it from
 * running, 130 or 143 a second SIGINT or SIGTERM.
 */
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import { Cause, Console, Duration, Effect, Exit, Layer, Option, Runtime, Stdio } from "effect"
import { HttpServer as Listener, HttpServerError } from "effect/http"
import { constants } from "node:os"
import * as ServerLog from "./config/ServerLog.ts"
import * as Settings from "./config/Settings.ts"
import * as StoreUrl from "./config/StoreUrl.ts"
import * as UnknownVariables from "./config/UnknownVariables.ts"
import * as DurationText from "./domain/DurationText.ts"
import * as Engine from "./engine/Engine.ts"
import * as Handlers from "./handlers/index.ts"
import * as HttpServer from "./http/HttpServer.ts"
import { TaskCatalog } from "./http/TaskCatalog.ts"
import * as MemoryStore from "./store/memory/MemoryStore.ts"
import * as SqliteStore from "./store/sqlite/SqliteStore.ts"
import { WorkerPool } from "./worker/WorkerPool.ts"

const program = Effect.gen(function*() {
  const settings = yield* Settings.load
  return yield* Effect.provide(
    Effect.onInterrupt(Layer.launch(server(settings)), () => Effect.logInfo("stopped")),
    log(settings)
  )
})

/** Each layer closes before the ones below it: this is the order of the shutdown, from the top. */
const server = (settings: Settings.Settings) =>
  announcement(settings).pipe(
    Layer.provide(HttpServer.layer({
      host: settings.host,
      port: settings.port,
      gracefulShutdown: Engine.shutdownPlan(settings.shutdown).http
    })),
    Layer.provide(TaskCatalog.layer(Handlers.definitions)),
    Layer.provide(engine(settings)),
    Layer.provide(store(settings))
  )

const engine = (settings: Settings.Settings) =>
  Engine.layer(Handlers.layer, {
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

const store = ({ headStart, maxCrashes, queueSize, sqliteSync, store }: Settings.Settings) => {
  const shared = { capacity: queueSize, headStart, maxCrashes }
  return store._tag === "Memory"
    ? MemoryStore.layer(shared)
    : SqliteStore.layer({ ...shared, path: store.path, synchronous: sqliteSync })
}

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

/** One line on stderr for what an operator can mend; a stack for what only a programmer can. */
const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return Cause.hasInterruptsOnly(cause)
    ? Effect.void
    : Console.error(`taskforge: ${error === undefined ? Cause.pretty(cause) : describe(error)}`)
}

const describe = (error: unknown): string =>
  error instanceof HttpServerError.ServeError
    ? `the server cannot listen: ${describe(error.cause)}; choose another SERVER_PORT or SERVER_HOST`
    : error instanceof Error
    ? error.message
    : String(error)

const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  // Whoever read the log has gone (EPIPE): the tasks matter more
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
  let stopping = false
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(128 + constants.signals[signal])
      stopping = true
      fiber.interruptUnsafe(fiber.id)
    })
  }
  fiber.addObserver((exit) => teardown(exit, process.exit))
})

runMain(Effect.tapCause(program, report), {
  disableErrorReporting: true,
  teardown: (exit, onExit) =>
    Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
})

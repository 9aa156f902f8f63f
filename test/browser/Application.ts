/** An application of somebody else: its own page, and tasks with their dashboard under a path. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Logger, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import * as Breaker from "../../src/Breaker.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { TaskCatalog, TaskRoutes } from "../../src/http/server.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"

const Greet = Task.make("greet", { breakers: [Breaker.make("mail", { failures: 5 })] })
const Sync = Task.make("sync", {
  payload: { tenant: Schema.String },
  limits: ({ concurrency, rate }) => [
    concurrency({ key: ({ tenant }) => tenant, max: 2 }),
    rate({ max: 100, per: "1 minute" })
  ]
})
const handlers = Layer.merge(Greet.toLayer(() => Effect.void), Sync.toLayer(() => Effect.never))

/** Says where it listens, as a server does. */
const announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(JSON.stringify({ level: "info", msg: "listens", url })))
)

const ApplicationLive = HttpRouter.serve(
  Layer.merge(TaskRoutes.layer({ path: "/work/tasks" }), HttpRouter.add("GET", "/", HttpServerResponse.text("home"))),
  { disableLogger: true, disableListenLog: true }
).pipe(
  Layer.merge(announce),
  Layer.provide(TaskCatalog.layer([Greet, Sync])),
  Layer.provide(Engine.layer(handlers)),
  Layer.provide(MemoryStore.layer()),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provide(Logger.layer([]))
)

NodeRuntime.runMain(Layer.launch(ApplicationLive))

import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiGroup } from "effect/http-api"
import { createServer } from "node:http"
import { RequestCheck } from "../../src/http/api/RequestCheck.ts"
import { TasksApi } from "../../src/http/api/TasksApi.ts"
import type { ServerParameters } from "../Contender.ts"
import { answer } from "./answer.ts"

const { options, port }: ServerParameters = JSON.parse(process.argv[2]!)

/** TaskForge's own endpoint, alone: the same request, decoded by the same schemas, and an answer of the same size. */
class Api extends HttpApi.make("bench")
  .add(HttpApiGroup.make("tasks").add(TasksApi.endpoints.create))
  .middleware(RequestCheck)
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "all" })
{}

const Handlers = HttpApiBuilder.group(
  Api,
  "tasks",
  (handlers) =>
    Effect.succeed(handlers.handle("create", ({ payload }) =>
      Effect.succeed(
        HttpServerResponse.jsonUnsafe({ ...answer, payload: "payload" in payload ? payload.payload : {} }, {
          status: 201
        })
      )))
)

const routes = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(Handlers),
  Layer.provide(Layer.succeed(RequestCheck, (endpoint) => endpoint))
)

HttpRouter.serve(routes, { disableLogger: options["requestLog"] !== true, disableListenLog: true }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })),
  Layer.launch,
  NodeRuntime.runMain
)

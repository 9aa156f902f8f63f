import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { NewTaskJson } from "../../src/http/api/TasksApi.ts"
import type { ServerParameters } from "../Contender.ts"
import { answer } from "./answer.ts"

const { port }: ServerParameters = JSON.parse(process.argv[2]!)

const NewTasks = Schema.Union([NewTaskJson, Schema.Array(NewTaskJson)])

/** The same request and answer as `httpapi-empty`, without an `HttpApi`. */
const route = HttpRouter.add(
  "POST",
  "/api/v1/tasks",
  Effect.map(
    HttpServerRequest.schemaBodyJson(NewTasks, { onExcessProperty: "error", errors: "all" }),
    (payload) =>
      HttpServerResponse.jsonUnsafe({ ...answer, payload: "payload" in payload ? payload.payload : {} }, {
        status: 201
      })
  )
)

HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })),
  Layer.launch,
  NodeRuntime.runMain
)

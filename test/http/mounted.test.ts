/** The API's routes in the router of an application. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted } from "effect"
import {
  FetchHttpClient,
  HttpClient,
  HttpClientRequest,
  HttpRouter,
  HttpServer as Listener,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import * as Engine from "../../src/engine/Engine.ts"
import { HttpTaskQueue } from "../../src/http/index.ts"
import { TaskCatalog, TaskRoutes } from "../../src/http/server.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { Count, Echo, Tick } from "./TestServer.ts"

/** Marks every answer of the application, also those of what is mounted in it. */
const marked = HttpRouter.use((router) =>
  router.addGlobalMiddleware(Effect.map(HttpServerResponse.setHeader("x-application", "ours")))
)

const own = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.text("home")),
  HttpRouter.add("GET", "/health", HttpServerResponse.text("ours")),
  HttpRouter.add("GET", "/broken", Effect.die(new Error("It broke")))
)

/** Reads every body before its route does, as a middleware that checks signatures would. */
const reading = HttpRouter.use((router) =>
  router.addGlobalMiddleware((routes) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.andThen(Effect.orDie(request.text), routes))
  )
)

const served = (options: Partial<TaskRoutes.Options> = {}, middleware = marked) =>
  HttpRouter.serve(Layer.mergeAll(TaskRoutes.layer({ path: "/work/tasks", ...options }), own, middleware), {
    disableLogger: true,
    disableListenLog: true,
    // An id may have 255 characters, each encoded
    routerConfig: { maxParamLength: 4000 }
  }).pipe(
    Layer.provide(TaskCatalog.layer([Echo, Count, Tick])),
    Layer.provideMerge(Engine.layer(Echo.toLayer(Effect.succeed), { shutdown: 0 })),
    Layer.provideMerge(MemoryStore.layer()),
    Layer.provideMerge(NodeHttpServer.layerTest),
    Layer.provide(Logger.layer([]))
  )

const get = (path: string, headers: Record<string, string> = {}) =>
  HttpClient.execute(HttpClientRequest.setHeaders(HttpClientRequest.get(path), headers))

const post = (path: string, body: unknown) =>
  HttpClient.execute(HttpClientRequest.bodyJsonUnsafe(HttpClientRequest.post(path), body))

describe("routes in the router of an application", () => {
  it.live("are under its path, next to its own routes and behind its middleware", () =>
    Effect.gen(function*() {
      const created = yield* post("/work/tasks/api/v1/tasks", { type: "echo", payload: { a: 1 }, id: "é".repeat(255) })
      assert.deepStrictEqual([created.status, created.headers["x-application"]], [201, "ours"])
      const found = yield* get(`/work/tasks/api/v1/tasks/${encodeURIComponent("é".repeat(255))}`)
      assert.deepInclude(yield* found.json, { type: "echo" })
      assert.strictEqual((yield* get("/work/tasks/api/tasks?limit=1")).status, 200)
      assert.strictEqual(yield* Effect.flatMap(get("/"), ({ text }) => text), "home")
      assert.strictEqual(yield* Effect.flatMap(get("/health"), ({ text }) => text), "ours")
      assert.strictEqual((yield* get("/work/tasks/health")).status, 200)
      assert.strictEqual((yield* get("/work/tasks/docs")).status, 200)
      const document = yield* Effect.flatMap(get("/work/tasks/openapi.json"), ({ json }) => json)
      assert.deepInclude(document, { servers: [{ url: "/work/tasks" }] })
    }).pipe(Effect.provide(served())))

  it.live("answer for nothing of the application, nor it for them", () =>
    Effect.gen(function*() {
      const unknown = yield* get("/work/tasks/nothing")
      assert.strictEqual(unknown.status, 404)
      assert.nestedPropertyVal(yield* unknown.json, "error.code", "route_not_found")
      assert.strictEqual((yield* get("/work/tasks/")).status, 404)
      assert.strictEqual((yield* get("/work/tasks")).status, 404)
      const ours = yield* get("/api/v1/tasks")
      assert.deepStrictEqual([ours.status, yield* ours.text], [404, ""])
      const broken = yield* get("/broken")
      assert.deepStrictEqual([broken.status, yield* broken.text], [500, ""])
      const wrong = yield* post("/work/tasks/health", {})
      assert.deepStrictEqual([wrong.status, wrong.headers["allow"]], [405, "GET"])
      const large = yield* post("/work/tasks/api/v1/tasks", { type: "echo", payload: "x".repeat(5000) })
      assert.strictEqual(large.status, 413)
    }).pipe(Effect.provide(served({ maxBodyBytes: 1000 }))))

  it.live("say so when a middleware has read the body, which Effect does not hand on", () =>
    Effect.gen(function*() {
      const refused = yield* post("/work/tasks/api/v1/tasks", { type: "echo" })
      assert.strictEqual(refused.status, 400)
      assert.include(yield* refused.text, "a middleware in front has read it")
    }).pipe(Effect.provide(served({}, reading))))

  it.live("ask for keys as a server does", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* get("/work/tasks/api/v1/tasks")).status, 401)
      const withKey = yield* get("/work/tasks/api/v1/tasks", { authorization: "Bearer secret-of-the-admin" })
      assert.strictEqual(withKey.status, 200)
      assert.strictEqual((yield* get("/")).status, 200)
    }).pipe(Effect.provide(served({ adminKey: Redacted.make("secret-of-the-admin") }))))

  it.live("serve a remote queue", () =>
    Effect.gen(function*() {
      const { address } = yield* Listener.HttpServer
      const url = `${Listener.formatAddress(address)}/work/tasks`
      const remote = HttpTaskQueue.layerHttpClient({ url }).pipe(Layer.provide(FetchHttpClient.layer))
      assert.deepStrictEqual(yield* Effect.provide(Echo.execute({ far: true }), remote), { far: true })
    }).pipe(Effect.provide(served())))
})

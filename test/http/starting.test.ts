/** Requests that come while a server starts or stops: each gets an answer, or its connection ends. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Scope } from "effect"
import { createServer, type RequestListener } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import * as Engine from "../../src/engine/Engine.ts"
import * as Connections from "../../src/http/Connections.ts"
import { TaskCatalog } from "../../src/http/TaskCatalog.ts"
import * as TaskServer from "../../src/http/TaskServer.ts"
import type { ServerServices } from "../../src/store/Driver.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as PostgresStore from "../../src/store/postgres/PostgresStore.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as RedisStore from "../../src/store/redis/RedisStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import { patiently } from "../Patience.ts"
import * as Postgres from "../servers/Postgres.ts"
import { freePort } from "../servers/Program.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import * as TestServer from "./TestServer.ts"

/** What became of a request: its answer's status, or how its connection ended without one. */
type Fate = number | "refused" | "closed" | "nothing"

/** Sends a request and waits for what becomes of it. */
const fateOf = (port: number, path = "/health", withinMs = 120_000, headers = ""): Effect.Effect<Fate> =>
  Effect.callback<Fate>((resume) => {
    const socket = connect(
      port,
      "127.0.0.1",
      () => socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`)
    )
    const end = (fate: Fate) => {
      clearTimeout(timer)
      socket.destroy()
      resume(Effect.succeed(fate))
    }
    const timer = setTimeout(() => end("nothing"), withinMs)
    socket.on("data", (data) => end(Number(String(data).split(" ")[1])))
    socket.on("close", () => end("closed"))
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED" ? "refused" : "closed"))
    return Effect.sync(() => end("nothing"))
  })

type Store = Layer.Layer<ServerServices, unknown>

const starting = (name: string, store: Effect.Effect<Store, unknown, Scope.Scope>) =>
  it.live(
    `a server on ${name} leaves no request unanswered while its store is slow to answer`,
    () =>
      Effect.gen(function*() {
        const port = yield* freePort()
        const asked = yield* Latch.make(false)
        const answer = yield* Latch.make(false)
        const slow = Layer.effect(
          RecordStore,
          Effect.map(RecordStore, (records) => ({
            ...records,
            list: (kind, request) =>
              Effect.andThen(asked.open, Effect.andThen(answer.await, records.list(kind, request)))
          }))
        ).pipe(Layer.provideMerge(yield* store))
        const server = TaskServer.layer({ port, farewell: 0 }).pipe(
          Layer.provide(TaskCatalog.layer([])),
          Layer.provide(Engine.layerProducer()),
          Layer.provide(slow)
        )
        const building = yield* Effect.forkScoped(Layer.build(server))
        yield* asked.await
        const early = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkScoped(fateOf(port)))
        yield* Effect.sleep("50 millis")
        yield* answer.open
        yield* Fiber.join(building)
        const fates = yield* Effect.forEach(early, (fiber) => Fiber.join(fiber))
        assert.notInclude(fates, "nothing")
        assert.strictEqual(yield* fateOf(port), 200)
      })
  )

describe("while it starts", () => {
  starting("memory", Effect.succeed(MemoryStore.layer()))
  starting("SQLite", Effect.succeed(SqliteStore.layer({ path: ":memory:" })))
})

await withServer("PostgreSQL", Postgres.find, (postgres) => {
  describe("while it starts", () => {
    starting(
      "PostgreSQL",
      Effect.map(Postgres.scratchSchema(postgres), (schema) => PostgresStore.layerUrl({ url: postgres.url, schema }))
    )
  })
})

await withServer("Redis", Redis.find, (redis) => {
  describe("while it starts", () => {
    starting(
      "Redis",
      Effect.map(Redis.scratchPrefix(redis), (prefix) => RedisStore.layerUrl({ url: redis.url, prefix }))
    )
  })
})

describe("while no route listens", () => {
  it.live("each request is answered with 503, an upgrade and an expectation too", () =>
    Effect.gen(function*() {
      const server = createServer()
      const seen: Array<number> = []
      // As others of our own: it listens, and answers nothing
      server.on("request", () => seen.push(1))
      Connections.answerUnserved(server)
      const port = yield* Effect.acquireRelease(
        Effect.callback<number>((resume) => {
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
        }),
        () => Effect.sync(() => server.close())
      )
      assert.strictEqual(yield* fateOf(port), 503)
      assert.strictEqual(yield* fateOf(port, "/ws", 120_000, "Connection: upgrade\r\nUpgrade: websocket\r\n"), 503)
      const route: RequestListener = (_, response) => response.writeHead(204).end()
      server.on("request", route)
      assert.strictEqual(yield* fateOf(port), 204)
      server.off("request", route)
      assert.strictEqual(yield* fateOf(port), 503)
      assert.lengthOf(seen, 4)
    }))
})

describe("while it stops", () => {
  const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

  /** Connections in every state, by what they have sent. */
  const states: Readonly<Record<string, string>> = {
    "that has sent nothing": "",
    "in the middle of a head": "GET /health HTTP/1.1\r\nHo",
    "in the middle of a body": "POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    "that was answered": get("/health"),
    "that watches events": get("/api/v1/events"),
    "that is a WebSocket": get("/ws", upgrade),
    "that waits for a result": get("/api/v1/tasks/waiting/result?wait=30s"),
    "with requests in line": get("/api/v1/tasks/waiting/result?wait=30s") + get("/health") + get("/health")
  }

  it.live("no connection is left open, whatever it has sent", () =>
    Effect.gen(function*() {
      const port = yield* freePort()
      const scope = yield* Scope.make()
      const http = { port, farewell: "50 millis", gracefulShutdown: "500 millis" } as const
      yield* Layer.buildWithScope(TestServer.layer({ http }), scope)
      const open = new Map<string, Socket>()
      yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}/api/v1/tasks`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ type: "tick", id: "waiting" })
        })
      )
      for (const [state, sent] of Object.entries(states)) {
        yield* Effect.callback<void>((resume) => {
          const socket: Socket = connect(port, "127.0.0.1", () => {
            open.set(state, socket)
            socket.write(sent)
            resume(Effect.void)
          })
          socket.on("error", () => {})
          socket.on("data", () => {})
          socket.on("close", () => open.delete(state))
        })
      }
      yield* Effect.sleep("100 millis")
      assert.sameMembers([...open.keys()], Object.keys(states))
      const before = performance.now()
      yield* Scope.close(scope, Exit.void)
      const left = Effect.sync(() => [...open.keys()])
      const after = yield* Effect.repeat(left, {
        until: (states: ReadonlyArray<string>) => states.length === 0,
        schedule: patiently()
      })
      assert.deepStrictEqual(after, [])
      // A WebSocket whose client does not answer its end would take half a minute
      assert.isBelow(performance.now() - before, 25_000)
    }))
})

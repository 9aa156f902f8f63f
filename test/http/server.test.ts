import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { HttpServer as Listener } from "effect/http"
import { Agent, request as post } from "node:http"
import { connect, type Socket } from "node:net"
import { layer, type Options } from "./TestServer.ts"

/** A server in a scope of its own, closed when the test says so. */
const open = Effect.fnUntraced(function*(options: Options = {}) {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(layer(options), scope)
  const { address } = yield* Effect.provide(Listener.HttpServer, context)
  return { url: Listener.formatAddress(address), close: Scope.close(scope, Exit.void) }
})

/** A connection, and what came over it. */
const dial = (url: string) =>
  Effect.callback<{ readonly socket: Socket; readonly received: Array<string> }>((resume) => {
    const received: Array<string> = []
    const socket: Socket = connect(Number(new URL(url).port), "127.0.0.1", () => {
      resume(Effect.succeed({ socket, received }))
    })
    socket.on("data", (chunk) => received.push(String(chunk)))
    socket.on("error", () => {})
  })

const body = JSON.stringify({ type: "echo", payload: "late" })

const head =
  `POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`

describe("a server", () => {
  it.live("listens on a free port and says which", () =>
    Effect.gen(function*() {
      const one = yield* open()
      const other = yield* open()
      assert.match(one.url, /^http:\/\/127\.0\.0\.1:\d+$/)
      assert.notStrictEqual(one.url, other.url)
      yield* one.close
      yield* other.close
    }))

  it.live("fails to start on a port that is taken", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open()
      const exit = yield* Effect.exit(open({ http: { port: Number(new URL(url).port) } }))
      assert.include(JSON.stringify(exit), "EADDRINUSE")
      yield* close
    }))

  it.live("answers what is on its way before it closes, and takes nothing new", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open()
      const { received, socket } = yield* dial(url)
      socket.write(head)
      yield* Effect.sleep("50 millis")
      const closing = yield* Effect.forkChild(close)
      yield* Effect.sleep("50 millis")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.tryPromise(() => fetch(`${url}/health`)))))
      socket.write(body)
      yield* Fiber.join(closing)
      assert.match(received.join(""), /^HTTP\/1\.1 201 /)
    }))

  it.live("sends busy clients away between two requests, and cuts nobody off", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open({ http: { farewell: "500 millis" } })
      const agent = new Agent({ keepAlive: true, maxSockets: 4 })
      const statuses: Array<number> = []
      const ends: Array<string> = []
      /** One client: sends as soon as it is answered, until its connection is closed or broken. */
      const client = Effect.callback<void>((resume) => {
        const send = () => {
          const request = post(`${url}/api/v1/tasks`, {
            agent,
            method: "POST",
            headers: { "content-type": "application/json" }
          })
          request.on("error", (error) => {
            ends.push(error.message)
            resume(Effect.void)
          })
          request.on("response", (response) => {
            statuses.push(response.statusCode ?? 0)
            response.resume().on("end", () => {
              if (response.headers.connection !== "close") return send()
              ends.push("close")
              resume(Effect.void)
            })
          })
          request.end(body)
        }
        send()
      })
      const clients = yield* Effect.forkChild(Effect.all([client, client, client, client], { concurrency: 4 }))
      yield* Effect.sleep("100 millis")
      yield* close
      yield* Fiber.join(clients)
      agent.destroy()
      assert.deepStrictEqual(ends, ["close", "close", "close", "close"])
      assert.deepStrictEqual(new Set(statuses), new Set([201]))
    }))

  it.live("does not wait for clients that keep it waiting", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open({ http: { gracefulShutdown: "100 millis" } })
      const silent = yield* dial(url)
      const halfway = yield* dial(url)
      halfway.socket.write(head)
      yield* Effect.sleep("50 millis")
      const [took] = yield* Effect.timed(close)
      assert.isBelow(Duration.toMillis(took), 2000)
      yield* Effect.sleep("50 millis")
      for (const { socket } of [silent, halfway]) assert.isTrue(socket.closed || socket.readableEnded)
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Schedule, Scope } from "effect"
import { HttpServer as Listener } from "effect/http"
import { TestClock } from "effect/testing"
import { Agent, request as post } from "node:http"
import { connect, type Socket } from "node:net"
import { patiently } from "../Patience.ts"
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

/** Whether the server takes no new connection. */
const isRefused = (url: string) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", () => resume(Effect.succeed(true)))
  })

const body = JSON.stringify({ type: "echo", payload: "late" })

/** The head of a request, whose client says its body once it is told to go on. */
const head = "POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
  `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`

/** What the server says when it has the head. */
const goOn = "HTTP/1.1 100 Continue\r\n\r\n"

/** Waits for something real, while no time passes on the test's clock. */
const until = (what: () => boolean) =>
  TestClock.withLive(Effect.repeat(Effect.void, { until: what, schedule: patiently("5 millis") }))

/** Lets time pass on the test's clock until a fiber has ended. */
const passing = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.andThen(
    Effect.repeat(Effect.andThen(TestClock.adjust("100 millis"), TestClock.withLive(Effect.sleep("5 millis"))), {
      until: () => fiber.pollUnsafe() !== undefined
    }),
    Fiber.join(fiber)
  )

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

  it.effect("answers what is on its way before it closes, and takes nothing new", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open()
      const { received, socket } = yield* dial(url)
      socket.write(head)
      yield* until(() => received.join("") === goOn)
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.withLive(
        Effect.repeat(isRefused(url), { until: (refused) => refused, schedule: patiently("5 millis") })
      )
      assert.isUndefined(closing.pollUnsafe())
      socket.write(body)
      yield* until(() => received.join("").length > goOn.length)
      assert.match(received.join("").slice(goOn.length), /^HTTP\/1\.1 201 /)
      yield* passing(closing)
    }))

  it.effect("sends busy clients away between two requests, and cuts nobody off", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open({ http: { farewell: "500 millis" } })
      const agent = new Agent({ keepAlive: true, maxSockets: 4 })
      const statuses: Array<number> = []
      const ends: Array<string> = []
      const busy = Latch.makeUnsafe()
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
            if (statuses.length === 100) busy.openUnsafe()
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
      yield* busy.await
      const closing = yield* Effect.forkChild(close)
      // As long as no time passes, none is cut off that is still busy
      yield* Fiber.join(clients)
      agent.destroy()
      yield* passing(closing)
      assert.deepStrictEqual(ends, ["close", "close", "close", "close"])
      assert.deepStrictEqual(new Set(statuses), new Set([201]))
    }))

  it.effect("listens no more when it tells clients to connect again: what waited to be accepted would be reset", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open({ http: { farewell: "500 millis" } })
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const connection = Effect.callback<string | undefined>((resume) => {
        post(`${url}/health`, { agent, method: "GET" })
          .on(
            "response",
            (response) => response.resume().on("end", () => resume(Effect.succeed(response.headers.connection)))
          )
          .end()
      })
      assert.strictEqual(yield* connection, "keep-alive")
      const closing = yield* Effect.forkChild(close)
      // No time passes: it still answers on the connection that it has
      yield* TestClock.withLive(Effect.retry(
        Effect.filterOrFail(isRefused(url), (refused) => refused, () => "it takes connections"),
        Schedule.upTo(Schedule.spaced("5 millis"), { duration: "10 seconds" })
      ))
      assert.strictEqual(yield* connection, "close")
      agent.destroy()
      yield* passing(closing)
    }))

  it.effect("does not wait for clients that keep it waiting", () =>
    Effect.gen(function*() {
      const { close, url } = yield* open({ http: { gracefulShutdown: "100 millis" } })
      const silent = yield* dial(url)
      const halfway = yield* dial(url)
      halfway.socket.write(head)
      yield* until(() => halfway.received.join("") === goOn)
      yield* passing(yield* Effect.forkChild(close))
      yield* until(() => [silent, halfway].every(({ socket }) => socket.closed || socket.readableEnded))
    }))
})

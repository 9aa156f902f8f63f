import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { createServer, type Server, type Socket } from "node:net"
import * as Connection from "../../../src/store/postgres/Connection.ts"

/** A server that answers the first thing that it hears with a letter, and then is silent. */
const silentAfter = (letter: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const connections = new Set<Socket>()
      const server = createServer((socket) => {
        connections.add(socket)
        socket.on("error", () => {})
        socket.once("data", () => socket.write(letter))
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      return { server, connections }
    }),
    ({ connections, server }) =>
      Effect.sync(() => {
        for (const connection of connections) connection.destroy()
        server.close()
      })
  )

const portOf = (server: Server): number => {
  const address = server.address()
  return address !== null && typeof address === "object" ? address.port : 0
}

it.effect("a connection on which an answer is due is closed when nothing is heard, one with TLS is left alone", () =>
  Effect.scoped(Effect.gen(function*() {
    const open = Effect.fnUntraced(function*(letter: string) {
      const { server } = yield* silentAfter(letter)
      const { stream } = yield* Connection.watchedSockets({ host: "127.0.0.1", port: portOf(server) }, 100)
      const socket = yield* Effect.acquireRelease(Effect.sync(stream), (socket) => Effect.sync(() => socket.destroy()))
      const closed: Array<string> = []
      socket.on("error", (error: Error) => closed.push(error.message))
      const heard = Effect.promise(() => once(socket, "data"))
      socket.write("a request for TLS")
      yield* heard
      socket.write("something after it")
      return { socket, closed }
    })
    const encrypted = yield* open("S")
    const plain = yield* open("N")
    yield* TestClock.adjust("99 millis")
    assert.isFalse(plain.socket.destroyed)
    const closing = once(plain.socket, "close").catch(() => {})
    yield* TestClock.adjust("20 millis")
    yield* Effect.promise(() => closing)
    assert.deepStrictEqual(plain.closed, ["the server was silent for 100 ms"])
    assert.deepStrictEqual(encrypted.closed, [])
    assert.isFalse(encrypted.socket.destroyed)
  })))

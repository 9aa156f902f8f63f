/** The network of the chaos tests loses and delays what it is told to, and nothing else: what it delays stays in order. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, createServer } from "node:net"
import { until } from "../e2e/Server.ts"
import * as Proxy from "./Proxy.ts"

describe("a slow network", () => {
  it.live("keeps what it delays in order, however late timers go off, also when it is healed", () =>
    Effect.gen(function*() {
      const received: Array<Buffer> = []
      const sink = yield* Effect.acquireRelease(
        Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
          const server = createServer((socket) => socket.on("data", (data) => received.push(data)))
            .listen(0, "127.0.0.1", () => {
              const address = server.address() as { readonly port: number }
              resume(Effect.succeed({ port: address.port, close: () => server.close() }))
            })
        }),
        ({ close }) => Effect.sync(close)
      )
      const proxy = yield* Proxy.make(sink.port)
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => connect(proxy.port, "127.0.0.1").setNoDelay(true)),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const sent: Array<string> = []
      const send = (pieces: number) =>
        Effect.gen(function*() {
          for (let piece = 0; piece < pieces; piece++) {
            sent.push(`${sent.length},`)
            client.write(sent.at(-1)!)
            // Timers are late in a process that computes
            const busyUntil = performance.now() + (piece % 7) * 0.4
            while (performance.now() < busyUntil);
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          }
        })
      for (let time = 0; time < 5; time++) {
        yield* proxy.delay(30)
        yield* send(60)
        yield* proxy.heal
        yield* send(60)
      }
      const all = sent.join("")
      yield* until("all has arrived", Effect.sync(() => Buffer.concat(received).length === all.length))
      assert.strictEqual(Buffer.concat(received).toString(), all)
    }).pipe(Effect.scoped))
})

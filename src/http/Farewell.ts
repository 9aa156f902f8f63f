/**
 * How clients leave a server that stops. Connections are kept for many requests, so a busy client would go on sending
 * until it is cut off in the middle of one. Instead, every answer to what comes now says that it is the last of its
 * connection; what is idle a moment later is closed.
 */
import { Duration, Effect } from "effect"
import type { Server } from "node:http"

/**
 * Prepares the farewell of a server; to be called before its requests have a listener. The effect begins it, and
 * takes so long unless no client is connected: the time that busy clients have to meet the last answer of their connection.
 */
export const make = (server: Server, within: Duration.Duration): Effect.Effect<void> => {
  let isLast = false
  server.on("request", (_request, response) => {
    if (isLast) response.setHeader("connection", "close")
  })
  const connections = Effect.callback<number>((resume) => {
    server.getConnections((error, count) => resume(Effect.succeed(error === null ? count : 0)))
  })
  return Effect.gen(function*() {
    isLast = true
    if (!Duration.isZero(within) && (yield* connections) > 0) yield* Effect.sleep(within)
  })
}

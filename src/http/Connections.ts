/**
 * What the server does where no route is at hand: with bytes that are no request, with requests before and after the
 * routes listen, and with the connections that are left when it stops.
 */
import { Duration, Effect } from "effect"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { Server as Listener, type Socket } from "node:net"
import type { Duplex } from "node:stream"

/**
 * Answers what is no HTTP at all, or too much of it, and ends the connection. To be called for each `clientError` of a
 * server: there is no request then.
 */
export const answerMalformed = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy()
    return
  }
  const { code, message, status } = refusals[error.code ?? ""] ?? malformed
  const body = bodyOf(code, message)
  // In the middle of an answer it would be read as a part of that
  if (isAnswering(socket)) {
    socket.destroy()
    return
  }
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `x-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`
  )
}

/** To be called for each `checkExpectation`: only `100-continue` can be met. */
export const refuseExpectation = (_request: IncomingMessage, response: ServerResponse): void => {
  const body = bodyOf("expectation_failed", "This server meets no expectation but 100-continue")
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), connection: "close" }
  response.writeHead(417, headers).end(body)
}

function bodyOf(code: string, message: string): string {
  return JSON.stringify({ error: { code, message } })
}

interface Refusal {
  readonly status: string
  readonly code: string
  readonly message: string
}

const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    code: "headers_too_large",
    message: "The head of the request is too large"
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: "413 Payload Too Large",
    code: "body_too_large",
    message: "The chunk extensions are too large"
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: "408 Request Timeout",
    code: "request_timeout",
    message: "The request took too long to arrive"
  }
}

const malformed: Refusal = {
  status: "400 Bad Request",
  code: "malformed_request",
  message: "This is not a request of HTTP/1.1"
}

/** Node keeps the answer that is being written on its socket. */
const isAnswering = (socket: Duplex): boolean => {
  const { _httpMessage } = socket as Duplex & { readonly _httpMessage?: { readonly headersSent: boolean } | null }
  return _httpMessage?.headersSent === true
}

/**
 * Answers while the server is bound and no route listens: between binding and serving, and between the end of the routes
 * and the end of the last connection. Node would leave such a request without an answer for as long as its connection
 * lasts. To be called once the server's own listeners are there, and before the routes listen.
 */
export const answerUnserved = (server: Server): void => {
  const refuse = (_request: IncomingMessage, response: ServerResponse): void => {
    if (server.listenerCount("request") === own) response.writeHead(503, unservedHeaders).end(unservedBody)
  }
  server.on("request", refuse)
  const own = server.listenerCount("request")
}

// The code that every route declares for a 503, so that typed clients know it
const unservedBody = bodyOf("store_unavailable", "The server starts or stops; try again")

const unservedHeaders = {
  "content-type": "application/json",
  "content-length": Buffer.byteLength(unservedBody),
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "retry-after": "1",
  connection: "close"
}

/**
 * How clients leave a server that stops. It listens no more: who connects is refused, and may try another server. Connections
 * are kept for many requests, so a busy client would go on sending until it is cut off in the middle of one. Instead, every
 * answer to what comes now says that it is the last of its connection; what is idle a moment later is closed. To be called
 * before the server's requests have a listener. The effect begins the farewell, and ends once no request has come for as
 * long as `quiet`, after `max` at the latest, and at once when no client is connected.
 */
export const farewell = (
  server: Server,
  { max, quiet }: { readonly quiet: Duration.Duration; readonly max: Duration.Duration }
): Effect.Effect<void> => {
  let isLast = false
  let answered = 0
  server.on("request", (_request, response) => {
    if (!isLast) return
    answered++
    response.setHeader("connection", "close")
  })
  const connections = Effect.callback<number>((resume) => {
    server.getConnections((error, count) => resume(Effect.succeed(error === null ? count : 0)))
  })
  return Effect.gen(function*() {
    yield* stopListening(server)
    isLast = true
    if (Duration.isZero(quiet)) return
    for (let left = Duration.toMillis(max); left > 0 && (yield* connections) > 0; left -= Duration.toMillis(quiet)) {
      const before = answered
      yield* Effect.sleep(Duration.min(quiet, Duration.millis(left)))
      if (answered === before) return
    }
  })
}

/**
 * Stops listening while connections go on. The system resets connections that wait to be accepted, with the requests they
 * carry, and a proxy does not repeat a POST that it has sent. So this comes before clients are told to connect again, and
 * right after the loop has accepted what was there. Bun's servers listen in another way.
 */
const stopListening = (server: Server): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (!(server instanceof Listener) || !server.listening) return
    yield* Effect.yieldNow
    const closeRest = server.close.bind(server)
    let isClosed = false
    server.once("close", () => {
      isClosed = true
    })
    Listener.prototype.close.call(server)
    // Who closes the server waits for the last connection, as if it had listened until then
    Object.defineProperty(server, "listening", { configurable: true, get: () => !isClosed })
    server.close = (callback) => {
      if (isClosed) callback?.()
      else server.once("close", () => callback?.())
      return closeRest()
    }
  })

/**
 * Ends, at once, the connections that are left when a server has waited long enough. Node closes those of HTTP, but not
 * the WebSockets among them, and a client that does not answer the end of its WebSocket would hold up the stop for half
 * a minute. To be called before the server listens.
 */
export const cutOff = (server: Server): Effect.Effect<void> => {
  const connections = new Set<Socket>()
  server.on("connection", (connection: Socket) => {
    connections.add(connection)
    connection.once("close", () => connections.delete(connection))
  })
  return Effect.sync(() => {
    for (const connection of connections) connection.destroy()
  })
}

/**
 * What the server answers while it is bound and no route listens: the moment between binding and serving, and the
 * one between the end of the routes and the end of the last connection. Node would leave such a request without an
 * answer for as long as its connection lasts.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http"

// The code that every route declares for a 503, so that typed clients know it
const body = JSON.stringify({ error: { code: "store_unavailable", message: "The server starts or stops; try again" } })

const headers = {
  "content-type": "application/json",
  "content-length": Buffer.byteLength(body),
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "retry-after": "1",
  connection: "close"
}

/** To be called once the server's own listeners are there, and before the routes listen. */
export const answer = (server: Server): void => {
  const refuse = (_request: IncomingMessage, response: ServerResponse): void => {
    if (server.listenerCount("request") === own) response.writeHead(503, headers).end(body)
  }
  server.on("request", refuse)
  const own = server.listenerCount("request")
}

/**
 * The end of the connections that are left when a server has waited long enough. Node closes those of HTTP, but not
 * the WebSockets among them, and a client that does not answer the end of its WebSocket would hold up the stop for half
 * a minute.
 */
import { Effect } from "effect"
import type { Server } from "node:http"
import type { Socket } from "node:net"

/** Prepares it; to be called before the server listens. The effect ends every connection at once. */
export const make = (server: Server): Effect.Effect<void> => {
  const connections = new Set<Socket>()
  server.on("connection", (connection: Socket) => {
    connections.add(connection)
    connection.once("close", () => connections.delete(connection))
  })
  return Effect.sync(() => {
    for (const connection of connections) connection.destroy()
  })
}

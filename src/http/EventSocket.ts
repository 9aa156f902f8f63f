/** Sends texts over a WebSocket until they end, the client leaves, or it does not keep up. */
import { Effect, Stream } from "effect"
import type { HttpServerRequest } from "effect/http"
import type { Socket } from "effect/socket"
import type { Socket as NodeSocket } from "node:net"

/** Bytes that may wait in the connection. */
const maxWaiting = 1024 * 1024

/** What clients send is read, so that the connection's own messages are seen, and ignored. */
export const send = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  socket: Socket.Socket,
  texts: Stream.Stream<string, E, R>
): Effect.Effect<void, E, R> =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* Effect.orDie(socket.reader)
    const { write } = yield* socket.writer
    const connection = connectionOf(request)
    const sending = Stream.runForEachWhile(texts, (text) =>
      Effect.as(Effect.ignore(write(text)), (connection?.writableLength ?? 0) < maxWaiting))
    yield* Effect.raceFirst(sending, Effect.ignore(Effect.forever(pull)))
  }))

const connectionOf = ({ source }: HttpServerRequest.HttpServerRequest): NodeSocket | undefined =>
  "socket" in source ? source.socket as NodeSocket : undefined

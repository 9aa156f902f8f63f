/**
 * The endpoints of events: the feed as server-sent events, and as messages of a WebSocket. An event is written once, however
 * many watch.
 */
import { Duration, Effect, Option, type Scope, Stream } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { Sse } from "effect/encoding"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { Socket } from "effect/socket"
import type { Socket as NodeSocket } from "node:net"
import type { StoreError } from "../domain/Errors.ts"
import * as Redaction from "../domain/Redaction.ts"
import { isLast } from "../domain/TaskEvent.ts"
import { isFinished } from "../domain/TaskState.ts"
import * as EventFeeds from "../events/EventFeed.ts"
import { EventFeed, type Item, type WatchedEvent } from "../events/EventFeed.ts"
import type { StoredTask } from "../queue/StoredTask.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import type { TaskEventJson } from "./api/EventsApi.ts"
import { timestamp, toJson as taskJson } from "./api/TaskJson.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import { KeyRing } from "./KeyRing.ts"
import { CurrentVisitor } from "./Visitor.ts"

/** The id of a stream's last message: a client that comes back with it has seen all. */
const done = "done"

/** Handles the endpoints of {@link Api}'s events. */
export const layer = HttpApiBuilder.group(
  Api,
  "events",
  Effect.fnUntraced(function*(handlers) {
    const feed = yield* EventFeed
    const queue = yield* TaskQueue
    const ring = yield* KeyRing

    /** Items for a request, which is cut off when it does not keep up, and ended when it would be refused by now. */
    const subscribe = (
      after: number | undefined,
      matches: (event: WatchedEvent) => boolean,
      greet = false
    ): Effect.Effect<Stream.Stream<Item, StoreError>, StoreError, Scope.Scope> =>
      Effect.withFiber((fiber) =>
        Effect.map(
          feed.subscribe({ after, matches, greet, onDropped: () => fiber.interruptUnsafe() }),
          Stream.interruptWhen(ring.untilRefused(fiber.getRef(CurrentVisitor)))
        )
      )

    /** The task as it is, what happens to it, and the task as it has become. */
    const story = Effect.fnUntraced(function*(id: string, after: number | undefined) {
      // Subscribed before looking: what happens in between is in the stream
      const items = yield* subscribe(after, (event) => event.id === id)
      const task = yield* queue.get(id)
      const first = Stream.succeed(taskSent(task))
      if (isFinished(task.state)) return Stream.succeed(taskSent(task, done))
      const last = Stream.fromEffect(
        Effect.map(
          Effect.result(queue.get(id)),
          (found) => found._tag === "Success" ? taskSent(found.success, done) : sent("gap", {}, done)
        )
      )
      const events = items.pipe(
        Stream.takeUntil((item) => typeof item !== "string" && isLast(item)),
        // An event may be missing; the outcome never is
        Stream.interruptWhen(Effect.exit(queue.outcome(id))),
        Stream.map(itemSent)
      )
      return Stream.concat(first, Stream.concat(events, last))
    })

    return handlers.handleAll({
      stream: Effect.fnUntraced(function*({ query, request }) {
        const items = yield* subscribe(placeOf(request) ?? query.after, matching(query), true)
        return answer(Stream.mapArray(items, sentTogether))
      }),
      ofTask: Effect.fnUntraced(function*({ params, query, request }) {
        if (request.headers["last-event-id"] === done) return HttpServerResponse.empty()
        return answer(yield* story(params.id, placeOf(request) ?? query.after))
      }),
      socket: Effect.fnUntraced(function*({ query, request }) {
        const socket = isHandshake(request) ? yield* Effect.option(request.upgrade) : Option.none()
        if (Option.isNone(socket)) return upgradeRequired
        const items = yield* subscribe(query.after, matching(query))
        yield* sendOver(request, socket.value, Stream.map(items, message))
        return HttpServerResponse.empty()
      })
    })
  })
)

/** Where a reader that comes back left off. */
const placeOf = ({ headers }: HttpServerRequest.HttpServerRequest): number | undefined => {
  const text = headers["last-event-id"]
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

const matching = ({ queue, task, type }: {
  readonly type?: ReadonlyArray<string>
  readonly queue?: ReadonlyArray<string>
  readonly task?: ReadonlyArray<string>
}) => EventFeeds.matching({ types: type, queues: queue, ids: task })

const answer = (body: Stream.Stream<Uint8Array, StoreError>): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(body, { contentType: "text/event-stream", headers: { "x-accel-buffering": "no" } })

/** What the WebSocket's own server would refuse in its own words. */
const isHandshake = ({ headers, method }: HttpServerRequest.HttpServerRequest): boolean =>
  method === "GET" && headers["upgrade"]?.toLowerCase() === "websocket" && headers["sec-websocket-version"] === "13" &&
  /^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")

const upgradeRequired = ErrorAnswer.make(
  426,
  "upgrade_required",
  "Connect with a WebSocket, or watch /api/v1/events",
  // Node takes a connection header as it is, and would keep the connection of a client that asked to close it
  { connection: "close, upgrade", upgrade: "websocket" }
)

const encoder = new TextEncoder()

const sent = (event: string, data: unknown, id?: string): Uint8Array =>
  encoder.encode(Sse.encoder.write({ _tag: "Event", event, id, data: JSON.stringify(data) }))

const gap = sent("gap", {})
/** A comment, and after how many milliseconds a client that loses the stream may come back. */
const idle = encoder.encode(": idle\nretry: 2000\n\n")

const sentEvents = new WeakMap<WatchedEvent, Uint8Array>()

/** An item as a server-sent event. */
const itemSent = (item: Item): Uint8Array => {
  if (item === "gap") return gap
  if (item === "idle") return idle
  let bytes = sentEvents.get(item)
  if (bytes === undefined) sentEvents.set(item, bytes = sent(item.event, eventJson(item), String(item.seq)))
  return bytes
}

/** Items that came together as one piece of the stream. */
const sentTogether = (items: NonEmptyReadonlyArray<Item>): NonEmptyReadonlyArray<Uint8Array> => [
  items.length === 1 ? itemSent(items[0]) : Buffer.concat(items.map(itemSent))
]

/** A task as a server-sent event. */
const taskSent = (task: StoredTask, id?: string): Uint8Array => sent("task", taskJson(task), id)

const messages = new WeakMap<WatchedEvent, string>()

/** An item as a message of a WebSocket; an empty one is a sign of life. */
const message = (item: Item): string => {
  if (item === "gap") return `{"event":"gap"}`
  if (item === "idle") return `{"event":"idle"}`
  let text = messages.get(item)
  if (text === undefined) messages.set(item, text = JSON.stringify({ seq: item.seq, ...eventJson(item) }))
  return text
}

const eventJson = ({ at, delay, error, seq: _seq, ...event }: WatchedEvent): TaskEventJson => ({
  ...event,
  at: timestamp(at),
  ...(delay === undefined ? {} : { delay_ms: Duration.toMillis(delay) }),
  ...(error === undefined ? {} : { error: { ...error, message: Redaction.text(error.message) } })
})

/** Bytes that may wait in the connection. */
const maxWaiting = 1024 * 1024

/**
 * Sends texts over a WebSocket until they end, the client leaves, or it does not keep up. What clients send is read, so that
 * the connection's own messages are seen, and ignored.
 */
const sendOver = <E, R>(
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

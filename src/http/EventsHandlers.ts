/** The endpoints of events: the feed as server-sent events, and as messages of a WebSocket. */
import { Effect, Option, type Scope, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { StoreError } from "../domain/Errors.ts"
import { isLast, type TaskEvent } from "../domain/TaskEvent.ts"
import { isFinished } from "../domain/TaskState.ts"
import * as EventFeeds from "../events/EventFeed.ts"
import { EventFeed, type Item } from "../events/EventFeed.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import * as ErrorAnswer from "./ErrorAnswer.ts"
import * as EventSocket from "./EventSocket.ts"
import * as EventView from "./EventView.ts"
import { KeyRing } from "./KeyRing.ts"
import * as TaskView from "./TaskView.ts"
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
      matches: (event: TaskEvent) => boolean,
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
      const first = Stream.succeed(EventView.task(TaskView.toJson(task)))
      if (isFinished(task.state)) return Stream.succeed(EventView.task(TaskView.toJson(task), done))
      const last = Stream.fromEffect(
        Effect.map(
          Effect.result(queue.get(id)),
          (found) =>
            found._tag === "Success" ? EventView.task(TaskView.toJson(found.success), done) : EventView.gone(done)
        )
      )
      const events = items.pipe(
        Stream.takeUntil((item) => typeof item !== "string" && isLast(item)),
        // An event may be missing; the outcome never is
        Stream.interruptWhen(Effect.exit(queue.outcome(id))),
        Stream.map(EventView.serverSent)
      )
      return Stream.concat(first, Stream.concat(events, last))
    })

    return handlers.handleAll({
      stream: Effect.fnUntraced(function*({ query, request }) {
        const items = yield* subscribe(placeOf(request) ?? query.after, matching(query), true)
        return answer(Stream.mapArray(items, EventView.serverSentTogether))
      }),
      ofTask: Effect.fnUntraced(function*({ params, query, request }) {
        if (request.headers["last-event-id"] === done) return HttpServerResponse.empty()
        return answer(yield* story(params.id, placeOf(request) ?? query.after))
      }),
      socket: Effect.fnUntraced(function*({ query, request }) {
        const socket = isHandshake(request) ? yield* Effect.option(request.upgrade) : Option.none()
        if (Option.isNone(socket)) return upgradeRequired
        const items = yield* subscribe(query.after, matching(query))
        yield* EventSocket.send(request, socket.value, Stream.map(items, EventView.message))
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

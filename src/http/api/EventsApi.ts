/** What happens to tasks, as it happens. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { TaskEventName } from "../../domain/TaskEvent.ts"
import { FailureKind } from "../../domain/TaskRecord.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole, TakesKeyInQuery } from "./NeededRole.ts"
import { listOf, Name } from "./RequestValues.ts"
import { TaskJson, Timestamp } from "./TaskJson.ts"

/** An event on the wire. */
export const TaskEventJson = Schema.Struct({
  event: TaskEventName,
  id: Schema.String.annotate({ description: "The task's" }),
  type: Schema.String,
  queue: Schema.String,
  at: Timestamp.annotate({ description: "When the event was logged" }),
  attempt: Schema.optionalKey(Schema.Int),
  instance: Schema.optionalKey(Schema.String),
  progress: Schema.optionalKey(Schema.Finite).annotate({ description: "0 to 1" }),
  delay_ms: Schema.optionalKey(Schema.Finite).annotate({ description: "Wait before it is due again" }),
  error: Schema.optionalKey(Schema.Struct({ kind: FailureKind, tag: Schema.String, message: Schema.String }))
}).annotate({ identifier: "TaskEvent" })

export type TaskEventJson = typeof TaskEventJson.Type

/** Some events before this are missing: the tasks themselves say where they stand. */
const Gap = Schema.Struct({}).annotate({ identifier: "Gap" })

const Place = Schema.FiniteFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0))

const place = { after: Schema.optionalKey(Place), access_token: Schema.optionalKey(Schema.String) }

/** Which events are wanted. */
const filters = {
  type: Schema.optionalKey(listOf(Name)),
  queue: Schema.optionalKey(listOf(Name)),
  task: Schema.optionalKey(listOf(Name)),
  ...place
}

const about = "The id of each is the number of the event. Events of a task come in the order of its life, whichever " +
  "instances they happen on. `gap` means that earlier events are missing. " +
  "A comment is sent every 15 s while the stream is open. A reader that falls behind is disconnected."

const EventStream = HttpApiSchema.StreamSse({
  events: Schema.Struct({
    id: Schema.optional(Schema.String),
    event: Schema.String,
    data: Schema.fromJsonString(Schema.Union([TaskEventJson, TaskJson, Gap]))
  })
})

/** The endpoints of events. */
export class EventsApi extends HttpApiGroup.make("events").add(
  HttpApiEndpoint.get("stream", "/events", {
    query: filters,
    success: EventStream,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotate(TakesKeyInQuery, true).annotateMerge(OpenApi.annotations({
    summary: "Watch events",
    description: "Server-sent events of all tasks, or of the tasks that the filters name. " + about
  })),
  HttpApiEndpoint.get("ofTask", "/tasks/:id/events", {
    params: { id: Schema.String },
    query: place,
    success: EventStream,
    error: [ApiErrors.TaskNotFound, ApiErrors.Unavailable]
  }).annotate(NeededRole, "read").annotate(TakesKeyInQuery, true).annotateMerge(OpenApi.annotations({
    summary: "Watch a task",
    description:
      "`task` with the task as it is now, then its events, then `task` with the finished task, and the end of the " +
      "stream. " + about
  }))
).prefix("/api/v1").add(
  HttpApiEndpoint.get("socket", "/ws", {
    query: filters,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotate(TakesKeyInQuery, true)
    .annotateMerge(OpenApi.annotations({
      summary: "Watch events over a WebSocket",
      description:
        "Each message of the server is one JSON object. An event is as in `/api/v1/events`, with its number as `seq`: " +
        "`{\"seq\":42,\"event\":\"completed\",\"id\":\"…\",\"type\":\"echo\",\"queue\":\"default\",\"at\":\"…\"}`. " +
        "`{\"event\":\"gap\"}` means that earlier events are missing; `{\"event\":\"idle\"}` is sent every 15 s while the " +
        "connection is open. Messages of the client are ignored. A client that falls behind is disconnected, and may " +
        "come back with `after`. Browsers send their key as `access_token`. A plain request is answered with 426."
    }))
) {}

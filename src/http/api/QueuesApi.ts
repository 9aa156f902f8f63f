/** Queues and types with what waits in them, over HTTP. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { Name } from "./NewTaskJson.ts"
import { PageSize, QueueCursor, TypeCursor } from "./Paging.ts"
import { QueueDetailJson, QueuePageJson, TypePageJson } from "./QueueJson.ts"

const params = { queue: Name }
const pageOfTypes = { limit: Schema.optionalKey(PageSize), cursor: Schema.optionalKey(TypeCursor) }

/** The endpoints of queues. */
export class QueuesApi extends HttpApiGroup.make("queues").add(
  HttpApiEndpoint.get("list", "/queues", {
    query: { limit: Schema.optionalKey(PageSize), cursor: Schema.optionalKey(QueueCursor) },
    success: QueuePageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List queues",
    description:
      "By name: those that have tasks, whatever their status, or are paused, with exact counts of what waits and runs. " +
      "How many tasks have finished, GET /api/v1/stats says for all queues together. A page ends early once it has 1,000 " +
      "types."
  })),
  HttpApiEndpoint.get("get", "/queues/:queue", {
    params,
    query: pageOfTypes,
    success: QueueDetailJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "Get a queue",
    description: "With a page of its types by name. A queue that has no tasks has zeros."
  })),
  HttpApiEndpoint.get("types", "/types", {
    query: pageOfTypes,
    success: TypePageJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "List types",
    description:
      "By name: those that have tasks, whatever their status, with exact counts of what waits and runs in all " +
      "queues. It takes as long as there are queues and types with tasks."
  })),
  HttpApiEndpoint.post("pause", "/queues/:queue/pause", {
    params,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Pause a queue",
    description:
      "No instance starts tasks of the queue until it is resumed; running tasks go on, and new ones are accepted. " +
      "On a server with keys, this needs the role admin."
  })),
  HttpApiEndpoint.post("resume", "/queues/:queue/resume", {
    params,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Resume a queue",
    description: "On a server with keys, this needs the role admin."
  }))
).prefix("/api/v1") {}

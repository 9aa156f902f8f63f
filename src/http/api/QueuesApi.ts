/** Queues, the lanes of tasks, over HTTP. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { Name } from "./NewTaskJson.ts"

const params = { queue: Name }

/** The endpoints of queues. */
export class QueuesApi extends HttpApiGroup.make("queues").add(
  HttpApiEndpoint.get("paused", "/queues", {
    success: Schema.Struct({ paused: Schema.Array(Schema.String) }),
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "List the paused queues"),
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

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
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "The queues that are paused"),
  HttpApiEndpoint.post("pause", "/queues/:queue/pause", {
    params,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Pause a queue",
    description:
      "No instance starts tasks of the queue until it is resumed; running ones go on, new ones are accepted. " +
      "Needs a key with the role admin, where keys are needed."
  })),
  HttpApiEndpoint.post("resume", "/queues/:queue/resume", {
    params,
    success: HttpApiSchema.NoContent,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "admin").annotateMerge(OpenApi.annotations({
    summary: "Resume a queue",
    description: "Needs a key with the role admin, where keys are needed."
  }))
).prefix("/api/v1") {}

/**
 * The routes of earlier designs, with the fields, statuses and defaults that their clients know. They accept first: a
 * payload that its type does not take becomes a failed task; only one with fields that its type does not know is refused.
 * Fields of a request that the route does not know are ignored.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { maxIdLength } from "../../domain/Bounds.ts"
import { inexactIn } from "../../domain/ExactJson.ts"
import { PriorityName } from "../../domain/Priority.ts"
import { Api } from "../api/Api.ts"
import * as ApiErrors from "../api/ApiErrors.ts"
import { NeededRole } from "../api/NeededRole.ts"
import { RequestCheck } from "../api/RequestCheck.ts"
import { isShallow, JsonValue, maxDepth, Name } from "../api/RequestValues.ts"
import { Timestamp } from "../api/TaskJson.ts"

/** Counts under the names of two earlier designs at once. */
const OlderStatsJson = Schema.Struct({
  jobs_submitted: Schema.Int,
  jobs_completed: Schema.Int,
  jobs_failed: Schema.Int,
  workers_active: Schema.Int,
  queue_size: Schema.Int.annotate({ description: "Unfinished tasks" }),
  uptime: Schema.String.check(Schema.isPattern(/^(?:(?:\d+h)?\d+m)?\d+s$/)).annotate({
    description: "Such as 1h30m45s"
  }),
  total_processed: Schema.Int.annotate({ description: "Completed and failed" }),
  successful: Schema.Int,
  failed: Schema.Int,
  queue_length: Schema.Int.annotate({ description: "Tasks that wait" })
}).annotate({ identifier: "OlderStats" })

/** What became of a submitted task. */
const OlderStatusJson = Schema.Union([
  Schema.Struct({ task_id: Schema.String, status: Schema.Literal("pending or not found") }),
  Schema.Struct({
    task_id: Schema.String,
    success: Schema.Literal(true),
    data: Schema.Json,
    processed_at: Timestamp
  }),
  Schema.Struct({
    task_id: Schema.String,
    success: Schema.Literal(false),
    error: Schema.String,
    processed_at: Timestamp
  })
]).annotate({ identifier: "OlderStatus" })

/** Figures of this process as JSON; `/metrics` has more of them. */
const OlderMetricsJson = Schema.Struct({
  tasks_per_second: Schema.Finite.annotate({ description: "Attempts ended here, since the reading before this one" }),
  average_duration_ms: Schema.Record(Schema.String, Schema.Finite).annotate({ description: "By task type" }),
  workers: Schema.Struct({
    count: Schema.Int,
    active: Schema.Int,
    efficiency: Schema.Finite.annotate({ description: "Share of the slots that run a task, 0 to 1" })
  }),
  tasks: Schema.Record(Schema.String, Schema.Int).annotate({ description: "By status" }),
  memory_bytes: Schema.Int.annotate({ description: "Resident" }),
  cpu: Schema.Finite.annotate({ description: "Cores used since the reading before this one" }),
  uptime: Schema.Finite.annotate({ description: "Seconds" })
}).annotate({ identifier: "OlderMetrics" })

/** The endpoints. `/api/tasks…` and `/api/workers` are those of `/api/v1`. */
class OlderApi extends HttpApiGroup.make("older").add(
  HttpApiEndpoint.post("submitJob", "/jobs", {
    query: { type: Schema.optionalKey(Name), priority: Schema.optionalKey(PriorityName) },
    // Null stands for no body at all
    payload: [Schema.Null, JsonValue],
    success: Schema.Struct({ job_id: Schema.String, status: Schema.Literal("submitted") })
      .pipe(HttpApiSchema.status(202)),
    error: [ApiErrors.UnknownTaskType, ApiErrors.InvalidPayload, ApiErrors.BatchTooLarge, ApiErrors.FullOrUnavailable]
  }).annotate(NeededRole, "write").annotateMerge(OpenApi.annotations({
    summary: "Submit a job",
    description: "The type is `default` and the priority `normal` unless given; a JSON body is the payload."
  })),
  HttpApiEndpoint.get("olderStats", "/stats", { success: OlderStatsJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read")
    .annotate(OpenApi.Summary, "Counts"),
  HttpApiEndpoint.get("olderWorkers", "/workers", { success: Schema.Struct({ workers: Schema.Int }) })
    .annotate(NeededRole, "read")
    .annotate(OpenApi.Summary, "The number of slots of this process"),
  HttpApiEndpoint.post("submitTask", "/submit", {
    payload: Schema.Struct({
      id: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(maxIdLength))).annotate({
        description: "Submitting a known one again changes nothing; empty is none"
      }),
      type: Name,
      payload: Schema.String.check(
        Schema.makeFilter((text: string) => isShallow(parsedOrText(text), maxDepth), {
          expected: `text, or JSON that is nested ${maxDepth} levels deep at most`
        }),
        Schema.makeFilter((text: string) => parsedOrText(text) === text || inexactIn(text) === undefined, {
          expected: "text, or JSON whose numbers are kept exactly"
        })
      ).annotate({ description: "JSON if it parses, else text" })
    }),
    success: Schema.Struct({ message: Schema.String, task_id: Schema.String, status: Schema.Literal("pending") }),
    error: [ApiErrors.UnknownTaskType, ApiErrors.InvalidPayload, ApiErrors.BatchTooLarge, ApiErrors.FullOrUnavailable]
  }).annotate(NeededRole, "write").annotate(OpenApi.Summary, "Submit a task"),
  HttpApiEndpoint.get("status", "/status/:id", {
    params: { id: Schema.String },
    success: OlderStatusJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotate(OpenApi.Summary, "What became of a task"),
  HttpApiEndpoint.get("olderMetrics", "/api/metrics", { success: OlderMetricsJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read")
    .annotate(OpenApi.Summary, "Figures of this process as JSON")
)
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "ignore", errors: "first" })
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "ignore", errors: "all" })
  .middleware(RequestCheck)
{}

/** What a server answers: the API, and the routes of earlier designs. */
export class ServedApi extends Api.add(OlderApi) {}

/** The JSON in a text, or the text where it is none. */
export const parsedOrText = (text: string): Schema.Json => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

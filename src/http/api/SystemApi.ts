/** The server's own state over HTTP. */
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { DownJson, HealthyJson, StatsJson, UnhealthyJson, UpJson, WorkersJson } from "./SystemJson.ts"

const health = [
  HealthyJson,
  UpJson,
  UnhealthyJson.pipe(HttpApiSchema.status(503)),
  DownJson.pipe(HttpApiSchema.status(503))
] as const

/** The endpoints of the system. */
export class SystemApi extends HttpApiGroup.make("system").add(
  HttpApiEndpoint.get("health", "/health", { success: health }).annotate(NeededRole, "public")
    .annotate(OpenApi.Summary, "Whether the server works, and its troubles")
    .annotate(
      OpenApi.Description,
      "503 while there is a trouble. Each trouble has its part, the time since when, the number of failures in a row, and " +
        "what_to_do if that is known."
    ),
  HttpApiEndpoint.get("healthV1", "/api/v1/health", { success: health }).annotate(NeededRole, "public")
    .annotate(OpenApi.Summary, "The same as /health"),
  HttpApiEndpoint.get("stats", "/api/v1/stats", { success: StatsJson, error: ApiErrors.Unavailable }).annotate(
    NeededRole,
    "read"
  )
    .annotate(OpenApi.Summary, "Counts of tasks and slots"),
  HttpApiEndpoint.get("workers", "/api/v1/workers", { success: WorkersJson, error: ApiErrors.Unavailable }).annotate(
    NeededRole,
    "read"
  )
    .annotate(OpenApi.Summary, "List the living instances, their slots, and what they run")
) {}

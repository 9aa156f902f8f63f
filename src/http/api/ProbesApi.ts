/** The probes of those who run the server. They are answered to every caller, and no limit of requests counts them. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiSchema, OpenApi } from "effect/http-api"
import { IsProbe, NeededRole } from "./NeededRole.ts"
import { Timestamp } from "./TaskJson.ts"

/** The process runs, and its event loop answers. */
export const LiveJson = Schema.Struct({ status: Schema.Literal("live"), timestamp: Timestamp })
  .annotate({ identifier: "Live" })

/** What {@link LiveJson} holds. */
export type LiveJson = typeof LiveJson.Type

/** Requests are taken. */
export const ReadyJson = Schema.Struct({ status: Schema.Literal("ready"), timestamp: Timestamp })
  .annotate({ identifier: "Ready" })

/** Requests should go to another instance. */
export const NotReadyJson = Schema.Struct({
  status: Schema.Literal("not_ready"),
  timestamp: Timestamp,
  reason: Schema.Literals(["store", "stopping"]).annotate({
    description: "store: it does not answer within 2 seconds; stopping: the server was told to stop"
  }),
  since: Timestamp
}).annotate({ identifier: "NotReady" })

/** Either. */
export type ReadinessJson = typeof ReadyJson.Type | typeof NotReadyJson.Type

/** Whether to start the process again. */
export const live = HttpApiEndpoint.get("live", "/health/live", { success: LiveJson })
  .annotate(NeededRole, "public").annotate(IsProbe, true)
  .annotate(OpenApi.Summary, "Whether the process lives: for who would start it again")
  .annotate(
    OpenApi.Description,
    "200 as long as the process runs and its event loop answers. It does not ask the store: no restart ends an outage of that. " +
      "Needs no key, and no limit of requests counts it."
  )

/** Whether to send requests here. */
export const ready = HttpApiEndpoint.get("ready", "/health/ready", {
  success: [ReadyJson, NotReadyJson.pipe(HttpApiSchema.status(503))]
})
  .annotate(NeededRole, "public").annotate(IsProbe, true)
  .annotate(OpenApi.Summary, "Whether the server takes requests: for who sends them")
  .annotate(
    OpenApi.Description,
    "503 while the store does not answer and once the server stops; a server that starts does not listen yet. Other troubles " +
      "are told by /health alone. Needs no key, and no limit of requests counts it."
  )

/** The HTTP API: definitions only, for the server and for any client. */
import { HttpApi, OpenApi } from "effect/http-api"
import { BatchesApi } from "./BatchesApi.ts"
import { BreakersApi } from "./BreakersApi.ts"
import { ClaimsApi } from "./ClaimsApi.ts"
import { DeadLettersApi } from "./DeadLettersApi.ts"
import { DependenciesApi } from "./DependenciesApi.ts"
import { EventsApi } from "./EventsApi.ts"
import { InstancesApi } from "./InstancesApi.ts"
import { LimitsApi } from "./LimitsApi.ts"
import { LogLevelsApi } from "./LogLevelsApi.ts"
import { OperationsApi } from "./OperationsApi.ts"
import { QueuesApi } from "./QueuesApi.ts"
import { RequestCheck } from "./RequestCheck.ts"
import { SchedulesApi } from "./SchedulesApi.ts"
import { SignalsApi } from "./SignalsApi.ts"
import { StatisticsApi } from "./StatisticsApi.ts"
import { SystemApi } from "./SystemApi.ts"
import { TasksApi } from "./TasksApi.ts"

/**
 * The API of a TaskForge server.
 *
 * @example
 * ```ts
 * const client = yield* HttpApiClient.make(Api, { baseUrl: "http://localhost:8080" })
 * const task = yield* client.tasks.get({ params: { id } })
 * ```
 */
export class Api extends HttpApi.make("taskforge")
  .add(
    TasksApi,
    DependenciesApi,
    BatchesApi,
    DeadLettersApi,
    OperationsApi,
    EventsApi,
    QueuesApi,
    InstancesApi,
    LogLevelsApi,
    LimitsApi,
    BreakersApi,
    SchedulesApi,
    SignalsApi,
    ClaimsApi,
    StatisticsApi,
    SystemApi
  )
  .middleware(RequestCheck)
  // A body of a megabyte can have 300,000 faults: `RequestCheckLive` looks for more than the first in small ones
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "first" })
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error", errors: "all" })
  .annotateMerge(OpenApi.annotations({
    title: "TaskForge",
    description:
      "A durable task engine. Errors are `{ \"error\": { \"code\", \"message\", ... } }` with a stable code.",
    license: { name: "MIT" }
  }))
{}

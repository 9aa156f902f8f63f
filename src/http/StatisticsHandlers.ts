/** The endpoints of statistics, thin doors into `Statistics`, and what the API's description says of it. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { maxNameLength } from "../domain/Bounds.ts"
import { Statistics } from "../statistics/Statistics.ts"
import { Api } from "./api/Api.ts"
import { type ErrorsJson, errorsJson, type StatisticsJson, statisticsJson } from "./api/StatisticsApi.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"

/** Handles the endpoint of {@link Api}'s statistics. */
export const layer = HttpApiBuilder.group(
  Api,
  "statistics",
  Effect.fnUntraced(function*(handlers) {
    const statistics = yield* Statistics
    return handlers.handleAll({
      read: ({ query }) =>
        statistics.read(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(statisticsJson)
        ),
      errors: ({ query }) =>
        statistics.errors(query).pipe(
          Effect.catchTag("InvalidOption", RequestCheckLive.refused("query")),
          Effect.map(errorsJson)
        )
    })
  })
)

const email: typeof StatisticsJson.Type["types"][number] = {
  queue: "mail",
  type: "email",
  enqueued: 130,
  started: 120,
  completed: 117,
  failed: 1,
  retried: 2,
  cancelled: 0,
  expired: 0,
  wait_ms: { p50: 12.3, p95: 208, p99: 416 },
  run_ms: { p50: 98.7, p95: 350, p99: 700 },
  scheduled: 3,
  pending: 40,
  running: 4,
  oldest_ms: 1250,
  drain_ms: 20_000,
  started_by_column: [58, 62],
  failed_by_column: [1, 2],
  pending_by_column: [31, 40]
}

const statistics: typeof StatisticsJson.Type = {
  from: "2026-01-31T11:59:40.000Z",
  to: "2026-01-31T12:00:00.000Z",
  step_ms: 10_000,
  timestamp: "2026-01-31T12:00:00.000Z",
  counts: {
    enqueued: [63, 67],
    started: [58, 62],
    completed: [57, 60],
    failed: [0, 1],
    retried: [1, 1],
    cancelled: [0, 0],
    expired: [0, 0],
    crashed: [0, 0]
  },
  depth: { scheduled: [3, 3], pending: [31, 40], running: [4, 4] },
  oldest_ms: [1010, 1250],
  wait_ms: { p50: [12.3, 12.3], p95: [208, 208], p99: [416, 416] },
  run_ms: { p50: [98.7, 98.7], p95: [350, 350], p99: [700, 700] },
  points_per_column: 1,
  instances: [{ id: "instance-1a2b3c4d", busy: [0.58, 0.62] }],
  types: [email]
}

const errors: typeof ErrorsJson.Type = {
  from: "2026-01-31T11:00:00.000Z",
  to: "2026-01-31T12:00:00.000Z",
  step_ms: 1_800_000,
  timestamp: "2026-01-31T12:00:00.000Z",
  groups: [{
    type: "email",
    kind: "error",
    tag: "MailFailed",
    message: "mx#.example.com answered #",
    failed: 1,
    retried: 2,
    first_at: "2026-01-31T11:12:10.000Z",
    last_at: "2026-01-31T11:58:40.000Z",
    latest: "01a20f46-60fe-779b-a926-cef2c43ec95c",
    by_column: [1, 2]
  }],
  others: 0
}

/** Examples by the name of a schema. */
export const examples = {
  Errors: errors,
  Statistics: statistics,
  TypeStatistics: email,
  InstanceStatistics: statistics.instances[0]
}

const duration = (description: string, example: string) => ({ description, schema: { type: "string" }, example })
const time = (description: string) => ({ description, schema: { type: "string", format: "date-time" } })

const span = {
  from: time("Where it begins: 31 days ago at most; see last where it is left out"),
  to: time("Where it ends; now by default"),
  last: duration("How long before its end it begins, without from: 5m, 1h, 30d; 1h by default", "1h")
}

/** What its parameters mean. */
export const parameters = {
  "statistics.errors": span,
  "statistics.read": {
    ...span,
    step: duration("The width of a point; by default one that gives some hundred points", "1m"),
    instance: {
      description: "The instance whose slots are told apart",
      schema: { type: "string", minLength: 1, maxLength: maxNameLength }
    }
  }
}

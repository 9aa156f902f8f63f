/** What has happened, as charts show it, on the wire. */
import { Duration, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import * as Bounds from "../../domain/Bounds.ts"
import { DurationText } from "../../domain/DurationText.ts"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import { FailureKind } from "../../domain/TaskRecord.ts"
import type { Quantiles, TypeSeries } from "../../statistics/Series.ts"
import type { ErrorsView, StatisticsView } from "../../statistics/Statistics.ts"
import * as ApiErrors from "./ApiErrors.ts"
import { NeededRole } from "./NeededRole.ts"
import { Name, within } from "./RequestValues.ts"
import { Timestamp, timestamp } from "./TaskJson.ts"

const Count = Schema.Int
const Known = Schema.NullOr(Schema.Finite)
const Counts = Schema.Array(Count)
const Series = Schema.Array(Known)

const quantiles = <A extends Schema.Top>(value: A) => Schema.Struct({ p50: value, p95: value, p99: value })

const events = <A extends Schema.Top>(value: A) => ({
  enqueued: value,
  started: value,
  completed: value,
  failed: value,
  retried: value,
  cancelled: value,
  expired: value
})

/** What has happened to the tasks of a queue and type. */
const TypeStatisticsJson = Schema.Struct({
  queue: Schema.String,
  type: Schema.String,
  ...events(Count),
  wait_ms: quantiles(Known),
  run_ms: quantiles(Known),
  scheduled: Known,
  pending: Known.annotate({
    description:
      "Tasks that waited, on average in the last point in which they were counted; null where they never were"
  }),
  running: Known,
  oldest_ms: Known.annotate({ description: "How long the first of those had waited" }),
  drain_ms: Known.annotate({
    description: "How long they would take to start, as fast as tasks started lately; null where none did"
  }),
  started_by_column: Counts,
  failed_by_column: Counts.annotate({ description: "Attempts that failed, for good or not" }),
  pending_by_column: Series
}).annotate({ identifier: "TypeStatistics" })

/** How busy the slots of an instance were. */
const InstanceStatisticsJson = Schema.Struct({
  id: Schema.String,
  busy: Series.annotate({
    description: "The share of the time of its slots in which they ran a task, from 0 to 1; null where it was not there"
  }),
  slots: Schema.optionalKey(Schema.Array(Series)).annotate({
    description: "The same of each slot, of the instance that was asked for; the first 100"
  })
}).annotate({ identifier: "InstanceStatistics" })

/** What has happened in a time. */
export const StatisticsJson = Schema.Struct({
  from: Timestamp.annotate({ description: "Where the first point begins" }),
  to: Timestamp.annotate({ description: "Where the last point ends; the last one may go on" }),
  step_ms: Schema.Int.annotate({ description: "The width of a point" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" }),
  counts: Schema.Struct({ ...events(Counts), crashed: Counts }).annotate({
    description:
      "What happened in each point: retried are attempts that failed and were followed by another one, failed are tasks"
  }),
  depth: Schema.Struct({ scheduled: Series, pending: Series, running: Series }).annotate({
    description: "Unfinished tasks, on average; null where they were not counted"
  }),
  oldest_ms: Series.annotate({ description: "How long the first of the tasks that waited had waited, at most" }),
  wait_ms: quantiles(Series).annotate({
    description: "From when tasks were due to when they were claimed; within 9 %"
  }),
  run_ms: quantiles(Series).annotate({ description: "What attempts took; within 9 %" }),
  points_per_column: Schema.Int.annotate({
    description: "Points of a column of what follows, of which there are 60 at most"
  }),
  instances: Schema.Array(InstanceStatisticsJson).annotate({ description: "Up to 50 instances by name" }),
  types: Schema.Array(TypeStatisticsJson).annotate({
    description:
      "Up to 200 queues and types, those to which most happened first; the others are the queue other with the type other"
  })
}).annotate({ identifier: "Statistics" })

/** Which failures happened in a time. */
export const ErrorsJson = Schema.Struct({
  from: Timestamp,
  to: Timestamp,
  step_ms: Schema.Int.annotate({ description: "The width of a column" }),
  timestamp: Timestamp.annotate({ description: "The store's clock" }),
  groups: Schema.Array(Schema.Struct({
    type: Schema.String,
    kind: FailureKind,
    tag: Schema.String.annotate({ description: "The error's tag or name" }),
    message: Schema.String.annotate({ description: "What the messages have in common; a # stands for each number" }),
    failed: Count.annotate({ description: "Attempts that failed for good" }),
    retried: Count.annotate({ description: "Attempts that failed and were followed by another one" }),
    first_at: Timestamp.annotate({ description: "When it happened first in this time, within 10 s" }),
    last_at: Timestamp,
    latest: Schema.String.annotate({ description: "The id of a task that failed so last" }),
    by_column: Counts
  })).annotate({ description: "Those that happened most first, 100 at most" }),
  others: Count.annotate({ description: "Failures that have no group of their own" })
}).annotate({ identifier: "Errors" })

const Instant = Rfc3339.check(within(Bounds.runAt))

const time = {
  from: Schema.optionalKey(Instant),
  to: Schema.optionalKey(Instant),
  last: Schema.optionalKey(DurationText.check(within(Bounds.span)))
}

/** The endpoints of statistics. */
export class StatisticsApi extends HttpApiGroup.make("statistics").add(
  HttpApiEndpoint.get("read", "/api/v1/statistics", {
    query: {
      ...time,
      step: Schema.optionalKey(DurationText.check(within(Bounds.timeout))),
      instance: Schema.optionalKey(Name)
    },
    success: StatisticsJson,
    error: ApiErrors.Unavailable
  }).annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
    summary: "What has happened in a time, up to 31 days ago",
    description:
      "Kept in the store, the same from every server on it. It is known in steps of 10 s for an hour, of a minute for six hours, of ten " +
      "minutes for three days and of an hour for 31 days: a step that was not kept is answered with the next wider one, and so " +
      "is one that would give more than 750 points."
  })),
  HttpApiEndpoint.get("errors", "/api/v1/errors", { query: time, success: ErrorsJson, error: ApiErrors.Unavailable })
    .annotate(NeededRole, "read").annotateMerge(OpenApi.annotations({
      summary: "Which failures happened in a time, up to 31 days ago, and how often",
      description:
        "Failures of one type, kind and tag whose messages differ in ids and numbers alone are one group. They are counted as " +
        "attempts end, so an answer costs the same however many tasks are stored; those of a failure are found by type, tag, " +
        "kind and text in the list of tasks."
    }))
) {}

const quantilesJson = <A>({ p50, p95, p99 }: Quantiles<A>) => ({ p50, p95, p99 })

/** The statistics on the wire. */
export const statisticsJson = (view: StatisticsView): typeof StatisticsJson.Type => ({
  from: timestamp(view.from),
  to: timestamp(view.to),
  step_ms: Duration.toMillis(view.step),
  timestamp: timestamp(view.now),
  counts: view.counts,
  depth: view.depth,
  oldest_ms: view.oldestMs,
  wait_ms: quantilesJson(view.wait),
  run_ms: quantilesJson(view.run),
  points_per_column: view.pointsPerColumn,
  instances: view.instances.map(({ busy, id, slots }) => ({ id, busy, ...slots !== undefined && { slots } })),
  types: view.types.map(typeJson)
})

/** Failures on the wire. */
export const errorsJson = (view: ErrorsView): typeof ErrorsJson.Type => ({
  from: timestamp(view.from),
  to: timestamp(view.to),
  step_ms: Duration.toMillis(view.step),
  timestamp: timestamp(view.now),
  groups: view.groups.map(({ columns, failed, firstAt, kind, lastAt, latest, message, retried, tag, type }) => ({
    type,
    kind,
    tag,
    message,
    failed,
    retried,
    first_at: timestamp(firstAt),
    last_at: timestamp(lastAt),
    latest,
    by_column: columns
  })),
  others: view.others
})

const typeJson = (series: TypeSeries): typeof TypeStatisticsJson.Type => ({
  queue: series.queue,
  type: series.type,
  ...series.counts,
  wait_ms: quantilesJson(series.wait),
  run_ms: quantilesJson(series.run),
  scheduled: series.scheduled,
  pending: series.pending,
  running: series.running,
  oldest_ms: series.oldestMs,
  drain_ms: series.drainMs,
  started_by_column: series.started,
  failed_by_column: series.failed,
  pending_by_column: series.waiting
})

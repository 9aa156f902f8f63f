/** The metrics of this process and of the store, as Prometheus reads them. */
import { Effect, type Layer, Metric, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { all } from "../domain/TaskState.ts"
import * as Metrics from "../observability/Metrics.ts"
import type { GuardedRoute } from "./api/NeededRole.ts"
import { SystemStatus, unfinished } from "./SystemStatus.ts"

/** Where the metrics are. */
const path = "/metrics"

/** Who may read it. */
export const route: GuardedRoute = { method: "GET", path, needed: "read" }

const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** Serves the metrics. The store's numbers are read for each answer, and are `NaN` while it does not answer. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | SystemStatus> = HttpRouter.use(
  Effect.fnUntraced(function*(router) {
    const status = yield* SystemStatus
    const tasks = all.map((state) => ({ state, gauge: Metric.withAttributes(Metrics.tasks, { state }) }))
    const read = Effect.gen(function*() {
      const counts = Option.getOrUndefined(yield* status.counts)
      for (const { gauge, state } of tasks) yield* Metric.update(gauge, counts?.[state] ?? Number.NaN)
      yield* Metric.update(Metrics.queueSize, counts === undefined ? Number.NaN : unfinished(counts))
      return HttpServerResponse.text(yield* PrometheusMetrics.format(), { contentType })
    })
    yield* router.add("GET", path, read)
  })
)

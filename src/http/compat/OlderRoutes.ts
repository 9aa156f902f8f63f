/** The routes of earlier designs: thin doors into the same queue. */
import { Clock, Context, Effect, Exit, Layer, Metric, Option, type Schema } from "effect"
import { HttpRouter, type HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { maxIdLength } from "../../domain/Bounds.ts"
import { type InvalidPayload, UnknownTaskType } from "../../domain/Errors.ts"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import { shortened } from "../../domain/Quoting.ts"
import { isFinished } from "../../domain/TaskState.ts"
import type { StoredTask } from "../../queue/StoredTask.ts"
import { type EnqueueOptions, fromJson, type Submission, withinBounds } from "../../queue/Submission.ts"
import { TaskQueue } from "../../queue/TaskQueue.ts"
import { timestamp } from "../api/TaskJson.ts"
import * as RequestCheckLive from "../RequestCheckLive.ts"
import { SystemStatus } from "../SystemStatus.ts"
import { TaskCatalog } from "../TaskCatalog.ts"
import { parsedOrText, ServedApi } from "./OlderApi.ts"

/** The type of a job that names none. */
const defaultType = "default"

/** Handles the endpoints of {@link ServedApi}'s older group. */
export const layer = HttpApiBuilder.group(
  ServedApi,
  "older",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    const catalog = yield* TaskCatalog
    const status = yield* SystemStatus
    const figures = yield* makeFigures

    const submit = Effect.fnUntraced(
      function*(type: string, payload: Schema.Json | undefined, options: EnqueueOptions) {
        yield* catalog.knowing([type])
        const submission = yield* acceptedFirst(catalog, type, payload, options)
        // Without a key there is nothing to conflict with
        const [accepted] = yield* Effect.catchTags(queue.submit([submission]), {
          KeyConflict: Effect.die,
          UnknownDependency: Effect.die,
          DependencyCycle: Effect.die,
          InvalidOption: RequestCheckLive.refused("body")
        })
        return accepted!.id
      }
    )

    return handlers.handleAll({
      submitJob: ({ payload, query: { priority, type = defaultType }, request }) =>
        Effect.map(
          RequestCheckLive.exactBody(
            request,
            () => submit(type, payload ?? undefined, { priority: priority ?? "normal" })
          ),
          (id) => ({ job_id: id, status: "submitted" as const })
        ),
      olderStats: () =>
        Effect.map(status.stats, (stats) => ({
          jobs_submitted: stats.totals.created,
          jobs_completed: stats.totals.completed,
          jobs_failed: stats.totals.failed,
          workers_active: stats.workers_active,
          queue_size: stats.queue_size,
          uptime: uptimeText(stats.uptime),
          total_processed: stats.totals.completed + stats.totals.failed,
          successful: stats.totals.completed,
          failed: stats.totals.failed,
          queue_length: stats.by_status.scheduled + stats.by_status.pending
        })),
      olderWorkers: () => Effect.map(status.slotCount, (workers) => ({ workers })),
      submitTask: ({ payload: { id, payload, type }, request }) =>
        Effect.map(
          RequestCheckLive.exactBody(
            request,
            () => submit(type, parsedOrText(payload), { id: id === "" ? undefined : id })
          ),
          (id) => ({ message: "Task submitted", task_id: id, status: "pending" as const })
        ),
      status: ({ params: { id } }) =>
        queue.get(id).pipe(
          Effect.map((task) => isFinished(task.state) ? outcome(task) : undefined),
          Effect.catchTag("TaskNotFound", () => Effect.undefined),
          Effect.map((found) =>
            found ?? { task_id: shortened(id, maxIdLength), status: "pending or not found" as const }
          )
        ),
      olderMetrics: () => Effect.map(status.stats, figures)
    })
  })
)

/**
 * A task of a known type, whatever its payload: what does not fit fails when it runs. Only a payload that fits but for
 * fields that its type does not know is refused, as it would run without them.
 */
const acceptedFirst = (
  catalog: TaskCatalog["Service"],
  type: string,
  payload: Schema.Json | undefined,
  options: EnqueueOptions
): Effect.Effect<Submission, UnknownTaskType | InvalidPayload> => {
  const definition = catalog.find(type)
  if (definition === undefined) return Effect.fail(new UnknownTaskType({ type, known: catalog.types, index: 0 }))
  // A type that takes nothing is encoded as null
  const nothing = Exit.isSuccess(definition.codec.checkPayload({})) ? {} : null
  const given = payload === undefined ? nothing : payload
  const submission = fromJson(definition, given, options, 0, definition.version)
  if (Exit.isSuccess(submission)) return submission
  // It is stored as it came, so it keeps the bounds of all that is stored
  const text = withinBounds(definition, given, 0)
  if (Exit.isFailure(text)) return Exit.failCause(text.cause)
  return Exit.isSuccess(definition.codec.decodePayload(text.value))
    ? submission
    : Effect.succeed({ definition, payload: text.value, version: definition.version, options })
}

/**
 * A router in which `/api/tasks…` and `/api/workers` are other names of what is under `/api/v1`: such a route is added
 * under both, so the router finds it like any other and requests for the rest of the API pass nothing more.
 */
export const layerAliases: Layer.Layer<HttpRouter.HttpRouter, never, HttpRouter.HttpRouter> = Layer.effect(
  HttpRouter.HttpRouter,
  Effect.map(HttpRouter.HttpRouter, (router) => {
    const addAll: typeof router.addAll = (routes) => router.addAll([...routes, ...routes.flatMap(aliasOf)])
    return HttpRouter.HttpRouter.of({
      ...router,
      addAll,
      add: (method, path, handler, options) => addAll([HttpRouter.route(method, path, handler, options)])
    })
  })
)

/** A route under its other name, if it has one. What sees the request knows it by the first. */
const aliasOf = <E, R>(route: HttpRouter.Route<E, R>): ReadonlyArray<HttpRouter.Route<E, R>> => {
  if (!/^\/api\/v1\/(?:tasks|workers)(?:\/|$)/.test(route.path)) return []
  const handler = Effect.withFiber<HttpServerResponse.HttpServerResponse, E, R>((fiber) => {
    const { params } = Context.getUnsafe(fiber.context, HttpRouter.RouteContext)
    // As the router does with what it finds out: the fiber is the request's own
    fiber.setContext(Context.add(fiber.context, HttpRouter.RouteContext, { params, route }))
    return route.handler
  })
  const path = route.path.replace("/api/v1", "/api") as HttpRouter.PathInput
  return [{ ...route, path, handler: handler as typeof route.handler }]
}

/** Whole seconds as the earlier design writes them: `1h30m45s`, `2m0s`, `7s`. Its clients know no unit above the hour. */
export const uptimeText = (seconds: number): string => {
  const whole = Math.floor(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return `${hours > 0 ? `${hours}h` : ""}${whole >= 60 ? `${minutes}m` : ""}${whole % 60}s`
}

const outcome = (task: StoredTask) => {
  const facts = { task_id: task.id, processed_at: timestamp(task.completedAt ?? task.createdAt) }
  return task.state === "completed"
    ? { ...facts, success: true as const, data: Option.getOrNull(task.result) }
    : { ...facts, success: false as const, error: task.failure?.message ?? "The task was cancelled" }
}

/** Rates compare two readings; those that come faster than this share the reading before. */
const minReadingMs = 1000

/** Reads this process's figures and adds them to the stored counts. */
const makeFigures = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const now = () => MonotonicClock.millis(clock)
  const cpuMs = () => {
    const { system, user } = process.cpuUsage()
    return (system + user) / 1000
  }
  let before = { at: now(), ended: 0, cpuMs: cpuMs() }
  let rates = { tasks: 0, cpu: 0 }

  return (stats: Effect.Success<SystemStatus["Service"]["stats"]>) => {
    const durations = Metric.snapshotUnsafe(context).flatMap((metric) =>
      metric.id === "taskforge_task_duration_seconds" && metric.type === "Histogram"
        ? [{ type: String(metric.attributes?.["type"]), count: metric.state.count, sum: metric.state.sum }]
        : []
    )
    const reading = { at: now(), ended: durations.reduce((sum, { count }) => sum + count, 0), cpuMs: cpuMs() }
    const passedMs = reading.at - before.at
    if (passedMs >= minReadingMs) {
      rates = {
        tasks: (reading.ended - before.ended) / (passedMs / 1000),
        cpu: (reading.cpuMs - before.cpuMs) / passedMs
      }
      before = reading
    }
    return {
      tasks_per_second: rates.tasks,
      average_duration_ms: Object.fromEntries(
        durations.map(({ count, sum, type }) => [type, count === 0 ? 0 : (sum / count) * 1000])
      ),
      workers: {
        count: stats.worker_pool,
        active: stats.workers_active,
        efficiency: stats.worker_pool === 0 ? 0 : stats.workers_active / stats.worker_pool
      },
      tasks: stats.by_status,
      memory_bytes: process.memoryUsage.rss(),
      cpu: rates.cpu,
      uptime: stats.uptime
    }
  }
})

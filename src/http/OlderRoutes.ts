/** The routes of earlier designs: thin doors into the same queue. */
import { Clock, Context, Effect, type Layer, Metric, type Schema } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { maxIdLength } from "../domain/Bounds.ts"
import { shortened } from "../domain/Shortened.ts"
import type { StoredTask } from "../domain/TaskRecord.ts"
import { isFinished } from "../domain/TaskState.ts"
import type { EnqueueOptions } from "../queue/Submission.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import { Api } from "./api/Api.ts"
import { parsedOrText } from "./api/OlderApi.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import { SystemStatus } from "./SystemStatus.ts"
import { TaskCatalog } from "./TaskCatalog.ts"
import * as TaskIntake from "./TaskIntake.ts"
import { timestamp } from "./TaskView.ts"

/** The type of a job that names none. */
const defaultType = "default"

/** Handles the endpoints of {@link Api}'s older group. */
export const layer = HttpApiBuilder.group(
  Api,
  "older",
  Effect.fnUntraced(function*(handlers) {
    const queue = yield* TaskQueue
    const catalog = yield* TaskCatalog
    const status = yield* SystemStatus
    const figures = yield* makeFigures

    const submit = Effect.fnUntraced(
      function*(type: string, payload: Schema.Json | undefined, options: EnqueueOptions) {
        const submission = yield* TaskIntake.acceptedFirst(catalog, type, payload, options)
        // Without a key there is nothing to conflict with
        const [accepted] = yield* Effect.catchTags(queue.submit([submission]), {
          KeyConflict: Effect.die,
          InvalidOption: TaskIntake.refused("body")
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

/** `/api/tasks` and `/api/workers` are `/api/v1/tasks` and `/api/v1/workers`: the request goes on under that path. */
export const aliases: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((router) =>
  router.addGlobalMiddleware((routes) =>
    Effect.withFiber((fiber) => {
      const request = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
      if (!aliased.test(request.url)) return routes
      const canonical = request.modify({ url: `/api/v1${request.url.slice("/api".length)}` })
      // As the router does with what it finds out: the fiber is the request's own
      fiber.setContext(Context.add(fiber.context, HttpServerRequest.HttpServerRequest, canonical))
      return routes
    })
  )
)

const aliased = /^\/api\/(?:tasks|workers)(?:[/?#]|$)/

/** Whole seconds as the earlier design writes them: `1h30m45s`, `2m0s`, `7s`. Its clients know no unit above the hour. */
export const uptimeText = (seconds: number): string => {
  const whole = Math.floor(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return `${hours > 0 ? `${hours}h` : ""}${whole >= 60 ? `${minutes}m` : ""}${whole % 60}s`
}

const outcome = (task: StoredTask) => {
  const facts = { task_id: task.id, processed_at: timestamp(task.completedAt ?? task.createdAt) }
  return task.state === "completed"
    ? { ...facts, success: true as const, data: task.result === null ? null : JSON.parse(task.result) }
    : { ...facts, success: false as const, error: task.failure?.message ?? "The task was cancelled" }
}

/** Rates compare two readings; those that come faster than this share the reading before. */
const minReadingMs = 1000

/** Reads this process's figures and adds them to the stored counts. */
const makeFigures = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
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

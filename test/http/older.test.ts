import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { maxPayloadBytes } from "../../src/domain/Bounds.ts"
import { definitions } from "../../src/handlers/index.ts"
import { layerAliases } from "../../src/http/compat/OlderRoutes.ts"
import { patiently } from "../Patience.ts"
import { request } from "./RawHttp.ts"
import { running, waiting } from "./ShippedServer.ts"
import { layer } from "./TestServer.ts"

/** The JSON of an answer, which must have this status. */
const json = Effect.fnUntraced(function*(status: number, head: string, body?: string) {
  const answer = yield* request(head, body)
  assert.strictEqual(answer.status, status, answer.body)
  assert.strictEqual(answer.headers["content-type"], "application/json")
  return JSON.parse(answer.body)
})

/** Asks again until the answer is as it should be. */
const eventually = <A, E, R>(ask: Effect.Effect<A, E, R>, until: (answer: A) => boolean) =>
  Effect.repeat(ask, { until, schedule: patiently() })

const sortedKeys = (value: object) => Object.keys(value).toSorted()

describe("a client of the task processing system", () => {
  it.live("submits a job by its type and priority", () =>
    Effect.gen(function*() {
      const job = yield* json(202, "POST /jobs?type=email&priority=high HTTP/1.1")
      assert.deepStrictEqual(job, { job_id: job.job_id, status: "submitted" })
      const task = yield* json(200, `GET /api/v1/tasks/${job.job_id} HTTP/1.1`)
      assert.deepInclude(task, { type: "email", priority: 2, payload: {}, status: "pending" })
    }).pipe(Effect.provide(waiting)))

  it.live("gets the documented defaults, and may send the payload", () =>
    Effect.gen(function*() {
      const plain = yield* json(202, "POST /jobs HTTP/1.1")
      const task = yield* json(200, `GET /api/v1/tasks/${plain.job_id} HTTP/1.1`)
      assert.deepInclude(task, { type: "default", priority: 1, payload: {} })
      const body = yield* json(202, "POST /jobs?priority=urgent HTTP/1.1\nContent-Type: application/json", `{"n":[1]}`)
      assert.deepInclude(yield* json(200, `GET /api/v1/tasks/${body.job_id} HTTP/1.1`), {
        priority: 3,
        payload: { n: [1] }
      })
      for (const [name, priority] of [["low", 0], ["normal", 1], ["critical", 3]] as const) {
        const job = yield* json(202, `POST /jobs?type=cleanup&priority=${name} HTTP/1.1`)
        const stored = yield* json(200, `GET /api/v1/tasks/${job.job_id} HTTP/1.1`)
        assert.deepInclude(stored, { priority, payload: {} })
      }
    }).pipe(Effect.provide(waiting)))

  it.live("gives a type that takes nothing no payload", () =>
    Effect.gen(function*() {
      const job = yield* json(202, "POST /jobs?type=tick HTTP/1.1")
      assert.isNull((yield* json(200, `GET /api/v1/tasks/${job.job_id} HTTP/1.1`)).payload)
    }).pipe(Effect.provide(layer())))

  it.live("is told what it got wrong", () =>
    Effect.gen(function*() {
      const unknown = yield* json(400, "POST /jobs?type=dance HTTP/1.1")
      assert.strictEqual(unknown.error.code, "unknown_task_type")
      const urgency = yield* json(400, "POST /jobs?priority=asap HTTP/1.1")
      assert.deepStrictEqual(urgency.error.issues[0].path, ["query", "priority"])
      const body = yield* json(400, "POST /jobs HTTP/1.1\nContent-Type: application/json", "{nope")
      assert.strictEqual(body.error.code, "invalid_request")
    }).pipe(Effect.provide(waiting)))

  it.live("finds a payload that does not fit accepted, and the task failed", () =>
    Effect.gen(function*() {
      const head = "POST /jobs?type=email HTTP/1.1\nContent-Type: application/json"
      const { job_id } = yield* json(202, head, `{"to":7}`)
      const status = yield* eventually(json(200, `GET /status/${job_id} HTTP/1.1`), (answer) => "success" in answer)
      assert.isFalse(status.success)
      assert.match(status.error, /does not fit/)
    }).pipe(Effect.provide(running)))

  it.live("is refused a payload that no store would keep, also one that does not fit its type", () =>
    Effect.gen(function*() {
      const large = JSON.stringify({ to: "x".repeat(maxPayloadBytes) })
      const deep = `{"to":${"[".repeat(200)}${"]".repeat(200)}}`
      for (const [payload, code] of [[large, "invalid_payload"], [deep, "invalid_request"]] as const) {
        for (const type of ["email", "default"]) {
          const job = yield* json(400, `POST /jobs?type=${type} HTTP/1.1\nContent-Type: application/json`, payload)
          assert.strictEqual(job.error.code, code)
          const task = JSON.stringify({ id: "x", type, payload })
          const submitted = yield* json(400, "POST /submit HTTP/1.1\nContent-Type: application/json", task)
          assert.strictEqual(submitted.error.code, code)
        }
      }
    }).pipe(Effect.provide(layer({ definitions, http: { maxBodyBytes: 16 * maxPayloadBytes } }))))

  it.live("reads health, counts and workers", () =>
    Effect.gen(function*() {
      const health = yield* json(200, "GET /health HTTP/1.1")
      assert.strictEqual(health.status, "healthy")
      assert.match(health.timestamp, /^\d{4}-\d\d-\d\dT.*Z$/)
      yield* json(202, "POST /jobs HTTP/1.1")
      yield* json(202, "POST /jobs?type=sleep HTTP/1.1\nContent-Type: application/json", `{"duration":"long"}`)
      const stats = yield* eventually(
        json(200, "GET /stats HTTP/1.1"),
        ({ jobs_completed, jobs_failed }) => jobs_completed + jobs_failed === 2
      )
      assert.deepStrictEqual({ ...stats, uptime: "", workers_active: 0 }, {
        jobs_submitted: 2,
        jobs_completed: 1,
        jobs_failed: 1,
        workers_active: 0,
        queue_size: 0,
        uptime: "",
        total_processed: 2,
        successful: 1,
        failed: 1,
        queue_length: 0
      })
      assert.match(stats.uptime, /^\d+s$/)
      assert.deepStrictEqual(yield* json(200, "GET /workers HTTP/1.1"), { workers: 2 })
    }).pipe(Effect.provide(running)))
})

describe("a client of the task queue", () => {
  it.live("finds the documented fields of health, counts and workers", () =>
    Effect.gen(function*() {
      const health = yield* json(200, "GET /api/v1/health HTTP/1.1")
      assert.includeMembers(sortedKeys(health), ["status", "timestamp", "uptime", "version"])
      const stats = yield* json(200, "GET /api/v1/stats HTTP/1.1")
      for (
        const field of [
          "queue_size",
          "worker_pool",
          "tasks_total",
          "tasks_pending",
          "tasks_running",
          "tasks_complete",
          "tasks_failed"
        ]
      ) assert.isNumber(stats[field], field)
      const workers = yield* json(200, "GET /api/v1/workers HTTP/1.1")
      assert.isTrue(workers.running)
      assert.strictEqual(workers.worker_count, 2)
      assert.strictEqual(workers.queue_size, 0)
      for (const worker of workers.workers) assert.isBoolean(worker.running)
    }).pipe(Effect.provide(running)))
})

describe("a client of the task engine", () => {
  it.live("creates, reads, lists and cancels tasks", () =>
    Effect.gen(function*() {
      const head = "POST /api/tasks HTTP/1.1\nContent-Type: application/json"
      const created = yield* json(201, head, `{"type":"email","payload":{"to":"you@example.org"}}`)
      assert.strictEqual(created.status, "pending")
      assert.deepStrictEqual(yield* json(200, `GET /api/tasks/${created.id} HTTP/1.1`), created)
      assert.deepStrictEqual((yield* json(200, "GET /api/tasks?type=email HTTP/1.1")).tasks, [created])
      const removed = yield* request(`DELETE /api/tasks/${created.id} HTTP/1.1`)
      assert.strictEqual(removed.status, 204)
      assert.strictEqual((yield* json(200, `GET /api/tasks/${created.id} HTTP/1.1`)).status, "cancelled")
      assert.strictEqual((yield* json(400, head, `{"type":"email","colour":1}`)).error.code, "invalid_request")
      assert.strictEqual((yield* json(404, "GET /api/tasks/none HTTP/1.1")).error.code, "task_not_found")
      assert.strictEqual((yield* json(405, "PUT /api/tasks HTTP/1.1")).error.code, "method_not_allowed")
      assert.strictEqual((yield* json(404, "GET /api/tasksandmore HTTP/1.1")).error.code, "route_not_found")
    }).pipe(Effect.provide(waiting)))

  it.live("reads workers and metrics as JSON", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* json(200, "GET /api/workers HTTP/1.1")).worker_count, 2)
      yield* json(202, "POST /jobs HTTP/1.1")
      const metrics = yield* eventually(
        json(200, "GET /api/metrics HTTP/1.1"),
        (answer) => answer.tasks.completed === 1 && answer.average_duration_ms.default !== undefined
      )
      assert.deepStrictEqual(metrics.workers, { count: 2, active: 0, efficiency: 0 })
      assert.isAtLeast(metrics.average_duration_ms.default, 0)
      assert.isAbove(metrics.memory_bytes, 10_000_000)
      assert.deepStrictEqual(sortedKeys(metrics), [
        "average_duration_ms",
        "cpu",
        "memory_bytes",
        "tasks",
        "tasks_per_second",
        "uptime",
        "workers"
      ])
    }).pipe(Effect.provide(running)))
})

describe("a client of the REST task queue", () => {
  const submit = "POST /submit HTTP/1.1\nContent-Type: application/json"

  it.live("submits a task, and learns its result", () =>
    Effect.gen(function*() {
      const answer = yield* json(200, submit, `{"type":"echo","payload":"{\\"to\\":\\"you\\"}"}`)
      assert.deepStrictEqual(sortedKeys(answer), ["message", "status", "task_id"])
      assert.strictEqual(answer.status, "pending")
      const status = yield* eventually(
        json(200, `GET /status/${answer.task_id} HTTP/1.1`),
        (found) => "success" in found
      )
      assert.deepStrictEqual(status, {
        task_id: answer.task_id,
        success: true,
        data: { to: "you" },
        processed_at: status.processed_at
      })
      assert.match(status.processed_at, /^\d{4}-\d\d-\d\dT.*Z$/)
    }).pipe(Effect.provide(running)))

  it.live("learns why a task failed", () =>
    Effect.gen(function*() {
      yield* json(200, submit, `{"id":"bad","type":"file_read","payload":"{\\"path\\":\\"none\\"}"}`)
      const status = yield* eventually(json(200, "GET /status/bad HTTP/1.1"), (found) => "success" in found)
      assert.deepStrictEqual({ ...status, processed_at: "" }, {
        task_id: "bad",
        success: false,
        error: "none: there is no such file or folder",
        processed_at: ""
      })
    }).pipe(Effect.provide(running)))

  it.live("submits an id as often as it likes, and text that is no JSON", () =>
    Effect.gen(function*() {
      for (let time = 0; time < 3; time++) {
        const answer = yield* json(200, submit, `{"id":"a b/ä","type":"default","payload":"{not json"}`)
        assert.strictEqual(answer.task_id, "a b/ä")
      }
      assert.strictEqual((yield* json(200, "GET /stats HTTP/1.1")).jobs_submitted, 1)
      const task = yield* json(200, `GET /api/v1/tasks/${encodeURIComponent("a b/ä")} HTTP/1.1`)
      assert.strictEqual(task.payload, "{not json")
      const nameless = yield* json(200, submit, `{"id":"","type":"default","payload":"1","extra":true}`)
      assert.notStrictEqual(nameless.task_id, "")
    }).pipe(Effect.provide(waiting)))

  it.live("is told that a task waits or is not known", () =>
    Effect.gen(function*() {
      yield* json(200, submit, `{"id":"w","type":"default","payload":""}`)
      for (const id of ["w", "unknown"]) {
        assert.deepStrictEqual(yield* json(200, `GET /status/${id} HTTP/1.1`), {
          task_id: id,
          status: "pending or not found"
        })
      }
      yield* request("DELETE /api/v1/tasks/w HTTP/1.1")
      assert.deepInclude(yield* json(200, "GET /status/w HTTP/1.1"), {
        success: false,
        error: "The task was cancelled"
      })
    }).pipe(Effect.provide(waiting)))

  it.live("is refused what is no task", () =>
    Effect.gen(function*() {
      for (const body of [`{}`, `{"type":"default"}`, `{"type":"default","payload":{}}`, `[]`, `3`, ``]) {
        assert.strictEqual((yield* json(400, submit, body)).error.code, "invalid_request", body)
      }
      const unknown = yield* json(400, submit, `{"type":"dance","payload":""}`)
      assert.strictEqual(unknown.error.code, "unknown_task_type")
    }).pipe(Effect.provide(waiting)))
})

describe("the routes of earlier designs", () => {
  const path = (text: string) => text as HttpRouter.PathInput

  it.effect("are found by the router like others: no other request passes anything more", () =>
    Effect.gen(function*() {
      const added: Array<string> = []
      const bare = HttpRouter.HttpRouter.of({
        ...yield* HttpRouter.make,
        addAll: (routes) => Effect.sync(() => added.push(...routes.map(({ method, path }) => `${method} ${path}`))),
        addGlobalMiddleware: () => Effect.die("this would look at each request")
      })
      yield* HttpRouter.use(Effect.fnUntraced(function*(router) {
        const names = ["/api/v1/tasks", "/api/v1/tasks/:id", "/api/v1/workers", "/api/v1/tasksandmore", "/health"]
        for (const name of names) yield* router.add("GET", path(name), HttpServerResponse.empty())
      })).pipe(
        Layer.provide(layerAliases),
        Layer.provide(Layer.succeed(HttpRouter.HttpRouter, bare)),
        Layer.build
      )
      assert.deepStrictEqual(added, [
        "GET /api/v1/tasks",
        "GET /api/tasks",
        "GET /api/v1/tasks/:id",
        "GET /api/tasks/:id",
        "GET /api/v1/workers",
        "GET /api/workers",
        "GET /api/v1/tasksandmore",
        "GET /health"
      ])
    }))

  it.live("are counted under the name of today", () =>
    Effect.gen(function*() {
      yield* json(200, "GET /api/tasks HTTP/1.1")
      yield* json(404, "GET /api/tasks/none HTTP/1.1")
      const { body } = yield* request("GET /metrics HTTP/1.1")
      assert.include(body, `taskforge_http_requests_total{method="GET",endpoint="/api/v1/tasks",status="200"} 1`)
      assert.include(body, `taskforge_http_requests_total{method="GET",endpoint="/api/v1/tasks/{id}",status="404"} 1`)
    }).pipe(Effect.provide(layer())))
})

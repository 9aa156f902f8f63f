import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { HttpServer as Listener } from "effect/http"
import type { OpenApi } from "effect/http-api"
import { TestClock } from "effect/testing"
import { readFile } from "node:fs/promises"
import { connect } from "node:net"
import { HealthyJson, StatsJson, UnhealthyJson, WorkersJson } from "../../src/http/api/SystemApi.ts"
import { TaskCatalog } from "../../src/http/TaskCatalog.ts"
import { InstanceStore, version } from "../../src/store/InstanceStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { decoded, definitions, Echo, expecting, get, layer, posted, postedAll, send, task } from "./TestServer.ts"

/** Gives the payload back, but never ends for `"hang"`. */
const handlers = Echo.toLayer((payload) => payload === "hang" ? Effect.never : Effect.succeed(payload))

const stats = decoded(StatsJson, get("/api/v1/stats"))

/** Another process on the store. */
const elsewhere = {
  id: "elsewhere",
  host: "host-2",
  pid: 4711,
  version: "9.9.9",
  upForMs: 0,
  capacity: 2,
  queues: ["default"],
  types: [],
  running: []
}

/** Runs one task to its end, starts one that never ends, and leaves one for later. */
const busy = Effect.gen(function*() {
  yield* posted({ type: "echo", payload: "hang", id: "hanging" })
  yield* posted({ type: "echo", id: "done" })
  yield* posted({ type: "echo", delay: "1h" })
  for (let reads = 0; reads < 500; reads++) {
    const { tasks_complete, tasks_running } = yield* stats
    if (tasks_complete === 1 && tasks_running === 1) return
  }
  return assert.fail("The tasks did not run")
})

describe("/health", () => {
  it.effect("says what works, here and under /api/v1", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("3 seconds")
      yield* posted({ type: "echo" })
      for (const path of ["/health", "/api/v1/health"]) {
        assert.deepInclude(yield* decoded(HealthyJson, get(path)), {
          status: "healthy",
          timestamp: "1970-01-01T00:00:03.000Z",
          version,
          uptime: 3,
          queue: { size: 1, capacity: 1000, closed: false },
          slots: null,
          troubles: []
        })
      }
    }).pipe(Effect.provide(layer())))

  it.effect("names the types that wait and that no living instance can run", () =>
    Effect.gen(function*() {
      yield* postedAll([{ type: "count", payload: { n: 1 } }, { type: "count", payload: { n: 2 } }])
      yield* posted({ type: "tick", delay: "1h" })
      yield* TestClock.adjust("14 seconds")
      yield* decoded(HealthyJson, get("/health"))
      yield* TestClock.adjust("2 seconds")
      const { troubles } = yield* decoded(UnhealthyJson, get("/health"), 503)
      assert.deepStrictEqual(troubles, [
        {
          part: "no instance for count in queue numbers",
          since: "1970-01-01T00:00:00.000Z",
          failures: 1,
          what_to_do: "start an instance that runs count and works on the queue numbers, or cancel its tasks"
        }
      ])
      const store = yield* InstanceStore
      yield* store.beat({ ...elsewhere, types: ["count"], queues: [] }, 60_000)
      yield* decoded(HealthyJson, get("/health"))
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("names what has become due where nothing claims at all", () =>
    Effect.gen(function*() {
      yield* posted({ type: "count", payload: { n: 1 }, delay: "1h" })
      yield* TestClock.adjust("1 hour")
      yield* TestClock.adjust("14 seconds")
      yield* decoded(HealthyJson, get("/health"))
      yield* TestClock.adjust("2 seconds")
      const { troubles } = yield* decoded(UnhealthyJson, get("/health"), 503)
      assert.deepStrictEqual(troubles.map(({ part }) => part), ["no instance for count in queue numbers"])
    }).pipe(Effect.provide(layer())))

  it.effect("names the queues that wait and that no living instance works on", () =>
    Effect.gen(function*() {
      yield* posted({ type: "count", payload: { n: 1 }, queue: "mail" })
      yield* posted({ type: "count", payload: { n: 1 }, queue: "reports" })
      yield* TestClock.adjust("14 seconds")
      const store = yield* InstanceStore
      const named = (queues: ReadonlyArray<string>) =>
        Effect.gen(function*() {
          yield* store.beat({ ...elsewhere, types: ["count"], queues }, 60_000)
          const { troubles } = yield* decoded(UnhealthyJson, get("/health"), 503)
          return troubles.map(({ part }) => part)
        })
      yield* store.beat({ ...elsewhere, types: ["count"], queues: ["mail"] }, 60_000)
      yield* decoded(HealthyJson, get("/health"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* named(["mail"]), ["no instance for count in queue reports"])
      assert.deepStrictEqual(yield* named(["other"]), [
        "no instance for count in queue mail",
        "no instance for count in queue reports"
      ])
      yield* store.beat({ ...elsewhere, types: ["count"], queues: [] }, 60_000)
      yield* decoded(HealthyJson, get("/health"))
    }).pipe(Effect.provide(layer({ handlers }))))

  it("shows the version of the package", async () => {
    const { version: published } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"))
    assert.strictEqual(version, published)
  })
})

describe("/api/v1/stats and /api/v1/workers", () => {
  it.effect("count tasks and show who runs what", () =>
    Effect.gen(function*() {
      yield* busy
      assert.deepInclude(yield* stats, {
        queue_size: 2,
        capacity: 1000,
        worker_pool: 2,
        workers_active: 1,
        tasks_total: 3,
        tasks_pending: 1,
        tasks_running: 1,
        tasks_complete: 1,
        tasks_failed: 0
      })
      const { instances, timestamp: _, workers, ...pool } = yield* decoded(WorkersJson, get("/api/v1/workers"))
      assert.deepStrictEqual(pool, { running: true, worker_count: 2, queue_size: 2 })
      assert.lengthOf(instances, 1)
      assert.deepInclude(instances[0], { id: "w", pid: process.pid, version, slot_count: 2, slots_active: 1 })
      assert.deepStrictEqual(workers.filter(({ running }) => running).map(({ task }) => task?.id), ["hanging"])
      assert.deepStrictEqual((yield* decoded(HealthyJson, get("/health"))).slots, { count: 2, active: 1 })
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("work in a process that runs no tasks", () =>
    Effect.gen(function*() {
      yield* posted({ type: "echo" })
      assert.deepInclude(yield* stats, { worker_pool: 0, workers_active: 0, queue_size: 1 })
      assert.deepStrictEqual(yield* decoded(WorkersJson, get("/api/v1/workers")), {
        running: false,
        worker_count: 0,
        queue_size: 1,
        workers: [],
        timestamp: "1970-01-01T00:00:00.000Z",
        instances: []
      })
    }).pipe(Effect.provide(layer())))
})

describe("/api/v1/workers", () => {
  it.effect("shows the other instances too, as they last said", () =>
    Effect.gen(function*() {
      const store = yield* InstanceStore
      yield* store.beat(
        { ...elsewhere, types: ["count"], running: [{ slot: 2, id: "long", type: "count", forMs: 1000 }] },
        60_000
      )
      yield* TestClock.adjust("3 seconds")
      const { instances, running, worker_count, workers } = yield* decoded(WorkersJson, get("/api/v1/workers"))
      assert.deepStrictEqual({ running, worker_count }, { running: true, worker_count: 4 })
      assert.deepStrictEqual(workers.filter(({ instance }) => instance === "elsewhere"), [
        { id: "elsewhere/1", running: false, instance: "elsewhere", slot: 1, task: null },
        {
          id: "elsewhere/2",
          running: true,
          instance: "elsewhere",
          slot: 2,
          task: { id: "long", type: "count", running_for_ms: 4000 }
        }
      ])
      assert.lengthOf(workers.filter(({ instance }) => instance === "w"), 2)
      assert.deepStrictEqual(instances.find(({ id }) => id === "elsewhere"), {
        id: "elsewhere",
        host: "host-2",
        pid: 4711,
        version: "9.9.9",
        started_at: "1970-01-01T00:00:00.000Z",
        seen_at: "1970-01-01T00:00:00.000Z",
        slot_count: 2,
        slots_active: 1,
        sized_by: "start",
        min_slots: null,
        max_slots: 2,
        draining: false,
        leads: [],
        queues: ["default"],
        types: ["count"],
        shares: []
      })
    }).pipe(Effect.provide(layer({ handlers }))))
})

describe("/metrics", () => {
  it.effect("has the engine's, the store's and the requests' numbers for Prometheus", () =>
    Effect.gen(function*() {
      yield* busy
      yield* task("done")
      yield* get("/api/v1/tasks/unknown")
      yield* get("/nowhere/1")
      yield* get("/nowhere/2")
      yield* send("PUT", "/api/v1/tasks")
      const { headers, text } = yield* expecting(200, get("/metrics"))
      assert.match(headers["content-type"] ?? "", /^text\/plain; version=0\.0\.4/)
      for (
        const line of [
          `taskforge_tasks{state="scheduled"} 1`,
          `taskforge_tasks{state="running"} 1`,
          `taskforge_tasks{state="completed"} 1`,
          `taskforge_queue_size 2`,
          `taskforge_tasks_created_total{type="echo"} 3`,
          `taskforge_tasks_processed_total{type="echo"} 1`,
          `taskforge_task_duration_seconds_count{type="echo"} 1`,
          `taskforge_http_requests_total{method="POST",endpoint="/api/v1/tasks",status="201"} 3`,
          `taskforge_http_requests_total{method="GET",endpoint="/api/v1/tasks/{id}",status="200"} 1`,
          `taskforge_http_requests_total{method="GET",endpoint="/api/v1/tasks/{id}",status="404"} 1`,
          `taskforge_http_requests_total{method="any",endpoint="unmatched",status="404"} 2`,
          `taskforge_http_requests_total{method="PUT",endpoint="/api/v1/tasks",status="405"} 1`,
          `taskforge_http_request_duration_seconds_count{method="GET",endpoint="/api/v1/tasks/{id}"} 2`
        ]
      ) assert.include(text, `${line}\n`)
      assert.notInclude(text, "nowhere")
      for (const line of text.trimEnd().split("\n")) assert.match(line, /^(# (HELP|TYPE) )?taskforge_/)
    }).pipe(Effect.provide(layer({ handlers }))))
})

describe("the pages", () => {
  it.effect("begin with one that says what this is and how it is doing", () =>
    Effect.gen(function*() {
      yield* postedAll([{ type: "echo" }, { type: "echo" }])
      const { headers, text } = yield* expecting(200, get("/"))
      assert.match(headers["content-type"] ?? "", /^text\/html/)
      for (const path of ["/docs", "/openapi.json", "/health", "/metrics", "/api/v1/tasks"]) {
        assert.include(text, `href="${path}"`)
        yield* expecting(200, get(path))
      }
      assert.include(text, "<b>2</b> pending")
      assert.include(text, "curl")
      assert.notMatch(text, / src=|https?:\/\/(?!127\.0\.0\.1)/)
      assert.match(
        headers["content-security-policy"] ?? "",
        /^default-src 'none'; style-src 'sha256-\S+; script-src 'sha256-/
      )
      assert.notInclude(text, "authorization")
    }).pipe(Effect.provide(layer())))

  it.effect("say in their example that a key is needed where one is, and nothing of the tasks", () =>
    Effect.gen(function*() {
      const { text } = yield* expecting(200, get("/"))
      assert.include(text, `-H "authorization: Bearer $TASKFORGE_API_KEY"`)
      assert.notMatch(text, /<script|http-equiv|pending/)
    }).pipe(Effect.provide(layer({ http: { requireKeys: true } }))))

  it.effect("have a picture, which browsers ask for without a key", () =>
    Effect.gen(function*() {
      for (const path of ["/favicon.svg", "/favicon.ico"]) {
        const { headers, text } = yield* expecting(200, get(path))
        assert.strictEqual(headers["content-type"], "image/svg+xml")
        assert.match(text, /^<svg /)
      }
    }).pipe(Effect.provide(layer({ http: { requireKeys: true } }))))

  it.effect("escape what the client says about itself", () =>
    Effect.gen(function*() {
      const { address } = yield* Listener.HttpServer
      const { port } = new URL(Listener.formatAddress(address))
      const answer = yield* Effect.callback<string>((resume) => {
        const socket = connect(Number(port), "127.0.0.1")
        socket.on("data", (chunk) => {
          socket.destroy()
          resume(Effect.succeed(String(chunk)))
        })
        socket.write("GET / HTTP/1.1\r\nHost: <script>alert(1)</script>\r\n\r\n")
      })
      assert.notInclude(answer, "<script>")
      assert.include(answer, "&lt;script&gt;")
    }).pipe(Effect.provide(layer({ http: { requireKeys: true } }))))

  it.effect("have a reference that needs nobody else", () =>
    Effect.gen(function*() {
      const { headers, text } = yield* expecting(200, get("/docs"))
      assert.match(headers["content-type"] ?? "", /^text\/html/)
      assert.include(text, "Scalar.createApiReference")
      assert.notMatch(text, /<script[^>]* src=/)
      assert.match(headers["content-security-policy"] ?? "", /connect-src 'self'/)
    }).pipe(Effect.provide(layer())))

  it.effect("describe every route and the known types for machines", () =>
    Effect.gen(function*() {
      const document = (yield* expecting(200, get("/openapi.json"))).json as OpenApi.OpenAPISpec
      assert.deepStrictEqual(Object.keys(document.paths).toSorted(), [
        "/api/metrics",
        "/api/v1/batches",
        "/api/v1/batches/{batch}",
        "/api/v1/batches/{batch}/cancel",
        "/api/v1/batches/{batch}/members",
        "/api/v1/batches/{batch}/seal",
        "/api/v1/breakers",
        "/api/v1/breakers/{name}",
        "/api/v1/cancel",
        "/api/v1/claims",
        "/api/v1/claims/extend",
        "/api/v1/claims/log",
        "/api/v1/claims/progress",
        "/api/v1/claims/settle",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/discard",
        "/api/v1/dead-letters/rerun",
        "/api/v1/dead-letters/tasks",
        "/api/v1/definitions",
        "/api/v1/definitions/{type}",
        "/api/v1/errors",
        "/api/v1/events",
        "/api/v1/explain",
        "/api/v1/health",
        "/api/v1/instances/{id}/drain",
        "/api/v1/instances/{id}/log-levels",
        "/api/v1/instances/{id}/resume",
        "/api/v1/instances/{id}/slots",
        "/api/v1/limits",
        "/api/v1/limits/{name}",
        "/api/v1/limits/{name}/pause",
        "/api/v1/limits/{name}/release",
        "/api/v1/limits/{name}/resume",
        "/api/v1/limits/{name}/waiting",
        "/api/v1/log-levels",
        "/api/v1/me",
        "/api/v1/operations",
        "/api/v1/operations/preview",
        "/api/v1/operations/{operation}",
        "/api/v1/operations/{operation}/abort",
        "/api/v1/operations/{operation}/undo",
        "/api/v1/queues",
        "/api/v1/queues/{queue}",
        "/api/v1/queues/{queue}/explain",
        "/api/v1/queues/{queue}/pause",
        "/api/v1/queues/{queue}/resume",
        "/api/v1/remove",
        "/api/v1/rerun",
        "/api/v1/results",
        "/api/v1/scaling",
        "/api/v1/schedules",
        "/api/v1/schedules/{name}",
        "/api/v1/schedules/{name}/history",
        "/api/v1/schedules/{name}/pause",
        "/api/v1/schedules/{name}/preview",
        "/api/v1/schedules/{name}/resume",
        "/api/v1/schedules/{name}/run",
        "/api/v1/signals/{name}/events/{key}",
        "/api/v1/signals/{token}",
        "/api/v1/statistics",
        "/api/v1/stats",
        "/api/v1/tasks",
        "/api/v1/tasks/{id}",
        "/api/v1/tasks/{id}/branch",
        "/api/v1/tasks/{id}/branch/cancel",
        "/api/v1/tasks/{id}/branch/rerun",
        "/api/v1/tasks/{id}/cancel",
        "/api/v1/tasks/{id}/dependencies",
        "/api/v1/tasks/{id}/dependents",
        "/api/v1/tasks/{id}/events",
        "/api/v1/tasks/{id}/explain",
        "/api/v1/tasks/{id}/graph",
        "/api/v1/tasks/{id}/logs",
        "/api/v1/tasks/{id}/rerun",
        "/api/v1/tasks/{id}/result",
        "/api/v1/tasks/{id}/stack",
        "/api/v1/tasks/{id}/steps",
        "/api/v1/timetables/preview",
        "/api/v1/types",
        "/api/v1/types/{type}/pause",
        "/api/v1/types/{type}/resume",
        "/api/v1/workers",
        "/health",
        "/health/live",
        "/health/ready",
        "/jobs",
        "/stats",
        "/status/{id}",
        "/submit",
        "/workers",
        "/ws"
      ])
      const responses = document.paths["/api/v1/tasks"]?.post?.responses ?? {}
      assert.deepStrictEqual(Object.keys(responses), [
        "200",
        "201",
        "400",
        "401",
        "403",
        "409",
        "413",
        "415",
        "429",
        "500",
        "503"
      ])
      assert.property(responses[503]?.headers, "retry-after")
      const { NewEchoTask, NewTask } = document.components.schemas as Record<string, Record<string, any>>
      assert.deepStrictEqual(Object.keys(NewTask!["discriminator"].mapping), ["count", "echo", "tick"])
      assert.strictEqual(NewEchoTask!["properties"].type.description, "Gives it back")
    }).pipe(Effect.provide(layer())))
})

describe("a catalog", () => {
  it.effect("refuses two definitions of one type", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.scoped(Layer.build(TaskCatalog.layer([...definitions, { ...definitions[0]! }])))
      )
      assert.isTrue(Exit.isFailure(exit))
    }).pipe(Effect.provide(MemoryStore.layer())))
})

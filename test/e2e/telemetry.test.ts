/** What a server sends to a collector, and what it says of traces without one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Collector from "./Collector.ts"
import * as Server from "./Server.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"

/** Posts tasks in the span of a caller, and answers what the server said. */
const postIn = (server: Server.Server, tasks: unknown, flags = "01") =>
  Effect.promise(async () => {
    const response = await fetch(`${server.url}/api/v1/tasks`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent: `00-${traceId}-${spanId}-${flags}` },
      body: JSON.stringify(tasks)
    })
    return await response.json() as { readonly id: string; readonly trace_id?: string }
  })

const json = (server: Server.Server, path: string) =>
  Effect.promise(async () => await (await fetch(`${server.url}${path}`)).json() as any)

describe("a server with a collector", () => {
  for (const protocol of ["http/json", "http/protobuf"] as const) {
    it.live(`sends what belongs to a caller's trace, as ${protocol}`, () =>
      Effect.gen(function*() {
        const collector = yield* Collector.start
        const server = yield* Server.start(yield* Server.directory, {
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_BSP_SCHEDULE_DELAY: "100",
          OTEL_METRIC_EXPORT_INTERVAL: "200",
          OTEL_BLRP_SCHEDULE_DELAY: "100",
          OTEL_SERVICE_NAME: "orders"
        })
        const task = yield* postIn(server, { type: "fail", max_retries: 1 })
        assert.strictEqual(task.trace_id, traceId)
        const named = (name: string) => collector.spans.filter((span) => span.name === name)
        yield* Server.until("both attempts are sent", Effect.sync(() => named("task fail").length === 2))
        const [enqueue] = named("enqueue fail")
        const [first, second] = named("task fail")
        const request = collector.spans.find((span) => span.spanId === enqueue!.parentSpanId)
        assert.deepInclude(request, { traceId, parentSpanId: spanId, service: "orders" })
        assert.deepInclude(first, { traceId, parentSpanId: enqueue!.spanId, links: [] })
        assert.deepInclude(second, { parentSpanId: "", links: [enqueue!.spanId] })
        assert.notStrictEqual(second!.traceId, traceId)
        assert.deepStrictEqual(named("run").map(({ parentSpanId }) => parentSpanId), [first!.spanId, second!.spanId])
        yield* Server.until(
          "metrics and log lines are sent",
          Effect.sync(() =>
            ["/v1/metrics", "/v1/logs"].every((path) => collector.requests.some((one) => one.startsWith(path)))
          )
        )
        const type = protocol === "http/json" ? "application/json" : "application/x-protobuf"
        assert.deepStrictEqual(
          new Set(collector.requests),
          new Set(["traces", "metrics", "logs"].map((one) => `/v1/${one} ${type}`))
        )
        const found = yield* json(server, `/api/v1/tasks?trace=${traceId}`)
        assert.deepStrictEqual(found.tasks.map(({ id }: any) => id), [task.id])
        const line = server.log.find((record) => record["job_id"] === task.id && record["attempt"] === 1)
        assert.strictEqual(line?.["trace_id"], traceId)
      }))
  }

  it.live("sends nothing while it has nothing to do, and of what a caller does not sample nothing", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.start
      const server = yield* Server.start(yield* Server.directory, {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_BSP_SCHEDULE_DELAY: "100",
        OTEL_METRICS_EXPORTER: "none",
        OTEL_LOGS_EXPORTER: "none"
      })
      const quiet = yield* postIn(server, { type: "echo" }, "00")
      yield* Server.until("it has ended", Effect.sync(() => server.log.some((record) => record["job_id"] === quiet.id)))
      yield* Effect.promise(() => fetch(`${server.url}/health`))
      yield* Effect.promise(() => fetch(`${server.url}/metrics`))
      yield* Effect.sleep("1 second")
      assert.deepStrictEqual(collector.requests, [])
      const [id] = yield* server.post([{ type: "echo" }])
      yield* Server.until("one is sent", Effect.sync(() => collector.spans.some(({ name }) => name === "task echo")))
      assert.isFalse((yield* json(server, `/api/v1/tasks/${id}`)).trace_id === traceId)
    }))

  it.live("does not start with settings that mean nothing", () =>
    Effect.gen(function*() {
      const process = yield* Server.launch(yield* Server.directory, {
        OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
        OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG: "7"
      })
      assert.strictEqual((yield* process.ended).code, 78)
      const said = process.stderr()
      for (const name of ["OTLP_ENDPOINT=localhost:4318", "OTLP_PROTOCOL=grpc", "SAMPLER_ARG=7"]) {
        assert.include(said, name)
      }
    }))
})

describe("a server without a collector", () => {
  it.live("passes on the trace of a caller, and has it in its log", () =>
    Effect.gen(function*() {
      const server = yield* Server.start(yield* Server.directory, { STORE_URL: "memory:" })
      const task = yield* postIn(server, { type: "echo" })
      assert.strictEqual(task.trace_id, traceId)
      yield* Server.until(
        "it has ended",
        Effect.sync(() => server.log.some((record) => record["job_id"] === task.id && record["trace_id"] === traceId))
      )
      const [other] = yield* server.post([{ type: "echo" }])
      assert.notProperty(yield* json(server, `/api/v1/tasks/${other}`), "trace_id")
      assert.deepStrictEqual((yield* json(server, "/api/v1/tasks?trace=xyz")).error.code, "invalid_request")
    }))
})

/**
 * Clients of the earlier designs: they send the documented requests as they are written there and decode the answers as
 * a typed client does. What they do not know they ignore; what they know must have its documented type.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { HttpClient } from "effect/http"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import sharp from "sharp"
import { uptimeText } from "../../src/http/compat/OlderRoutes.ts"
import * as Site from "../handlers/outbound/Site.ts"
import { Home } from "../handlers/TestHandlers.ts"
import { patiently } from "../Patience.ts"
import { running, waiting } from "./ShippedServer.ts"
import { type Answering, expecting, get, refused, send } from "./TestServer.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Text = Schema.String.check(Schema.isNonEmpty())
const Timestamp = Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/))

/** An answer with this status, as a typed client decodes it. */
const decode = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  answering: Answering,
  status = 200
): Effect.Effect<S["Type"], never, HttpClient.HttpClient> =>
  Effect.flatMap(expecting(status, answering), ({ headers, json }) => {
    assert.strictEqual(headers["content-type"], "application/json")
    return Effect.orDie(Schema.decodeUnknownEffect(schema, { errors: "all" })(json))
  })

/** Asks again until the answer is as it should be. */
const eventually = <A, E, R>(ask: Effect.Effect<A, E, R>, until: (answer: A) => boolean) =>
  Effect.repeat(ask, { until, schedule: patiently() })

/** A task of designs A, C and D. */
const Task = Schema.Struct({
  id: Text,
  type: Text,
  payload: Schema.Json,
  priority: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })),
  status: Schema.Literals(["scheduled", "pending", "running", "completed", "failed", "cancelled"]),
  created_at: Timestamp,
  started_at: Schema.NullOr(Timestamp),
  completed_at: Schema.NullOr(Timestamp),
  result: Schema.Json,
  error: Schema.NullOr(Schema.Struct({ tag: Text, message: Text })),
  retry_count: Count,
  max_retries: Schema.Int.check(Schema.isGreaterThanOrEqualTo(-1))
})
const Page = Schema.Struct({ tasks: Schema.Array(Task) })

/** Posts a task as it is written here, at a path of design A or C (`/api/v1`) or of D (`/api`). */
const create = (body: string, path = "/api/v1/tasks") => decode(Task, send("POST", path, body), 201)

const finished = (id: string) =>
  eventually(decode(Task, get(`/api/v1/tasks/${id}`)), ({ completed_at }) => completed_at !== null)

/** Posts a task that must be done, and gives its result. */
const result = Effect.fnUntraced(function*(body: string) {
  const { error, result, status } = yield* finished((yield* create(body)).id)
  assert.strictEqual(status, "completed", error?.message)
  return result as { readonly [name: string]: Schema.Json }
})

describe("design A", () => {
  it.live("is served: every documented field of a task, lists, and the built-in types", () =>
    Effect.gen(function*() {
      yield* expecting(200, get("/"))
      const created = yield* create(`{"type":"echo","payload":{"message":"Hello, World!"},"priority":"high"}`)
      assert.deepInclude(created, { priority: 2, status: "pending", retry_count: 0, error: null })
      const done = yield* finished(created.id)
      assert.deepStrictEqual(done.result, { message: "Hello, World!" })
      assert.isNotNull(done.started_at)
      assert.deepStrictEqual(yield* result(`{"type":"sleep","payload":{"duration":"2s"}}`), { slept: "2s" })
      assert.containsAllKeys(yield* result(`{"type":"compute","payload":{}}`), ["primes"])
      const failed = yield* finished((yield* create(`{"type":"fail","payload":{},"max_retries":0}`)).id)
      assert.strictEqual(failed.status, "failed")
      assert.isNotNull(failed.error)
      const both = `[{"type":"echo","payload":1,"priority":"critical"},{"type":"echo","payload":2,"max_retries":-1}]`
      assert.lengthOf(yield* decode(Schema.Array(Task), send("POST", "/api/v1/tasks", both), 201), 2)
      const { tasks } = yield* decode(Page, get("/api/v1/tasks?status=failed&type=fail"))
      assert.deepStrictEqual(tasks, [failed])
      for (const id of [created.id, failed.id]) {
        yield* expecting(204, send("DELETE", `/api/v1/tasks/${id}`))
        yield* refused(404, "task_not_found", get(`/api/v1/tasks/${id}`))
      }
      yield* decode(
        Schema.Struct({
          status: Schema.Literal("healthy"),
          timestamp: Timestamp,
          queue: Schema.Struct({ size: Count, closed: Schema.Boolean })
        }),
        get("/health")
      )
      assert.include((yield* expecting(200, get("/metrics"))).text, "taskforge_tasks_processed_total")
    }).pipe(Effect.provide(running)))
})

describe("design B", () => {
  const Submitted = Schema.Struct({ job_id: Text, status: Schema.Literal("submitted") })
  const Stats = Schema.Struct({
    jobs_submitted: Count,
    jobs_completed: Count,
    jobs_failed: Count,
    workers_active: Count,
    queue_size: Count,
    uptime: Schema.String.check(Schema.isPattern(/^((\d+h)?\d+m)?\d+s$/))
  })

  it.live("is served: jobs of all its types are submitted without a payload, and done", () =>
    Effect.gen(function*() {
      const types = ["email", "report", "backup", "sync", "cleanup", "default"]
      for (const [index, type] of types.entries()) {
        const priority = ["low", "normal", "high", "urgent"][index % 4]
        yield* decode(Submitted, send("POST", `/jobs?type=${type}&priority=${priority}`), 202)
      }
      yield* decode(Submitted, send("POST", "/jobs"), 202)
      const stats = yield* eventually(
        decode(Stats, get("/stats")),
        ({ jobs_completed, jobs_failed }) => jobs_completed + jobs_failed === 7
      )
      assert.deepInclude(stats, { jobs_submitted: 7, jobs_completed: 7, jobs_failed: 0, queue_size: 0 })
      yield* decode(Schema.Struct({ status: Schema.Literal("healthy"), timestamp: Timestamp }), get("/health"))
      assert.deepStrictEqual(yield* decode(Schema.Struct({ workers: Count }), get("/workers")), { workers: 2 })
    }).pipe(Effect.provide(running)))

  it("reads the uptime as its documentation writes it", () => {
    const texts = [[0, "0s"], [59.999, "59s"], [60, "1m0s"], [5445.5, "1h30m45s"], [3600, "1h0m0s"], [
      90_061,
      "25h1m1s"
    ]]
    for (const [seconds, text] of texts) assert.strictEqual(uptimeText(Number(seconds)), text)
  })
})

describe("design C", () => {
  const documented = [
    `{"type":"email","payload":{"recipient":"user@example.com","subject":"Hello","body":"World"},"priority":5}`,
    `{"type":"image_resize","payload":{"image_url":"https://example.com/image.jpg","width":800,"height":600},"priority":5}`,
    `{"type":"data_process","payload":{"data_source":"data.csv","operation":"aggregate"},"priority":5}`,
    `{"type":"data_process","payload":{"data_source":"https://example.com/d.csv","operation":"aggregate"},"priority":5}`,
    `{"type":"webhook","payload":{"url":"https://example.com/webhook","method":"POST","data":{"event":"test"}},"priority":5}`
  ]

  it.live("is served: its requests are taken as they are documented", () =>
    Effect.gen(function*() {
      for (const body of documented) {
        const { payload, priority } = yield* create(body)
        assert.deepStrictEqual({ payload, priority }, { payload: JSON.parse(body).payload, priority: 5 })
      }
    }).pipe(Effect.provide(waiting)))

  it.live("is served: they do what they say", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const image = yield* Effect.promise(() =>
        sharp({ create: { width: 90, height: 60, channels: 3, background: "red" } }).jpeg().toBuffer()
      )
      const csv = "city,price,note\nBerlin,10.5,\nParis,20,new\nRome,,old\n"
      const site = yield* Site.start(({ path }, response) =>
        response.end(path === "/image.jpg" ? image : path === "/d.csv" ? csv : "thanks")
      )
      writeFileSync(join(home, "data.csv"), csv)
      /** The documented request, at a site that can be reached here. */
      const replay = (index: number) => result(documented[index]!.replace("https://example.com", site.url))

      const mail = yield* replay(0)
      assert.deepInclude(mail, { delivery: "outbox", accepted: [] })
      const message = readFileSync(String(mail["file"]), "utf8")
      for (const part of ["To: user@example.com", "Subject: Hello", "World"]) assert.include(message, part)

      assert.deepInclude(yield* replay(1), { width: 800, height: 600, format: "jpeg" })

      const figures = [
        { column: "city", count: 3, sum: null, mean: null, min: null, max: null },
        { column: "price", count: 2, sum: 30.5, mean: 15.25, min: 10.5, max: 20 },
        { column: "note", count: 2, sum: null, mean: null, min: null, max: null }
      ]
      for (const index of [2, 3]) {
        assert.deepInclude(yield* replay(index), { rows_in: 3, bad_rows: 0, rows_out: 3, rows: figures })
      }

      assert.deepInclude(yield* replay(4), { status: 200, answer: "thanks" })
      const delivery = site.asked.find(({ path }) => path === "/webhook")
      assert.deepInclude(delivery, { method: "POST", body: `{"event":"test"}` })
    }).pipe(Effect.scoped, Effect.provide(running)))

  it.live(
    "reaches no more by its own names than by ours: inner addresses and folders of others",
    () =>
      Effect.gen(function*() {
        const inner = "http://169.254.169.254/latest"
        for (
          const [type, payload, tag] of [
            ["image_resize", { image_url: inner, width: 8 }, "RequestRefused"],
            ["data_process", { data_source: inner, operation: "aggregate" }, "RequestRefused"],
            ["data_process", { data_source: "HTTP://169.254.169.254/", operation: "aggregate" }, "RequestRefused"],
            ["data_process", { data_source: "../../etc/passwd", operation: "aggregate" }, "PathRefused"],
            ["data_process", { data_source: "/etc/passwd", operation: "aggregate" }, "PathRefused"],
            ["webhook", { url: inner, data: 1 }, "RequestRefused"]
          ] as const
        ) {
          const { error, id, status } = yield* finished((yield* create(JSON.stringify({ type, payload }))).id)
          assert.strictEqual(status, "failed")
          assert.deepInclude(error, { tag }, type)
          const tried = yield* decode(Schema.Struct({ failures: Count }), get(`/api/v1/tasks/${id}`))
          assert.strictEqual(tried.failures, 1)
        }
        for (
          const [type, payload] of [
            ["image_resize", { image_url: "file:///etc/passwd", width: 8 }],
            ["image_resize", { image_url: "https://example.com/a.jpg", url: "https://example.com/b.jpg", width: 8 }],
            ["data_process", { data_source: "a.csv", input: "b.csv", operation: "aggregate" }],
            ["data_process", { data_source: "a.csv", operation: "shred" }],
            ["data_process", { data_source: "http://", operation: "aggregate" }],
            ["webhook", { url: "https://example.com", body: 1, data: 1 }]
          ] as const
        ) yield* refused(400, "invalid_payload", send("POST", "/api/v1/tasks", { type, payload }))
      }).pipe(Effect.provide(running))
  )

  it.live("is served: health, counts and workers", () =>
    Effect.gen(function*() {
      yield* create(documented[0]!)
      yield* decode(
        Schema.Struct({
          status: Schema.Literal("healthy"),
          timestamp: Timestamp,
          version: Text,
          // Seconds, here: no text is documented
          uptime: Schema.Finite
        }),
        get("/api/v1/health")
      )
      const Stats = Schema.Struct({
        queue_size: Count,
        worker_pool: Count,
        tasks_total: Count,
        tasks_pending: Count,
        tasks_running: Count,
        tasks_complete: Count,
        tasks_failed: Count
      })
      assert.deepInclude(yield* decode(Stats, get("/api/v1/stats")), { worker_pool: 2, tasks_total: 1 })
      const Workers = Schema.Struct({
        running: Schema.Boolean,
        worker_count: Count,
        queue_size: Count,
        // A text, unique among all instances
        workers: Schema.Array(Schema.Struct({ id: Text, running: Schema.Boolean }))
      })
      const workers = yield* decode(Workers, get("/api/v1/workers"))
      assert.strictEqual(workers.workers.length, workers.worker_count)
    }).pipe(Effect.provide(running)))
})

describe("design D", () => {
  it.live("is served: tasks are created, read, listed and cancelled", () =>
    Effect.gen(function*() {
      const created = yield* create(`{"type":"fibonacci","payload":{"n":10},"priority":5}`, "/api/tasks")
      assert.deepStrictEqual(yield* decode(Task, get(`/api/tasks/${created.id}`)), created)
      assert.deepStrictEqual((yield* decode(Page, get("/api/tasks"))).tasks, [created])
      yield* expecting(204, send("DELETE", `/api/tasks/${created.id}`))
      assert.strictEqual((yield* decode(Task, get(`/api/tasks/${created.id}`))).status, "cancelled")
    }).pipe(Effect.provide(waiting)))

  it.live("is served: its kinds of tasks are done, and workers and metrics are JSON", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* result(`{"type":"primes","payload":{"below":100}}`), { count: 25 })
      assert.deepInclude(yield* result(`{"type":"fibonacci","payload":{"n":10}}`), { value: "55" })
      assert.deepInclude(yield* result(`{"type":"hash","payload":{"text":"abc"}}`), { algorithm: "sha256" })
      yield* result(`{"type":"file_write","payload":{"path":"a.txt","body":"hello"}}`)
      assert.deepInclude(yield* result(`{"type":"file_read","payload":{"path":"a.txt"}}`), { body: "hello" })
      assert.deepInclude(yield* result(`{"type":"batch","payload":{"type":"echo","items":[1,2]}}`), { succeeded: 2 })
      const Metrics = Schema.Struct({
        tasks_per_second: Schema.Finite,
        average_duration_ms: Schema.Record(Schema.String, Schema.Finite),
        workers: Schema.Struct({ count: Count, active: Count, efficiency: Schema.Finite }),
        tasks: Schema.Record(Schema.String, Count),
        memory_bytes: Count,
        cpu: Schema.Finite
      })
      const metrics = yield* decode(Metrics, get("/api/metrics"))
      assert.containsAllKeys(metrics.average_duration_ms, ["primes", "fibonacci", "hash"])
      yield* decode(Schema.Struct({ worker_count: Count }), get("/api/workers"))
    }).pipe(Effect.provide(running)))
})

describe("design E", () => {
  const Submitted = Schema.Struct({ message: Text, task_id: Text, status: Schema.Literal("pending") })
  const Status = Schema.Union([
    Schema.Struct({ task_id: Text, status: Schema.Literal("pending or not found") }),
    Schema.Struct({ task_id: Text, success: Schema.Literal(true), data: Schema.Json, processed_at: Timestamp }),
    Schema.Struct({ task_id: Text, success: Schema.Literal(false), error: Text, processed_at: Timestamp })
  ])
  const Stats = Schema.Struct({ total_processed: Count, successful: Count, failed: Count, queue_length: Count })

  const status = (id: string) => decode(Status, get(`/status/${id}`))
  const ended = (id: string) => eventually(status(id), (found) => "success" in found)

  it.live("is served: tasks with texts as payloads, their results, and the counts", () =>
    Effect.gen(function*() {
      const submit = (body: string) => decode(Submitted, send("POST", "/submit", body))
      const done = yield* submit(`{"id":"task-1","type":"default","payload":"Process this data"}`)
      assert.deepInclude(done, { task_id: "task-1" })
      assert.deepInclude(yield* ended("task-1"), { success: true })
      const { task_id } = yield* submit(`{"type":"echo","payload":"{\\"a\\":1}"}`)
      assert.deepInclude(yield* ended(task_id), { success: true, data: { a: 1 } })
      const wrong = yield* submit(`{"type":"email","payload":"no object"}`)
      assert.deepInclude(yield* ended(wrong.task_id), { success: false })
      assert.deepStrictEqual(yield* status("unknown"), { task_id: "unknown", status: "pending or not found" })
      assert.deepStrictEqual(yield* decode(Stats, get("/stats")), {
        total_processed: 3,
        successful: 2,
        failed: 1,
        queue_length: 0
      })
    }).pipe(Effect.provide(running)))

  it.live("is refused what would run without some of its fields, by the doors of B and E as well", () =>
    Effect.gen(function*() {
      const payload = { from: "a", to: "b", delete: true, dryrun: true }
      for (
        const answering of [
          send("POST", "/submit", { type: "sync", payload: JSON.stringify(payload) }),
          send("POST", "/jobs?type=sync", payload),
          send("POST", "/api/tasks", { type: "sync", payload })
        ]
      ) assert.include(String((yield* refused(400, "invalid_payload", answering))["issue"]), "dryrun")
    }).pipe(Effect.provide(waiting)))
})

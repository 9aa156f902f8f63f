/** Batches over HTTP, by a remote `TaskQueue`, and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpServer as Listener } from "effect/http"
import * as Batch from "../../src/Batch.ts"
import { BatchFailed, BatchFinished, BatchNotFound } from "../../src/domain/BatchErrors.ts"
import { HttpTaskQueue } from "../../src/http/index.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { failing, jsonOf, onServer, succeeding } from "../cli/CommandLine.ts"
import { until } from "../e2e/Server.ts"
import { expecting, get, layer, send } from "./TestServer.ts"

const Double = Task.make("double", { payload: { n: Schema.Int }, success: Schema.Int, retry: { times: 0 } })
const After = Task.make("after", { payload: { on: Schema.String }, success: Schema.String })

const handlers = Layer.mergeAll(
  Double.toLayer(({ n }) => n < 0 ? Effect.die("negative") : Effect.succeed(n * 2)),
  After.toLayer(({ on }) => Effect.succeed(on)),
  Batch.layer
)

const working = layer({ definitions: [Double, After], handlers })
const idle = layer({ definitions: [Double, After] })

const path = (id: string, rest = "") => `/api/v1/batches/${encodeURIComponent(id)}${rest}`
const viewOf = (id: string) => Effect.map(expecting(200, get(path(id))), ({ json }) => json as Record<string, unknown>)
const double = (n: number) => ({ type: "double", payload: { n } })
const after = (on: string) => ({ type: "after", payload: { on }, id: on })
const finished = (id: string) =>
  Effect.andThen(
    until("it has finished", Effect.map(viewOf(id), ({ finished_at }) => finished_at !== null)),
    viewOf(id)
  )
const statusOf = (id: string) =>
  Effect.map(get(`/api/v1/tasks/${id}`), ({ json }) => (json as { readonly status: string }).status)

describe("batches over HTTP", () => {
  it.live("run their members and what follows them", () =>
    Effect.gen(function*() {
      const body = {
        id: "letters",
        name: "Letters",
        tasks: [double(1), double(-2), double(3)],
        on_success: after("success"),
        on_failure: after("failure"),
        on_finished: after("finished")
      }
      const made = yield* expecting(201, send("POST", "/api/v1/batches", body))
      assert.deepInclude(made.json, { id: "letters", name: "Letters", total: 3, on_failure: "failure" })
      assert.deepInclude(yield* finished("letters"), { status: "failed", completed: 2, failed: 1, percent: 100 })
      yield* until("it has run", Effect.map(statusOf("finished"), (status) => status === "completed"))
      yield* until("it has run", Effect.map(statusOf("failure"), (status) => status === "completed"))
      assert.strictEqual(yield* statusOf("success"), "cancelled")
      // sent again, it is that batch
      const again = yield* expecting(200, send("POST", "/api/v1/batches", body))
      assert.deepInclude(again.json, { status: "failed", total: 3 })
      const late = yield* send("POST", path("letters", "/members"), { tasks: [double(1)] })
      assert.strictEqual(late.status, 409)
      assert.deepInclude((late.json as { error: object }).error, { code: "batch_finished", reason: "finished" })
    }).pipe(Effect.provide(working)))

  it.live("are open until they are sealed, and are cancelled with their members", () =>
    Effect.gen(function*() {
      const made = yield* expecting(201, send("POST", "/api/v1/batches", { on_finished: after("finished") }))
      const { id, status } = made.json as { readonly id: string; readonly status: string }
      assert.strictEqual(status, "open")
      const added = yield* expecting(
        200,
        send("POST", path(id, "/members"), { tasks: [{ ...double(1), id: "one" }], addition: "a" })
      )
      assert.deepStrictEqual(added.json, { members: [{ id: "one", duplicate: false }] })
      yield* expecting(200, send("POST", path(id, "/members"), { tasks: [{ ...double(1), id: "one" }], addition: "a" }))
      assert.deepInclude(yield* viewOf(id), { status: "open", total: 1, percent: 0 })
      assert.deepInclude((yield* expecting(200, send("POST", path(id, "/seal")))).json, { status: "sealed" })
      yield* expecting(200, send("POST", path(id, "/cancel")))
      const late = yield* send("POST", path(id, "/members"), { tasks: [double(1)] })
      assert.deepInclude((late.json as { error: object }).error, { code: "batch_finished", reason: "cancelled" })
      const other = yield* expecting(
        201,
        send("POST", "/api/v1/batches", { id: "other", tasks: [double(1)], open: true })
      )
      assert.deepInclude(other.json, { status: "open", total: 1 })
      const first = yield* expecting(200, get("/api/v1/batches?limit=1"))
      const { batches, next } = first.json as { readonly batches: ReadonlyArray<object>; readonly next: string }
      assert.lengthOf(batches, 1)
      const second = yield* expecting(200, get(`/api/v1/batches?limit=1&cursor=${next}`))
      assert.deepInclude(second.json, { next: null })
      assert.deepInclude((second.json as { batches: ReadonlyArray<object> }).batches[0], { id: "other" })
    }).pipe(Effect.provide(idle)))

  it.live("are refused before anything is stored", () =>
    Effect.gen(function*() {
      for (
        const [body, code] of [
          [{ tasks: [double(1), { type: "dance" }] }, "unknown_task_type"],
          [{ tasks: [{ type: "double", payload: { n: "1" } }] }, "invalid_payload"],
          [{ on_success: { type: "dance" } }, "unknown_task_type"],
          [{ id: "a/b" }, "invalid_request"],
          [{ colour: "red" }, "invalid_request"],
          [{ onSuccess: after("success") }, "invalid_request"],
          [{ tasks: double(1) }, "invalid_request"],
          [{ on_success: { ...after("success"), key: "k" } }, "invalid_request"],
          [{ on_failure: { ...after("failure"), on_failure: "run" } }, "invalid_request"]
        ] as const
      ) {
        const { json, status } = yield* send("POST", "/api/v1/batches", body)
        assert.strictEqual(status, 400, JSON.stringify(body))
        assert.strictEqual((json as { error: { code: string } }).error.code, code, JSON.stringify(body))
      }
      for (const [method, rest] of [["GET", ""], ["POST", "/seal"], ["POST", "/cancel"]] as const) {
        const { json, status } = yield* send(method, path("nothing", rest))
        assert.strictEqual(status, 404)
        assert.deepInclude((json as { error: object }).error, { code: "batch_not_found", batch: "nothing" })
      }
      const { json } = yield* expecting(200, get("/api/v1/batches"))
      assert.deepStrictEqual(json, { batches: [], next: null })
    }).pipe(Effect.provide(idle)))
})

/** What a program does whose queue is the server's. */
const remotely = <A, E>(program: Effect.Effect<A, E, TaskQueue>) =>
  Effect.flatMap(Listener.HttpServer, ({ address }) =>
    Effect.provide(
      program,
      HttpTaskQueue.layerHttpClient({ url: Listener.formatAddress(address) }).pipe(Layer.provide(FetchHttpClient.layer))
    ))

describe("a program whose queue is a server's", () => {
  it.live("makes batches, fills them, and waits for their ends", () =>
    remotely(Effect.gen(function*() {
      const batch = yield* Batch.make({ id: "remote", name: "Remote", onFinished: After.draft({ on: "end" }) })
      const [one] = yield* batch.add([Double.draft({ n: 21 })])
      yield* batch.add([Double.draft({ n: 1 }, { id: "same" })], { addition: "part" })
      yield* batch.add([Double.draft({ n: 1 }, { id: "same" })], { addition: "part" })
      assert.deepInclude(yield* batch.progress, { name: "Remote", total: 2, state: "open" })
      yield* batch.seal
      assert.deepInclude(yield* batch.result, { batch: "remote", total: 2, completed: 2 })
      assert.strictEqual(yield* one!.result, 42)
      assert.deepStrictEqual(
        yield* Effect.flip(batch.add([Double.draft({ n: 1 })])),
        new BatchFinished({ batch: "remote", reason: "finished" })
      )
      const other = yield* Batch.enqueue([Double.draft({ n: -1 })], { id: "failing" })
      assert.instanceOf(yield* Effect.flip(other.result), BatchFailed)
      const { batches } = yield* TaskQueue
      assert.deepStrictEqual(yield* batches.create({ id: "failing" }), { id: "failing", duplicate: true })
      assert.deepStrictEqual((yield* batches.list()).batches.map(({ id }) => id), ["failing", "remote"])
      assert.deepStrictEqual(yield* Effect.flip(batches.get("..")), new BatchNotFound({ batch: ".." }))
      assert.deepInclude(yield* Effect.flip(Batch.make({ id: "a/b" })), { _tag: "InvalidOption", option: "id" })
    })).pipe(Effect.provide(working)))
})

describe("taskforge batches", () => {
  it.live("makes, fills, shows, seals and cancels them", () =>
    Effect.gen(function*() {
      const lines = [double(1), { ...double(2), id: "two" }].map((task) => JSON.stringify(task)).join("\n")
      const made = yield* succeeding(onServer(
        [
          "batches",
          "create",
          "--id",
          "b",
          "--name",
          "Letters",
          "--lines",
          "-",
          "--on-finished",
          JSON.stringify(after("end")),
          "--open",
          "--json"
        ],
        { stdin: lines }
      ))
      assert.deepInclude(jsonOf(made)[0], { id: "b", total: 2, status: "open", on_finished: "end" })
      const added = yield* succeeding(onServer(["batches", "add", "b", "-"], { stdin: JSON.stringify(double(3)) }))
      assert.include(added.stdout, "Added 1 member to b")
      assert.include((yield* succeeding(onServer(["batches", "seal", "b"]))).stdout, "sealed, 0 %")
      const shown = yield* succeeding(onServer(["batches", "show", "b"]))
      assert.include(shown.stdout, "Letters")
      assert.include(shown.stdout, "end")
      assert.include((yield* succeeding(onServer(["batches", "list"]))).stdout, "Letters")
      assert.deepInclude(jsonOf(yield* succeeding(onServer(["batches", "cancel", "b", "--json"])))[0], { id: "b" })
      assert.include(yield* failing(1, onServer(["batches", "add", "b", "-"], { stdin: lines })), "was cancelled")
      assert.include(yield* failing(66, onServer(["batches", "show", "c"])), "No batch has the id")
      const wrong = yield* failing(65, onServer(["batches", "create", "--lines", "-"], { stdin: "{}" }))
      assert.include(wrong, "line 1")
      yield* failing(64, onServer(["batches", "create", "--open"]))
    }).pipe(Effect.provide(idle)))
})

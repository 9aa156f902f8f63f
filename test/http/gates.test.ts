/** Limits over HTTP: by hand, by a remote queue, and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpServer as Listener } from "effect/http"
import { InvalidOption, LimitNotFound } from "../../src/domain/Errors.ts"
import { HttpTaskQueue } from "../../src/http/index.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { failing, jsonOf, onServer, succeeding } from "../cli/CommandLine.ts"
import { until } from "../e2e/Server.ts"
import { expecting, get, layer, refused, send } from "./TestServer.ts"

const Sync = Task.make("sync", {
  payload: { tenant: Schema.String },
  limits: ({ concurrency, rate }) => [
    concurrency({ key: ({ tenant }) => tenant, max: 1 }),
    rate({ key: ({ tenant }) => tenant, max: 100, per: "1 minute" })
  ]
})

const Ship = Task.make("ship", {
  payload: { order: Schema.String },
  orderBy: ({ order }) => order,
  retry: { times: 0 }
})

const working = layer({
  definitions: [Sync, Ship],
  handlers: Layer.mergeAll(
    Sync.toLayer(() => Effect.never),
    Ship.toLayer(({ order }) => order === "bad" ? Effect.die("broken") : Effect.void)
  )
})

const limitPath = (name: string, action = "") => `/api/v1/limits/${encodeURIComponent(name)}${action}`

const statusOf = (id: string) =>
  Effect.map(get(`/api/v1/tasks/${id}`), ({ json }) => (json as { status: string }).status)

const create = (type: string, payload: object, id: string) =>
  expecting(201, send("POST", "/api/v1/tasks", { type, payload, id }))

const reaches = (id: string, status: string) =>
  until(`${id} is ${status}`, Effect.map(statusOf(id), (found) => found === status))

/** The pool has told which limits its types have. */
const registered = until(
  "three limits",
  Effect.map(get("/api/v1/limits"), ({ json }) => (json as { limits: Array<unknown> }).limits.length === 3)
)

const explained = (id: string) =>
  Effect.map(
    get(`/api/v1/tasks/${id}/explain`),
    ({ json }) =>
      json as { summary: string; may_start_at: string | null; reasons: ReadonlyArray<Record<string, unknown>> }
  )

const remote = Effect.map(
  Listener.HttpServer,
  (server) => HttpTaskQueue.layer({ url: Listener.formatAddress(server.address) })
)

describe("limits over HTTP", () => {
  it.live("are listed, read, changed for all and for a key, lifted and reset", () =>
    Effect.gen(function*() {
      yield* registered
      const { json: page } = yield* get("/api/v1/limits?limit=1")
      assert.deepInclude((page as any).limits[0], {
        name: "ship:order",
        key: null,
        setting: { kind: "order", on_failure: "block" },
        set_by: "definition"
      })
      const { json: next } = yield* get(`/api/v1/limits?limit=1&cursor=${(page as any).next}`)
      assert.strictEqual((next as any).limits[0].name, "sync:concurrency")
      yield* create("sync", { tenant: "acme" }, "a")
      yield* reaches("a", "running")
      yield* create("sync", { tenant: "acme" }, "b")
      const full = yield* explained("b")
      assert.deepStrictEqual(full.reasons.map(({ code }) => code), ["limit_full"])
      assert.deepInclude(full.reasons[0], {
        limit: "sync:concurrency",
        key: "acme",
        max: 1,
        running: 1,
        holders: ["a"]
      })
      assert.strictEqual(full.summary, `The limit "sync:concurrency" of the key "acme" is full: 1 of 1 run, held by a.`)
      const { json: shown } = yield* get(`${limitPath("sync:concurrency")}?key=acme,x`)
      assert.deepStrictEqual((shown as any).keys.map(({ key, running }: any) => [key, running]), [["acme", 1], [
        "x",
        0
      ]])
      const { json: set } = yield* expecting(
        200,
        send("PUT", `${limitPath("sync:concurrency")}?key=acme`, { max: 2, by: "ada", reason: "More" })
      )
      assert.deepInclude(set, { key: "acme", setting: { kind: "concurrency", max: 2 }, set_by: "operator", by: "ada" })
      yield* reaches("b", "running")
      yield* expecting(200, send("PUT", `${limitPath("sync:concurrency")}?key=acme`, { lifted: true }))
      yield* create("sync", { tenant: "acme" }, "c")
      // two slots are all that the pool has
      const lifted = yield* get(`${limitPath("sync:concurrency")}?key=acme`)
      assert.deepInclude((lifted.json as any).keys[0], { setting: { kind: "lifted" }, is_own: true, running: 2 })
      yield* expecting(204, send("DELETE", `${limitPath("sync:concurrency")}?key=acme`))
      const { json: after } = yield* get(limitPath("sync:concurrency"))
      assert.deepInclude(after, { set_by: "definition", keys: [] })
      const { json: rate } = yield* expecting(200, send("PUT", limitPath("sync:rate"), { max: 5, per: "1s" }))
      assert.deepInclude(rate, {
        setting: { kind: "rate", max: 5, per_ms: 1000, burst: 5 },
        definition: { kind: "rate", max: 100, per_ms: 60_000, burst: 100 }
      })
    }).pipe(Effect.provide(working)))

  it.live("refuse what does not fit, and name the field", () =>
    Effect.gen(function*() {
      yield* registered
      yield* refused(404, "limit_not_found", get(limitPath("nothing")))
      yield* refused(404, "limit_not_found", send("PUT", limitPath("nothing"), { max: 1 }))
      yield* refused(404, "limit_not_found", send("DELETE", limitPath("nothing")))
      yield* refused(400, "invalid_request", send("PUT", limitPath("sync:concurrency"), { max: -1 }))
      yield* refused(400, "invalid_request", send("PUT", limitPath("sync:concurrency"), { per: "1s" }))
      yield* refused(400, "invalid_request", send("PUT", limitPath("sync:concurrency"), {}))
      yield* refused(400, "invalid_request", send("PUT", limitPath("sync:concurrency"), { most: 1 }))
      yield* refused(
        400,
        "invalid_request",
        send("PUT", `${limitPath("sync:concurrency")}?key=${"k".repeat(256)}`, { max: 1 })
      )
      yield* refused(400, "invalid_request", get(limitPath("a=b")))
      yield* refused(400, "invalid_request", get("/api/v1/limits?cursor=x"))
      yield* refused(400, "invalid_request", send("POST", limitPath("ship:order", "/release")))
      yield* refused(400, "invalid_request", send("POST", limitPath("sync:rate", "/release?key=a")))
      yield* refused(
        400,
        "invalid_request",
        send("POST", "/api/v1/tasks", { type: "ship", payload: { order: "a" }, priority: 9 })
      )
    }).pipe(Effect.provide(working)))

  it.live("explain a paused type and key, a spent rate and a blocked key, and go on", () =>
    Effect.gen(function*() {
      yield* create("ship", { order: "bad" }, "first")
      yield* reaches("first", "failed")
      yield* create("ship", { order: "bad" }, "second")
      const blocked = yield* explained("second")
      assert.deepInclude(blocked.reasons[0], {
        code: "key_blocked",
        limit: "ship:order",
        key: "bad",
        holder: { id: "first", status: "failed" }
      })
      assert.isNull(blocked.may_start_at)
      const { json: shown } = yield* get(limitPath("ship:order"))
      assert.deepNestedInclude(shown, { "keys[0].key": "bad", "keys[0].blocked_by": { id: "first", status: "failed" } })
      yield* expecting(204, send("POST", limitPath("ship:order", "/release?key=bad")))
      yield* reaches("second", "failed")

      yield* expecting(204, send("POST", "/api/v1/types/sync/pause", { reason: "Lunch", by: "ada" }))
      yield* expecting(204, send("POST", limitPath("sync:concurrency", "/pause?key=acme"), { for: "1h" }))
      yield* expecting(200, send("PUT", `${limitPath("sync:rate")}?key=acme`, { max: 0.5, per: "1h", burst: 0.5 }))
      yield* create("sync", { tenant: "acme" }, "a")
      const paused = yield* explained("a")
      assert.deepStrictEqual(paused.reasons.map(({ code }) => code), ["type_paused", "key_paused"])
      assert.include(paused.reasons[0]!["text"], "Its type \"sync\" is paused by ada until someone resumes it: Lunch.")
      assert.include(
        paused.reasons[1]!["text"],
        "The key \"acme\" of the limit \"sync:concurrency\" is paused until 20"
      )
      const { json: page } = yield* get("/api/v1/limits")
      assert.deepNestedInclude(page, { "paused_types[0].type": "sync", "paused_keys[0].key": "acme" })
      yield* expecting(204, send("POST", "/api/v1/types/sync/resume"))
      assert.isString((yield* explained("a")).may_start_at)
      yield* expecting(204, send("POST", limitPath("sync:concurrency", "/resume?key=acme")))
      yield* reaches("a", "running")
      yield* send("DELETE", "/api/v1/tasks/a")
      yield* create("sync", { tenant: "acme" }, "b")
      yield* until(
        "the rate is spent",
        Effect.map(explained("b"), ({ reasons }) => reasons.length === 1 && reasons[0]!["code"] === "rate_spent")
      )
      const spent = yield* explained("b")
      assert.deepInclude(spent.reasons[0], { limit: "sync:rate", key: "acme" })
      assert.strictEqual((spent.reasons[0] as any).until, spent.may_start_at)
    }).pipe(Effect.provide(working)))

  it.live("are the same by a remote queue", () =>
    Effect.gen(function*() {
      const queueLayer = yield* remote
      yield* Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* until("three limits", Effect.map(queue.limits(), ({ limits }) => limits.length === 3))
        const changed = yield* queue.setLimit("sync:concurrency", { key: "a b/ü", max: 3, by: "ada", reason: "More" })
        assert.deepInclude(changed, { key: "a b/ü", by: "ada", reason: "More" })
        const detail = yield* queue.limit("sync:concurrency", ["a b/ü", "x,y", ""])
        assert.deepStrictEqual(detail.keys.map(({ key, setting }) => [key, setting]), [
          ["a b/ü", { kind: "concurrency", max: 3 }],
          ["x,y", { kind: "concurrency", max: 1 }],
          ["", { kind: "concurrency", max: 1 }]
        ])
        yield* queue.liftLimit("sync:concurrency", { key: "a b/ü" })
        assert.deepStrictEqual((yield* queue.limit("sync:concurrency")).keys[0]?.setting, { kind: "lifted" })
        yield* queue.resetLimit("sync:concurrency", { key: "a b/ü" })
        assert.instanceOf(yield* Effect.flip(queue.setLimit("nothing", { max: 1 })), LimitNotFound)
        const refusal = yield* Effect.flip(queue.setLimit("sync:concurrency", { weight: 1 }))
        assert.instanceOf(refusal, InvalidOption)
        assert.deepInclude(refusal, { option: "weight" })
        yield* queue.pauseType("sync", { for: "1 hour" })
        yield* queue.pauseKey("sync:rate", "acme", { by: "ada" })
        assert.deepStrictEqual((yield* queue.pausedTypes).map(({ type }) => type), ["sync"])
        assert.deepStrictEqual((yield* queue.pausedKeys).map(({ by, key, limit }) => [limit, key, by]), [[
          "sync:rate",
          "acme",
          "ada"
        ]])
        const { id } = yield* Sync.enqueue({ tenant: "acme" })
        const { reasons } = yield* queue.explain(id)
        assert.deepStrictEqual(reasons.map(({ code }) => code), ["type_paused", "key_paused"])
        yield* queue.resumeType("sync")
        yield* queue.resumeKey("sync:rate", "acme")
        assert.deepStrictEqual([yield* queue.pausedTypes, yield* queue.pausedKeys], [[], []])
        yield* queue.letGo("ship:order", "bad")
        // Its priority is that of the server's type
        yield* Ship.enqueue({ order: "good" })
      }).pipe(Effect.provide(queueLayer))
    }).pipe(Effect.provide(Layer.merge(working, FetchHttpClient.layer))))
})

describe("taskforge limits", () => {
  it.live("lists, shows, sets, lifts, resets and releases", () =>
    Effect.gen(function*() {
      yield* registered
      const { stdout } = yield* succeeding(onServer(["limits", "list"]))
      assert.match(stdout, /^LIMIT +KEY +IS +SET\nship:order +in order; a failed task blocks +by definition\n/)
      assert.match(stdout, /\nsync:concurrency +1 at a time +by definition\nsync:rate +100 per 1m +by definition\n/)
      const set = yield* succeeding(
        onServer([
          "limits",
          "set",
          "sync:concurrency",
          "--key",
          "acme",
          "--max",
          "3",
          "--by",
          "ada",
          "--reason",
          "More"
        ])
      )
      assert.include(set.stdout, "sync:concurrency of acme: 3 at a time, set by ada: More")
      const [json] = jsonOf(yield* succeeding(onServer(["limits", "set", "sync:rate", "--max", "7", "--json"])))
      assert.deepInclude(json, { name: "sync:rate", set_by: "operator" })
      const show = yield* succeeding(onServer(["limits", "show", "sync:concurrency"]))
      assert.match(
        show.stdout,
        /^sync:concurrency: 1 at a time, by definition\nKEY +RUNNING +TOKENS +IS\nacme +0 +3 at a time\n/
      )
      yield* succeeding(onServer(["limits", "lift", "sync:concurrency", "--key", "acme"]))
      assert.include((yield* succeeding(onServer(["limits", "list"]))).stdout, "lifted")
      yield* succeeding(onServer(["limits", "reset", "sync:concurrency", "--key", "acme"]))
      assert.notInclude((yield* succeeding(onServer(["limits", "list"]))).stdout, "lifted")
      yield* create("ship", { order: "bad" }, "first")
      yield* reaches("first", "failed")
      yield* create("ship", { order: "bad" }, "second")
      assert.include(
        (yield* succeeding(onServer(["limits", "show", "ship:order"]))).stdout,
        "blocked by first, which is failed"
      )
      assert.include((yield* succeeding(onServer(["explain", "second"]))).stdout, "key_blocked")
      yield* succeeding(onServer(["limits", "release", "ship:order", "--key", "bad"]))
      yield* reaches("second", "failed")
      for (const words of [["limits", "release", "ship:order"], ["pause", "--limit", "sync:rate"]]) {
        assert.include(yield* failing(64, onServer(words)), "has keys, and --key names none")
      }
      const unknown = yield* onServer(["limits", "show", "nothing"])
      assert.deepInclude(unknown, { code: 66 })
      assert.include(yield* failing(65, onServer(["limits", "set", "sync:concurrency", "--weight", "2"])), "weight")
    }).pipe(Effect.provide(working)))

  it.live("has pauses of types and keys next to it", () =>
    Effect.gen(function*() {
      yield* registered
      const paused = yield* succeeding(onServer(["pause", "--type", "sync", "--limit", "sync:rate", "--key", "acme"]))
      assert.strictEqual(paused.stdout, "‖ type sync is paused\n‖ sync:rate of acme is paused\n")
      assert.match(
        (yield* succeeding(onServer(["limits", "list"]))).stdout,
        /^‖ type sync is paused\n‖ sync:rate of acme is paused\n/
      )
      const resumed = yield* succeeding(onServer(["resume", "--type", "sync", "--limit", "sync:rate", "--key", "acme"]))
      assert.strictEqual(resumed.stdout, "▸ type sync goes on\n▸ sync:rate of acme goes on\n")
      assert.strictEqual((yield* onServer(["pause"])).code, 64)
      assert.strictEqual((yield* onServer(["pause", "--key", "acme"])).code, 64)
    }).pipe(Effect.provide(working)))
})

/** Breakers in the queue, over HTTP, by a remote queue, and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpServer as Listener } from "effect/http"
import * as Breaker from "../../src/Breaker.ts"
import { BreakerNotFound, InvalidOption } from "../../src/domain/Errors.ts"
import { HttpTaskQueue } from "../../src/http/index.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { failing, jsonOf, onServer, succeeding } from "../cli/CommandLine.ts"
import { until } from "../e2e/Server.ts"
import { expecting, get, layer, refused, send } from "./TestServer.ts"

const Smtp = Breaker.make("smtp", { failures: 1, openFor: "1 hour" })
const Web = Breaker.make("web", {
  failures: 2,
  within: "10 seconds",
  openFor: "1 second",
  maxOpenFor: "1 minute",
  key: ({ host }: { readonly host: string }) => host
})

const Mail = Task.make("mail", { payload: { fails: Schema.Boolean }, breakers: [Smtp], retry: { times: 0 } })
const Fetch = Task.make("fetch", { payload: { host: Schema.String }, breakers: [Web] })

const working = layer({
  definitions: [Mail, Fetch],
  handlers: Layer.mergeAll(
    Mail.toLayer(({ fails }) => fails ? Effect.die("smtp://ada:secret@mail.example does not answer") : Effect.void),
    Fetch.toLayer(() => Effect.void)
  )
})

const create = (type: string, payload: object, id: string) =>
  expecting(201, send("POST", "/api/v1/tasks", { type, payload, id }))

const statusOf = (id: string) =>
  Effect.map(get(`/api/v1/tasks/${id}`), ({ json }) => (json as { status: string }).status)

const reaches = (id: string, status: string) =>
  until(`${id} is ${status}`, Effect.map(statusOf(id), (found) => found === status))

const page = Effect.map(get("/api/v1/breakers"), ({ json }) => json as { breakers: ReadonlyArray<any>; next: unknown })

/** The pool has told which breakers its types have. */
const registered = until("two breakers", Effect.map(page, ({ breakers }) => breakers.length === 2))

const opened = Effect.gen(function*() {
  yield* registered
  yield* create("mail", { fails: true }, "first")
  yield* reaches("first", "failed")
})

describe("breakers over HTTP", () => {
  it.live("are listed, and explain why a task waits, without secrets", () =>
    Effect.gen(function*() {
      yield* opened
      yield* create("mail", { fails: false }, "second")
      const { breakers, next } = yield* page
      assert.isNull(next)
      const [smtp, web] = breakers
      assert.deepInclude(smtp, {
        name: "smtp",
        is_keyed: false,
        state: "open",
        settings: { failures: 1, within_ms: 60_000, open_for_ms: 3_600_000, max_open_for_ms: 3_600_000 }
      })
      const [key] = smtp.keys
      assert.deepInclude(key, { key: "", state: "open", openings: 1, failures: 0, by: null, reason: null })
      assert.deepInclude(key.last_failure, {
        tag: "string",
        task: "first",
        message: "smtp://***@mail.example does not answer"
      })
      assert.deepInclude(web, { name: "web", is_keyed: true, state: "closed", keys: [] })
      const { json } = yield* get("/api/v1/tasks/second/explain")
      const { may_start_at, reasons: [reason], summary } = json as any
      assert.deepInclude(reason, { code: "breaker_open", breaker: "smtp", key: "", tries: null, until: key.until })
      assert.strictEqual(may_start_at, key.until)
      assert.match(
        summary,
        /^The breaker "smtp" is open since \S+Z: one task tries it at \S+Z\. The last failure was string: smtp:\/\/\*\*\*@mail\.example does not answer\.$/
      )
      assert.strictEqual(yield* statusOf("second"), "pending")
      const { text } = yield* get("/metrics")
      assert.include(text, "taskforge_breaker_state{breaker=\"smtp\"} 2")
      assert.include(text, "taskforge_breaker_state{breaker=\"web\"} 0")
      // no limit that people set
      assert.deepStrictEqual(((yield* get("/api/v1/limits")).json as any).limits, [])
      yield* expecting(204, send("DELETE", "/api/v1/breakers/smtp"))
      yield* reaches("second", "completed")
      const after = (yield* get("/api/v1/breakers/smtp")).json as any
      assert.deepInclude(after.keys[0], { state: "closed", since: null, last_failure: null })
    }).pipe(Effect.provide(working)))

  it.live("are opened for a time by hand, and closed by the task that tries", () =>
    Effect.gen(function*() {
      yield* registered
      const { json } = yield* expecting(
        200,
        send("PUT", "/api/v1/breakers/web?key=a.example", { for: "1s", by: "ada", reason: "It moves" })
      )
      assert.deepInclude((json as any).keys[0], { key: "a.example", state: "open", by: "ada", reason: "It moves" })
      yield* create("fetch", { host: "a.example" }, "a")
      yield* create("fetch", { host: "b.example" }, "b")
      yield* reaches("b", "completed")
      const { json: why } = yield* get("/api/v1/tasks/a/explain")
      assert.include((why as any).summary, "ada opened it: It moves.")
      yield* reaches("a", "completed")
      yield* until(
        "web is closed",
        Effect.map(get("/api/v1/breakers/web"), ({ json }) => (json as any).keys.length === 0)
      )
      yield* expecting(200, send("PUT", "/api/v1/breakers/web?key=c.example", { for: "1h", by: "ada" }))
      yield* create("fetch", { host: "c.example" }, "c")
      // nothing has failed that could be brought back
      const { text } = yield* get("/api/v1/queues/default/explain")
      assert.include(text, "\"Tasks start at once with taskforge breakers reset web --key c.example\"")
    }).pipe(Effect.provide(working)))

  it.live("are refused where a request makes no sense", () =>
    Effect.gen(function*() {
      yield* registered
      yield* refused(404, "breaker_not_found", get("/api/v1/breakers/nothing"))
      yield* refused(404, "breaker_not_found", send("PUT", "/api/v1/breakers/nothing", {}))
      yield* refused(404, "breaker_not_found", send("DELETE", "/api/v1/breakers/nothing"))
      yield* refused(400, "invalid_request", send("PUT", "/api/v1/breakers/web", {}))
      yield* refused(400, "invalid_request", send("PUT", "/api/v1/breakers/smtp?key=a", {}))
      // It would say that the breaker of this key is closed, whatever that of all tasks is
      yield* refused(400, "invalid_request", get("/api/v1/breakers/smtp?key=a"))
      yield* refused(400, "invalid_request", send("PUT", "/api/v1/breakers/smtp", { for: 0 }))
      yield* refused(400, "invalid_request", send("PUT", "/api/v1/breakers/smtp", { untill: 1 }))
      yield* refused(400, "invalid_request", get("/api/v1/breakers/~smtp"))
      yield* refused(400, "invalid_request", get("/api/v1/breakers?cursor=x"))
      yield* refused(404, "limit_not_found", get("/api/v1/limits/~smtp"))
      yield* refused(404, "limit_not_found", send("PUT", "/api/v1/limits/smtp", { max: 1 }))
    }).pipe(Effect.provide(working)))

  it.live("are the same for a remote queue", () =>
    Effect.gen(function*() {
      const server = yield* Listener.HttpServer
      yield* Effect.gen(function*() {
        const { breaker, breakers, openBreaker, resetBreaker } = yield* TaskQueue
        yield* until("two breakers", Effect.map(breakers(), ({ breakers }) => breakers.length === 2))
        const first = yield* breakers({ limit: 1 })
        assert.deepStrictEqual(first.breakers.map(({ name }) => name), ["smtp"])
        const { breakers: rest } = yield* breakers({ cursor: first.next! })
        assert.deepStrictEqual(rest.map(({ name, settings }) => [name, Duration.toMillis(settings.maxOpenFor)]), [
          ["web", 60_000]
        ])
        const open = yield* openBreaker("web", { key: "a", for: "1 hour", by: "ada" })
        assert.deepInclude(open.keys[0], { key: "a", state: "open", by: "ada", reason: null })
        const { keys, state } = yield* breaker("web", ["a", "b"])
        assert.strictEqual(state, "open")
        assert.deepStrictEqual(keys.map(({ key, state }) => [key, state]), [["a", "open"], ["b", "closed"]])
        yield* resetBreaker("web")
        assert.deepInclude(yield* breaker("web"), { state: "closed", keys: [] })
        // more of them than one page has
        yield* Effect.forEach(
          Array.from({ length: 120 }, (_, index) => `host-${index}`),
          (key) => openBreaker("web", { key, for: "1 hour" }),
          { concurrency: 10 }
        )
        yield* resetBreaker("web")
        assert.deepInclude(yield* breaker("web"), { state: "closed", keys: [] })
        assert.instanceOf(yield* Effect.flip(breaker("smtp", ["a"])), InvalidOption)
        assert.instanceOf(yield* Effect.flip(breaker("nothing")), BreakerNotFound)
        assert.instanceOf(yield* Effect.flip(openBreaker("web")), InvalidOption)
        assert.instanceOf(yield* Effect.flip(openBreaker("web", { key: "a", for: 0 })), InvalidOption)
        assert.instanceOf(yield* Effect.flip(resetBreaker("a=b")), InvalidOption)
      }).pipe(Effect.provide(HttpTaskQueue.layer({ url: Listener.formatAddress(server.address) })))
    }).pipe(Effect.provide(Layer.merge(working, FetchHttpClient.layer))))
})

describe("taskforge breakers", () => {
  it.live("lists, shows, opens and resets", () =>
    Effect.gen(function*() {
      yield* opened
      const list = yield* succeeding(onServer(["breakers", "list"]))
      assert.match(list.stdout, /^BREAKER +STATE +KEYS +IS\nsmtp +open +1 failure in 1m opens it for 1h\n/)
      assert.match(list.stdout, /\nweb +closed +2 failures in 10s open it for 1s, up to 1m\n/)
      const show = yield* succeeding(onServer(["breakers", "show", "smtp"]))
      assert.match(show.stdout, /^smtp: open, 1 failure in 1m opens it for 1h\nKEY +STATE +SINCE +TRIED AT +WHY\n/)
      assert.match(show.stdout, /\n\(all\) +open +\S+Z +\S+Z +string: smtp:/)
      const reset = yield* succeeding(onServer(["breakers", "reset", "smtp"]))
      assert.strictEqual(reset.stdout, "✓ smtp is closed\n")
      const open = yield* succeeding(
        onServer(["breakers", "open", "web", "--key", "a", "--for", "1h", "--by", "ada", "--reason", "It moves"])
      )
      assert.match(open.stdout, /\na +open +\S+Z +\S+Z +opened by ada: It moves\n/)
      const [json] = jsonOf(yield* succeeding(onServer(["breakers", "show", "web", "--json"])))
      assert.deepInclude(json, { name: "web", state: "open" })
      assert.include((yield* succeeding(onServer(["breakers", "list"]))).stdout, "web")
      yield* succeeding(onServer(["breakers", "reset", "web", "--key", "a"]))
      assert.include(
        (yield* succeeding(onServer(["breakers", "show", "web"]))).stdout,
        "No key has failures or is open."
      )
      assert.deepInclude(yield* onServer(["breakers", "show", "nothing"]), { code: 66 })
      assert.include(yield* failing(65, onServer(["breakers", "open", "web"])), "key")
    }).pipe(Effect.provide(working)))
})

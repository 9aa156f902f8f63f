import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Option, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { createHmac } from "node:crypto"
import * as Handlers from "../../src/handlers/index.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { patiently } from "../Patience.ts"
import * as Site from "./outbound/Site.ts"
import { failureOf, isRefused, outcomeOf, post, resultOf, withHandlers } from "./TestHandlers.ts"

const stored = (id: string) => TaskQueue.use((queue) => queue.get(id))

describe("webhook", () => {
  it.live("delivers a body that its receiver can check", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.writeHead(202).end("thanks"))
      const body = { event: "order.paid", order: 7 }
      const begun = yield* Clock.currentTimeMillis
      const result = yield* resultOf("webhook", { url: `${site.url}/hook`, body, headers: { "X-Shop": "1" } })
      assert.deepStrictEqual(result, { status: 202, url: `${site.url}/hook`, redirects: 0, answer: "thanks" })
      const [asked] = site.asked
      assert.strictEqual(asked!.method, "POST")
      assert.deepStrictEqual(JSON.parse(asked!.body), body)
      const { headers } = asked!
      assert.strictEqual(headers["content-type"], "application/json")
      assert.strictEqual(headers["x-shop"], "1")
      assert.notProperty(headers, "traceparent")
      assert.notProperty(headers, "b3")
      assert.strictEqual(headers["idempotency-key"], headers["webhook-id"])
      const timestamp = Number(headers["webhook-timestamp"])
      assert.isAtLeast(timestamp, Math.floor(begun / 1000))
      assert.isAtMost(timestamp, (yield* Clock.currentTimeMillis) / 1000)
      const signed = `${headers["webhook-id"]}.${timestamp}.${asked!.body}`
      const expected = createHmac("sha256", Buffer.from("c2VjcmV0", "base64")).update(signed).digest("base64")
      assert.strictEqual(headers["webhook-signature"], `v1,${expected}`)
    }).pipe(withHandlers({ secret: "whsec_c2VjcmV0" })))

  it.live("sends its body under either name, also null, and an empty object without", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.end())
      const { url } = site
      for (const payload of [{ url, body: null }, { url, data: null }, { url, data: [1] }, { url }]) {
        yield* resultOf("webhook", payload)
      }
      assert.deepStrictEqual(site.asked.map(({ body }) => body), ["null", "null", "[1]", "{}"])
      yield* isRefused("webhook", { url, body: null, data: null })
    }).pipe(withHandlers()))

  it.live("tries again after 5xx, not before Retry-After, with the same idempotency key", () =>
    Effect.gen(function*() {
      const times: Array<number> = []
      const site = yield* Site.start((_, response) => {
        times.push(Date.now())
        response.writeHead(times.length === 1 ? 503 : 200, { "retry-after": "2" }).end()
      })
      const { result } = yield* outcomeOf("webhook", { url: site.url })
      assert.isTrue(Option.isSome(result))
      assert.strictEqual(site.asked.length, 2)
      assert.isAtLeast(times[1]! - times[0]!, 2000)
      assert.strictEqual(site.asked[0]!.headers["webhook-id"], site.asked[1]!.headers["webhook-id"])
    }).pipe(withHandlers()))

  it.live("does not try again what is rejected, refused, or sent elsewhere as something else", () =>
    Effect.gen(function*() {
      const site = yield* Site.start(({ path }, response) =>
        response.writeHead(path === "/moved" ? 302 : path === "/gone" ? 410 : 304, { location: "/hook" }).end("no")
      )
      for (
        const [url, tag] of [
          [`${site.url}/gone`, "RequestRejected"],
          [`${site.url}/moved`, "RequestRefused"],
          [`${site.url}/304`, "RequestRejected"],
          ["http://169.254.169.254/latest", "RequestRefused"],
          ["http://[::1]/", "RequestRefused"]
        ] as const
      ) {
        const { failure, id } = yield* outcomeOf("webhook", { url })
        assert.strictEqual(failure?.tag, tag, url)
        assert.strictEqual((yield* stored(id)).failures, 1, url)
      }
    }).pipe(withHandlers()))

  it.effect("waits for a host that keeps failing, and spends no retries on that", () =>
    Effect.gen(function*() {
      let isWell = false
      const site = yield* Site.start((_, response) => response.writeHead(isWell ? 200 : 500).end())
      yield* failureOf("webhook", { url: site.url })
      const id = yield* post("webhook", { url: site.url }, { maxRetries: 0 })
      const isNow = (state: string) =>
        TestClock.withLive(Effect.repeat(stored(id), { until: (task) => task.state === state, schedule: patiently() }))
      yield* isNow("scheduled")
      assert.lengthOf(site.asked, 1)
      isWell = true
      yield* TestClock.adjust("1 minute")
      yield* isNow("completed")
      assert.strictEqual((yield* stored(id)).failures, 0)
    }).pipe(withHandlers({ outbound: { breakAfter: 1, breakFor: "30 seconds" } })))

  it.live("takes URLs and headers that can be sent", () =>
    Effect.gen(function*() {
      for (const url of ["", "example.org", "file:///etc/passwd", "http://", 7]) yield* isRefused("webhook", { url })
      for (const headers of [{ host: "a" }, { "a b": "c" }, { a: "b\r\nc: d" }, { "Transfer-Encoding": "chunked" }]) {
        yield* isRefused("webhook", { url: "https://example.org", headers })
      }
      yield* isRefused("webhook", { url: "https://example.org", method: "GET" })
    }).pipe(withHandlers()))
})

describe("http_request", () => {
  it.live("gives the answer, as text or base64", () =>
    Effect.gen(function*() {
      const site = yield* Site.start(({ path }, response) =>
        response.setHeader("x-kind", "test").end(path === "/text" ? "grüß" : Buffer.from([0xff, 0xfe, 0]))
      )
      const text = yield* resultOf("http_request", { url: `${site.url}/text` })
      assert.deepInclude(text, { status: 200, body: "grüß", encoding: "text", redirects: 0 })
      assert.deepInclude(text["headers"], { "x-kind": "test" })
      const bytes = yield* resultOf("http_request", { url: `${site.url}/bytes` })
      assert.deepInclude(bytes, { body: "//4A", encoding: "base64" })
      assert.notProperty(site.asked[0]!.headers, "idempotency-key")
    }).pipe(withHandlers()))

  it.live("keeps no secret of an answer, as webhook does not either", () =>
    Effect.gen(function*() {
      const site = yield* Site.start(({ path }, response) =>
        response.writeHead(path === "/" ? 307 : path.startsWith("/304") ? 304 : 200, {
          location: "/signed?page=2&X-Amz-Signature=hunter2",
          "set-cookie": "session=hunter2",
          "X-CSRF-Token": "hunter2",
          etag: "\"1\""
        }).end()
      )
      const { headers, url } = yield* resultOf("http_request", { url: `${site.url}/` })
      assert.deepInclude(headers, { "set-cookie": "***", "x-csrf-token": "***", etag: "\"1\"" })
      const signed = `${site.url}/signed?page=2&X-Amz-Signature=***`
      assert.strictEqual(url, signed)
      assert.deepInclude(yield* resultOf("webhook", { url: `${site.url}/` }), { url: signed })
      const { error } = yield* failureOf("webhook", { url: `${site.url}/304?key=hunter2` })
      assert.deepInclude(error, { url: `${site.url}/304?***` })
    }).pipe(withHandlers()))

  it.live("sends text or JSON, with an idempotency key", () =>
    Effect.gen(function*() {
      const site = yield* Site.start((_, response) => response.end())
      yield* resultOf("http_request", { url: site.url, method: "PUT", json: { a: 1 } })
      yield* resultOf("http_request", { url: site.url, method: "POST", body: "x", headers: { "Content-Type": "a/b" } })
      assert.deepInclude(site.asked[0], { method: "PUT", body: "{\"a\":1}" })
      assert.strictEqual(site.asked[0]!.headers["content-type"], "application/json")
      assert.isString(site.asked[0]!.headers["idempotency-key"])
      assert.strictEqual(site.asked[1]!.headers["content-type"], "a/b")
      yield* isRefused("http_request", { url: site.url, method: "POST", json: 1, body: "1" })
      yield* isRefused("http_request", { url: site.url, body: "1" })
    }).pipe(withHandlers()))

  it.live("stops when its task is cancelled or its time is up", () =>
    Effect.gen(function*() {
      const closed: Array<string> = []
      const site = yield* Site.start(({ path }, response) => response.on("close", () => closed.push(path)))
      const handle = yield* Handlers.HttpRequest.enqueue({
        url: `${site.url}/cancelled`,
        method: "GET",
        headers: {},
        max_bytes: 10,
        follow_redirects: true
      })
      yield* Effect.repeat(Effect.sync(() => site.asked.length), {
        until: (asked) => asked === 1,
        schedule: Schedule.spaced("10 millis")
      })
      yield* handle.cancel
      assert.strictEqual((yield* Effect.flip(handle.result))._tag, "TaskCancelled")
      const failure = yield* failureOf("http_request", { url: `${site.url}/late`, timeout: "100ms" })
      assert.strictEqual(failure.tag, "RequestFailed")
      yield* Effect.repeat(Effect.sync(() => closed.length), {
        until: (count) => count === 2,
        schedule: Schedule.spaced("10 millis")
      })
    }).pipe(withHandlers()))
})

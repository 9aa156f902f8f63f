import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import { HttpServer as Listener } from "effect/http"
import { IpNetwork } from "effect/net"
import { TestClock } from "effect/testing"
import { connect, type Socket } from "node:net"
import * as ApiKeys from "../../src/access/ApiKeys.ts"
import { patiently } from "../Patience.ts"
import { exchange, parse, port } from "./RawHttp.ts"
import { expecting, get, layer, type Options, refused, send } from "./TestServer.ts"

const server = (http: Options["http"] = {}) => Layer.merge(layer({ http }), SecureRandom.layerWebCrypto)

const minute = (limit: number) => ({ limit, window: Duration.minutes(1) })

const from = (address: string) => send("GET", "/health", undefined, { "x-forwarded-for": address })

describe("a rate limit", () => {
  it.effect("lets an address pass so often, says how often that still is, and when it may come again", () =>
    Effect.gen(function*() {
      for (const remaining of ["2", "1", "0"]) {
        const { headers } = yield* expecting(200, get("/health"))
        assert.strictEqual(headers["ratelimit-limit"], "3")
        assert.strictEqual(headers["ratelimit-remaining"], remaining)
        assert.isAbove(Number(headers["ratelimit-reset"]), 0)
      }
      const answer = yield* get("/health")
      const error = yield* refused(429, "rate_limited", Effect.succeed(answer))
      assert.strictEqual(answer.headers["retry-after"], "60")
      assert.deepInclude(error, { limit: 3, retry_after: 60 })
      yield* refused(429, "rate_limited", get("/nothing"))
      yield* TestClock.adjust("1 minute")
      yield* expecting(200, get("/health"))
    }).pipe(Effect.provide(server({ rateLimits: { perAddress: minute(3) } }))))

  it.effect("says when to come again in whole seconds, never earlier than it would let the client pass", () =>
    Effect.gen(function*() {
      yield* expecting(200, get("/health"))
      // 2.5 s, then 1.3 s, then 0.3 s are left
      for (const [passed, wait] of [[0, "3"], [1200, "2"], [1000, "1"]] as const) {
        yield* TestClock.adjust(passed)
        const answer = yield* get("/health")
        assert.strictEqual(answer.status, 429)
        for (const header of ["retry-after", "ratelimit-reset"]) assert.strictEqual(answer.headers[header], wait)
        assert.strictEqual((yield* refused(429, "rate_limited", Effect.succeed(answer)))["retry_after"], Number(wait))
      }
    }).pipe(Effect.provide(server({ rateLimits: { perAddress: { limit: 1, window: Duration.millis(2500) } } }))))

  it.effect("lets less than twice its limit through in any window, and the limit per window in the long run", () =>
    Effect.gen(function*() {
      const passed: Array<number> = []
      const ask = Effect.fnUntraced(function*(times: number) {
        for (let index = 0; index < times; index++) {
          if ((yield* get("/health")).status === 200) passed.push(yield* Clock.currentTimeMillis)
        }
      })
      // The worst that clients can do: one request begins a window, the rest comes at its end, all of the next at once
      yield* ask(1)
      yield* TestClock.adjust("249 millis")
      yield* ask(10)
      for (let window = 0; window < 5; window++) {
        yield* TestClock.adjust("751 millis")
        yield* ask(10)
        yield* TestClock.adjust("249 millis")
        yield* ask(10)
      }
      const most = Math.max(...passed.map((from) => passed.filter((at) => at >= from && at < from + 1000).length))
      assert.isAbove(most, 4)
      assert.isAtMost(most, 2 * 4 - 1)
      assert.isAtMost(passed.length, 4 * (passed.at(-1)! / 1000 + 1))
    }).pipe(Effect.provide(server({ rateLimits: { perAddress: { limit: 4, window: Duration.seconds(1) } } }))))

  it.effect("counts clients behind a trusted proxy apart, and believes nobody else", () =>
    Effect.gen(function*() {
      yield* expecting(200, from("203.0.113.1"))
      yield* refused(429, "rate_limited", from("203.0.113.1"))
      // What the client itself wrote before the proxy's entry does not count
      yield* refused(429, "rate_limited", from("198.51.100.7, 203.0.113.1"))
      yield* expecting(200, from("203.0.113.2"))
      // A subscriber of IPv6 is one subject, whatever address of its network it takes
      yield* expecting(200, from("2001:db8:1:2::1"))
      yield* refused(429, "rate_limited", from("2001:db8:1:2:ffff::9"))
      yield* expecting(200, from("2001:db8:1:3::1"))
    }).pipe(Effect.provide(server({
      rateLimits: { perAddress: minute(1) },
      trustedProxies: [IpNetwork.fromStringUnsafe("127.0.0.0/8")]
    }))))

  it.effect("is not fooled by a header of whoever asks directly", () =>
    Effect.gen(function*() {
      yield* expecting(200, from("203.0.113.1"))
      yield* refused(429, "rate_limited", from("203.0.113.2"))
    }).pipe(Effect.provide(server({ rateLimits: { perAddress: minute(1) } }))))

  it.live("counts each key by itself", () =>
    Effect.gen(function*() {
      const keys = yield* Effect.forEach(["a", "b"], (name) => Effect.orDie(ApiKeys.create({ name, role: "read" })))
      const [a, b] = keys.map(({ secret }) => ({ authorization: `Bearer ${Redacted.value(secret)}` }))
      const list = (headers?: Record<string, string>) => send("GET", "/api/v1/tasks", undefined, headers)
      yield* expecting(200, list(a))
      const limited = yield* list(a)
      yield* refused(429, "rate_limited", Effect.succeed(limited))
      assert.match(limited.headers["retry-after"] ?? "", /^[1-9]\d?$/)
      yield* expecting(200, list(b))
      yield* refused(401, "unauthorized", list())
    }).pipe(Effect.provide(server({ requireKeys: true, rateLimits: { perKey: minute(1) } }))))
})

describe("a page of another origin", () => {
  const origins = server({ allowedOrigins: ["https://one.example"], requireKeys: true })
  const asking = (origin: string, method: "GET" | "OPTIONS" = "GET") => send(method, "/health", undefined, { origin })

  it.effect("may call the API when its origin is listed, without sending cookies", () =>
    Effect.gen(function*() {
      const answer = yield* expecting(200, asking("https://one.example"))
      assert.strictEqual(answer.headers["access-control-allow-origin"], "https://one.example")
      assert.notProperty(answer.headers, "access-control-allow-credentials")
      const preflight = yield* expecting(204, asking("https://one.example", "OPTIONS"))
      assert.include(preflight.headers["access-control-allow-headers"], "authorization")
    }).pipe(Effect.provide(origins)))

  it.effect("is kept out by browsers otherwise", () =>
    Effect.gen(function*() {
      for (const origin of ["https://two.example", "https://one.example.evil", "null"]) {
        assert.notProperty((yield* asking(origin)).headers, "access-control-allow-origin")
        assert.notProperty((yield* asking(origin, "OPTIONS")).headers, "access-control-allow-origin")
      }
    }).pipe(Effect.provide(origins)))

  it.effect("is kept out when no origin is listed", () =>
    Effect.gen(function*() {
      assert.notProperty((yield* asking("https://one.example")).headers, "access-control-allow-origin")
    }).pipe(Effect.provide(server())))
})

describe("an answer", () => {
  it.effect("tells browsers to be careful, whether it is a page, JSON or an error", () =>
    Effect.gen(function*() {
      for (const path of ["/", "/docs", "/health", "/metrics", "/openapi.json", "/nothing"]) {
        const { headers } = yield* get(path)
        assert.strictEqual(headers["x-content-type-options"], "nosniff", path)
        assert.strictEqual(headers["referrer-policy"], "no-referrer", path)
        assert.match(headers["content-security-policy"] ?? "", /^default-src 'none'.*frame-ancestors 'none'/, path)
      }
    }).pipe(Effect.provide(server())))
})

describe("a client that does not behave", () => {
  /** Sends a text and reads the error that it is answered with. */
  const refusedRaw = Effect.fnUntraced(function*(status: number, code: string, text: string) {
    const answer = parse(yield* exchange(yield* port, text))
    assert.strictEqual(answer.status, status, answer.body)
    assert.strictEqual(answer.headers["content-type"], "application/json")
    assert.strictEqual(JSON.parse(answer.body).error.code, code)
  })

  it.live("is told so in JSON, whatever it sends", () =>
    Effect.gen(function*() {
      yield* refusedRaw(400, "malformed_request", "nonsense\r\n\r\n")
      yield* refusedRaw(400, "malformed_request", "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n")
      yield* refusedRaw(400, "malformed_request", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
      yield* refusedRaw(431, "headers_too_large", `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)
      yield* refusedRaw(431, "headers_too_large", `GET /${"y".repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`)
      const long = `GET /${"y".repeat(9000)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`
      yield* refusedRaw(414, "uri_too_long", long)
    }).pipe(Effect.provide(server())))

  it.live("is cut off when more connections are open than there may be", () =>
    Effect.gen(function*() {
      const { address } = yield* Listener.HttpServer
      const target = Number(new URL(Listener.formatAddress(address)).port)
      const dial = Effect.acquireRelease(
        Effect.callback<Socket>((resume) => {
          const socket = connect(target, "127.0.0.1", () => resume(Effect.succeed(socket)))
          socket.on("error", () => {})
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const open = yield* Effect.forEach(Array.from({ length: 6 }), () => dial)
      yield* Effect.repeat(Effect.void, {
        until: () => open.filter(({ readableEnded, closed }) => readableEnded || closed).length === 3,
        schedule: patiently()
      })
      assert.strictEqual(open.filter(({ readableEnded, closed }) => !readableEnded && !closed).length, 3)
    }).pipe(Effect.scoped, Effect.provide(server({ maxConnections: 3 }))))
})

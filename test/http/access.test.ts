import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, References, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as ApiKeys from "../../src/access/ApiKeys.ts"
import type { Role } from "../../src/domain/ApiKey.ts"
import { Api } from "../../src/http/api/Api.ts"
import { routesOf } from "../../src/http/api/NeededRole.ts"
import type { QueuePageJson } from "../../src/http/api/QueuesApi.ts"
import * as AuditLog from "../../src/http/AuditLog.ts"
import { keyless } from "../../src/http/Visitor.ts"
import { patiently } from "../Patience.ts"
import * as EventStream from "./EventStream.ts"
import * as RawHttp from "./RawHttp.ts"
import { type Answering, expecting, get, layer, type Options, post, refused, send } from "./TestServer.ts"

const server = (http: Options["http"] = {}, log = Logger.layer([])) =>
  Layer.merge(layer({ http }), SecureRandom.layerWebCrypto).pipe(Layer.provide(log))

/** Makes a key and answers the headers that carry it. */
const keyed = Effect.fnUntraced(function*(role: Role) {
  const { key, secret } = yield* Effect.orDie(ApiKeys.create({ name: `a ${role}`, role }))
  return { key, secret: Redacted.value(secret), headers: { authorization: `Bearer ${Redacted.value(secret)}` } }
})

/** Asks until the answer has this status. */
const eventually = (status: number, answering: Answering) =>
  Effect.repeat(answering, { until: (answer) => answer.status === status, schedule: patiently() })

/** Keeps the annotations of log lines. */
const recorder = () => {
  const lines: Array<Record<string, unknown>> = []
  const log = Logger.layer([Logger.make(({ fiber }) => {
    lines.push({ ...fiber.getRef(References.CurrentLogAnnotations) })
  })])
  return { lines, log }
}

const adminKey = "operator_admin_key_0123456789abcdef"

const list = (headers?: Record<string, string>) => send("GET", "/api/v1/tasks", undefined, headers)

describe("a server without keys", () => {
  it.effect("asks nobody who they are", () =>
    Effect.gen(function*() {
      yield* expecting(200, list())
      yield* expecting(201, post({ type: "tick" }))
      yield* expecting(200, list({ authorization: "Basic dGE6c2s=" }))
    }).pipe(Effect.provide(server())))

  it.effect("refuses a key that it does not know: its caller expects to be asked", () =>
    Effect.gen(function*() {
      yield* refused(401, "unknown_key", list({ authorization: "Bearer whatever" }))
      yield* refused(401, "unknown_key", list({ "x-api-key": `tf_000000000000_${"A".repeat(43)}` }))
    }).pipe(Effect.provide(server())))

  it.effect("refuses everybody when it must have keys, except who asks whether it is up and how to use it", () =>
    Effect.gen(function*() {
      const answer = yield* list()
      yield* refused(401, "unauthorized", Effect.succeed(answer))
      assert.match(answer.headers["www-authenticate"] ?? "", /^Bearer/)
      yield* refused(401, "unauthorized", get("/metrics"))
      yield* refused(401, "unauthorized", get("/nothing/here"))
      const health = yield* get("/health")
      assert.deepStrictEqual(Object.keys(health.json as object), ["status", "timestamp"])
      yield* refused(401, "unauthorized", send("POST", "/"))
      for (const path of ["/health", "/api/v1/health", "/docs", "/openapi.json", "/"]) yield* expecting(200, get(path))
      const { text } = yield* get("/")
      assert.include(text, "Requests need an API key")
      assert.notInclude(text, "pending")
    }).pipe(Effect.provide(server({ requireKeys: true }))))
})

describe("a server with a key", () => {
  it.effect("asks for one soon after the first was made, and goes on when the last is gone", () =>
    Effect.gen(function*() {
      const { headers, key } = yield* keyed("read")
      yield* expecting(200, list())
      yield* TestClock.adjust("5 seconds")
      yield* eventually(401, list())
      yield* expecting(200, list(headers))
      yield* Effect.orDie(ApiKeys.revoke(key.id))
      yield* TestClock.adjust("5 seconds")
      yield* eventually(401, list(headers))
      yield* refused(401, "unauthorized", list())
    }).pipe(Effect.provide(server())))

  it.live("says what the key may do, and a server without keys that everyone may do everything", () =>
    Effect.gen(function*() {
      const whom = yield* expecting(200, get("/api/v1/me"))
      assert.deepInclude(whom.json, { key: null, role: "admin" })
      const { headers, key } = yield* keyed("read")
      const { json } = yield* expecting(200, send("GET", "/api/v1/me", undefined, headers))
      assert.deepInclude(json, { key: key.name, role: "read" })
    }).pipe(Effect.provide(server())))

  it.live("takes it in either header, and nothing that is nearly one", () =>
    Effect.gen(function*() {
      const { key, secret } = yield* keyed("read")
      yield* expecting(200, list({ authorization: `Bearer ${secret}` }))
      yield* expecting(200, list({ authorization: `bearer  ${secret}` }))
      yield* expecting(200, list({ "x-api-key": secret }))
      for (
        const headers of [{ authorization: secret }, { authorization: `Basic ${secret}` }, { cookie: `key=${secret}` }]
      ) {
        yield* refused(401, "unauthorized", list(headers as unknown as Record<string, string>))
      }
      for (
        const headers of [
          { authorization: `Bearer ${secret}x` },
          { authorization: `Bearer ${secret.slice(0, -1)}` },
          { authorization: `Bearer tf_${key.id}_${"A".repeat(43)}` },
          { authorization: `Bearer tf_000000000000_${secret.slice(-43)}` },
          { "x-api-key": "" },
          { "x-api-key": "__proto__" }
        ]
      ) yield* refused(401, "unknown_key", list(headers as unknown as Record<string, string>))
      yield* refused(401, "unauthorized", get(`/api/v1/tasks?access_token=${secret}`))
    }).pipe(Effect.provide(server({ requireKeys: true }))))

  it.live("lets a key do what its role allows", () =>
    Effect.gen(function*() {
      const reader = (yield* keyed("read")).headers
      const writer = (yield* keyed("write")).headers
      const admin = (yield* keyed("admin")).headers
      const pause = (headers: Record<string, string>) =>
        send("POST", "/api/v1/queues/default/pause", undefined, headers)
      yield* expecting(200, send("GET", "/metrics", undefined, reader))
      assert.strictEqual((yield* refused(403, "forbidden", post({ type: "tick" }, reader)))["needed"], "write")
      yield* refused(403, "forbidden", send("DELETE", "/api/v1/tasks/1", undefined, reader))
      yield* refused(403, "forbidden", send("POST", "/jobs", undefined, reader))
      yield* expecting(200, list(writer))
      yield* expecting(201, post({ type: "tick" }, writer))
      assert.strictEqual((yield* refused(403, "forbidden", pause(writer)))["needed"], "admin")
      for (
        const [method, action] of [["PUT", "slots"], ["DELETE", "slots"], ["POST", "drain"], [
          "POST",
          "resume"
        ]] as const
      ) {
        const body = method === "PUT" ? { slots: 3 } : undefined
        const tell = send(method, `/api/v1/instances/nobody/${action}`, body, writer)
        assert.strictEqual((yield* refused(403, "forbidden", tell))["needed"], "admin")
      }
      yield* expecting(200, send("GET", "/api/v1/scaling", undefined, reader))
      yield* refused(404, "instance_not_found", send("POST", "/api/v1/instances/nobody/drain", undefined, admin))
      yield* expecting(201, post({ type: "tick" }, admin))
      yield* expecting(204, pause(admin))
      const queues = Effect.map(
        expecting(200, send("GET", "/api/v1/queues", undefined, reader)),
        ({ json }) => json as typeof QueuePageJson.Type
      )
      const paused = yield* queues
      assert.deepStrictEqual(paused.paused.map(({ by, queue }) => [queue, by]), [["default", "a admin"]])
      assert.deepStrictEqual(paused.queues.map(({ pause, queue }) => [queue, pause?.by]), [["default", "a admin"]])
      yield* expecting(204, send("POST", "/api/v1/queues/default/resume", undefined, admin))
      const resumed = yield* queues
      assert.deepStrictEqual(resumed.paused, [])
      assert.deepStrictEqual(resumed.queues.map(({ pause, queue }) => [queue, pause]), [["default", null]])
      for (const path of ["/api/v1/queues", "/api/v1/queues/default", "/api/v1/types"]) {
        for (const headers of [reader, writer, admin]) yield* expecting(200, send("GET", path, undefined, headers))
        yield* refused(401, "unauthorized", get(path))
      }
    }).pipe(Effect.provide(server({ requireKeys: true }))))

  it.live("still counts requests under their endpoint", () =>
    Effect.gen(function*() {
      const { headers } = yield* keyed("read")
      yield* list(headers)
      const metrics = yield* send("GET", "/metrics", undefined, headers)
      assert.match(metrics.text, /taskforge_http_requests_total\{[^}]*endpoint="\/api\/v1\/tasks"[^}]*status="200"/)
    }).pipe(Effect.provide(server({ requireKeys: true }))))

  it.live("takes the operator's first key, which is in no store", () =>
    Effect.gen(function*() {
      const headers = { authorization: `Bearer ${adminKey}` }
      yield* refused(401, "unauthorized", list())
      yield* refused(401, "unknown_key", list({ authorization: `Bearer ${adminKey}x` }))
      yield* expecting(200, list(headers))
      yield* expecting(204, send("POST", "/api/v1/queues/default/pause", undefined, headers))
      const health = yield* expecting(200, send("GET", "/health", undefined, headers))
      assert.hasAnyKeys(health.json, ["version"])
    }).pipe(Effect.provide(server({ adminKey: Redacted.make(adminKey) }))))

  it.live("ends the streams of a key that was revoked", () =>
    Effect.gen(function*() {
      const { headers, key } = yield* keyed("read")
      const other = yield* keyed("read")
      const stream = yield* EventStream.open("/api/v1/events", headers)
      const kept = yield* EventStream.open("/api/v1/events", other.headers)
      assert.strictEqual(stream.status, 200)
      yield* Effect.orDie(ApiKeys.revoke(key.id))
      yield* stream.ended
      const writer = yield* keyed("write")
      yield* expecting(201, post({ id: "after", type: "tick" }, writer.headers))
      const [created] = yield* kept.until(1)
      assert.strictEqual(created?.data["id"], "after")
    }).pipe(Effect.scoped, Effect.provide(server({ requireKeys: true }))))

  it.effect("writes 20 denials in a second, and counts the rest", () => {
    const { lines, log } = recorder()
    return Effect.gen(function*() {
      const denied = yield* AuditLog.denials
      const request = HttpServerRequest.fromWeb(new Request("http://localhost/api/v1/tasks"))
      const deny = denied(keyless, request, "/api/v1/tasks", 401)
      yield* Effect.repeat(deny, { times: 49 })
      assert.lengthOf(lines, 20)
      yield* TestClock.adjust("1 second")
      yield* deny
      assert.lengthOf(lines, 21)
      assert.strictEqual(lines[20]?.["omitted"], 30)
    }).pipe(Effect.provide(log))
  })

  it.live("writes down what it denied, and which keys came and went", () => {
    const { lines, log } = recorder()
    return Effect.gen(function*() {
      const reader = yield* keyed("read")
      yield* expecting(401, list())
      yield* expecting(403, post({ type: "tick" }, reader.headers))
      yield* expecting(401, list({ authorization: "Bearer nonsense" }))
      const audit = lines.filter((line) => line["audit"] === true)
      assert.deepInclude(audit[0], { action: "denied", status: 401, path: "/api/v1/tasks", unknown_key: false })
      assert.deepInclude(audit.find(({ action }) => action === "key_added"), { key_id: reader.key.id, role: "read" })
      assert.deepInclude(audit.find(({ status }) => status === 403), { action: "denied", key_id: reader.key.id })
      assert.deepInclude(audit.at(-1), { action: "denied", status: 401, unknown_key: true })
      assert.notInclude(JSON.stringify(lines), reader.secret)
    }).pipe(Effect.provide(server({ requireKeys: true }, log)))
  })
})

/** A path spelled otherwise: some of these are other paths, and some only look so. */
const spellings = (path: string): ReadonlyArray<string> => {
  const last = path.lastIndexOf("/")
  const encode = (at: number) =>
    `${path.slice(0, at)}%${path.charCodeAt(at).toString(16).padStart(2, "0")}${path.slice(at + 1)}`
  return [
    path,
    path.toUpperCase(),
    path.replace("/api", "/API"),
    path.replace(/[a-z]/, (letter) => letter.toUpperCase()),
    `${path}/`,
    `/${path}`,
    `${path.slice(0, last)}/${path.slice(last)}`,
    `${path.slice(0, last)}/.${path.slice(last)}`,
    `${path.slice(0, last)}/x/..${path.slice(last)}`,
    `${path.slice(0, last)}/%2e%2e${path.slice(last)}`,
    `${path.slice(0, last)}%2f${path.slice(last + 1)}`,
    `${path}?x=/health`,
    `${path}#/health`,
    `${path};/health`,
    `${path}%00`,
    `/health/..${path}`,
    `/docs?${path}`,
    `http://localhost${path}`,
    ...(path.length > 2 ? [encode(1), encode(path.length - 1), encode(Math.floor(path.length / 2))] : [])
  ]
}

const concrete = (path: string): string => path.replace(":id", "kept").replace(":queue", "default")

describe("the role of an endpoint", () => {
  it("is declared by every endpoint, and the server would not start with a route that has none", () => {
    assert.isAbove(routesOf(Api).length, 20)
    const careless = HttpApi.make("careless").add(
      HttpApiGroup.make("group").add(HttpApiEndpoint.get("open", "/open", { success: Schema.String }))
    )
    assert.throws(() => routesOf(careless), /names no role/)
  })

  it.live("holds for every way to spell its path", () =>
    Effect.gen(function*() {
      const keys = { read: yield* keyed("read"), write: yield* keyed("write") }
      yield* expecting(201, post({ id: "kept", type: "tick" }, keys.write.headers))
      let tries = 0
      for (const { method, needed, path } of routesOf(Api)) {
        if (needed !== "write" && needed !== "admin") continue
        for (const role of ["none", "read", "write"] as const) {
          if (role === needed) continue
          for (const target of spellings(concrete(path))) {
            const secret = role === "none" ? "" : `\nAuthorization: Bearer ${keys[role].secret}`
            const head = `${method} ${target} HTTP/1.1\nContent-Type: application/json${secret}`
            const { body, status } = yield* RawHttp.request(head, method === "POST" ? "{\"type\": \"tick\"}" : "")
            assert.include([400, 401, 403, 404, 405], status, `${role}: ${method} ${target}: ${body}`)
            tries++
          }
        }
      }
      assert.isAbove(tries, 300)
      const { json } = yield* list(keys.read.headers)
      assert.deepStrictEqual(
        (json as { tasks: ReadonlyArray<{ id: string; status: string }> }).tasks.map((task) => [
          task.id,
          task.status
        ]),
        [["kept", "pending"]]
      )
      const queues = yield* send("GET", "/api/v1/queues", undefined, keys.read.headers)
      assert.deepNestedInclude(queues.json, { paused: [] })
    }).pipe(Effect.provide(server({ requireKeys: true }))))

  it.live("also has no way around it to read", () =>
    Effect.gen(function*() {
      for (const { method, needed, path } of routesOf(Api)) {
        if (needed !== "read") continue
        for (const target of spellings(concrete(path))) {
          const { body, status } = yield* RawHttp.request(`${method} ${target} HTTP/1.1`)
          const isPublicPage = target.startsWith("/docs")
          if (!isPublicPage) assert.include([400, 401], status, `${method} ${target}: ${body.slice(0, 300)}`)
        }
      }
    }).pipe(Effect.provide(server({ requireKeys: true }))))
})

describe("a server without keys, and web pages", () => {
  const ask = (head: string, body = "") => RawHttp.exchangeHead(head, body)
  const statuses = Effect.fnUntraced(function*(requests: ReadonlyArray<readonly [head: string, body?: string]>) {
    return yield* Effect.forEach(requests, ([head, body]) => Effect.map(ask(head, body), ({ status }) => status))
  })
  const task = "{\"type\": \"tick\"}"
  const json = "Content-Type: application/json"

  it.live("answers to its own names only", () =>
    Effect.gen(function*() {
      const hosts = [
        "localhost",
        "LOCALHOST:8080",
        "a.localhost",
        "127.0.0.1:1",
        "[::1]:8080",
        "10.0.0.7",
        "own.example"
      ]
      assert.deepStrictEqual(
        yield* statuses(hosts.map((host) => [`GET /api/v1/tasks HTTP/1.1\nHost: ${host}`] as const)),
        hosts.map(() => 200)
      )
      const foreign = [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "own.example.evil",
        "x",
        "1.2.3"
      ]
      for (const path of ["/", "/health", "/api/v1/tasks", "/metrics", "/openapi.json"]) {
        assert.deepStrictEqual(
          yield* statuses(foreign.map((host) => [`GET ${path} HTTP/1.1\nHost: ${host}`] as const)),
          foreign.map(() => 403)
        )
      }
    }).pipe(Effect.provide(server({ allowedHosts: ["own.example"] }))))

  it.live("refuses what a page of another origin sends to change something", () =>
    Effect.gen(function*() {
      const post = `POST /api/v1/tasks HTTP/1.1\nHost: localhost:80\n${json}`
      const pause = "POST /api/v1/queues/default/pause HTTP/1.1\nHost: localhost:80"
      const foreign = [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://localhost:81",
        "Sec-Fetch-Site: cross-site"
      ]
      for (const header of [...foreign, "Sec-Fetch-Site: same-site"]) {
        assert.deepStrictEqual(
          yield* statuses([[`${post}\n${header}`, task], [`${pause}\n${header}`], [
            `POST /jobs HTTP/1.1\nHost: localhost\n${header}`
          ]]),
          [403, 403, 403],
          header
        )
      }
      for (
        const header of ["Origin: http://localhost:80", "Origin: https://app.example", "Sec-Fetch-Site: none", "X: y"]
      ) {
        assert.deepStrictEqual(yield* statuses([[`${post}\n${header}`, task]]), [201], header)
      }
    }).pipe(Effect.provide(server({ allowedOrigins: ["https://app.example"] }))))

  it.live("refuses a body that does not say that it is JSON, and takes none at all", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* statuses([
          ["POST /api/v1/tasks HTTP/1.1\nHost: localhost", task],
          ["POST /api/v1/tasks HTTP/1.1\nHost: localhost\nContent-Type: text/plain", task],
          ["POST /jobs HTTP/1.1\nHost: localhost", "{}"],
          ["POST /submit HTTP/1.1\nHost: localhost", "{\"type\": \"tick\", \"payload\": \"\"}"],
          ["POST /jobs?type=tick HTTP/1.1\nHost: localhost"]
        ]),
        [415, 415, 415, 415, 202]
      )
    }).pipe(Effect.provide(server())))

  it.live("opens no socket to a page of another origin", () =>
    Effect.gen(function*() {
      const upgrade = "GET /ws HTTP/1.1\nHost: localhost:80\nUpgrade: websocket\nSec-WebSocket-Version: 13\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
      assert.deepStrictEqual(
        yield* statuses([[`${upgrade}\nOrigin: http://evil.example`], [`${upgrade}\nOrigin: null`]]),
        [403, 403]
      )
    }).pipe(Effect.provide(server())))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import * as ApiKeys from "../../src/access/ApiKeys.ts"
import type { Role } from "../../src/domain/ApiKey.ts"
import { type Answering, expecting, get, layer, type Options, post, refused, send } from "./TestServer.ts"

const server = (http: Options["http"] = {}) => Layer.merge(layer({ http }), SecureRandom.layerWebCrypto)

/** Makes a key and answers the headers that carry it. */
const keyed = Effect.fnUntraced(function*(role: Role) {
  const { key, secret } = yield* Effect.orDie(ApiKeys.create({ name: `a ${role}`, role }))
  return { key, secret: Redacted.value(secret), headers: { authorization: `Bearer ${Redacted.value(secret)}` } }
})

/** Asks until the answer has this status. */
const eventually = (status: number, answering: Answering) =>
  Effect.repeat(answering, { until: (answer) => answer.status === status, times: 1000 })

const list = (headers?: Record<string, string>) => send("GET", "/api/v1/tasks", undefined, headers)

describe("a server without keys", () => {
  it.effect("asks nobody who they are", () =>
    Effect.gen(function*() {
      yield* expecting(200, list())
      yield* expecting(201, post({ type: "tick" }))
      yield* expecting(200, list({ authorization: "Bearer whatever" }))
    }).pipe(Effect.provide(server())))

  it.effect("refuses everybody when it must have keys, except who asks whether it is up and how to use it", () =>
    Effect.gen(function*() {
      const answer = yield* list()
      yield* refused(401, "unauthorized", Effect.succeed(answer))
      assert.match(answer.headers["www-authenticate"] ?? "", /^Bearer/)
      yield* refused(401, "unauthorized", get("/metrics"))
      yield* refused(401, "unauthorized", get("/nothing/here"))
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

  it.live("takes it in either header, and nothing that is nearly one", () =>
    Effect.gen(function*() {
      const { key, secret } = yield* keyed("read")
      yield* expecting(200, list({ authorization: `Bearer ${secret}` }))
      yield* expecting(200, list({ authorization: `bearer  ${secret}` }))
      yield* expecting(200, list({ "x-api-key": secret }))
      for (
        const headers of [
          { authorization: secret },
          { authorization: `Basic ${secret}` },
          { authorization: "Bearer" },
          { authorization: `Bearer ${secret}x` },
          { authorization: `Bearer ${secret.slice(0, -1)}` },
          { authorization: `Bearer tf_${key.id}_${"A".repeat(43)}` },
          { authorization: `Bearer tf_000000000000_${secret.slice(-43)}` },
          { "x-api-key": "" },
          { "x-api-key": "__proto__" },
          { cookie: `key=${secret}` }
        ]
      ) yield* refused(401, "unauthorized", list(headers as unknown as Record<string, string>))
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
      yield* expecting(201, post({ type: "tick" }, admin))
      yield* expecting(204, pause(admin))
      assert.deepStrictEqual((yield* send("GET", "/api/v1/queues", undefined, reader)).json, { paused: ["default"] })
      yield* expecting(204, send("POST", "/api/v1/queues/default/resume", undefined, admin))
      assert.deepStrictEqual((yield* send("GET", "/api/v1/queues", undefined, reader)).json, { paused: [] })
    }).pipe(Effect.provide(server({ requireKeys: true }))))

  it.live("still counts requests under their endpoint", () =>
    Effect.gen(function*() {
      const { headers } = yield* keyed("read")
      yield* list(headers)
      const metrics = yield* send("GET", "/metrics", undefined, headers)
      assert.match(metrics.text, /taskforge_http_requests_total\{[^}]*endpoint="\/api\/v1\/tasks"[^}]*status="200"/)
    }).pipe(Effect.provide(server({ requireKeys: true }))))
})

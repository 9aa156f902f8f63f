/** `/health/live` and `/health/ready`: what decides on restarts, and what on where requests go. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import { Agent, request } from "node:http"
import { StoreError } from "../../src/domain/Errors.ts"
import { LiveJson, NotReadyJson, ReadyJson } from "../../src/http/api/ProbesApi.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { decoded, expecting, get, layer, refused, send } from "./TestServer.ts"

/** A store that answers counts as the test says, and otherwise works. */
const withCounts = (counts: TaskStore["Service"]["counts"]) =>
  Layer.effect(TaskStore, Effect.map(TaskStore, (store) => ({ ...store, counts }))).pipe(
    Layer.provideMerge(MemoryStore.layer())
  )

describe("probes", () => {
  it.effect("say in a short body that the server lives and is ready, to GET and to HEAD", () =>
    Effect.gen(function*() {
      yield* decoded(LiveJson, get("/health/live"))
      yield* decoded(ReadyJson, get("/health/ready"))
      for (const path of ["/health/live", "/health/ready"]) {
        assert.strictEqual((yield* expecting(200, send("HEAD", path))).text, "")
        yield* refused(405, "method_not_allowed", send("POST", path, {}))
        yield* refused(404, "route_not_found", get(`${path}/`))
      }
    }).pipe(Effect.provide(layer())))

  it.effect("ask for no key, and take any", () =>
    Effect.gen(function*() {
      yield* refused(401, "unauthorized", get("/api/v1/tasks"))
      for (const path of ["/health/live", "/health/ready"]) {
        yield* expecting(200, get(path))
        yield* expecting(200, send("GET", path, undefined, { authorization: "Bearer tf_wrong" }))
      }
    }).pipe(Effect.provide(layer({ http: { requireKeys: true } }))))

  it.effect("are not limited, whatever else comes from their address", () =>
    Effect.gen(function*() {
      yield* expecting(200, get("/health"))
      yield* refused(429, "rate_limited", get("/health"))
      for (const path of ["/health/live", "/health/ready?by=kubelet"]) {
        const { headers } = yield* expecting(200, get(path))
        assert.notProperty(headers, "ratelimit-limit")
      }
    }).pipe(Effect.provide(layer({ http: { rateLimits: { perAddress: { limit: 1, window: Duration.minutes(1) } } } }))))
})

describe("a store that fails", () => {
  it.effect("takes the server out, which lives on", () =>
    Effect.gen(function*() {
      const begun = yield* DateTime.now
      const { reason, since } = yield* decoded(NotReadyJson, get("/health/ready"), 503)
      assert.deepStrictEqual({ reason, since }, { reason: "store", since: DateTime.formatIso(begun) })
      yield* TestClock.adjust("1 minute")
      const later = yield* decoded(NotReadyJson, get("/health/ready"), 503)
      assert.strictEqual(later.since, since)
      assert.notStrictEqual(later.timestamp, since)
      yield* decoded(LiveJson, get("/health/live"))
    }).pipe(
      Effect.provide(layer({ store: withCounts(Effect.fail(new StoreError({ operation: "read", reason: "secret" }))) }))
    ))
})

describe("a store that does not answer", () => {
  /** Hangs once the server stands. */
  const hanging = (asked: Deferred.Deferred<void>, count: { reads: number }) => {
    const silence = Effect.suspend(() => {
      count.reads++
      return Effect.andThen(Deferred.succeed(asked, undefined), Effect.never)
    })
    const first = { read: true }
    return Layer.merge(
      withCounts(silence),
      Layer.effect(
        RecordStore,
        Effect.map(RecordStore, (records): RecordStore["Service"] => ({
          ...records,
          list: (kind, request) =>
            Effect.suspend(() => {
              const isFirst = first.read
              first.read = false
              return isFirst ? records.list(kind, request) : Effect.never
            })
        }))
      ).pipe(Layer.provide(MemoryStore.layer()))
    )
  }

  it.effect("leaves it alive at once, even when keys cannot be read again, and not ready after two seconds", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const count = { reads: 0 }
      yield* Effect.gen(function*() {
        // The keys that it has read are too old by now
        yield* TestClock.adjust("1 minute")
        yield* TestClock.withLive(Effect.timeout(decoded(LiveJson, get("/health/live")), "5 seconds"))
        const answering = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 20 }, () => decoded(NotReadyJson, get("/health/ready"), 503)),
            { concurrency: "unbounded" }
          )
        )
        yield* Deferred.await(asked)
        yield* TestClock.withLive(Effect.sleep("100 millis"))
        yield* TestClock.adjust("2 seconds")
        for (const { reason } of yield* Fiber.join(answering)) assert.strictEqual(reason, "store")
        // Loops of the engine count too
        assert.isAtMost(count.reads, 5, "probes that come together share one question")
      }).pipe(Effect.provide(layer({ store: hanging(asked, count) })))
    }))
})

describe("a server that stops", () => {
  it.effect("is not ready on the connections that it still has, and lives", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer({ http: { farewell: "500 millis" } }), scope)
      const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const ask = (path: string) =>
        Effect.callback<{ readonly status: number; readonly json: unknown; readonly last: boolean }>((resume) => {
          request(`${url}${path}`, { agent }, (response) => {
            let text = ""
            response.setEncoding("utf8").on("data", (part: string) => (text += part)).on("end", () =>
              resume(Effect.succeed({
                status: response.statusCode ?? 0,
                json: JSON.parse(text),
                last: response.headers.connection === "close"
              })))
          }).end()
        })
      assert.strictEqual((yield* ask("/health/ready")).status, 200)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.withLive(Effect.sleep("100 millis"))
      const answer = yield* ask("/health/ready")
      assert.deepInclude(answer, { status: 503, last: true })
      assert.deepInclude(answer.json, { status: "not_ready", reason: "stopping" })
      agent.destroy()
      while (closing.pollUnsafe() === undefined) {
        yield* TestClock.adjust("100 millis")
        yield* TestClock.withLive(Effect.sleep("5 millis"))
      }
    }))
})

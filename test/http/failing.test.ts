import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, References } from "effect"
import { TestClock } from "effect/testing"
import { StoreError } from "../../src/domain/Errors.ts"
import { HealthyJson, UnhealthyJson } from "../../src/http/api/SystemApi.ts"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { noConsequences } from "../../src/store/Dependencies.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import { Notifier } from "../../src/store/Notifier.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { decoded, expecting, get, layer, refused, send } from "./TestServer.ts"

const secret = "SQLITE_CORRUPT at /var/lib/secret.db"

/** A store of which every operation that requests need ends like this. */
const broken = (end: Effect.Effect<never, StoreError>) =>
  Layer.mergeAll(
    Layer.mock(TaskStore, {
      enqueue: () => end,
      get: () => end,
      list: () => end,
      cancel: () => end,
      rerun: () => end,
      writeHealth: undefined,
      counts: end,
      laneCounts: () => end,
      consequences: () => noConsequences
    }),
    Layer.mock(InstanceStore, { list: end }),
    Notifier.layerMemory
  )

const routes = [
  ["POST", "/api/v1/tasks", { type: "echo" }],
  ["GET", "/api/v1/tasks", undefined],
  ["GET", "/api/v1/tasks/1", undefined],
  ["DELETE", "/api/v1/tasks/1", undefined],
  ["POST", "/api/v1/tasks/1/cancel", undefined],
  ["POST", "/api/v1/tasks/1/rerun", undefined],
  ["GET", "/api/v1/stats", undefined],
  ["GET", "/api/v1/workers", undefined],
  ["GET", "/api/v1/queues", undefined],
  ["GET", "/api/v1/queues/default", undefined],
  ["GET", "/api/v1/types", undefined]
] as const

const quietly = Effect.provideService(References.MinimumLogLevel, "None")

describe("a store that fails", () => {
  const failing = layer({ store: broken(Effect.fail(new StoreError({ operation: "read", reason: secret }))) })

  it.effect("is a 503 that says when to try again, and nothing of what happened", () =>
    Effect.gen(function*() {
      for (const [method, path, body] of routes) {
        const answer = yield* send(method, path, body)
        yield* refused(503, "store_unavailable", Effect.succeed(answer))
        assert.strictEqual(answer.headers["retry-after"], "1", path)
        assert.notInclude(answer.text, "SQLITE")
      }
    }).pipe(Effect.provide(failing), quietly))

  it.effect("turns health red, and leaves the page and the metrics readable", () =>
    Effect.gen(function*() {
      const answer = yield* get("/health")
      const health = yield* decoded(UnhealthyJson, Effect.succeed(answer), 503)
      assert.deepStrictEqual(health.queue, { size: null, capacity: null, closed: true })
      assert.deepStrictEqual(health.troubles.map(({ part }) => part), ["store"])
      yield* TestClock.adjust("1 minute")
      const later = yield* decoded(UnhealthyJson, get("/health"), 503)
      assert.deepInclude(later.troubles[0], { since: health.troubles[0]!.since, failures: 2 })
      assert.notInclude(answer.text, "SQLITE")
      assert.include((yield* expecting(200, get("/"))).text, "does not answer")
      assert.include((yield* expecting(200, get("/metrics"))).text, "taskforge_queue_size NaN")
    }).pipe(Effect.provide(failing), quietly))
})

describe("a store that dies", () => {
  it.effect("is a 500 that says nothing of what happened", () =>
    Effect.gen(function*() {
      for (const [method, path, body] of routes) {
        const answer = yield* send(method, path, body)
        yield* refused(500, "internal", Effect.succeed(answer))
        assert.notInclude(answer.text, "SQLITE")
        assert.notInclude(answer.text, "at ")
      }
    }).pipe(Effect.provide(layer({ store: broken(Effect.die(new Error(secret))) })), quietly))
})

describe("a store that does not answer", () => {
  it.effect("turns health red after two seconds", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const hanging = broken(Effect.andThen(Deferred.succeed(asked, undefined), Effect.never))
      const ask = Effect.gen(function*() {
        const answering = yield* Effect.forkChild(decoded(UnhealthyJson, get("/health"), 503))
        yield* Deferred.await(asked)
        yield* TestClock.adjust("2 seconds")
        return yield* Fiber.join(answering)
      })
      const health = yield* Effect.provide(ask, layer({ store: hanging }))
      assert.deepStrictEqual(health.troubles.map(({ part }) => part), ["store"])
    }))
})

describe("a loop in trouble", () => {
  it.effect("turns health red and is named, until it works again", () =>
    Effect.gen(function*() {
      let works = false
      const supervisor = yield* Supervisor
      yield* supervisor.loop(
        "sweeper",
        Effect.suspend(() => works ? Effect.sleep("1 second") : Effect.die(new Error(secret)))
      )
      yield* Effect.yieldNow
      const answer = yield* get("/api/v1/health")
      const health = yield* decoded(UnhealthyJson, Effect.succeed(answer), 503)
      assert.deepStrictEqual(health.troubles.map(({ part }) => part), ["sweeper"])
      assert.deepInclude(health.queue, { size: 0, closed: false })
      assert.notInclude(answer.text, "SQLITE")
      works = true
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* decoded(HealthyJson, get("/health"))).troubles, [])
    }).pipe(Effect.provide(layer()), quietly, Effect.scoped))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { until } from "../../e2e/Server.ts"
import { trouble, untilGreen, untilRed } from "../../http/StoreHealth.ts"
import { expecting, get, layer, post, posted, send } from "../../http/TestServer.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"

const storeOn = (url: string) => Layer.orDie(RedisStore.layerUrl({ url }))

const task = { type: "echo", payload: "x".repeat(10_000) }

await withServer("Redis", Redis.installed, () => {
  describe("Redis whose memory is full", () => {
    it.live(
      "turns health red, lets tasks be cancelled and removed, and is over by itself",
      () =>
        Effect.gen(function*() {
          const { url } = yield* Redis.start()
          yield* Effect.gen(function*() {
            const [first, second] = [yield* posted(task), yield* posted(task)]
            yield* untilGreen
            yield* Redis.command(url, "CONFIG", "SET", "maxmemory", "1")
            yield* expecting(503, post(task))
            const red = yield* untilRed
            assert.include(red?.what_to_do, "raise Redis's maxmemory")
            yield* expecting(200, send("POST", `/api/v1/tasks/${first.id}/cancel`))
            yield* expecting(204, send("DELETE", `/api/v1/tasks/${first.id}`))
            yield* expecting(200, get(`/api/v1/tasks/${second.id}`))
            yield* Effect.sleep("1500 millis")
            assert.strictEqual((yield* trouble)?.since, red?.since)
            yield* Redis.command(url, "CONFIG", "SET", "maxmemory", "0")
            yield* untilGreen
            yield* posted(task)
          }).pipe(Effect.provide(layer({ store: storeOn(url) })))
        }).pipe(Effect.scoped)
    )
  })

  describe("Redis whose memory has room for small tasks only", () => {
    it.live("keeps health red, while large ones are refused", () =>
      Effect.gen(function*() {
        const { url } = yield* Redis.start()
        yield* Effect.gen(function*() {
          yield* posted(task)
          yield* untilGreen
          // Redis gives the buffers of a client that has sent much back some seconds later
          let used = 0
          const steady = Effect.map(Redis.command(url, "INFO", "memory"), (info) => {
            const before = used
            used = Number(/used_memory:(\d+)/.exec(String(info))![1])
            return Math.abs(used - before) < 10_000
          })
          yield* until("its memory is steady", Effect.delay(steady, "3 seconds"))
          yield* Redis.command(url, "CONFIG", "SET", "maxmemory", String(used + 500_000))
          const large = { ...task, payload: "x".repeat(900_000) }
          yield* expecting(503, post(large))
          const red = yield* untilRed
          yield* Effect.sleep("2500 millis")
          assert.strictEqual((yield* trouble)?.since, red?.since)
          yield* Redis.command(url, "CONFIG", "SET", "maxmemory", "0")
          yield* untilGreen
          yield* posted(large)
        }).pipe(Effect.provide(layer({ store: storeOn(url) })))
      }).pipe(Effect.scoped))
  })

  describe("Redis that somebody has emptied", () => {
    it.live("turns health red with what to do, until a store is there again", () =>
      Effect.gen(function*() {
        const { url } = yield* Redis.start()
        yield* Effect.gen(function*() {
          yield* posted(task)
          yield* untilGreen
          yield* Redis.command(url, "FLUSHALL")
          assert.include((yield* untilRed)?.what_to_do, "taskforge migrate")
          yield* Effect.scoped(Layer.build(storeOn(url)))
          yield* untilGreen
          yield* posted(task)
        }).pipe(Effect.provide(layer({ store: storeOn(url) })))
      }).pipe(Effect.scoped))
  })
})

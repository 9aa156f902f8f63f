import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
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

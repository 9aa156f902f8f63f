import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Redis } from "effect/persistence/Redis"
import * as RedisStore from "../../src/store/redis/RedisStore.ts"
import { lifeOrder } from "../events/lifeOrder.ts"
import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { rateLimits } from "./conformance/rateLimits.ts"
import { suite } from "./conformance/suite.ts"
import { connect } from "./redis/fixtures.ts"

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer, prefix, redis } = await connect(server)

  suite("The Redis store", { layer, advance, live: true })
  rateLimits(
    "The Redis store",
    Effect.map(prefix, (prefix) => ({
      layer: RedisStore.layer({ prefix }).pipe(Layer.provide(Layer.succeed(Redis, redis))),
      setBack: Effect.flatMap(redis.send<Array<string>>("KEYS", `*${prefix}*rate:*`), (keys) => {
        assert.lengthOf(keys, 1)
        return redis.send("PEXPIRE", keys[0]!, String(3_660_000))
      })
    })),
    true
  )
  lifeOrder(
    "a Redis server",
    Effect.map(prefix, (prefix) => Layer.build(Layer.fresh(RedisStore.layerUrl({ url: server.url, prefix }))))
  )
})

import { Effect, Layer, References } from "effect"
import * as RedisStore from "../../src/store/redis/RedisStore.ts"
import { place } from "./Redis.ts"
import { runOn } from "./TaskForge.ts"

runOn(({ capacity, directory }) =>
  Layer.unwrap(Effect.map(place(directory), ({ name, url }) => RedisStore.layerUrl({ url, prefix: name, capacity })))
    .pipe(
      // Metrics alone go to the standard output.
      Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn"))
    )
)

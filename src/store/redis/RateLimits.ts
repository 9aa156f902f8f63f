/**
 * Counts of rate limits in Redis, shared by all instances, as `effect/persistence` keeps them: keys that Redis forgets at a
 * time of its clock.
 */
import { Duration, Effect } from "effect"
import { RateLimiter } from "effect/persistence"
import { Redis } from "effect/persistence/Redis"

/** The counts below a root. */
export const make = Effect.fnUntraced(function*(root: string) {
  const redis = yield* Redis
  const prefix = `${root}:rate:`
  const store = yield* RateLimiter.makeStoreRedis({ prefix })

  return RateLimiter.RateLimiterStore.of({
    ...store,
    fixedWindow: (options) =>
      Effect.flatMap(store.fixedWindow(options), (counted) => {
        const { key, limit = Infinity, refillRate, tokens } = options
        // Redis rounds the end up with each token. What ends later was counted before the clock was set back
        const maxMs = Math.max(limit, tokens) * (Duration.toMillis(refillRate) + 1)
        if (counted[1] <= maxMs) return Effect.succeed(counted)
        const forgotten = Effect.mapError(redis.send("DEL", `${prefix}${key}`), (cause) =>
          new RateLimiter.RateLimiterError({
            reason: new RateLimiter.RateLimitStoreError({ message: "Failed to forget a rate limit", cause })
          }))
        return Effect.andThen(forgotten, store.fixedWindow(options))
      })
  })
})

/**
 * Counts of rate limits in this process's memory, for one instance. Unlike the one of `effect/persistence` it forgets
 * the subjects that have not been seen for a while, as clients may come from addresses without end.
 */
import { Clock, Duration, Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import * as MonotonicClock from "../domain/MonotonicClock.ts"

/** Subjects counted before those whose time is over are forgotten. */
const sweepAt = 10_000

interface Counter {
  count: number
  /** When nothing of it is left. */
  expiresAt: number
}

/** Fixed windows only: what limits requests. The other algorithms are those of `effect/persistence`. */
export const layer: Layer.Layer<RateLimiter.RateLimiterStore> = Layer.effect(
  RateLimiter.RateLimiterStore,
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const others = yield* RateLimiter.RateLimiterStore
    const counters = new Map<string, Counter>()
    const measured = MonotonicClock.fromNow(clock)
    let sweepNextAt = sweepAt

    const sweep = (now: number): void => {
      for (const [key, { expiresAt }] of counters) if (expiresAt <= now) counters.delete(key)
      sweepNextAt = Math.max(sweepAt, counters.size * 2)
    }

    return RateLimiter.RateLimiterStore.of({
      ...others,
      fixedWindow: ({ key, limit, refillRate, tokens }) =>
        Effect.sync(() => {
          const now = measured()
          if (counters.size >= sweepNextAt) sweep(now)
          let counter = counters.get(key)
          if (counter === undefined || counter.expiresAt <= now) {
            counter = { count: 0, expiresAt: now }
            counters.set(key, counter)
          }
          const count = counter.count + tokens
          if (limit === undefined || count <= limit) {
            counter.count = count
            counter.expiresAt += Duration.toMillis(refillRate) * tokens
          }
          return [count, counter.expiresAt - now] as const
        })
    })
  })
).pipe(Layer.provide(RateLimiter.layerStoreMemory))

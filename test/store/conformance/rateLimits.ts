/** What the store of rate limits of every driver has to keep. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Scope } from "effect"
import { RateLimiter } from "effect/persistence"
import { patiently } from "../../Patience.ts"

/** A store for one test. */
export interface Limited {
  /** An instance of it, each time that it is built. */
  readonly layer: Layer.Layer<RateLimiter.RateLimiterStore, unknown>
  /** Sets its clock back by an hour, or makes what it has counted look so. */
  readonly setBack: Effect.Effect<unknown, unknown>
}

/** Holds a driver to the contract. */
export const rateLimits = (
  name: string,
  limited: Effect.Effect<Limited, never, Scope.Scope>,
  shared: boolean
): void => {
  describe(`${name} counts what is limited`, () => {
    const take = (store: RateLimiter.RateLimiterStore["Service"], key: string, limit = 3, windowMs = 60_000) =>
      store.fixedWindow({ key, tokens: 1, limit, refillRate: Duration.millis(windowMs / limit) })

    it.live("up to the limit, by subject, and tells how long it lasts", () =>
      Effect.gen(function*() {
        const store = Context.get(yield* Layer.build((yield* limited).layer), RateLimiter.RateLimiterStore)
        for (const expected of [1, 2, 3, 4, 4]) {
          const [count, ttl] = yield* take(store, "a")
          assert.strictEqual(count, expected)
          assert.isAbove(ttl, 15_000)
          assert.isAtMost(ttl, 60_000)
        }
        assert.strictEqual((yield* take(store, "b"))[0], 1)
      }).pipe(Effect.scoped))

    it.live("and begins anew when the time is over", () =>
      Effect.gen(function*() {
        const store = Context.get(yield* Layer.build((yield* limited).layer), RateLimiter.RateLimiterStore)
        const count = Effect.map(take(store, "a", 1, 200), ([count]) => count)
        assert.strictEqual(yield* count, 1)
        assert.strictEqual(yield* Effect.repeat(count, { until: (count) => count === 1, schedule: patiently() }), 1)
      }).pipe(Effect.scoped))

    it.live("exactly, however many ask at once", () =>
      Effect.gen(function*() {
        const store = Context.get(yield* Layer.build((yield* limited).layer), RateLimiter.RateLimiterStore)
        const asked = yield* Effect.all(Array.from({ length: 40 }, () => take(store, "a", 10)), {
          concurrency: "unbounded"
        })
        assert.strictEqual(asked.filter(([count]) => count <= 10).length, 10)
      }).pipe(Effect.scoped))

    it.live("and keeps no one out when the clock is set back by an hour", () =>
      Effect.gen(function*() {
        const { layer, setBack } = yield* limited
        const store = Context.get(yield* Layer.build(layer), RateLimiter.RateLimiterStore)
        for (let taken = 0; taken < 4; taken++) yield* take(store, "a")
        yield* setBack
        const [count, ttl] = yield* take(store, "a")
        assert.isAtLeast(count, 1)
        assert.isAtMost(ttl, 60_010)
      }).pipe(Effect.scoped))

    if (!shared) return
    it.live("for all instances together", () =>
      Effect.gen(function*() {
        const { layer } = yield* limited
        const scope = yield* Scope.Scope
        const build = Effect.map(
          Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), scope),
          Context.get(RateLimiter.RateLimiterStore)
        )
        const [one, other] = [yield* build, yield* build]
        assert.strictEqual((yield* take(one, "a"))[0], 1)
        assert.strictEqual((yield* take(other, "a"))[0], 2)
        assert.strictEqual((yield* take(one, "a"))[0], 3)
        assert.strictEqual((yield* take(other, "a"))[0], 4)
      }).pipe(Effect.scoped))
  })
}

/**
 * Counts of rate limits in the schema, shared by all instances. They are not logged: a crash of the server forgets them,
 * which does no harm.
 */
import { Duration, Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import type { StoreError } from "../../domain/Errors.ts"
import { type Database, number } from "./Database.ts"

/** Counts after which those whose time is over are removed. */
const sweepAfter = 1000

/** The table. */
export const table = (schema: string): ReadonlyArray<string> => [
  `CREATE UNLOGGED TABLE ${schema}.rate_limit (
    key text COLLATE "C" PRIMARY KEY,
    count float8 NOT NULL,
    asked float8 NOT NULL,
    expires_at float8 NOT NULL
  ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)`
]

/** Fixed windows, which limit requests. The other algorithms of `RateLimiterStore` count in this process alone. */
export const make = Effect.fnUntraced(function*({ once, query, schema }: Database) {
  const others = yield* Effect.provide(RateLimiter.RateLimiterStore, Layer.fresh(RateLimiter.layerStoreMemory))
  const clock = `${schema}.now_ms()`
  // A window that ends later than it is long was counted before the clock was set back
  const isOver = `(r.expires_at <= ${clock} OR
    r.expires_at > ${clock} + 1 + $3::float8 * GREATEST($2::float8, COALESCE($4::float8, 'infinity')))`
  // $1 key, $2 tokens, $3 milliseconds per token, $4 limit or null; what is over the limit changes nothing
  const consume = `INSERT INTO ${schema}.rate_limit AS r (key, count, asked, expires_at)
    VALUES ($1, $2::float8, $2::float8, ${clock} + $2::float8 * $3::float8)
    ON CONFLICT (key) DO UPDATE SET
      asked = CASE WHEN ${isOver} THEN 0 ELSE r.count END + $2::float8,
      count = CASE
        WHEN ${isOver} THEN $2::float8
        WHEN r.count + $2::float8 > $4::float8 THEN r.count
        ELSE r.count + $2::float8 END,
      expires_at = CASE
        WHEN ${isOver} THEN ${clock} + $2::float8 * $3::float8
        WHEN r.count + $2::float8 > $4::float8 THEN r.expires_at
        ELSE r.expires_at + $2::float8 * $3::float8 END
    RETURNING asked, expires_at - ${clock}`
  const sweep = `DELETE FROM ${schema}.rate_limit WHERE expires_at <= ${clock}`
  let counted = 0

  const failed = (cause: StoreError) =>
    new RateLimiter.RateLimiterError({
      reason: new RateLimiter.RateLimitStoreError({ message: cause.message, cause })
    })

  return RateLimiter.RateLimiterStore.of({
    ...others,
    fixedWindow: ({ key, limit, refillRate, tokens }) =>
      Effect.gen(function*() {
        if (++counted % sweepAfter === 0) yield* query("forget old limits", sweep)
        const parameters = [key, number(tokens), number(Duration.toMillis(refillRate)), number(limit ?? null)]
        const [row] = yield* once.query<[asked: number, ttl: number]>("count a request", consume, parameters)
        return [row![0], Math.max(0, row![1])] as const
      }).pipe(Effect.mapError(failed))
  })
})

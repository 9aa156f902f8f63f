/**
 * Stores on a real server for tests: each with keys of its own, all on one connection, and with a clock that a test can
 * move or stop.
 */
import { Clock, Duration, Effect, Exit, Layer, References, Scope } from "effect"
import { Redis } from "effect/persistence/Redis"
import { randomBytes } from "node:crypto"
import { afterAll } from "vitest"
import type { StoreSettings } from "../../../src/store/Driver.ts"
import * as Connection from "../../../src/store/redis/Connection.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import type { RedisServer } from "../../servers/Redis.ts"

/** What tests of one file share. `prepare` is told of each new prefix before anything is stored under it. */
export const connect = async (
  { url }: RedisServer,
  prepare: (redis: Redis["Service"], root: string) => Effect.Effect<void> = () => Effect.void
) => {
  const scope = Scope.makeUnsafe()
  // How quick the machine is decides nothing
  const redis = await Effect.runPromise(Scope.provide(Connection.make({ url, answerWithinMs: 60_000 }), scope))
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  let root = ""
  let movedBy = 0
  let stoppedAt: number | undefined
  const setClock = (text: string) => Effect.orDie(redis.send("SET", `${root}:clock`, text))

  /** A prefix that nobody uses; its keys go with the scope. */
  const prefix = Effect.acquireRelease(
    Effect.sync(() => `taskforge-test-${randomBytes(6).toString("hex")}`),
    (prefix) => Effect.orDie(removeKeys(redis, `{${prefix}}:`))
  )

  /** A new, empty store; from now on the clock is its. */
  const layer = (settings: StoreSettings = {}, stopped = false) =>
    Layer.unwrap(Effect.gen(function*() {
      const name = yield* prefix
      root = `{${name}}`
      yield* prepare(redis, root)
      movedBy = 0
      stoppedAt = stopped ? yield* Clock.currentTimeMillis : undefined
      if (stoppedAt !== undefined) yield* setClock(String(stoppedAt))
      return RedisStore.layer({ prefix: name, clockKey: `${root}:clock`, ...settings })
    })).pipe(
      Layer.provide(Layer.succeed(Redis, redis)),
      Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn"))
    )

  return {
    redis,
    prefix,
    /** What the names of the keys of the last store begin with. */
    root: () => root,
    layer: (settings?: StoreSettings) => layer(settings),
    /** The same with a clock that stands, at the time of the test's own clock. */
    layerStopped: (settings: StoreSettings) => layer(settings, true),
    advance: (duration: Duration.Input): Effect.Effect<void> =>
      Effect.suspend(() => {
        const millis = Duration.toMillis(duration)
        if (stoppedAt === undefined) return Effect.asVoid(setClock(`+${movedBy += millis}`))
        return Effect.asVoid(setClock(String(stoppedAt += millis)))
      })
  }
}

/** Removes every key that begins so. */
const removeKeys = Effect.fnUntraced(function*(redis: Redis["Service"], start: string) {
  let cursor = "0"
  do {
    const [next, keys] = yield* redis.send<[string, Array<string>]>(
      "SCAN",
      cursor,
      "MATCH",
      `${start.replace(/[{}[\]*?\\]/g, "\\$&")}*`,
      "COUNT",
      "1000"
    )
    if (keys.length > 0) yield* redis.send("UNLINK", ...keys)
    cursor = next
  } while (cursor !== "0")
})

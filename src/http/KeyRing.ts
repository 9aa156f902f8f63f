/**
 * The API keys as this server knows them: read from the store every few seconds while requests come, so that checking
 * one costs no query, and a revoked one is refused everywhere soon. While the store does not answer, the keys known
 * last hold.
 */
import { Clock, Context, Duration, Effect, Layer, Schedule, Semaphore } from "effect"
import * as Secret from "../access/Secret.ts"
import type { ApiKey, StoredKey } from "../domain/ApiKey.ts"
import type { StoreError } from "../domain/Errors.ts"
import { KeyStore } from "../store/KeyStore.ts"

/** Keys read before this are read again. */
const freshForMs = 5000

/** An unknown key brings the next reading forward, but not more often than this: whoever guesses keys waits for it. */
const readAgainAfterMs = 100

/** How long a request waits for the keys to be read before the ones known last have to do. */
const patience: Duration.Duration = Duration.seconds(1)

/** Checks secrets. */
export class KeyRing extends Context.Service<KeyRing, {
  /** Whether requests need a key: from the start, or since there is one. */
  readonly isRequired: Effect.Effect<boolean>
  /** The key with this secret. */
  readonly find: (secret: string) => Effect.Effect<ApiKey | undefined>
}>()("taskforge/http/KeyRing") {
  /** Keys of the store around it; `required` even while there are none. */
  static readonly layer = (required: boolean): Layer.Layer<KeyRing, StoreError, KeyStore> =>
    Layer.effect(KeyRing, make(required))

  /** Asks nobody: for callers that have the store in their own hands. */
  static readonly layerOpen: Layer.Layer<KeyRing> = Layer.succeed(
    KeyRing,
    KeyRing.of({ isRequired: Effect.succeed(false), find: () => Effect.undefined })
  )
}

const make = Effect.fnUntraced(function*(requiredAtOnce: boolean) {
  const store = yield* KeyStore
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const turn = Semaphore.makeUnsafe(1)
  let keys: ReadonlyMap<string, StoredKey> = new Map()
  /** Secrets by their hashes, found true since the keys were read: hashing one again costs as much as storing a task. */
  const proven = new Map<string, string>()
  let required = requiredAtOnce
  let readAt = -Infinity

  const read = Effect.suspend(() => {
    readAt = now()
    return Effect.map(store.list, (list) => {
      keys = new Map(list.map((key) => [key.id, key]))
      proven.clear()
      // Whoever has made a key wants callers to have one, also after the last one was revoked
      if (keys.size > 0) required = true
    })
  })

  /** Reads the keys unless that was begun since then; requests that wait side by side share one reading. */
  const readSince = (time: number) =>
    turn.withPermit(Effect.suspend(() =>
      readAt >= time
        ? Effect.void
        : Effect.sleep(Math.max(0, readAt + readAgainAfterMs - now())).pipe(
          Effect.andThen(Effect.timeoutOption(read, patience)),
          Effect.ignore
        )
    ))

  const isFresh = () => readAt > now() - freshForMs

  const fresh = Effect.suspend(() => isFresh() ? Effect.void : readSince(now() - freshForMs + 1))

  const lookUp = (secret: string): ApiKey | undefined => {
    const id = Secret.idOf(secret)
    const key = id === undefined ? undefined : keys.get(id)
    if (key === undefined) return undefined
    const known = proven.get(key.hash)
    if (known !== undefined && Secret.equal(known, secret)) return key
    if (!Secret.matches(secret, key.hash)) return undefined
    proven.set(key.hash, secret)
    return key
  }

  const findFresh = Effect.fnUntraced(function*(secret: string) {
    yield* fresh
    const key = lookUp(secret)
    if (key !== undefined || Secret.idOf(secret) === undefined) return key
    yield* readSince(now())
    return lookUp(secret)
  })

  yield* Effect.retry(read, Schedule.upTo(Schedule.spaced("100 millis"), { times: 10 }))

  return KeyRing.of({
    isRequired: Effect.map(fresh, () => required),
    find: (secret) =>
      Effect.suspend(() => {
        const key = isFresh() ? lookUp(secret) : undefined
        return key === undefined ? findFresh(secret) : Effect.succeed(key)
      })
  })
})

/**
 * The API keys as this server knows them: read from the store every few seconds, so that checking one costs no query,
 * and a revoked one is refused everywhere soon. While the store does not answer, the keys known last hold.
 */
import { Clock, Context, Duration, Effect, Layer, Schedule, Semaphore } from "effect"
import * as Secret from "../access/Secret.ts"
import type { ApiKey, StoredKey } from "../domain/ApiKey.ts"
import type { StoreError } from "../domain/Errors.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { KeyStore } from "../store/KeyStore.ts"

/** How often the keys are read again. */
const readEvery: Duration.Duration = Duration.seconds(5)

/** An unknown key brings the next reading forward, but not more often than this: whoever guesses keys waits for it. */
const readAgainAfterMs = 100

/** Checks secrets. */
export class KeyRing extends Context.Service<KeyRing, {
  /** Whether requests need a key: from the start, or since there is one. */
  readonly isRequired: () => boolean
  /** The key with this secret. */
  readonly find: (secret: string) => Effect.Effect<ApiKey | undefined>
}>()("taskforge/http/KeyRing") {
  /** Keys of the store around it; `required` even while there are none. */
  static readonly layer = (required: boolean): Layer.Layer<KeyRing, StoreError, KeyStore | Supervisor> =>
    Layer.effect(KeyRing, make(required))
}

const make = Effect.fnUntraced(function*(requiredAtOnce: boolean) {
  const store = yield* KeyStore
  const supervisor = yield* Supervisor
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const turn = Semaphore.makeUnsafe(1)
  let keys: ReadonlyMap<string, StoredKey> = new Map()
  let required = requiredAtOnce
  let readAt = -Infinity

  const read = Effect.suspend(() => {
    readAt = now()
    return Effect.map(store.list, (list) => {
      keys = new Map(list.map((key) => [key.id, key]))
      // Whoever has made a key wants callers to have one, also after the last one was revoked
      if (keys.size > 0) required = true
    })
  })

  const lookUp = (secret: string): ApiKey | undefined => {
    const id = Secret.idOf(secret)
    const key = id === undefined ? undefined : keys.get(id)
    return key !== undefined && Secret.matches(secret, key.hash) ? key : undefined
  }

  /** Reads the keys unless that was begun since then; requests that wait side by side share one reading. */
  const readSince = (time: number) =>
    turn.withPermit(Effect.suspend(() =>
      readAt >= time
        ? Effect.void
        : Effect.andThen(Effect.sleep(Math.max(0, readAt + readAgainAfterMs - now())), Effect.ignore(read))
    ))

  yield* Effect.retry(read, Schedule.upTo(Schedule.spaced("100 millis"), { times: 10 }))
  yield* supervisor.loop("keys", Effect.andThen(Effect.sleep(readEvery), read))

  return KeyRing.of({
    isRequired: () => required,
    find: (secret) =>
      Effect.suspend(() => {
        const key = lookUp(secret)
        return key !== undefined || Secret.idOf(secret) === undefined
          ? Effect.succeed(key)
          : Effect.map(readSince(now()), () => lookUp(secret))
      })
  })
})

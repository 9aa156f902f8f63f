/**
 * The API keys as this server knows them: read from the store every few seconds while requests come, so that checking
 * one costs no query, and a revoked one is refused everywhere soon. While the store does not answer, the keys known
 * last hold.
 */
import { Clock, Context, Duration, Effect, Layer, Redacted, Schedule, Semaphore } from "effect"
import * as ApiKeys from "../access/ApiKeys.ts"
import * as Secret from "../access/Secret.ts"
import type { StoredKey } from "../domain/ApiKey.ts"
import type { StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { utc } from "../domain/StoredTime.ts"
import { RecordStore } from "../store/RecordStore.ts"
import * as AuditLog from "./AuditLog.ts"
import { anonymous, keyless, type Visitor, withUnknownKey } from "./Visitor.ts"

/** Keys read before this are read again. */
const freshForMs = 5000

/** An unknown key brings the next reading forward, but not more often than this: a caller that guesses keys waits for it. */
const readAgainAfterMs = 100

/** How long a request waits for the keys to be read before the ones known last have to do. */
const patience: Duration.Duration = Duration.seconds(1)

/** Which keys count besides those of the store. */
export interface Options {
  /** Ask for keys even while there are none. */
  readonly required: boolean
  /** A key that the operator has set, of the role `admin`. With one, keys are asked for from the start. */
  readonly adminKey?: Redacted.Redacted | undefined
}

/** Checks secrets. */
export class KeyRing extends Context.Service<KeyRing, {
  /** Whether requests need a key: from the start, or since there is one. */
  readonly isRequired: Effect.Effect<boolean>
  /** What {@link admit} would answer, where that is known at once: most requests pay for no effect. */
  readonly admitNow: (secret: string | undefined) => Visitor | undefined
  /** Who comes with this secret, or with none. A secret that no key has is refused even where none is needed. */
  readonly admit: (secret: string | undefined) => Effect.Effect<Visitor>
  /** Waits until the visitor would be refused: its key was revoked, or it came without one before there were keys. */
  readonly untilRefused: (visitor: Visitor) => Effect.Effect<void>
}>()("taskforge/http/KeyRing") {
  /** Keys of the store around it. */
  static readonly layer = (options: Options): Layer.Layer<KeyRing, StoreError, RecordStore> =>
    Layer.effect(KeyRing, make(options))

  /** Asks for no key: for callers that have the store in their own hands. */
  static readonly layerOpen: Layer.Layer<KeyRing> = Layer.succeed(
    KeyRing,
    KeyRing.of({
      isRequired: Effect.succeed(false),
      admitNow: () => anonymous,
      admit: () => Effect.succeed(anonymous),
      untilRefused: () => Effect.never
    })
  )
}

/** The visitor with the key of the environment. */
const environment: Visitor = {
  _tag: "Caller",
  key: { id: "environment", name: "TASKFORGE_ADMIN_KEY", role: "admin", createdAt: utc(0) }
}

const make = Effect.fnUntraced(function*({ adminKey, required: requiredAtOnce }: Options) {
  const list = Effect.provideService(ApiKeys.stored, RecordStore, yield* RecordStore)
  const clock = yield* Clock.Clock
  const now = () => MonotonicClock.millis(clock)
  const turn = Semaphore.makeUnsafe(1)
  let keys: ReadonlyMap<string, StoredKey> = new Map()
  /** Hash → secret, for secrets verified since the last read: hashing one again costs as much as storing a task. */
  const proven = new Map<string, string>()
  let required = requiredAtOnce || adminKey !== undefined
  const adminSecret = adminKey && Redacted.value(adminKey)
  let readAt = -Infinity
  let hasRead = false

  const changes = (before: ReadonlyMap<string, StoredKey>, after: ReadonlyMap<string, StoredKey>) => {
    if (!hasRead) return Effect.void
    const added = [...after.values()].filter(({ id }) => !before.has(id))
    const revoked = [...before.values()].filter(({ id }) => !after.has(id))
    return Effect.andThen(
      Effect.forEach(added, (key) => AuditLog.keyChanged("key_added", key), { discard: true }),
      Effect.forEach(revoked, (key) => AuditLog.keyChanged("key_revoked", key), { discard: true })
    )
  }

  const read = Effect.suspend(() => {
    readAt = now()
    return Effect.flatMap(list, (list) => {
      const before = keys
      keys = new Map(list.map((key) => [key.id, key]))
      proven.clear()
      // Who has made a key wants callers to have one, also after the last one was revoked
      if (keys.size > 0) required = true
      return changes(before, keys)
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

  const lookUp = (secret: string): Visitor | undefined => {
    if (adminSecret !== undefined && Secret.equal(adminSecret, secret)) return environment
    const id = Secret.idOf(secret)
    const key = id === undefined ? undefined : keys.get(id)
    if (key === undefined) return undefined
    const known = proven.get(key.hash)
    if (known !== undefined && Secret.equal(known, secret)) return { _tag: "Caller", key }
    if (!Secret.matches(secret, key.hash)) return undefined
    proven.set(key.hash, secret)
    return { _tag: "Caller", key }
  }

  const admitFresh = Effect.fnUntraced(function*(secret: string) {
    yield* fresh
    const visitor = lookUp(secret)
    if (visitor !== undefined) return visitor
    if (Secret.idOf(secret) === undefined) return withUnknownKey
    yield* readSince(now())
    return lookUp(secret) ?? withUnknownKey
  })

  const withoutSecret = () => required ? keyless : anonymous

  const admitNow = (secret: string | undefined): Visitor | undefined =>
    !isFresh() ? undefined : secret === undefined ? withoutSecret() : lookUp(secret)

  const isRefused = (visitor: Visitor): boolean =>
    visitor._tag === "Caller" ? visitor !== environment && !keys.has(visitor.key.id) : required

  // The first reading tells of no change
  yield* Effect.retry(read, Schedule.upTo(Schedule.spaced("100 millis"), { times: 10 }))
  hasRead = true

  return KeyRing.of({
    isRequired: Effect.map(fresh, () => required),
    admitNow,
    admit: (secret) =>
      Effect.suspend(() => {
        const visitor = admitNow(secret)
        return visitor !== undefined
          ? Effect.succeed(visitor)
          : secret === undefined
          ? Effect.map(fresh, withoutSecret)
          : admitFresh(secret)
      }),
    untilRefused: (visitor) =>
      Effect.andThen(Effect.sleep(freshForMs), fresh).pipe(
        Effect.repeat({ until: () => isRefused(visitor) })
      )
  })
})

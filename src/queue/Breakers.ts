/** What operators ask about breakers and do to them: see which are open and why, open them for a time, and close them by hand. */
import { type DateTime, Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Breaker from "../domain/Breaker.ts"
import * as Cursor from "../domain/Cursor.ts"
import { BreakerNotFound, InvalidOption, type StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as LimitRule from "../domain/LimitRule.ts"
import { utc, utcOrNull } from "../domain/StoredTime.ts"
import type { LastFailure } from "../explain/GateReasons.ts"
import * as BreakerRecords from "../store/BreakerRecords.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { checkPage, type PageOptions, sizeOf } from "./Queues.ts"

/** What the definition of a breaker says. */
export interface BreakerSettings {
  /** Failures `within` a time that open it. */
  readonly failures: number
  readonly within: Duration.Duration
  /** How long it is open the first time. */
  readonly openFor: Duration.Duration
  /** How long at most, doubled with each try that fails. */
  readonly maxOpenFor: Duration.Duration
}

/** How a key of a breaker stands. A breaker without keys has the key `""`. */
export interface BreakerKey {
  readonly key: string
  readonly state: Breaker.Phase
  /** When it opened first since it was closed; `null` while it is closed. */
  readonly since: DateTime.Utc | null
  /** When a task may try; `null` while it is closed. */
  readonly until: DateTime.Utc | null
  /** While it is closed: failures that count. */
  readonly failures: number
  /** How often it has opened since it was closed. */
  readonly openings: number
  readonly lastFailure: LastFailure | null
  /** Who opened it by hand, and why. */
  readonly by: string | null
  readonly reason: string | null
}

/** A breaker, and those of its keys that have failures or are open, as far as one look finds them: 100 at most. */
export interface BreakerView {
  readonly name: string
  readonly isKeyed: boolean
  readonly settings: BreakerSettings
  /** The worst of its keys. */
  readonly state: Breaker.Phase
  readonly keys: ReadonlyArray<BreakerKey>
}

/** A page of breakers, by name. */
export interface BreakerPage {
  readonly breakers: ReadonlyArray<BreakerView>
  /** The cursor of the next page, `null` on the last. */
  readonly next: string | null
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** How a breaker is opened by hand. */
export interface OpenOptions {
  /** Of which key; needed where the breaker has keys. */
  readonly key?: string | undefined
  /** How long no task starts; then one tries. Default: what the definition says. */
  readonly for?: Duration.Input | undefined
  /** Who opens it. Over HTTP, the name of a key takes its place. */
  readonly by?: string | undefined
  /** At most {@link Bounds.maxReasonLength} characters. */
  readonly reason?: string | undefined
}

/** What operations on a breaker may fail with. */
export type BreakerError = BreakerNotFound | InvalidOption | StoreError

/** The part of `TaskQueue` that is about breakers. */
export interface Breakers {
  /** A page of all breakers, by name. One is known once an instance that runs its type has started. */
  readonly breakers: (options?: PageOptions) => Effect.Effect<BreakerPage, InvalidOption | StoreError>
  /**
   * One breaker; with keys, how these stand.
   *
   * @example
   * ```ts
   * const isDown = TaskQueue.use((queue) => Effect.map(queue.breaker("smtp"), ({ state }) => state !== "closed"))
   * ```
   */
  readonly breaker: (name: string, keys?: ReadonlyArray<string>) => Effect.Effect<BreakerView, BreakerError>
  /**
   * Opens a breaker for a time, on all instances; running tasks go on. Then one task tries, and closes it if it succeeds.
   *
   * @example
   * ```ts
   * const stop = TaskQueue.use((queue) => queue.openBreaker("smtp", { for: "1 hour", by: "ada", reason: "It moves" }))
   * ```
   */
  readonly openBreaker: (name: string, options?: OpenOptions) => Effect.Effect<BreakerView, BreakerError>
  /** Closes a breaker and forgets its failures: tasks start as they like. Without a key all keys of it, however many. */
  readonly resetBreaker: (
    name: string,
    options?: { readonly key?: string | undefined }
  ) => Effect.Effect<void, BreakerError>
}

/** What is accepted as the name of a breaker. */
export const name: Bounds.Bound<string> = {
  expected: LimitRule.limitName.expected,
  accepts: (text) => typeof text === "string" && LimitRule.limitName.accepts(text)
}

const maxKeys = 100

const keyCount: Bounds.Bound<ReadonlyArray<string>> = {
  expected: `at most ${maxKeys} keys`,
  accepts: (keys) => keys.length <= maxKeys
}

const openBounds: { readonly [Name in keyof OpenOptions]-?: Bounds.Bound<any> } = {
  key: LimitRule.key,
  for: Bounds.timeout,
  by: Bounds.name,
  reason: Bounds.reason
}

/** Why keys are refused, if they are. */
export const refuseKeys = (keys: ReadonlyArray<string> | undefined): InvalidOption | undefined =>
  Bounds.refuse("keys", keyCount, keys) ??
    keys?.map((key) => Bounds.refuse("key", LimitRule.key, key)).find((invalid) => invalid !== undefined)

/** Why options are refused, if they are. */
export const refuseOpening = (options: OpenOptions): InvalidOption | undefined => {
  const unknown = Bounds.refuseUnknown(options, openBounds)
  if (unknown !== undefined) return unknown
  const names = Object.keys(openBounds) as Array<keyof OpenOptions>
  return names.map((name) => Bounds.refuse(name, openBounds[name], options[name])).find((invalid) =>
    invalid !== undefined
  )
}

const failing = (invalid: InvalidOption | undefined): Effect.Effect<void, InvalidOption> =>
  invalid === undefined ? Effect.void : Effect.fail(invalid)

/** These operations on a store. */
export const make = (records: RecordStore["Service"]): Breakers => {
  const onRecords = Effect.provideService(RecordStore, records)

  const find = Effect.fnUntraced(
    function*(given: string): Effect.fn.Return<BreakerRecords.StoredBreaker, BreakerError> {
      yield* Bounds.check("name", name, given)
      return (yield* onRecords(BreakerRecords.get(given))) ?? (yield* new BreakerNotFound({ name: given }))
    }
  )

  /** Keys that there is something to say about, or the one of a breaker without keys. */
  const statesOf = (breaker: BreakerRecords.StoredBreaker) =>
    breaker.keyed
      ? Effect.map(onRecords(BreakerRecords.statesOfName(breaker.name)), ({ states }) => states)
      : onRecords(BreakerRecords.statesOf([Breaker.passOf(breaker.name, "")]))

  const passOf = (breaker: BreakerRecords.StoredBreaker, key: string | undefined) => {
    if (!breaker.keyed && key !== undefined && key !== "") {
      return Effect.fail(
        new InvalidOption({
          option: "key",
          found: JSON.stringify(key),
          expected: "none: the breaker has no keys",
          index: 0
        })
      )
    }
    return breaker.keyed && key === undefined
      ? Effect.fail(
        new InvalidOption({ option: "key", found: "missing", expected: "one: the breaker has keys", index: 0 })
      )
      : Effect.succeed(Breaker.passOf(breaker.name, key ?? ""))
  }

  return {
    breakers: Effect.fnUntraced(function*(options = {}) {
      yield* checkPage("breaker", options)
      const after = options.cursor === undefined ? undefined : Cursor.decodeName("breaker", options.cursor)
      const { breakers, next } = yield* onRecords(BreakerRecords.list(after, sizeOf(options)))
      const now = yield* onRecords(BreakerRecords.now)
      const views = yield* Effect.forEach(
        breakers,
        (breaker) => Effect.map(statesOf(breaker), (states) => viewOf(breaker, states, now)),
        { concurrency: 10 }
      )
      return { breakers: views, next: next === null ? null : Cursor.encodeName("breaker", next), now: utc(now) }
    }),
    breaker: Effect.fnUntraced(function*(given, keys) {
      yield* failing(refuseKeys(keys))
      const breaker = yield* find(given)
      const states = keys === undefined
        ? yield* statesOf(breaker)
        : yield* Effect.flatMap(
          Effect.forEach([...new Set(keys)], (key) => passOf(breaker, key)),
          (passes) => onRecords(BreakerRecords.statesOf(passes))
        )
      return viewOf(breaker, states, yield* onRecords(BreakerRecords.now))
    }),
    openBreaker: Effect.fnUntraced(function*(given, options = {}) {
      yield* failing(refuseOpening(options))
      const breaker = yield* find(given)
      const pass = yield* passOf(breaker, options.key)
      const { by = null, reason = null } = options
      const forMs = options.for === undefined ? breaker.openForMs : Math.ceil(Duration.toMillis(options.for))
      const { after, now } = yield* onRecords(
        BreakerRecords.change(pass, breaker, (state, now) => Breaker.openedByHand(state, forMs, { by, reason }, now))
      )
      return viewOf(breaker, [{ pass, state: after }], now)
    }),
    resetBreaker: Effect.fnUntraced(function*(given, options = {}) {
      yield* failing(Bounds.refuseUnknown(options, { key: 1 }) ?? Bounds.refuse("key", LimitRule.key, options.key))
      const breaker = yield* find(given)
      if (options.key === undefined) return yield* onRecords(BreakerRecords.closeAll(given, breaker))
      const pass = yield* passOf(breaker, options.key)
      yield* onRecords(BreakerRecords.change(pass, breaker, () => null))
    })
  }
}

const worst: ReadonlyArray<Breaker.Phase> = ["open", "half_open", "closed"]

const viewOf = (
  breaker: BreakerRecords.StoredBreaker,
  states: ReadonlyArray<BreakerRecords.StoredState>,
  now: number
): BreakerView => {
  const keys = states.map((one) => keyOf(one, breaker, now))
  return {
    name: breaker.name,
    isKeyed: breaker.keyed,
    settings: {
      failures: breaker.failures,
      within: Duration.millis(breaker.withinMs),
      openFor: Duration.millis(breaker.openForMs),
      maxOpenFor: Duration.millis(breaker.maxOpenForMs)
    },
    state: worst.find((state) => keys.some((key) => key.state === state)) ?? "closed",
    keys
  }
}

const keyOf = (
  { pass, state }: BreakerRecords.StoredState,
  settings: Breaker.Settings,
  now: number
): BreakerKey => ({
  key: Gate.keyOf(pass),
  state: Breaker.phaseOf(state, now),
  since: utcOrNull(state.since),
  until: utcOrNull(state.until),
  failures: Breaker.countOf(Breaker.recent(state, settings, now)),
  openings: state.openings,
  lastFailure: state.last && { ...state.last, at: utc(state.last.at) },
  by: state.by,
  reason: state.reason
})

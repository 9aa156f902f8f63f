/**
 * What operators ask about limits and do to them at run time: list them, see who holds a key, change, lift and reset them, pause types
 * and keys, and let go of a key that is blocked. All of it is stored, and holds on every instance.
 */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as Cursor from "../domain/Cursor.ts"
import { InvalidOption, LimitNotFound, type StoreError } from "../domain/Errors.ts"
import * as Gate from "../domain/Gate.ts"
import * as LimitRule from "../domain/LimitRule.ts"
import { utc } from "../domain/StoredTime.ts"
import * as Gates from "../store/Gates.ts"
import type { InstanceStore } from "../store/InstanceStore.ts"
import * as LimitRecords from "../store/LimitRecords.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import { RecordStore } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import * as Breakers from "./Breakers.ts"
import * as LimitViews from "./LimitViews.ts"
import type { LimitChange, LimitDetail, LimitOptions, LimitPage, LimitView } from "./LimitViews.ts"
import * as LimitWaiting from "./LimitWaiting.ts"
import * as Pauses from "./Pauses.ts"
import { checkPage, type PageOptions, sizeOf } from "./Queues.ts"

/** What a change of a limit may fail with. */
export type LimitError = LimitNotFound | InvalidOption | StoreError

/** The part of {@link TaskQueue} that is about limits, and about breakers. */
export interface Limits extends Breakers.Breakers {
  /** A page of all limits by name, those of single keys among them. */
  readonly limits: (options?: PageOptions) => Effect.Effect<LimitPage, InvalidOption | StoreError>
  /**
   * One limit, and how its keys stand: those that are asked for, or else those that have limits of their own, are paused or blocked.
   *
   * @example
   * ```ts
   * const held = TaskQueue.use((queue) =>
   *   Effect.map(queue.limit("sync:concurrency", ["acme"]), ({ keys: [acme] }) => acme?.holders)
   * )
   * ```
   */
  readonly limit: (name: string, keys?: ReadonlyArray<string>) => Effect.Effect<LimitDetail, LimitError>
  /**
   * How many due tasks have a key of a limit, and the first of them, as far as a look at 10,000 due tasks finds them. A limit without keys
   * has the key `""`.
   */
  readonly waiting: (name: string, key: string) => Effect.Effect<LimitWaiting.LimitWaiting, LimitError>
  /**
   * Changes a limit, or that of one key, for all instances. What definitions say does not hold again until it is reset.
   *
   * @example
   * ```ts
   * const more = TaskQueue.use((queue) => queue.setLimit("sync:concurrency", { key: "acme", max: 10, by: "ada" }))
   * ```
   */
  readonly setLimit: (name: string, change: LimitChange) => Effect.Effect<LimitView, LimitError>
  /** Lets tasks start as if the limit was not there, until it is reset or set. */
  readonly liftLimit: (name: string, options?: LimitOptions) => Effect.Effect<LimitView, LimitError>
  /**
   * Takes back what was set by hand. What the definition says holds again; for a key, what holds for all. A limit that no living
   * instance defines is removed, with what was set for its keys: tasks that still have it start as if it was not there.
   */
  readonly resetLimit: (name: string, options?: Pick<LimitOptions, "key">) => Effect.Effect<void, LimitError>
  /** Lets the next task of an order's key start, whatever has become of the one before it. */
  readonly letGo: (name: string, key: string) => Effect.Effect<void, LimitError>
  /** Stops the start of tasks of a type, in all queues; running tasks go on. At most 1,000 types are paused at a time. */
  readonly pauseType: (type: string, options?: Pauses.PauseOptions) => Effect.Effect<void, InvalidOption | StoreError>
  /** Lets them start again. */
  readonly resumeType: (type: string) => Effect.Effect<void, InvalidOption | StoreError>
  /** The paused types, in the order of their names. */
  readonly pausedTypes: Effect.Effect<ReadonlyArray<Pauses.PausedType>, StoreError>
  /** Stops the start of tasks with a key of a limit; running tasks go on. At most 1,000 keys are paused at a time. */
  readonly pauseKey: (limit: string, key: string, options?: Pauses.PauseOptions) => Effect.Effect<void, LimitError>
  /** Lets them start again. */
  readonly resumeKey: (limit: string, key: string) => Effect.Effect<void, LimitError>
  /** The paused keys, by the names of their limits. */
  readonly pausedKeys: Effect.Effect<ReadonlyArray<Pauses.PausedKey>, StoreError>
}

/** Keys that are looked at together. */
const maxKeys = 100

/** Failed tasks that are looked at for those that block a key. */
const maxFailed = 1000

/** What is accepted as the name of a limit; that of an order may also be given with its mark. */
export const name: Bounds.Bound<string> = {
  expected: LimitRule.limitName.expected,
  accepts: (text) => typeof text === "string" && LimitRule.limitName.accepts(LimitRule.shownName(text))
}

/** What is accepted as keys to look at. */
const keyCount: Bounds.Bound<ReadonlyArray<string>> = {
  expected: `at most ${maxKeys} keys`,
  accepts: (keys) => keys.length <= maxKeys
}

/** Why keys are refused, if they are. */
export const refuseKeys = (keys: ReadonlyArray<string> | undefined): InvalidOption | undefined =>
  Bounds.refuse("keys", keyCount, keys) ??
    keys?.map((key) => Bounds.refuse("key", LimitRule.key, key)).find((invalid) => invalid !== undefined)

const failing = (invalid: InvalidOption | undefined): Effect.Effect<void, InvalidOption> =>
  invalid === undefined ? Effect.void : Effect.fail(invalid)

/** These operations on a store. */
export const make = (
  store: TaskStore["Service"],
  records: RecordStore["Service"],
  instances: InstanceStore["Service"]
): Limits => {
  const onRecords = Effect.provideService(RecordStore, records)

  /** The limit with a name. An order has that name behind its mark. */
  const find = Effect.fnUntraced(function*(given: string): Effect.fn.Return<LimitRecords.StoredLimit, LimitError> {
    yield* Bounds.check("name", name, given)
    const ids = given.startsWith(Gate.orderMark) ? [given] : [given, Gate.orderMark + given]
    const found = (yield* onRecords(LimitRecords.get(ids))).find((limit) => limit !== undefined)
    return found ?? (yield* new LimitNotFound({ name: given }))
  })

  /** Refuses a key of a limit that has none: what was set for it would hold for no task. */
  const demandKey = ({ id, keyed }: LimitRecords.StoredLimit, key: string | undefined) => {
    if (keyed || key === undefined || key === "") return Effect.void
    const expected = `no key: the limit ${JSON.stringify(LimitRule.shownName(id))} is shared by all its tasks`
    return Effect.fail(new InvalidOption({ option: "key", found: JSON.stringify(key), expected, index: 0 }))
  }

  const own = (id: string) => Effect.map(onRecords(LimitRecords.get([id])), ([limit]) => limit)

  const stored = Effect.fnUntraced(function*(id: string, limit: Gate.Limit, author: LimitRecords.Author) {
    yield* onRecords(LimitRecords.set(id, limit, author))
    const after = yield* own(id)
    // Another one may have reset it at once
    return after === undefined ? yield* new LimitNotFound({ name: id }) : LimitViews.viewOf(after)
  })

  const now = Effect.map(
    Effect.catchTag(records.due(Gates.pausedKeyKind, 1), "InvalidOption", Effect.die),
    ({ now }) => now
  )

  /** Passes of an order that a failed task blocks, as far as a look at the newest failed tasks finds them. */
  const blockedPasses = Effect.fnUntraced(function*(id: string) {
    const passes = new Set<Gate.Pass>()
    let before: number | undefined
    for (let seen = 0; seen < maxFailed && passes.size < maxKeys;) {
      const page = yield* store.list({ states: ["failed"], limit: 100, before })
      for (const { gate } of page.tasks) {
        for (const pass of Gate.passesOf(gate)) if (Gate.limitOf(pass) === id) passes.add(pass)
      }
      seen += Math.max(1, page.tasks.length)
      if (page.next === undefined) break
      before = page.next
    }
    return passes
  })

  /** Keys of a limit that there is something to say about. */
  const notable = Effect.fnUntraced(function*({ id, keyed, limit }: LimitRecords.StoredLimit) {
    if (!keyed) return [Gate.passOf(id, "")]
    const prefix = Gate.passOf(id, "")
    const { limits } = yield* onRecords(LimitRecords.list(undefined, maxKeys, prefix))
    const passes = new Set(limits.map(({ id }) => id))
    for (const pass of yield* onRecords(PausedQueues.keys.names)) if (pass.startsWith(prefix)) passes.add(pass)
    if ("order" in limit && passes.size < maxKeys) {
      const blocked = [...yield* blockedPasses(id)]
      const states = blocked.length === 0 ? [] : yield* store.passes(blocked)
      for (const { holder, pass } of states) if (Gate.isHeld(holder ?? undefined, limit)) passes.add(pass)
    }
    return [...passes].slice(0, maxKeys)
  })

  /** Whether a living instance has a type with this limit. */
  const isDefined = (id: string) =>
    Effect.map(instances.list, (roll) => roll.instances.some(({ limits }) => limits?.includes(id) === true))

  /** Takes back what was set for single keys of a limit, their pauses too: without the limit they could not be named any more. */
  const forgetKeys = Effect.fnUntraced(function*(id: string) {
    const prefix = Gate.passOf(id, "")
    for (let found = true; found;) {
      const { limits, next } = yield* onRecords(LimitRecords.list(undefined, maxKeys, prefix))
      yield* Effect.forEach(limits, ({ id }) => onRecords(LimitRecords.reset(id, false)))
      found = next !== null
    }
    for (const pass of yield* onRecords(PausedQueues.keys.names)) {
      if (pass.startsWith(prefix)) yield* onRecords(PausedQueues.keys.resume(pass))
    }
  })

  return {
    ...Breakers.make(records),
    limits: Effect.fnUntraced(function*(options = {}) {
      yield* checkPage("limit", options)
      const after = options.cursor === undefined ? undefined : Cursor.decodeName("limit", options.cursor)
      const { limits, next } = yield* onRecords(LimitRecords.list(after, sizeOf(options)))
      return { limits: limits.map(LimitViews.viewOf), next: next === null ? null : Cursor.encodeName("limit", next) }
    }),
    limit: Effect.fnUntraced(function*(name, keys) {
      yield* failing(refuseKeys(keys))
      const found = yield* find(name)
      const passes = keys === undefined
        ? yield* notable(found)
        : [...new Set(keys)].map((key) => Gate.passOf(found.id, key))
      const owns = yield* onRecords(LimitRecords.get(passes))
      const paused = new Map((yield* onRecords(PausedQueues.keys.paused)).map((pause) => [pause.id, pause]))
      const states = passes.length === 0 ? [] : yield* store.passes(passes)
      const at = yield* now
      return {
        ...LimitViews.viewOf(found),
        key: null,
        isKeyed: found.keyed,
        keys: states.map((state, index) => {
          const pause = paused.get(state.pass)
          return LimitViews.keyOf(
            state,
            found.limit,
            owns[index]?.limit,
            pause === undefined ? null : Pauses.pauseOf(pause),
            at
          )
        }),
        now: utc(at)
      }
    }),
    waiting: Effect.fnUntraced(function*(name, key) {
      yield* Bounds.check("key", LimitRule.key, key)
      const { id } = yield* find(name)
      const found = yield* LimitWaiting.look(store, Gate.passOf(id, key))
      return { limit: LimitRule.shownName(id), key, ...found, now: utc(yield* now) }
    }),
    setLimit: Effect.fnUntraced(function*(name, change) {
      yield* failing(LimitViews.refuseChange(change))
      const named = yield* find(name)
      yield* demandKey(named, change.key)
      const id = change.key === undefined ? named.id : Gate.passOf(named.id, change.key)
      const before = change.key === undefined ? named : (yield* own(id)) ?? named
      const base = [before.limit, before.definition, named.limit, named.definition].find((limit) =>
        limit !== null && !("lifted" in limit)
      )
      const limit = LimitViews.changed(base ?? before.limit, change)
      if (limit instanceof InvalidOption) return yield* limit
      return yield* stored(id, limit, change)
    }),
    liftLimit: Effect.fnUntraced(function*(name, options = {}) {
      yield* failing(LimitViews.refuseOptions(options))
      const found = yield* find(name)
      yield* demandKey(found, options.key)
      const { id } = found
      return yield* stored(options.key === undefined ? id : Gate.passOf(id, options.key), { lifted: true }, options)
    }),
    resetLimit: Effect.fnUntraced(function*(name, options = {}) {
      yield* failing(LimitViews.refuseOptions(options))
      const { id } = yield* find(name)
      const isKnown = yield* isDefined(id)
      if (options.key !== undefined) return yield* onRecords(LimitRecords.reset(Gate.passOf(id, options.key), isKnown))
      if (!isKnown) yield* forgetKeys(id)
      yield* onRecords(LimitRecords.reset(id, isKnown))
    }),
    letGo: Effect.fnUntraced(function*(name, key) {
      yield* Bounds.check("key", LimitRule.key, key)
      const { id } = yield* find(name)
      if (!id.startsWith(Gate.orderMark)) {
        return yield* new InvalidOption({ option: "name", found: name, expected: "the name of an order", index: 0 })
      }
      yield* store.letGo([Gate.passOf(id, key)])
    }),
    pauseType: Effect.fnUntraced(function*(type, options = {}) {
      yield* Bounds.check("type", Bounds.name, type)
      yield* Pauses.check(options)
      yield* onRecords(PausedQueues.types.pause(type, Pauses.reasonOf(options)))
    }),
    resumeType: (type) =>
      Effect.andThen(Bounds.check("type", Bounds.name, type), onRecords(PausedQueues.types.resume(type))),
    pausedTypes: Effect.map(
      onRecords(PausedQueues.types.paused),
      (all) => all.map((paused) => ({ type: paused.id, ...Pauses.pauseOf(paused) }))
    ),
    pauseKey: Effect.fnUntraced(function*(limit, key, options = {}) {
      yield* Bounds.check("key", LimitRule.key, key)
      yield* Pauses.check(options)
      const found = yield* find(limit)
      yield* demandKey(found, key)
      yield* onRecords(PausedQueues.keys.pause(Gate.passOf(found.id, key), Pauses.reasonOf(options)))
    }),
    resumeKey: Effect.fnUntraced(function*(limit, key) {
      yield* Bounds.check("key", LimitRule.key, key)
      const { id } = yield* find(limit)
      yield* onRecords(PausedQueues.keys.resume(Gate.passOf(id, key)))
    }),
    pausedKeys: Effect.map(
      onRecords(PausedQueues.keys.paused),
      (all) =>
        all.map((paused) => ({
          limit: LimitRule.shownName(Gate.limitOf(paused.id)),
          key: Gate.keyOf(paused.id),
          ...Pauses.pauseOf(paused)
        }))
    )
  }
}

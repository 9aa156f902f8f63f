/**
 * Gives a pool its number of slots: what it began with, what its load asks for, or what an operator has set. A pool that
 * drains holds its slots: nothing starts, and what runs goes on.
 */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import * as StoredType from "../domain/StoredType.ts"
import { EventLoopDelay } from "../observability/EventLoopDelay.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import * as InstanceSettings from "../store/InstanceSettings.ts"
import type { Sizing } from "../store/InstanceStore.ts"
import * as PausedQueues from "../store/PausedQueues.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { promotion, type TaskStore } from "../store/TaskStore.ts"
import type { HandlerRegistry } from "./HandlerRegistry.ts"
import type { PoolLoad } from "./PoolLoad.ts"
import * as PoolSize from "./PoolSize.ts"
import type { Slots } from "./Slots.ts"

/** A wait of at least this is a reason for more slots, in milliseconds. */
const minPatienceMs = 1000

/** Slots that a pool may have at most. */
const maxConcurrency = 10_000

interface Sizes {
  readonly concurrency?: number | undefined
  readonly minConcurrency?: number | undefined
  readonly maxConcurrency?: number | undefined
}

/** How many slots a pool begins with, and how many it may have. Throws where the options contradict each other. */
export const demandSizes = (
  { concurrency, maxConcurrency: max, minConcurrency: min }: Sizes,
  defaults: { readonly concurrency: number; readonly maxConcurrency: number }
): { readonly size: number; readonly min: number | undefined; readonly ceiling: number } => {
  const allowed = max ?? maxConcurrency
  Bounds.demand("worker.maxConcurrency", Bounds.whole(1, maxConcurrency), max)
  Bounds.demand("worker.minConcurrency", Bounds.whole(1, allowed), min)
  Bounds.demand("worker.concurrency", Bounds.whole(min ?? 1, allowed), concurrency)
  const ceiling = max ?? Math.max(defaults.maxConcurrency, concurrency ?? 0, min ?? 0)
  return { size: concurrency ?? Math.max(min ?? 1, Math.min(ceiling, defaults.concurrency)), min, ceiling }
}

/** Queues and types with waiting tasks that are looked at, at most. */
const maxLanes = 1000

/** Starts to size the pool, until the scope closes. Answers how the size is decided now. */
export const start = Effect.fnUntraced(function*(options: {
  readonly records: RecordStore["Service"]
  readonly store: TaskStore["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly registry: HandlerRegistry["Service"]
  readonly slots: Slots
  readonly load: PoolLoad
  readonly instance: string
  /** The queues that the pool takes from; all of them when none is named. */
  readonly queues: ReadonlyArray<string>
  /** The fewest slots of a pool that sizes itself; `undefined` for one that does not. */
  readonly min: number | undefined
  readonly max: number
  readonly pollMs: number
  readonly leaseForMs: number
  /** Called when the pool has another size, or begins or ends to drain. */
  readonly onChanged: () => void
}) {
  const { instance, load, max, min, records, slots, supervisor } = options
  /** The size that the pool has where no operator says another. */
  let own = slots.size
  let hand: number | undefined
  let draining = false

  const resize = (size: number, why: string): Effect.Effect<void> => {
    if (size === slots.size) return Effect.void
    const before = slots.size
    slots.resize(size)
    options.onChanged()
    return Effect.annotateLogs(Effect.logInfo(`${size} slots in place of ${before}: ${why}`), { slots: size })
  }

  /** Does what an operator has set. */
  const obey = Effect.gen(function*() {
    const set = yield* Effect.provideService(InstanceSettings.get(instance), RecordStore, records)
    hand = set.slots === undefined ? undefined : Math.max(1, Math.min(max, set.slots))
    yield* hand === undefined
      ? resize(own, "an operator leaves it to this instance")
      : resize(hand, "an operator set it")
    if (set.drains === draining) return
    draining = set.drains
    slots.hold(draining)
    options.onChanged()
    yield* Effect.logInfo(draining ? "this instance drains: it takes no more tasks" : "this instance takes tasks again")
  })

  // What was set before this process began holds from its first claim on
  slots.hold(true)
  const begin = Effect.sync(() => slots.hold(draining))
  yield* supervisor.rounds(
    "instance settings",
    Effect.as(Effect.ensuring(obey, begin), options.leaseForMs / 3),
    { maxBackoff: options.leaseForMs / 3 }
  )

  if (min !== undefined) {
    const range = { min, max, patienceMs: Math.max(minPatienceMs, 2 * options.pollMs) }
    const takeDelay = yield* yield* EventLoopDelay
    const oldest = oldestWaiting(options)
    let memory = PoolSize.start
    yield* supervisor.loop(
      "pool size",
      Effect.gen(function*() {
        const busy = slots.takePeak()
        const claimed = load.takeMaxWait()
        const delayMs = yield* takeDelay
        if (hand !== undefined || draining) {
          memory = PoolSize.start
          return
        }
        // Nothing was claimed, and nothing can be: only the store knows what waits
        const waitMs = claimed ??
          (slots.free > 0 ? 0 : load.waitForSlot(yield* oldest, yield* MonotonicClock.now))
        const decision = PoolSize.next(memory, { slots: own, busy, waitMs, delayMs }, range)
        memory = decision.memory
        own = decision.slots
        yield* resize(own, reasonOf(decision.why, waitMs, delayMs))
      }),
      { when: Effect.sleep(PoolSize.lookEveryMs), maxBackoff: PoolSize.lookEveryMs }
    )
  }
  return (): Sizing => ({
    by: hand !== undefined ? "hand" : min === undefined ? "start" : "load",
    min: min ?? null,
    max,
    draining
  })
})

const reasonOf = (why: PoolSize.Decision["why"], waitMs: number, delayMs: number): string =>
  why === "crowded"
    ? `a task has waited for ${Math.round(waitMs)} ms`
    : why === "late"
    ? `the event loop is ${Math.round(delayMs)} ms late`
    : "half of them were idle for a minute"

/** How long the task that has waited longest of those that this pool could run has waited, in milliseconds. */
const oldestWaiting = ({ queues, records, registry, store }: {
  readonly records: RecordStore["Service"]
  readonly store: TaskStore["Service"]
  readonly registry: HandlerRegistry["Service"]
  readonly queues: ReadonlyArray<string>
}) =>
  Effect.gen(function*() {
    const onRecords = Effect.provideService(RecordStore, records)
    const paused = new Set(yield* onRecords(PausedQueues.names))
    const pausedTypes = new Set(yield* onRecords(PausedQueues.types.names))
    const types = new Set(registry.types().filter((type) => !pausedTypes.has(StoredType.typeOf(type))))
    const waiting = (yield* store.stranded([], maxLanes)).filter(({ queue, type, version }) =>
      types.has(StoredType.storedTypeOf(type, version)) && !paused.has(queue) &&
      (queues.length === 0 || queues.includes(queue))
    )
    if (waiting.length === 0) return 0
    const { now } = yield* store.claim(promotion)
    return now - Math.min(...waiting.map(({ since }) => since))
  })

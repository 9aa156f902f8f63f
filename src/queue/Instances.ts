/** The instances that are alive, as programs read them, and what operators tell them: how many slots to have, and to drain. */
import { type DateTime, Duration, Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InstanceNotFound, InvalidOption, type StoreError } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import * as StoredType from "../domain/StoredType.ts"
import * as InstanceSettings from "../store/InstanceSettings.ts"
import type { InstanceRecord, InstanceStore, QueueShare, Roll, RunningTask, Sizing } from "../store/InstanceStore.ts"
import { RecordStore } from "../store/RecordStore.ts"

/** A task that an instance runs. */
export interface RunningNow extends Omit<RunningTask, "forMs"> {
  /** How long it had run when the instance was last heard of. */
  readonly runningFor: Duration.Duration
}

/** A living instance. Times are by the store's clock. */
export interface LivingInstance
  extends Omit<InstanceRecord, "startedAt" | "seenAt" | "running" | "sizing" | "load" | "shares">
{
  readonly startedAt: DateTime.Utc
  /** When it was last heard of. */
  readonly seenAt: DateTime.Utc
  readonly running: ReadonlyArray<RunningNow>
  readonly sizing: Sizing
  /** The highest version of each type that it runs, of those whose payload has had several. */
  readonly versions: Readonly<Record<string, number>>
  /** How its slots are shared among queues; none where they are not. */
  readonly shares: ReadonlyArray<QueueShare>
}

/** The living instances, oldest first, then by id. */
export interface LivingInstances {
  readonly instances: ReadonlyArray<LivingInstance>
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** The part of {@link TaskQueue} that tells instances what to do. Each does it within a third of a lease. */
export interface Instances {
  /** The instances that run tasks, and what they run. */
  readonly instances: Effect.Effect<LivingInstances, StoreError>
  /**
   * Gives an instance so many slots: one at least, and as many as it may have at most. Running tasks go on where slots are taken
   * away. It holds until it is changed, also for an instance that starts again under the same name.
   *
   * @example
   * ```ts
   * const more = TaskQueue.use((queue) => queue.setSlots("reports-1", 40))
   * ```
   */
  readonly setSlots: (
    instance: string,
    slots: number
  ) => Effect.Effect<void, InstanceNotFound | InvalidOption | StoreError>
  /** Leaves the number of slots to the instance again. */
  readonly unsetSlots: (instance: string) => Effect.Effect<void, InvalidOption | StoreError>
  /**
   * An instance takes no more tasks and finishes those that it runs. It holds until `undrain`, also for an instance that
   * starts again under the same name.
   */
  readonly drain: (instance: string) => Effect.Effect<void, InstanceNotFound | InvalidOption | StoreError>
  /** It takes tasks again. */
  readonly undrain: (instance: string) => Effect.Effect<void, InvalidOption | StoreError>
}

/** These operations on a store. */
export const make = (instances: InstanceStore["Service"], records: RecordStore["Service"]): Instances => {
  const onRecords = Effect.provideService(RecordStore, records)

  const change = (id: string, to: Partial<InstanceSettings.InstanceSettings>) =>
    Effect.andThen(
      Bounds.check("instance", Bounds.name, id),
      onRecords(InstanceSettings.change(id, (before) => ({ ...before, ...to })))
    )

  /** A living instance, which must be one that can be told. */
  const living = Effect.fnUntraced(function*(id: string) {
    yield* Bounds.check("instance", Bounds.name, id)
    const found = (yield* instances.list).instances.find((instance) => instance.id === id)
    if (found === undefined) return yield* new InstanceNotFound({ id })
    if (found.sizing !== undefined) return found.sizing
    const expected = "an instance of a version that can be told what to do"
    return yield* new InvalidOption({
      option: "instance",
      found: `${id} of version ${found.version}`,
      expected,
      index: 0
    })
  })

  const tell = (id: string, to: Partial<InstanceSettings.InstanceSettings>) =>
    Effect.andThen(change(id, to), onRecords(InstanceSettings.forgetGone(instances)))

  return {
    instances: Effect.map(instances.list, fromRoll),
    setSlots: Effect.fnUntraced(function*(id, slots) {
      yield* Bounds.check("slots", Bounds.whole(1, (yield* living(id)).max), slots)
      yield* tell(id, { slots })
    }),
    unsetSlots: (id) => change(id, { slots: undefined }),
    drain: (id) => Effect.andThen(living(id), tell(id, { drains: true })),
    undrain: (id) => change(id, { drains: false })
  }
}

/** What decides the size of an instance that does not say it: it keeps what it began with. */
const sizingOf = ({ capacity, sizing }: InstanceRecord): Sizing =>
  sizing ?? { by: "start", min: null, max: capacity, draining: false }

const versionsOf = (stored: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  // The highest comes last
  const later = stored.map((one) => [StoredType.typeOf(one), StoredType.versionOf(one)] as const)
  return Object.fromEntries(later.filter(([, version]) => version > 1).toSorted(([, a], [, b]) => a - b))
}

/** What a store answers, read. */
const fromRoll = ({ instances, now }: Roll): LivingInstances => ({
  now: utc(now),
  instances: instances.map(({ load: _, ...instance }) => ({
    ...instance,
    types: StoredType.namesOf(instance.types),
    versions: versionsOf(instance.types),
    startedAt: utc(instance.startedAt),
    seenAt: utc(instance.seenAt),
    running: instance.running.map(({ forMs, ...task }) => ({ ...task, runningFor: Duration.millis(forMs) })),
    sizing: sizingOf(instance),
    shares: instance.shares ?? []
  }))
})

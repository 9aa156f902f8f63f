/** The instances that are alive, as programs read them. */
import { type DateTime, Duration } from "effect"
import { utc } from "../domain/StoredTime.ts"
import type { InstanceRecord, Roll, RunningTask } from "../store/InstanceStore.ts"

/** A task that an instance runs. */
export interface RunningNow extends Omit<RunningTask, "forMs"> {
  /** How long it had run when the instance was last heard of. */
  readonly runningFor: Duration.Duration
}

/** A living instance. Times are by the store's clock. */
export interface LivingInstance extends Omit<InstanceRecord, "startedAt" | "seenAt" | "running"> {
  readonly startedAt: DateTime.Utc
  /** When it was last heard of. */
  readonly seenAt: DateTime.Utc
  readonly running: ReadonlyArray<RunningNow>
}

/** The living instances, oldest first, then by id. */
export interface LivingInstances {
  readonly instances: ReadonlyArray<LivingInstance>
  /** The store's clock. */
  readonly now: DateTime.Utc
}

/** What a store answers, read. */
export const fromRoll = ({ instances, now }: Roll): LivingInstances => ({
  now: utc(now),
  instances: instances.map(({ running, seenAt, startedAt, ...instance }) => ({
    ...instance,
    startedAt: utc(startedAt),
    seenAt: utc(seenAt),
    running: running.map(({ forMs, ...task }) => ({ ...task, runningFor: Duration.millis(forMs) }))
  }))
})

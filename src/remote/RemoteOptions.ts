/** How tasks are lent to workers in other processes. */
import { Duration, Effect } from "effect"
import * as QueueLimits from "../domain/QueueLimits.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { InstanceStore } from "../store/InstanceStore.ts"
import { defaults } from "../worker/PoolOptions.ts"

/** Options, as those of the pool of the same engine. Every field has a default. */
export interface Options {
  /** The lease of the instances of the store. Default 15 s. */
  readonly lease?: Duration.Input | undefined
  /** How often the store is asked while workers wait. Default 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** Time limit of attempts whose task has none. Default 5 minutes. */
  readonly timeout?: Duration.Input | undefined
  /** The limits of queues: see `TaskQueue`. */
  readonly limitsOfQueues?: QueueLimits.QueueLimits | undefined
  /** Whether what workers log is kept with the attempts. Default `true`. */
  readonly keepsLogs?: boolean | undefined
}

/** How short a claim may hold, in milliseconds: a worker renews it three times in that. */
export const minLeaseMs = 1000

/** A claim holds for twice as long as that of an instance, unless its worker says otherwise: networks are slow at times. */
const defaultLeases = 2

/** Longer ones would be taken for claims of before the store's clock was set back: see `Rescuer`. */
const maxLeases = 4

/** What options mean. */
export const resolve = ({ lease = defaults.lease, limitsOfQueues, pollInterval, timeout }: Options) => {
  const instanceMs = Math.ceil(Duration.toMillis(lease))
  return {
    lease: {
      instanceMs,
      defaultMs: Math.max(minLeaseMs, instanceMs * defaultLeases),
      maxMs: Math.max(minLeaseMs, instanceMs * maxLeases)
    },
    pollMs: Duration.toMillis(pollInterval ?? defaults.pollInterval),
    timeoutMs: Duration.toMillis(timeout ?? defaults.timeout),
    limitsOfQueues: QueueLimits.rulesOf(limitsOfQueues)
  }
}

/** What {@link resolve} gives. */
export type Resolved = ReturnType<typeof resolve>

/** What telling of workers needs. */
export const services = Effect.gen(function*() {
  return { instances: yield* InstanceStore, supervisor: yield* Supervisor }
})

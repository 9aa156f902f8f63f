/**
 * Which instance does the chores that should run once. The lead is a lease in the store: its holder renews it three
 * times per lease, and when it dies another one takes over within a lease.
 *
 * It spares work, it guards nothing: a leader that stood still may think for a moment that it still leads, so chores
 * must be harmless when two instances do them.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { Instance, InstanceStore } from "../store/InstanceStore.ts"

/** How the leader is elected. */
export interface Options {
  /** How long a leader is missed before another one takes over. Default 15 s. */
  readonly lease?: Duration.Input | undefined
}

/** The name of the lease. */
const chore = "maintenance"

/** Whether this instance is the one. */
export class Leader extends Context.Service<Leader, {
  /** Whether this instance leads now. */
  readonly leads: Effect.Effect<boolean>
}>()("taskforge/maintenance/Leader") {
  /** Stands for election until the scope closes. */
  static readonly layer = (
    options: Options = {}
  ): Layer.Layer<Leader, never, InstanceStore | Instance | Supervisor> => Layer.effect(Leader, make(options))
}

const make = Effect.fnUntraced(function*(options: Options) {
  const store = yield* InstanceStore
  const { id } = yield* Instance
  const supervisor = yield* Supervisor
  const clock = yield* Clock.Clock
  const leaseMs = Duration.toMillis(options.lease ?? Duration.seconds(15))
  const now = () => MonotonicClock.millis(clock)
  let leadsUntil = 0

  yield* supervisor.rounds(
    "leader",
    Effect.gen(function*() {
      // Counted from before the request: the store counts from later, so this instance never thinks it leads longer
      const askedAt = now()
      const leads = yield* store.lead(chore, id, leaseMs)
      const led = leadsUntil > now()
      leadsUntil = leads ? askedAt + leaseMs : 0
      if (leads && !led) yield* Effect.logDebug("this instance does the chores now")
      return leaseMs / 3
    }),
    { maxBackoff: leaseMs / 3 }
  )
  return Leader.of({ leads: Effect.sync(() => leadsUntil > now()) })
})

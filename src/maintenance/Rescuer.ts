/**
 * Takes back the tasks of instances that stopped renewing their leases. Safe to run in every instance at once.
 *
 * A lease may look as if it had run out although its holder is fine. So the rescuer
 *
 * - measures by its own monotonic clock, and believes the store's clock only as far as both agree: see `Reckoning`;
 * - waits one full lease after the store was out of reach, its clock was set, or this process stood still: living instances
 *   renew first;
 * - waits half a lease after it has started, as it does not know what the store's clock did before.
 */
import { Clock, Duration, Effect, Layer } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { type Rescued, TaskStore } from "../store/TaskStore.ts"
import { type Bounds as ReckoningBounds, Reckoning } from "./Reckoning.ts"

/** How the rescuer works. */
export interface Options {
  /** The instances' lease: all on one store need the same. Default 15 s. */
  readonly lease?: Duration.Input | undefined
  /** Default: a sixth of the lease, between 200 ms and 2.5 s. */
  readonly interval?: Duration.Input | undefined
}

/** Tasks taken back in one write at most. */
const batchSize = 500

/**
 * A lease that ends more than so many leases from now is of before the store's clock was set back. Not one or two: while
 * the setting is changed, instances on one store have different leases.
 */
const maxLeasesAhead = 10

/** Runs the rescuer until the scope closes. */
export const layer = (options: Options = {}): Layer.Layer<never, never, TaskStore | Supervisor> =>
  Layer.effectDiscard(Effect.gen(function*() {
    Bounds.demand("rescuer.lease", Bounds.timeout, options.lease)
    Bounds.demand("rescuer.interval", Bounds.timeout, options.interval)
    const store = yield* TaskStore
    const supervisor = yield* Supervisor
    const clock = yield* Clock.Clock
    const leaseMs = Duration.toMillis(options.lease ?? Duration.seconds(15))
    const intervalMs = options.interval === undefined
      ? Math.min(2500, Math.max(200, leaseMs / 6))
      : Duration.toMillis(options.interval)
    const monotonicMs = () => MonotonicClock.exactMillis(clock)
    const maxAheadMs = Math.ceil(maxLeasesAhead * leaseMs)
    const maxOffMs = Math.ceil(leaseMs / 3)
    const reckoning = new Reckoning(leaseMs)
    let askedAt = monotonicMs()
    let notBefore = Infinity
    /** How long to wait from the next answer on, before anything is taken back. */
    let wait: number | undefined = leaseMs / 2

    const nothing = { limit: 0, earliest: 0, latest: 0, maxOffMs: 0, maxAheadMs }

    /** Whether the store's clock was set. A step back can hide a sleep of the machine, in which no instance renewed. */
    const isSet = (now: number, sentAt: number, receivedAt: number): boolean =>
      now < (reckoning.at(sentAt)?.earliest ?? -Infinity) - maxOffMs ||
      now > (reckoning.at(receivedAt)?.latest ?? Infinity) + maxOffMs

    /** Sends a request whose bounds are true when it is sent, and learns from the time in the answer. */
    const send = Effect.fnUntraced(function*(bounds: ReckoningBounds | undefined) {
      const sentAt = monotonicMs()
      if (sentAt - askedAt > leaseMs / 2 + intervalMs) wait = leaseMs
      askedAt = sentAt
      const { now, rescued } = yield* store.rescue(
        bounds === undefined || wait !== undefined || sentAt < notBefore
          ? nothing
          : { limit: batchSize, ...bounds, maxOffMs, maxAheadMs }
      )
      const receivedAt = monotonicMs()
      if (isSet(now, sentAt, receivedAt)) wait = leaseMs
      if (wait !== undefined) {
        notBefore = receivedAt + wait
        wait = undefined
        reckoning.clear()
      }
      reckoning.add({ now, sentAt, receivedAt })
      return rescued
    })

    const rescueBatch = Effect.gen(function*() {
      const rescued = yield* send(reckoning.at(monotonicMs()))
      yield* Effect.forEach(rescued, report, { discard: true })
      return rescued.length
    })

    /**
     * Asks for the time first: the clock may have been set since the last look, and a request that waits somewhere, as it
     * does while the machine sleeps, would be judged by a time that this process has not compared with its own.
     */
    const rescueAll = Effect.andThen(
      send(undefined),
      Effect.repeat(rescueBatch, { while: (count) => count === batchSize })
    ).pipe(
      Effect.onError(() =>
        Effect.sync(() => {
          wait = leaseMs
        })
      )
    )

    yield* supervisor.rounds("rescuer", Effect.as(rescueAll, intervalMs))
  }))

const report = (task: Rescued): Effect.Effect<void> =>
  (task.state === "failed"
    ? Effect.logError(`task ${task.type} is quarantined: its process died ${task.crashes} times`)
    : Effect.logWarning(`task ${task.type} lost its instance (crash ${task.crashes}); now ${task.state}`)).pipe(
      Effect.annotateLogs({ job_id: task.id })
    )

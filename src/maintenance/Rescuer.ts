/**
 * Takes back the tasks of workers that stopped renewing their leases. Safe to run in every instance at once.
 *
 * After the store was out of reach, or this process stood still, every lease may look expired although its worker is
 * fine: the rescuer then waits one full lease, so that living workers can renew first.
 */
import { Clock, Duration, Effect, Layer } from "effect"
import { Supervisor } from "../observability/Supervisor.ts"
import { Notifier, work } from "../store/Notifier.ts"
import { type Rescued, TaskStore } from "../store/TaskStore.ts"

/** How the rescuer works. */
export interface Options {
  /** The workers' lease. Default 15 s. */
  readonly lease?: Duration.Input | undefined
  /** Default: a sixth of the lease, between 200 ms and 2.5 s. */
  readonly interval?: Duration.Input | undefined
}

/** Tasks taken back in one write at most. */
const batchSize = 500

/** Runs the rescuer until the scope closes. */
export const layer = (options: Options = {}): Layer.Layer<never, never, TaskStore | Notifier | Supervisor> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const store = yield* TaskStore
    const notifier = yield* Notifier
    const supervisor = yield* Supervisor
    const clock = yield* Clock.Clock
    const leaseMs = Duration.toMillis(options.lease ?? Duration.seconds(15))
    const intervalMs = options.interval === undefined
      ? Math.min(2500, Math.max(200, leaseMs / 6))
      : Duration.toMillis(options.interval)
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    let lastSeen = now()
    let notBefore = 0
    let failed = false

    const rescueAll = Effect.gen(function*() {
      while (true) {
        const rescued = yield* store.rescue(batchSize)
        yield* Effect.forEach(rescued, report, { discard: true })
        if (rescued.some((task) => task.state === "pending")) yield* notifier.publish(work)
        const ended = rescued.filter((task) => task.state === "failed" || task.state === "cancelled")
        if (ended.length > 0) yield* notifier.publish({ _tag: "Finished", ids: ended.map((task) => task.id) })
        if (rescued.length < batchSize) return
      }
    })

    yield* supervisor.loop(
      "rescuer",
      Effect.gen(function*() {
        const at = now()
        if (at - lastSeen > leaseMs / 2 + intervalMs) notBefore = at + leaseMs
        lastSeen = at
        // While it waits it only looks whether the store answers: the lease counts from when it does.
        yield* Effect.onError(failed || at < notBefore ? store.rescue(0) : rescueAll, () =>
          Effect.sync(() => {
            failed = true
          }))
        if (failed) {
          failed = false
          notBefore = now() + leaseMs
        }
        yield* Effect.sleep(intervalMs)
      })
    )
  }))

const report = (task: Rescued): Effect.Effect<void> =>
  (task.state === "failed"
    ? Effect.logError(`task ${task.type} is quarantined: its process died ${task.crashes} times`)
    : Effect.logWarning(`task ${task.type} lost its worker (crash ${task.crashes}); now ${task.state}`)).pipe(
      Effect.annotateLogs({ job_id: task.id })
    )

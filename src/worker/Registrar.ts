/**
 * Tells the other instances that this one is alive, what it can do and what it runs. What it says is kept for as long
 * as a lease: an instance that died leaves the list when its tasks come back to the queue.
 */
import { type Clock, type Duration, Effect, Latch } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import type { Supervisor } from "../observability/Supervisor.ts"
import type { Beat, Instance, InstanceStore } from "../store/InstanceStore.ts"

/**
 * Starts the registrar. When the scope closes it takes this instance off the list, unless the store is out of reach. Answers how
 * to bring the next sign of life forward: the instance has something new to say.
 */
export const start = Effect.fnUntraced(function*(options: {
  readonly instances: InstanceStore["Service"]
  readonly instance: Instance["Service"]
  readonly supervisor: Supervisor["Service"]
  readonly clock: Clock.Clock
  readonly leaseForMs: number
  /** How long the farewell may take. */
  readonly answerFor: Duration.Input
  readonly describe: () => Pick<
    Beat,
    "capacity" | "queues" | "types" | "limits" | "running" | "sizing" | "load" | "shares" | "logLevels"
  >
}) {
  const { clock, instance, instances, leaseForMs } = options
  const startedAt = MonotonicClock.exactMillis(clock)
  const upForMs = () => Math.round(MonotonicClock.exactMillis(clock) - startedAt)
  const intervalMs = leaseForMs / 3
  const news = Latch.makeUnsafe(true)

  yield* Effect.addFinalizer(() =>
    instances.leave(instance.id).pipe(
      Effect.timeoutOption(options.answerFor),
      Effect.ignore,
      Effect.interruptible
    )
  )
  yield* options.supervisor.loop(
    "registrar",
    Effect.suspend(() => {
      news.closeUnsafe()
      return instances.beat({ ...instance, upForMs: upForMs(), ...options.describe() }, leaseForMs)
    }),
    { when: Effect.timeoutOption(news.await, intervalMs), maxBackoff: intervalMs }
  )
  return (): void => {
    news.openUnsafe()
  }
})

/**
 * Looks after the store's writes, so that health is red while they are refused, even where no process writes, and turns
 * green by itself; and before they are, when there is little room left.
 */
import { Clock, Duration, Effect, Layer } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { TaskStore } from "../store/TaskStore.ts"

/** The name of the loop, and of the trouble. */
export const part = "store writes"

/** The part of the room that should stay free, and the bytes that are enough however large it is. */
const [minFreeShare, minFreeBytes] = [0.05, 1024 ** 3]

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`

/** How often the store is asked, in milliseconds. */
const intervalMs = 1000

/** Watches until the scope closes. Does nothing for a store that cannot refuse writes. */
export const layer: Layer.Layer<never, never, TaskStore | Supervisor> = Layer.effectDiscard(
  Effect.gen(function*() {
    const { writeHealth } = yield* TaskStore
    const supervisor = yield* Supervisor
    if (writeHealth === undefined) return
    const clock = yield* Clock.Clock
    const now = () => MonotonicClock.exactMillis(clock)
    let since = Infinity
    yield* supervisor.watch("disk", () => {
      const room = writeHealth.room?.()
      if (room === undefined || room.free >= Math.min(room.total * minFreeShare, minFreeBytes)) {
        since = Infinity
        return undefined
      }
      since = Math.min(since, now())
      return {
        reason: `${mebibytes(room.free)} of ${mebibytes(room.total)} are free where the store writes`,
        advice: "free some space on its disk, or keep finished tasks for a shorter time",
        lasts: Duration.millis(now() - since)
      }
    })
    yield* supervisor.rounds(part, Effect.as(writeHealth.probe, intervalMs), { maxBackoff: intervalMs })
  })
)

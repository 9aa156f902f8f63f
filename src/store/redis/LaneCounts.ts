/**
 * The queues and types that have tasks, and how many of those wait and run.
 */
import { Effect } from "effect"
import * as ByteOrder from "../../domain/ByteOrder.ts"
import type { StoreError } from "../../domain/Errors.ts"
import { type CountedLanes, type LaneCounts, type LaneRange, startOf } from "../LaneCounts.ts"
import { type Runner, script } from "./Runner.ts"
import * as Scripts from "./scripts/LaneCounts.ts"
import { namesOf } from "./Text.ts"

const runLaneCounts = script<readonly [now: string, more: number, ...lanes: ReadonlyArray<string | number>]>(
  Scripts.laneCounts
)

/** How many texts and numbers a lane is shown in. */
const shownSize = 5

/** Lanes counted by one script at most: it blocks the server, for about 15 µs a lane. */
const maxLanes = 250

/** The read of one deployment. */
export const make = (runner: Runner) => (range: LaneRange): Effect.Effect<CountedLanes, StoreError> => {
  const [queue, type] = startOf(range)
  return Effect.map(
    runner("count by queue and type", runLaneCounts, [
      `[${queue}\u0000${type}`,
      range.queue === undefined ? "+" : `(${ByteOrder.after(range.queue)}`,
      String(Math.min(range.limit, maxLanes))
    ]),
    ([now, more, ...shown]) => ({
      now: Number(now),
      more: more === 1,
      lanes: Array.from({ length: shown.length / shownSize }, (_, index) => laneOf(shown, index * shownSize))
    })
  )
}

const laneOf = (shown: ReadonlyArray<string | number>, at: number): LaneCounts => {
  const [queue, type] = namesOf(String(shown[at]))
  const waitingSince = shown[at + 4]
  return {
    queue,
    type,
    scheduled: Number(shown[at + 1]),
    pending: Number(shown[at + 2]),
    running: Number(shown[at + 3]),
    waitingSince: waitingSince === "" ? null : Number(waitingSince)
  }
}

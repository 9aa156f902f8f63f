/**
 * How many tasks wait and run, as the leader asks the store from time to time. The counts by state cost the same however many tasks
 * there are. To count by queue and type, a store looks at the index of unfinished tasks: so the next time comes the later, the longer
 * that took, and it takes one part in two hundred of the time at most.
 */
import { Clock, Effect } from "effect"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { maxLanes } from "../observability/Tally.ts"
import type { LaneCounts, LaneRange } from "../store/Lanes.ts"
import type { TaskStore } from "../store/TaskStore.ts"
import type { DepthSample } from "./Bucket.ts"

/** How much longer than it took the next count by queue and type is waited for. */
const restFactor = 200

/** Queues and types that are counted at once. */
const pageSize = 1000

/** Queues and types that are counted at all: of more, the first ones by name are. */
const maxCounted = 5 * pageSize

/** Asks a store. */
export const make = (tasks: TaskStore["Service"]) =>
  Effect.map(Clock.Clock, (clock) => {
    const now = () => MonotonicClock.exactMillis(clock)
    let lanesAt = -Infinity

    const countLanes = Effect.gen(function*() {
      const found: Array<LaneCounts> = []
      const since = now()
      let storeNow = 0
      for (let more = true; more && found.length < maxCounted;) {
        const range: LaneRange = { after: found.at(-1), limit: pageSize }
        const page = yield* tasks.laneCounts(range)
        found.push(...page.lanes)
        storeNow = page.now
        more = page.more && page.lanes.length > 0
      }
      lanesAt = now() + (now() - since) * restFactor
      return sampleOf(found, storeNow)
    })

    return Effect.gen(function*() {
      const { pending, running, scheduled } = yield* tasks.counts
      const isEmpty = scheduled + pending + running === 0
      const lanes = isEmpty ? [] : now() < lanesAt ? undefined : yield* countLanes
      return { scheduled, pending, running, lanes } satisfies DepthSample
    })
  })

/** Those with most tasks first, and without those that have none. */
const sampleOf = (lanes: ReadonlyArray<LaneCounts>, now: number): NonNullable<DepthSample["lanes"]> =>
  lanes
    .filter(({ pending, running, scheduled }) => pending + running + scheduled > 0)
    .map(({ pending, queue, running, scheduled, type, waitingSince }) => ({
      queue,
      type,
      scheduled,
      pending,
      running,
      oldestMs: waitingSince === null ? 0 : Math.max(0, now - waitingSince)
    }))
    .sort((a, b) => b.pending + b.running + b.scheduled - (a.pending + a.running + a.scheduled))
    // the others are told together
    .slice(0, maxLanes * 5)

/**
 * From times on a wall to instants: what becomes of a time that the clock of a zone skips, or shows twice. The table in docs/schedules.md,
 * "When the clocks change", says it for people.
 */
import * as Bounds from "./Bounds.ts"
import * as Calendar from "./Calendar.ts"
import * as WallClock from "./WallClock.ts"

/** Times on the wall of no zone in particular. */
export interface WallTimes {
  /** The first of them that is not before this one, in milliseconds; `undefined` where there is none. */
  readonly first: (from: number) => number | undefined
  /**
   * Whether they are meant for certain hours. Such a time is meant once: it ticks at the first moment after the gap where the clock skips
   * it, and the first time where the clock shows it twice. Other times tick whenever the clock shows them, so that no hour goes without.
   */
  readonly hasFixedHour: boolean
}

/** Steps to the next tick at most. Wherever clocks were set until now, three are enough. */
const maxSteps = 64

/** The first instant after this one at which the times tick. */
export const next = (times: WallTimes, clock: WallClock.WallClock, after: number): number | undefined =>
  times.hasFixedHour ? nextFixed(times, clock, after) : nextShown(times, clock, after)

const nextFixed = (times: WallTimes, clock: WallClock.WallClock, after: number): number | undefined => {
  let from = Math.max(WallClock.wallAt(clock, after) + 1, WallClock.shownUntil(clock, after))
  for (let steps = 0; steps < maxSteps; steps++) {
    const wall = times.first(from)
    if (wall === undefined || wall > Bounds.maxRunAt) return undefined
    const instant = WallClock.firstShown(clock, wall)
    if (instant !== undefined && instant > after) return instant
    // The zone left the whole day out
    from = instant === undefined ? (Math.floor(wall / Calendar.dayMillis) + 1) * Calendar.dayMillis : wall + 1
  }
  return undefined
}

const nextShown = (times: WallTimes, clock: WallClock.WallClock, after: number): number | undefined => {
  let from = after + 1
  for (let steps = 0; steps < maxSteps; steps++) {
    const { offset, until } = clock.segmentAt(from)
    const wall = times.first(from + offset)
    if (wall === undefined || wall > Bounds.maxRunAt) return undefined
    const instant = wall - offset
    if (instant < until) return instant
    // What a clock that is set back shows again was looked at just now, unless it is set back soon
    from = until - from > WallClock.maxShift ? Math.max(until, instant - WallClock.maxShift) : until
  }
  return undefined
}

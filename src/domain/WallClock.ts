/**
 * What the clocks on the walls of a zone show, and when. A wall time is in milliseconds, as if its zone were UTC: 02:30 on 31 March 2024
 * is `Date.UTC(2024, 2, 31, 2, 30)` in every zone.
 *
 * A clock that is set forward skips wall times; one that is set back shows some twice. Zones do both by an hour as a rule, by half an hour on
 * Lord Howe Island, and by a day where they cross the date line.
 */
import { dayMillis, yearOf } from "./Calendar.ts"

/** A time in which the clock is not set. */
export interface Segment {
  /** The first instant of it. */
  readonly from: number
  /** The first instant after it. */
  readonly until: number
  /** What the clock shows less UTC, in milliseconds. */
  readonly offset: number
}

/** The clock of a zone. */
export interface WallClock {
  readonly zone: string
  /** Where an instant lies. Segments end with a year of UTC too, so two in a row may have the same offset. */
  readonly segmentAt: (instant: number) => Segment
}

const hourMillis = 3_600_000

/** Offsets of two zones, and of one zone at two times, differ by less. */
export const maxShift: number = 2 * dayMillis

/** Zones and years of a zone that are remembered at most. There are some 600 names of zones. */
const maxZones = 1000
const maxYears = 100

const clocks = new Map<string, WallClock>()

/** The clock of a zone that `Intl` knows. Throws a `RangeError` where it knows none. */
export const of = (zone: string): WallClock => {
  const known = clocks.get(zone)
  if (known !== undefined) return known
  const clock = make(zone)
  if (clocks.size >= maxZones) clocks.clear()
  clocks.set(zone, clock)
  return clock
}

const make = (zone: string): WallClock => {
  // Short to format: it is read some four hundred times for each year
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, hour: "numeric", timeZoneName: "longOffset" })
  const years = new Map<number, ReadonlyArray<Segment>>()
  const ofYear = (year: number): ReadonlyArray<Segment> => {
    const known = years.get(year)
    if (known !== undefined) return known
    const segments = segmentsBetween(format, Date.UTC(year, 0), Date.UTC(year + 1, 0))
    if (years.size >= maxYears) years.clear()
    years.set(year, segments)
    return segments
  }
  const segmentAt = (instant: number): Segment => ofYear(yearOf(instant)).find(({ until }) => instant < until)!
  return { zone, segmentAt }
}

/** No clock was set twice within so many days since 1970: seven are the fewest, in Brazil in 2000. */
const step = 5 * dayMillis

const segmentsBetween = (format: Intl.DateTimeFormat, start: number, end: number): ReadonlyArray<Segment> => {
  const segments: Array<Segment> = []
  let from = start
  let offset = offsetAt(format, start)
  for (let instant = start; instant < end; instant += step) {
    const later = Math.min(instant + step, end - 1000)
    const next = offsetAt(format, later)
    if (next === offset) continue
    const until = firstWithout(format, offset, instant, later)
    segments.push({ from, until, offset })
    from = until
    offset = next
  }
  segments.push({ from, until: end, offset })
  return segments
}

/** The first second with another offset, between one that has it and one that has not. */
const firstWithout = (format: Intl.DateTimeFormat, offset: number, from: number, until: number): number => {
  let [before, after] = [from / 1000, until / 1000]
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (offsetAt(format, middle * 1000) === offset) before = middle
    else after = middle
  }
  return after * 1000
}

const offsetForm = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/

const offsetAt = (format: Intl.DateTimeFormat, instant: number): number => {
  const [, sign, hours = "0", minutes = "0", seconds = "0"] = offsetForm.exec(format.format(instant)) ?? []
  const millis = Number(hours) * hourMillis + Number(minutes) * 60_000 + Number(seconds) * 1000
  return sign === "-" ? -millis : millis
}

/** The wall time at an instant. */
export const wallAt = (clock: WallClock, instant: number): number => instant + clock.segmentAt(instant).offset

/** The wall time up to which everything has been shown, or skipped, before an instant: later than what is shown in a repeated hour. */
export const shownUntil = (clock: WallClock, instant: number): number => {
  let shown = wallAt(clock, instant)
  for (const { offset, until } of segmentsAround(clock, instant - maxShift, instant)) {
    if (until <= instant) shown = Math.max(shown, until + offset)
  }
  return shown
}

/**
 * When a wall time is shown first. Where the clock skips it, the first instant after the gap; `undefined` where it skips the whole day, so
 * that the day has never been.
 */
export const firstShown = (clock: WallClock, wall: number): number | undefined => {
  const segments = segmentsAround(clock, wall - maxShift, wall + maxShift)
  for (const { from, offset, until } of segments) {
    if (wall - offset >= from && wall - offset < until) return wall - offset
  }
  const before = segments.findLast(({ offset, until }) => until + offset <= wall)!
  const after = clock.segmentAt(before.until)
  const midnight = Math.floor(wall / dayMillis) * dayMillis
  const isDayLeftOut = before.until + before.offset <= midnight && after.from + after.offset >= midnight + dayMillis
  return isDayLeftOut ? undefined : before.until
}

const segmentsAround = (clock: WallClock, from: number, until: number): ReadonlyArray<Segment> => {
  const segments = [clock.segmentAt(from)]
  while (segments.at(-1)!.until <= until) segments.push(clock.segmentAt(segments.at(-1)!.until))
  return segments
}

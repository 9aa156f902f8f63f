/**
 * Another way to the ticks of a cron expression, for tests to compare with: by the clock of the zone, minute by minute, as a person would find
 * them who watches it. It shares no code with `src`.
 */

/** A cron expression before it is text. A field that is not there is a star. */
export interface Spec {
  readonly minutes?: ReadonlyArray<number>
  readonly hours?: ReadonlyArray<number>
  readonly monthDays?: ReadonlyArray<number>
  readonly months?: ReadonlyArray<number>
  readonly weekDays?: ReadonlyArray<number>
}

export const textOf = ({ hours, minutes, monthDays, months, weekDays }: Spec): string =>
  [minutes, hours, monthDays, months, weekDays].map((values) => values?.join(",") ?? "*").join(" ")

/** What a clock shows: its minutes since 1970, and the same in parts. */
interface Shown {
  readonly wall: number
  readonly minute: number
  readonly hour: number
  readonly day: number
  readonly month: number
  readonly weekDay: number
}

const minuteMillis = 60_000

const partsOf = (wall: number): Shown => {
  const date = new Date(wall * minuteMillis)
  return {
    wall,
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    day: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    weekDay: date.getUTCDay()
  }
}

/** Reads the clock of a zone. */
export const clockOf = (zone: string) => {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" })
  return (instant: number): number => Date.parse(`${format.format(instant).replace(" ", "T")}Z`) / minuteMillis
}

const admits = ({ hours, minutes, monthDays, months, weekDays }: Spec, at: Shown): boolean => {
  if (minutes?.includes(at.minute) === false || hours?.includes(at.hour) === false) return false
  if (months?.includes(at.month) === false) return false
  const byDate = monthDays?.includes(at.day)
  const byWeek = weekDays?.includes(at.weekDay)
  return byDate === undefined ? byWeek !== false : byWeek === undefined ? byDate : byDate || byWeek
}

const dayMinutes = 24 * 60

/**
 * The ticks between two instants, which are whole minutes. Watching begins a day before, so that it is known what has been shown.
 */
export const ticksBetween = (spec: Spec, zone: string, from: number, until: number): ReadonlyArray<number> => {
  const show = clockOf(zone)
  const isFixed = spec.hours !== undefined && new Set(spec.hours).size < 24
  const ticks: Array<number> = []
  let latest = show(from - dayMinutes * minuteMillis) - 1
  let before = latest
  for (let instant = from - dayMinutes * minuteMillis; instant < until; instant += minuteMillis) {
    const wall = show(instant)
    let isTick = false
    if (isFixed) {
      // All that is shown for the first time, or skipped
      for (let time = latest + 1; time <= wall; time++) {
        const day = Math.floor(time / dayMinutes) * dayMinutes
        const isDayLeftOut = time < wall && before < day && wall >= day + dayMinutes
        if (!isDayLeftOut && admits(spec, partsOf(time))) isTick = true
      }
    } else {
      isTick = admits(spec, partsOf(wall))
    }
    if (isTick && instant >= from) ticks.push(instant)
    latest = Math.max(latest, wall)
    before = wall
  }
  return ticks
}

/**
 * The days, by their first instants in UTC, on which the clock of a zone is set, between two years. Weeks that begin and end
 * alike are taken for weeks in which it is not set.
 */
export const daysOfChange = (zone: string, from: number, until: number): ReadonlyArray<number> => {
  const show = clockOf(zone)
  const offsetAt = (instant: number) => show(instant) - instant / minuteMillis
  const dayMillis = dayMinutes * minuteMillis
  const days: Array<number> = []
  const end = Date.UTC(until, 0) - dayMillis
  let before = offsetAt(Date.UTC(from, 0))
  for (let week = Date.UTC(from, 0); week < end; week += 7 * dayMillis) {
    const last = Math.min(week + 7 * dayMillis, end)
    if (offsetAt(last) === before) continue
    for (let day = week; day < last; day += dayMillis) {
      const after = offsetAt(day + dayMillis)
      if (after !== before) days.push(day)
      before = after
    }
  }
  return days
}

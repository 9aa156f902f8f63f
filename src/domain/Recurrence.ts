/**
 * The times on a wall at which a calendar rule recurs: what RFC 5545 says, in steps that are bounded.
 *
 * A rule goes from period to period (a year, a week, a minute), by its interval. In a period its parts admit days, and times of these
 * days; `BYSETPOS` then picks some of them. What clocks make of such a time is decided in `WallTicks.ts`.
 */
import * as Calendar from "./Calendar.ts"
import type { ByDay, RecurrenceRule } from "./RecurrenceRule.ts"
import * as TimesOfDay from "./TimesOfDay.ts"
import type { WallTimes } from "./WallTicks.ts"

/**
 * What is looked at for one time, at most: days, or hours, minutes and seconds that are tried. The calendar repeats after 146,097 days, and
 * with it what a rule says about days, whatever its interval: so no such rule is cut short.
 */
const maxSteps = 150_000

const { dayMillis } = Calendar
const secondsOfDay = dayMillis / 1000

/** The times of a rule, from the time on the wall at which it begins. */
export const timesOf = (rule: RecurrenceRule, start: number): WallTimes => {
  const seconds = Math.floor(start / 1000)
  const unit = subdaily[rule.frequency]
  const first = unit === undefined ? byDays(rule, seconds) : byClock(rule, unit, seconds)
  return {
    hasFixedHour: hasFixedHour(rule),
    first: (from) => {
      const found = first(Math.max(Math.ceil(from / 1000), seconds))
      return found === undefined || rule.untilWall !== undefined && found * 1000 > rule.untilWall
        ? undefined
        : found * 1000
    }
  }
}

/** The first time that is not before this one, in seconds on the wall. */
type First = (from: number) => number | undefined

const subdaily: Readonly<Record<string, number>> = { HOURLY: 3600, MINUTELY: 60, SECONDLY: 1 }

/** Whether an hour more or less makes other times of it: see `CronFields.hasFixedHour`. */
const hasFixedHour = ({ frequency, hours, interval, positions }: RecurrenceRule): boolean => {
  const unit = subdaily[frequency]
  const isAnyHour = hours.length === 24
  return unit === undefined
    ? !isAnyHour || positions.length > 0
    : hours.length > 0 && !isAnyHour || 3600 % (unit * interval) !== 0
}

/** Years, months, weeks and days. */
const byDays = (rule: RecurrenceRule, start: number): First => {
  const period = periodOf(rule)
  const begin = period.of(Math.floor(start / secondsOfDay))
  const daysOf = lastKept((index: number) => admitted(rule, period.first(index), period.first(index + 1)))
  return (from) => {
    const at = period.of(Math.floor(from / secondsOfDay))
    let index = begin + Math.max(0, Math.ceil((at - begin) / rule.interval)) * rule.interval
    for (let steps = 0; steps < maxSteps;) {
      const first = period.first(index)
      // Not a number, far beyond the years that there are
      if (!(first <= maxDay)) return undefined
      const found = firstIn(rule, daysOf(index), from)
      if (found !== undefined) return found
      steps += period.first(index + 1) - first
      const later = rule.frequency === "DAILY" ? firstOfMonths(rule, first + 1) : first
      index += Math.max(1, Math.ceil((later - first) / rule.interval)) * rule.interval
    }
    return undefined
  }
}

/** The last day of the year 9999. */
const maxDay = Math.floor(Date.UTC(9999, 11, 31) / dayMillis)

/** Days in a row, by their number since 1970. */
interface Period {
  /** The period of a day. */
  readonly of: (day: number) => number
  readonly first: (index: number) => number
}

const periodOf = ({ frequency, weekStart }: RecurrenceRule): Period => {
  if (frequency === "DAILY") return { of: (day) => day, first: (index) => index }
  if (frequency === "WEEKLY") {
    return {
      of: (day) => Math.floor((day - weekOf(0, weekStart)) / 7),
      first: (index) => index * 7 + weekOf(0, weekStart)
    }
  }
  const perYear = frequency === "YEARLY" ? 1 : 12
  return {
    of: (day) => {
      const { month, year } = Calendar.dateOf(day * dayMillis)
      return perYear === 1 ? year : year * 12 + month - 1
    },
    first: (index) => Date.UTC(Math.floor(index / perYear), perYear === 1 ? 0 : index % 12) / dayMillis
  }
}

/** The first day of the week of a day. */
const weekOf = (day: number, weekStart: number): number =>
  day - (Calendar.weekDayOf(day * dayMillis) - weekStart + 7) % 7

const lastKept = <A>(make: (index: number) => A): (index: number) => A => {
  let last: { readonly index: number; readonly made: A } | undefined
  return (index) => {
    if (last?.index !== index) last = { index, made: make(index) }
    return last.made
  }
}

const admitted = (rule: RecurrenceRule, from: number, until: number): ReadonlyArray<number> => {
  const days: Array<number> = []
  for (let day = from; day < until; day++) if (admits(rule, day)) days.push(day)
  return days
}

/** The first day in one of the months of a rule that is not before this one. */
const firstOfMonths = ({ months }: RecurrenceRule, from: number): number => {
  if (months.length === 0) return from
  const { month, year } = Calendar.dateOf(from * dayMillis)
  if (months.includes(month)) return from
  const later = months.find((one) => one > month)
  return (later === undefined ? Date.UTC(year + 1, months[0]! - 1) : Date.UTC(year, later - 1)) / dayMillis
}

/** Whether the parts of a rule about days admit this one. */
const admits = (rule: RecurrenceRule, number: number): boolean => {
  const { days, monthDays, months, weekDays, weeks, yearDays } = rule
  const { day, month, year } = Calendar.dateOf(number * dayMillis)
  if (months.length > 0 && !months.includes(month)) return false
  if (monthDays.length > 0) {
    if (!monthDays.includes(day) && !monthDays.includes(day - Calendar.daysIn(year, month) - 1)) return false
  }
  if (yearDays.length > 0) {
    const ofYear = number - firstOf(year) + 1
    if (!yearDays.includes(ofYear) && !yearDays.includes(ofYear - lengthOf(year) - 1)) return false
  }
  if (weeks.length > 0 && !isInWeeks(weeks, number, rule.weekStart)) return false
  if (weekDays.length === 0 && days.length === 0) return true
  const weekDay = Calendar.weekDayOf(number * dayMillis)
  if (weekDays.includes(weekDay)) return true
  return days.length > 0 && (rule.frequency === "YEARLY" && months.length === 0
    ? isNth(days, weekDay, number - firstOf(year) + 1, lengthOf(year))
    : isNth(days, weekDay, day, Calendar.daysIn(year, month)))
}

const firstOf = (year: number): number => Date.UTC(year, 0) / dayMillis

const lengthOf = (year: number): number => firstOf(year + 1) - firstOf(year)

/** Whether a day is the second Friday, or the last but one, of a month or a year with so many days. */
const isNth = (days: ReadonlyArray<ByDay>, weekDay: number, day: number, length: number): boolean =>
  days.some((one) =>
    one.weekDay === weekDay &&
    (one.nth > 0 ? Math.ceil(day / 7) === one.nth : Math.ceil((length - day + 1) / 7) === -one.nth)
  )

/** A week belongs to the year that has four of its days. */
const isInWeeks = (weeks: ReadonlyArray<number>, day: number, weekStart: number): boolean => {
  const fourth = weekOf(day, weekStart) + 3
  const { year } = Calendar.dateOf(fourth * dayMillis)
  const week = Math.floor((fourth - firstOf(year)) / 7) + 1
  const last = Math.floor((weekOf(firstOf(year) + lengthOf(year) - 4, weekStart) + 3 - firstOf(year)) / 7) + 1
  return weeks.includes(week) || weeks.includes(week - last - 1)
}

/** The first time of a period that is not before this one. */
const firstIn = (rule: RecurrenceRule, days: ReadonlyArray<number>, from: number): number | undefined => {
  if (rule.positions.length > 0) return firstOfPositions(rule, days, from)
  for (const day of days) {
    const begin = day * secondsOfDay
    if (begin + secondsOfDay <= from) continue
    const time = TimesOfDay.first(rule, Math.max(0, from - begin))
    if (time !== undefined) return begin + time
  }
  return undefined
}

const firstOfPositions = (rule: RecurrenceRule, days: ReadonlyArray<number>, from: number): number | undefined => {
  const perDay = TimesOfDay.count(rule)
  let first: number | undefined
  for (const position of rule.positions) {
    const index = position > 0 ? position - 1 : days.length * perDay + position
    const day = days[Math.floor(index / perDay)]
    if (day === undefined) continue
    const time = day * secondsOfDay + TimesOfDay.at(rule, index % perDay)
    if (time >= from && (first === undefined || time < first)) first = time
  }
  return first
}

/** Hours, minutes and seconds, as units of so many seconds. */
const byClock = (rule: RecurrenceRule, unit: number, start: number): First => {
  const begin = Math.floor(start / unit)
  const { hours, interval, minutes, seconds } = rule
  // Parts of a unit or more restrict it, others are times in it
  const within = { ...rule, hours: [0], minutes: unit > 60 ? minutes : [0], seconds: unit > 1 ? seconds : [0] }
  const isDayAdmitted = lastKept((day: number) => admits(rule, day))
  const align = (time: number) => begin + Math.max(0, Math.ceil((Math.ceil(time / unit) - begin) / interval)) * interval
  return (from) => {
    let index = align(Math.floor(from / unit) * unit)
    for (let steps = 0; steps < maxSteps; steps++) {
      const time = index * unit
      const day = Math.floor(time / secondsOfDay)
      if (day > maxDay) return undefined
      const ofDay = time - day * secondsOfDay
      const hour = Math.floor(ofDay / 3600)
      const minute = Math.floor(ofDay / 60) % 60
      let later: number | undefined
      if (!isDayAdmitted(day)) later = firstOfMonths(rule, day + 1) * secondsOfDay
      else if (!isIn(hours, hour)) later = time - ofDay + (following(hours, hour) ?? 24) * 3600
      else if (unit <= 60 && !isIn(minutes, minute)) {
        later = time - ofDay + hour * 3600 + (following(minutes, minute) ?? 60) * 60
      } else if (unit === 1 && !isIn(seconds, ofDay % 60)) {
        later = time - ofDay % 60 + (following(seconds, ofDay % 60) ?? 60)
      }
      if (later !== undefined) {
        index = align(later)
        continue
      }
      const found = rule.positions.length > 0
        ? firstOfPositions(within, [0], from - time)
        : TimesOfDay.first(within, Math.max(0, from - time))
      if (found !== undefined) return time + found
      index += interval
    }
    return undefined
  }
}

/** A part that says nothing admits everything. */
const isIn = (values: ReadonlyArray<number>, value: number): boolean => values.length === 0 || values.includes(value)

const following = (values: ReadonlyArray<number>, value: number): number | undefined =>
  values.find((one) => one > value)

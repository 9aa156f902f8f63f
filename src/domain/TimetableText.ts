/** Timetables in plain English: `every day at 02:30 in Europe/Berlin`. */
import { DateTime } from "effect"
import type { CronFields } from "./CronFields.ts"
import type { RecurrenceRule } from "./RecurrenceRule.ts"
import * as TimesOfDay from "./TimesOfDay.ts"

/** A cron expression. */
export const ofCron = (fields: CronFields, timeZone: string): string => {
  const { monthDays, weekDays } = fields
  const months = valuesOf(fields.months)
  const days = valuesOf(monthDays.days)
  const special = [
    ...monthDays.beforeLast.map((before) => before === 0 ? "the last day" : `the ${ordinal(-before - 1)} day`),
    ...monthDays.nearestTo.map((day) => day === 0 ? "the last weekday" : `the weekday nearest to day ${day}`)
  ]
  // 1 January is better than day 1 of the month, in January
  const isDate = monthDays.isRestricted && !weekDays.isRestricted && special.length === 0 && days.length === 1 &&
    months.length === 1
  const dates = [...(days.length === 0 ? [] : [counted("day", days)]), ...special]
  const onDays = isDate ? [`${days[0]} ${monthNames[months[0]! - 1]}`] : [
    monthDays.isRestricted ? `${joined(dates, "and")} of the month` : "",
    weekDays.isRestricted ? onWeekDays(valuesOf(weekDays.days), weekDays.nth, "month") : ""
  ].filter(isSaid)
  return sentence(
    fields,
    onDays.length === 0 ? "" : `on ${onDays.join(", or on ")}${onDays.length > 1 ? "," : ""}`,
    isDate || months.length === 12 ? "" : inMonths(months),
    `in ${timeZone}`
  )
}

/** Times that are few are told after the days, as people do; others before them. */
const sentence = (times: TimesOfDay.TimesOfDay, days: string, months: string, zone: string): string =>
  (areTold(times)
    ? [days === "" ? "every day" : days, months, timesOf(times), zone]
    : [timesOf(times), days, months, zone]).filter(isSaid).join(" ")

const units: Readonly<Record<RecurrenceRule["frequency"], string>> = {
  SECONDLY: "second",
  MINUTELY: "minute",
  HOURLY: "hour",
  DAILY: "day",
  WEEKLY: "week",
  MONTHLY: "month",
  YEARLY: "year"
}

/** A calendar rule that begins at a time on the wall, if it says so. */
export const ofRule = (rule: RecurrenceRule, timeZone: string, start: string | undefined): string => {
  const { days, frequency, interval, monthDays, months, positions, weekDays, weeks, yearDays } = rule
  const isByClock = frequency === "SECONDLY" || frequency === "MINUTELY" || frequency === "HOURLY"
  const isOfYear = frequency === "YEARLY" && months.length === 0
  return [
    `every ${interval === 1 ? units[frequency] : `${interval} ${units[frequency]}s`}`,
    positions.length === 0 ? "" : `the ${joined(positions.map(ordinal), "and")} of the times`,
    days.length + weekDays.length === 0 ? "" : `on ${onWeekDays(weekDays, days, isOfYear ? "year" : "month")}`,
    monthDays.length === 0 ? "" : `on ${fromEnds("day", monthDays)} of the month`,
    yearDays.length === 0 ? "" : `on ${fromEnds("day", yearDays)} of the year`,
    weeks.length === 0 ? "" : `in ${fromEnds("week", weeks)}`,
    months.length === 0 ? "" : inMonths(months),
    isByClock ? partsOf(rule) : timesOf(rule),
    `in ${timeZone}`,
    start === undefined ? "" : `from ${start.replace("T", " ").replace(/:00$/, "")}`,
    rule.untilWall === undefined ? "" : `until ${isoOf(rule.untilWall).slice(0, 16).replace("T", " ")}`,
    rule.until === undefined ? "" : `until ${isoOf(rule.until)}`,
    rule.count === undefined ? "" : rule.count === 1 ? "once" : `${rule.count} times`
  ].filter(isSaid).join(" ")
}

const isSaid = (text: string): boolean => text !== ""

const isoOf = (time: number): string => DateTime.formatIso(DateTime.makeUnsafe(time))

/** The bits that are set. */
const valuesOf = (bits: number): ReadonlyArray<number> =>
  Array.from({ length: 32 }, (_, value) => value).filter((value) => Math.floor(bits / 2 ** value) % 2 === 1)

const joined = (texts: ReadonlyArray<string>, word: "and" | "or"): string =>
  texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} ${word} ${texts.at(-1)}`

/** Three in a row or more are told by the first and the last. */
const ranges = (values: ReadonlyArray<number>, nameOf: (value: number) => string): string => {
  const texts: Array<string> = []
  for (let index = 0; index < values.length; index++) {
    let last = index
    while (values[last + 1] === values[last]! + 1) last++
    if (last - index >= 2) {
      texts.push(`${nameOf(values[index]!)} to ${nameOf(values[last]!)}`)
      index = last
    } else texts.push(nameOf(values[index]!))
  }
  return joined(texts, "and")
}

const counted = (unit: string, values: ReadonlyArray<number>): string =>
  `${values.length === 1 ? unit : `${unit}s`} ${ranges(values, String)}`

const fromEnds = (unit: string, values: ReadonlyArray<number>): string => {
  const forward = values.filter((value) => value > 0)
  const backward = values.filter((value) => value < 0).toReversed()
  return joined([
    ...(forward.length === 0 ? [] : [counted(unit, forward)]),
    ...backward.map((value) => `the ${ordinal(value)} ${unit}`)
  ], "and")
}

const ordinals = ["first", "second", "third", "fourth", "fifth"]

/** `first`, `last`, `second last`, `21st`. */
const ordinal = (position: number): string => {
  if (position < 0) return position === -1 ? "last" : `${ordinal(-position)} last`
  const last = position % 10
  const suffix = Math.floor(position / 10) % 10 === 1
    ? "th"
    : last === 1
    ? "st"
    : last === 2
    ? "nd"
    : last === 3
    ? "rd"
    : "th"
  return ordinals[position - 1] ?? `${position}${suffix}`
}

const dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

const monthNames = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
]

/** Where there are only such days as the second Friday, they are those of a month or a year; 0 and -1 are the last. */
const onWeekDays = (
  days: ReadonlyArray<number>,
  nth: ReadonlyArray<{ readonly nth: number; readonly day?: number; readonly weekDay?: number }>,
  period: string
): string => {
  // As people count, from Monday on
  const fromMonday = days.map((day) => (day + 6) % 7).toSorted((a, b) => a - b)
  return joined([
    ...(days.length === 0 ? [] : [ranges(fromMonday, (day) => dayNames[(day + 1) % 7]!)]),
    ...nth.map((one) => `the ${ordinal(one.nth || -1)} ${dayNames[one.day ?? one.weekDay ?? 0]} of the ${period}`)
  ], "and")
}

const inMonths = (months: ReadonlyArray<number>): string => `in ${ranges(months, (month) => monthNames[month - 1]!)}`

/** Times of a day that are told one by one, at most. */
const maxTold = 4

const areTold = (times: TimesOfDay.TimesOfDay): boolean => TimesOfDay.count(times) <= maxTold

const timesOf = (times: TimesOfDay.TimesOfDay): string => {
  if (!areTold(times)) return partsOf(times)
  const all = Array.from({ length: TimesOfDay.count(times) }, (_, position) => TimesOfDay.at(times, position))
  return `at ${joined(all.map(timeText), "and")}`
}

const timeText = (time: number): string => isoOf(time * 1000).slice(11, time % 60 === 0 ? 16 : 19)

/** What the parts of times admit; one that is empty or full restricts nothing. */
const partsOf = ({ hours, minutes, seconds }: TimesOfDay.TimesOfDay): string => {
  const isPlain = seconds.length === 1 && seconds[0] === 0
  const step = stepOf(hours, 24)
  if (isPlain && minutes.length === 1 && minutes[0] === 0 && step !== undefined) return each(step, "hour")
  const second = isPlain || seconds.length === 0 ? "" : partOf(seconds, 60, "second")
  const everyMinute = stepOf(minutes, 60) === 1
  const minute = minutes.length === 0 || everyMinute && second !== "" ? "" : partOf(minutes, 60, "minute")
  const ofHour = hours.length === 0
    ? ""
    : step === 1
    ? minute.startsWith("at") ? "of every hour" : ""
    : `in the ${counted("hour", hours)}`
  return [second, minute, ofHour].filter(isSaid).join(" ")
}

const partOf = (values: ReadonlyArray<number>, size: number, unit: string): string => {
  const step = stepOf(values, size)
  return step === undefined ? `at ${counted(unit, values)}` : each(step, unit)
}

const each = (step: number, unit: string): string => step === 1 ? `every ${unit}` : `every ${step} ${unit}s`

/** The step between values that go on in the next minute, hour or day as they began; `undefined` where there is none. */
const stepOf = (values: ReadonlyArray<number>, size: number): number | undefined => {
  const step = size / values.length
  return values.length > 1 && values.every((value, index) => value === index * step) ? step : undefined
}

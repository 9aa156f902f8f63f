/**
 * The fields of a cron expression: which seconds, minutes, hours and days it admits. What an hour is that a clock skips or shows twice
 * is decided in `WallTicks.ts`; here all times are those on a wall.
 *
 * A field that admits all of its values restricts nothing, however it is written: `*`, `?`, `0-23`. Days are admitted by the day
 * of the month OR the day of the week where both are restricted, else by the one that is.
 */
import { Result } from "effect"
import * as Calendar from "./Calendar.ts"
import { InvalidTimetable } from "./Errors.ts"
import * as Quoting from "./Quoting.ts"
import * as TimesOfDay from "./TimesOfDay.ts"

/** What a cron expression admits. */
export interface CronFields extends TimesOfDay.TimesOfDay {
  readonly hasFixedHour: boolean
  /** Bits 1 to 12. */
  readonly months: number
  readonly monthDays: MonthDays
  readonly weekDays: WeekDays
}

/** Days by their number in the month. */
interface MonthDays {
  readonly isRestricted: boolean
  /** Bits 1 to 31. */
  readonly days: number
  /** `L` is 0, `L-3` is 3: days before the last. */
  readonly beforeLast: ReadonlyArray<number>
  /** `15W`: the weekday that is nearest to the day; 0 stands for the last day, `LW`. */
  readonly nearestTo: ReadonlyArray<number>
}

/** Days by their place in the week. */
interface WeekDays {
  readonly isRestricted: boolean
  /** Bits 0 to 6, Sunday first. */
  readonly days: number
  /** `5#3`: the third Friday of a month; 0 stands for the last, `5L`. */
  readonly nth: ReadonlyArray<{ readonly day: number; readonly nth: number }>
}

interface Field {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly names?: ReadonlyArray<string>
}

const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

const second: Field = { name: "second", min: 0, max: 59 }
const minute: Field = { name: "minute", min: 0, max: 59 }
const hour: Field = { name: "hour", min: 0, max: 23 }
const dayOfMonth: Field = { name: "day of month", min: 1, max: 31 }
const month: Field = { name: "month", min: 1, max: 12, names: monthNames }
const dayOfWeek: Field = { name: "day of week", min: 0, max: 7, names: dayNames }

const macros: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *"
}

/** Characters of an expression at most. */
const maxLength = 256

const fieldsExpected =
  `five fields, minute, hour, day of month, month and day of week, with seconds before them if there are six, or one of ${
    Object.keys(macros).join(", ")
  }`

/** Reads an expression. It may still admit no day at all: see {@link firstTime}. */
export const parse = (expression: string): Read<CronFields> => {
  if (expression.length > maxLength) {
    return refuse("expression", `${expression.length} characters`, `at most ${maxLength} characters`)
  }
  const trimmed = expression.trim()
  if (trimmed.startsWith("@") && !Object.hasOwn(macros, trimmed.toLowerCase())) {
    return refuse("expression", shown(trimmed), fieldsExpected)
  }
  const texts = (macros[trimmed.toLowerCase()] ?? trimmed).split(/\s+/)
  if (texts.length !== 5 && texts.length !== 6) {
    return refuse("expression", trimmed === "" ? "empty" : `${texts.length} fields`, fieldsExpected)
  }
  const [seconds, minutes, hours, monthDays, months, weekDays] = texts.length === 6 ? texts : ["0", ...texts]
  return Result.gen(function*() {
    const fields = {
      seconds: yield* readValues(second, seconds!),
      minutes: yield* readValues(minute, minutes!),
      hours: yield* readValues(hour, hours!)
    }
    return {
      ...fields,
      hasFixedHour: !isFull(hour, fields.hours),
      monthDays: yield* readMonthDays(monthDays!),
      months: bitsOf(yield* readValues(month, months!)),
      weekDays: yield* readWeekDays(weekDays!)
    }
  })
}

type Read<A> = Result.Result<A, InvalidTimetable>

/** What is wrong with a field, and what may stand in it. */
const refuse = (where: string, found: string, expected: string): Read<never> =>
  Result.fail(new InvalidTimetable({ at: where === "expression" ? "cron" : `cron, ${where}`, found, expected }))

const shown = (text: string) => JSON.stringify(Quoting.shortened(text, 40))

const bitsOf = (values: ReadonlyArray<number>): number => values.reduce((bits, value) => bits + 2 ** value, 0)

const isFull = ({ max, min }: Field, values: ReadonlyArray<number>): boolean => values.length === max - min + 1

/** Ascending, each once. */
const ascending = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  values.length < 2 ? values : [...new Set(values)].toSorted((a, b) => a - b)

const valuesBetween = (from: number, to: number, step: number): ReadonlyArray<number> => {
  const values: Array<number> = []
  for (let value = from; value <= to; value += step) values.push(value)
  return values
}

const readValues = (field: Field, text: string): Read<ReadonlyArray<number>> => {
  const values: Array<number> = []
  for (const item of text.split(",")) {
    const read = readItem(field, item)
    if (Result.isFailure(read)) return read
    values.push(...read.success)
  }
  return Result.succeed(ascending(values))
}

const itemForm = /^(?:([*?])|([a-z\d]+)(?:-([a-z\d]+))?)(?:\/(\d+))?$/i

/** One item of a list: `*`, `5`, `1-5`, each with a step or without. */
const readItem = (field: Field, item: string): Read<ReadonlyArray<number>> =>
  Result.gen(function*() {
    const { max, min, name } = field
    const parts = itemForm.exec(item)
    if (parts === null) return yield* refuse(name, shown(item), allowedIn(field))
    const [, star, first = "", last, every] = parts
    const step = every === undefined ? 1 : Number(every)
    if (step < 1 || step > max - min) {
      return yield* refuse(name, `the step ${every} in ${shown(item)}`, `a step from 1 to ${max - min}`)
    }
    if (star !== undefined) return valuesBetween(min, max, step)
    const from = yield* readValue(field, first, item)
    const to = last !== undefined ? yield* readValue(field, last, item) : every !== undefined ? max : from
    // A week may be written with Sunday at its end
    const end = field === dayOfWeek && last !== undefined && to === 0 && from > 0 ? 7 : to
    if (end < from) {
      return yield* refuse(
        name,
        `the range ${shown(item)}`,
        `its smaller end first, or two ranges: ${Quoting.shortened(`${first}-${max},${min}-${last}`, 40)}`
      )
    }
    return valuesBetween(from, end, step)
  })

const readValue = (field: Field, text: string, item: string): Read<number> => {
  const { max, min, name, names = [] } = field
  const value = /^\d+$/.test(text) ? Number(text) : names.indexOf(text.toLowerCase()) + (names === monthNames ? 1 : 0)
  const isKnown = /^\d+$/.test(text) ? value >= min && value <= max : names.includes(text.toLowerCase())
  return isKnown ? Result.succeed(value) : refuse(name, shown(item), allowedIn(field))
}

const allowedIn = (field: Field): string => {
  const { max, min, names } = field
  const values = `${min} to ${max}${names === undefined ? "" : ` or ${names[0]} to ${names.at(-1)}`}`
  const special = field === dayOfMonth
    ? "; or L, L-3, 15W or LW"
    : field === dayOfWeek
    ? "; or fri#2 for the second Friday of a month, friL for the last"
    : ""
  return `*, a value from ${values}, a range such as ${min}-${
    min + 4
  }, with a step such as */2, or a list of these${special}`
}

const readMonthDays = (text: string): Read<MonthDays> =>
  Result.gen(function*() {
    const days: Array<number> = []
    const beforeLast: Array<number> = []
    const nearestTo: Array<number> = []
    for (const item of text.split(",")) {
      const [, last, before = "0"] = /^(L)(?:-(\d+))?$/i.exec(item) ?? []
      const [, nearest] = /^(L|\d+)W$/i.exec(item) ?? []
      if (last !== undefined) {
        if (Number(before) > 30) return yield* refuse(dayOfMonth.name, shown(item), "L-1 to L-30")
        beforeLast.push(Number(before))
      } else if (nearest !== undefined) {
        nearestTo.push(/^L$/i.test(nearest) ? 0 : yield* readValue(dayOfMonth, nearest, item))
      } else {
        days.push(...(yield* readItem(dayOfMonth, item)))
      }
    }
    const admitted = ascending(days)
    return { isRestricted: !isFull(dayOfMonth, admitted), days: bitsOf(admitted), beforeLast, nearestTo }
  })

const readWeekDays = (text: string): Read<WeekDays> =>
  Result.gen(function*() {
    const days: Array<number> = []
    const nth: Array<WeekDays["nth"][number]> = []
    for (const item of text.split(",")) {
      const [, day, number] = /^([a-z\d]+?)(?:#([1-5])|L)$/i.exec(item) ?? []
      if (day === undefined) days.push(...(yield* readItem(dayOfWeek, item)))
      else nth.push({ day: (yield* readValue(dayOfWeek, day, item)) % 7, nth: Number(number ?? 0) })
    }
    const admitted = ascending(days.map((day) => day % 7))
    return { isRestricted: admitted.length < 7, days: bitsOf(admitted), nth }
  })

/** A year and a month, from 1. */
const monthBits = (fields: CronFields, year: number, month: number): number => {
  const last = Calendar.daysIn(year, month)
  const first = Calendar.weekDayOf(Date.UTC(year, month - 1))
  const all = 2 ** (last + 1) - 2
  const { monthDays, weekDays } = fields
  if (!monthDays.isRestricted && !weekDays.isRestricted) return all
  let byDate = monthDays.days & all
  for (const before of monthDays.beforeLast) if (before < last) byDate |= 1 << (last - before)
  for (const day of monthDays.nearestTo) if (day <= last) byDate |= 1 << nearestWeekDay(day || last, last, first)
  let byWeek = 0
  for (let day = 1; day <= last; day++) if ((weekDays.days >> ((first + day - 1) % 7) & 1) !== 0) byWeek |= 1 << day
  for (const { day, nth } of weekDays.nth) {
    const one = 1 + (day - first + 7) % 7
    const date = nth === 0 ? one + 7 * Math.floor((last - one) / 7) : one + 7 * (nth - 1)
    if (date <= last) byWeek |= 1 << date
  }
  // Bit 31 is the sign
  return ((monthDays.isRestricted ? byDate : 0) | (weekDays.isRestricted ? byWeek : 0)) & all
}

/** Monday to Friday, in the same month. */
const nearestWeekDay = (day: number, last: number, first: number): number => {
  const weekDay = (first + day - 1) % 7
  if (weekDay === 6) return day > 1 ? day - 1 : day + 2
  if (weekDay === 0) return day < last ? day + 1 : day - 2
  return day
}

/** The calendar repeats after 400 years: a day that is not found in these months does not exist. */
const maxMonths = 400 * 12

/**
 * The first day that is admitted, not before this time, as its midnight; `undefined` where there is none. Times are those on a wall, as
 * `Date.UTC` counts them.
 */
const firstDay = (fields: CronFields, from: number): number | undefined => {
  let { day, month, year } = Calendar.dateOf(from)
  for (let months = 0; months <= maxMonths; months++) {
    if ((fields.months >> month & 1) !== 0) {
      const bits = monthBits(fields, year, month)
      for (; day <= 31; day++) if ((bits >>> day & 1) !== 0) return Date.UTC(year, month - 1, day)
    }
    day = 1
    if (month++ === 12) {
      month = 1
      year++
    }
  }
  return undefined
}

/** The first admitted time that is not before this one, on the wall; `undefined` where there is none. */
export const firstTime = (fields: CronFields, from: number): number | undefined => {
  const whole = Math.ceil(from / 1000) * 1000
  const day = firstDay(fields, whole)
  if (day === undefined) return undefined
  const ofDay = day > whole ? TimesOfDay.first(fields, 0) : TimesOfDay.first(fields, (whole - day) / 1000)
  if (ofDay !== undefined) return day + ofDay * 1000
  const following = firstDay(fields, day + Calendar.dayMillis)
  return following === undefined ? undefined : following + TimesOfDay.first(fields, 0)! * 1000
}

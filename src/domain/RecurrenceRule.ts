/**
 * Reads the calendar rules of RFC 5545, section 3.3.10: `FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9`.
 *
 * Everything that the RFC forbids is refused: an unknown part, a value beyond its bounds, parts that do not go with the frequency. What a
 * rule leaves open comes from its start: `FREQ=WEEKLY` recurs on the start's day of the week, at its time.
 */
import { Result } from "effect"
import * as Bounds from "./Bounds.ts"
import * as Calendar from "./Calendar.ts"
import { InvalidTimetable } from "./Errors.ts"
import * as Quoting from "./Quoting.ts"
import type { TimesOfDay } from "./TimesOfDay.ts"

const frequencies = ["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"] as const

/** From what to what a rule goes. */
export type Frequency = (typeof frequencies)[number]

/** The second Friday of a month or of a year, or from its end. */
export interface ByDay {
  /** From 1, or from -1 backwards. */
  readonly nth: number
  /** 0 is Sunday. */
  readonly weekDay: number
}

/** A rule with what its start adds. A list that is empty restricts nothing. */
export interface RecurrenceRule extends TimesOfDay {
  readonly frequency: Frequency
  readonly interval: number
  readonly months: ReadonlyArray<number>
  readonly weeks: ReadonlyArray<number>
  readonly yearDays: ReadonlyArray<number>
  readonly monthDays: ReadonlyArray<number>
  /** Each such day, 0 being Sunday. */
  readonly weekDays: ReadonlyArray<number>
  /** Some of such days. */
  readonly days: ReadonlyArray<ByDay>
  readonly positions: ReadonlyArray<number>
  readonly weekStart: number
  /** After so many ticks it ends. */
  readonly count: number | undefined
  /** The last instant at which it may tick, where the rule says it in UTC. */
  readonly until: number | undefined
  /** The last time on the wall at which it may, where it does not. */
  readonly untilWall: number | undefined
}

/** Characters of a rule at most. */
const maxLength = 1024

/** `COUNT` at most: where such a rule ends is found by counting. */
const maxCount = 1000

/** `INTERVAL` at most. */
const maxInterval = 1_000_000

const parts = [
  "FREQ",
  "INTERVAL",
  "COUNT",
  "UNTIL",
  "BYMONTH",
  "BYWEEKNO",
  "BYYEARDAY",
  "BYMONTHDAY",
  "BYDAY",
  "BYHOUR",
  "BYMINUTE",
  "BYSECOND",
  "BYSETPOS",
  "WKST"
] as const

type Part = (typeof parts)[number]

const dayNames = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"]

/** What values of a part may be. */
interface Range {
  readonly max: number
  readonly min: number
  /** Whether they also count from the end. */
  readonly signed?: boolean
}

const ranges = {
  BYMONTH: { min: 1, max: 12 },
  BYWEEKNO: { min: 1, max: 53, signed: true },
  BYYEARDAY: { min: 1, max: 366, signed: true },
  BYMONTHDAY: { min: 1, max: 31, signed: true },
  BYHOUR: { min: 0, max: 23 },
  BYMINUTE: { min: 0, max: 59 },
  BYSECOND: { min: 0, max: 59 },
  BYSETPOS: { min: 1, max: 366, signed: true }
} satisfies Partial<Record<Part, Range>>

/** Which frequencies a part goes with, where it does not go with all. */
const goesWith: Partial<Record<Part, ReadonlyArray<Frequency>>> = {
  BYWEEKNO: ["YEARLY"],
  BYYEARDAY: ["SECONDLY", "MINUTELY", "HOURLY", "YEARLY"],
  BYMONTHDAY: ["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "MONTHLY", "YEARLY"]
}

type Read<A> = Result.Result<A, InvalidTimetable>

const refuse = (at: string, found: string, expected: string): Read<never> =>
  Result.fail(new InvalidTimetable({ at: `rrule${at === "" ? "" : `, ${at}`}`, found, expected }))

const shown = (text: string) => JSON.stringify(Quoting.shortened(text, 40))

/** Reads a rule that begins at a time on the wall; `undefined` where it has no start of its own, and so may need none. */
export const parse = (text: string, start: number | undefined): Read<RecurrenceRule> =>
  Result.gen(function*() {
    const given = yield* readParts(text)
    const freq = given.get("FREQ")
    const frequency = frequencies.find((one) => one === freq)
    if (frequency === undefined) {
      return yield* refuse("FREQ", freq === undefined ? "nothing" : shown(freq), `one of ${frequencies.join(", ")}`)
    }
    for (const part of given.keys()) {
      const allowed = goesWith[part]
      if (allowed !== undefined && !allowed.includes(frequency)) {
        return yield* refuse(part, `it with ${frequency}`, `it with ${allowed.join(", ")} only`)
      }
    }
    const byDay = yield* readDays(given, frequency)
    const lists = yield* readLists(given)
    const interval = (yield* readNumber(given, "INTERVAL", maxInterval)) ?? 1
    const count = yield* readNumber(given, "COUNT", maxCount)
    const ends = yield* readUntil(given)
    if (lists.BYSETPOS.length > 0 && ![...given.keys()].some((part) => part !== "BYSETPOS" && part.startsWith("BY"))) {
      return yield* refuse("BYSETPOS", "it alone", "another part that begins with BY, of whose times it picks some")
    }
    const needsStart = interval > 1
      ? "INTERVAL"
      : count !== undefined
      ? "COUNT"
      : frequency === "WEEKLY" && !given.has("BYDAY")
      ? "WEEKLY without BYDAY"
      : undefined
    if (start === undefined && needsStart !== undefined) {
      return yield* refuse("", `${needsStart} and no start`, "a start, from which it is counted")
    }
    return withStart(
      {
        frequency,
        interval,
        months: lists.BYMONTH,
        weeks: lists.BYWEEKNO,
        yearDays: lists.BYYEARDAY,
        monthDays: lists.BYMONTHDAY,
        ...byDay,
        hours: lists.BYHOUR,
        minutes: lists.BYMINUTE,
        seconds: lists.BYSECOND,
        positions: lists.BYSETPOS,
        weekStart: yield* readWeekStart(given),
        count,
        ...ends
      },
      start ?? 0
    )
  })

type Parts = ReadonlyMap<Part, string>

const readParts = (text: string): Read<Parts> =>
  Result.gen(function*() {
    if (typeof text !== "string") return yield* refuse("", Bounds.foundOf(text), "a rule of RFC 5545")
    if (text.length > maxLength) {
      return yield* refuse("", `${text.length} characters`, `at most ${maxLength} characters`)
    }
    const given = new Map<Part, string>()
    const rule = text.trim().toUpperCase().replace(/^RRULE:/, "")
    if (/DTSTART|EXDATE|RDATE|EXRULE|\n/.test(rule)) {
      return yield* refuse("", shown(text), "one rule; its start and its zone are fields of the timetable")
    }
    for (const item of rule.replace(/;$/, "").split(";")) {
      const [name = "", value = ""] = item.split("=", 2)
      const part = parts.find((one) => one === name)
      if (part === undefined || item.indexOf("=") !== name.length || item.split("=").length !== 2 || value === "") {
        const meant = part ?? Quoting.nearest(name, parts)
        return yield* refuse("", shown(item), `a part such as ${meant ?? "FREQ"}=…; parts are ${parts.join(", ")}`)
      }
      if (given.has(part)) return yield* refuse(part, "it twice", "it once")
      given.set(part, value)
    }
    return given
  })

const readNumber = (given: Parts, part: Part, max: number): Read<number | undefined> => {
  const text = given.get(part)
  if (text === undefined) return Result.succeed(undefined)
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  return value >= 1 && value <= max ? Result.succeed(value) : refuse(part, shown(text), `a number from 1 to ${max}`)
}

/** Ascending, each once. */
const ascending = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  [...new Set(values)].toSorted((a, b) => a - b)

const readLists = (given: Parts): Read<Record<keyof typeof ranges, ReadonlyArray<number>>> =>
  Result.gen(function*() {
    const lists: Partial<Record<keyof typeof ranges, ReadonlyArray<number>>> = {}
    for (const [part, range] of Object.entries<Range>(ranges)) {
      const text = given.get(part as keyof typeof ranges)
      const values: Array<number> = []
      for (const item of text?.split(",") ?? []) {
        const value = /^[+-]?\d{1,3}$/.test(item) ? Number(item) : Number.NaN
        const isSigned = /^[+-]/.test(item)
        const size = Math.abs(value)
        if (!(size >= range.min && size <= range.max) || isSigned && range.signed !== true) {
          const backwards = range.signed === true ? `, or -${range.min} to -${range.max} from the end` : ""
          return yield* refuse(part, shown(item), `numbers from ${range.min} to ${range.max}${backwards}`)
        }
        values.push(value)
      }
      lists[part as keyof typeof ranges] = ascending(values)
    }
    return lists as Record<keyof typeof ranges, ReadonlyArray<number>>
  })

const readDays = (given: Parts, frequency: Frequency): Read<Pick<RecurrenceRule, "days" | "weekDays">> =>
  Result.gen(function*() {
    const days: Array<ByDay> = []
    const weekDays: Array<number> = []
    const isOfYear = frequency === "YEARLY" && !given.has("BYMONTH")
    const max = isOfYear ? 53 : 5
    for (const item of given.get("BYDAY")?.split(",") ?? []) {
      const [, number, name = ""] = /^([+-]?\d{1,2})?(\w\w)$/.exec(item) ?? []
      const weekDay = dayNames.indexOf(name)
      if (weekDay < 0) {
        return yield* refuse("BYDAY", shown(item), `days ${dayNames.join(", ")}, such as FR, 2FR or -1FR`)
      }
      if (number === undefined) {
        weekDays.push(weekDay)
        continue
      }
      if ((frequency !== "MONTHLY" && frequency !== "YEARLY") || given.has("BYWEEKNO")) {
        return yield* refuse(
          "BYDAY",
          shown(item),
          `${name} without a number, except with MONTHLY or YEARLY and no BYWEEKNO`
        )
      }
      const nth = Number(number)
      if (nth === 0 || Math.abs(nth) > max) {
        return yield* refuse("BYDAY", shown(item), `a number from 1 to ${max}, or -1 to -${max} from the end`)
      }
      days.push({ nth, weekDay })
    }
    return { days, weekDays: ascending(weekDays) }
  })

const readWeekStart = (given: Parts): Read<number> => {
  const name = given.get("WKST") ?? "MO"
  const day = dayNames.indexOf(name)
  return day < 0 ? refuse("WKST", shown(name), `one of ${dayNames.join(", ")}`) : Result.succeed(day)
}

const untilForm = /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?$/

const readUntil = (given: Parts): Read<Pick<RecurrenceRule, "until" | "untilWall">> => {
  const text = given.get("UNTIL")
  if (text === undefined) return Result.succeed({ until: undefined, untilWall: undefined })
  if (given.has("COUNT")) return refuse("UNTIL", "it and COUNT", "one of the two")
  const expected = "a date such as 20261231, or a time such as 20261231T235959Z; without Z it is one of the zone"
  const [, year, month, day, hour = "23", minute = "59", second = "59", utc = ""] = untilForm.exec(text) ?? []
  if (year === undefined) return refuse("UNTIL", shown(text), expected)
  const [y, m, d] = [Number(year), Number(month), Number(day)]
  const isDate = y >= 1970 && m >= 1 && m <= 12 && d >= 1 && d <= Calendar.daysIn(y, m)
  if (!isDate || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) {
    return refuse("UNTIL", shown(text), expected)
  }
  const time = Date.UTC(y, m - 1, d, Number(hour), Number(minute), Number(second))
  return Result.succeed(utc === "" ? { until: undefined, untilWall: time } : { until: time, untilWall: undefined })
}

/** What a rule leaves open is as at its start. */
const withStart = (rule: RecurrenceRule, start: number): RecurrenceRule => {
  const { day, month } = Calendar.dateOf(start)
  const seconds = Math.floor(start / 1000)
  const { days, frequency, monthDays, weekDays, weeks, yearDays } = rule
  const isDayOpen = [weeks, yearDays, monthDays, weekDays, days].every((list) => list.length === 0)
  const rank = frequencies.indexOf(frequency)
  const open = (list: ReadonlyArray<number>, below: Frequency, value: number) =>
    list.length === 0 && rank > frequencies.indexOf(below) ? [value] : list
  return {
    ...rule,
    months: isDayOpen && frequency === "YEARLY" && rule.months.length === 0 ? [month] : rule.months,
    monthDays: isDayOpen && (frequency === "YEARLY" || frequency === "MONTHLY") ? [day] : monthDays,
    // A week is no day: the start says on which of its days it recurs
    weekDays: isDayOpen && frequency === "WEEKLY" ||
        weeks.length > 0 && [yearDays, monthDays, weekDays, days].every((list) => list.length === 0)
      ? [Calendar.weekDayOf(start)]
      : weekDays,
    hours: open(rule.hours, "HOURLY", Math.floor(seconds / 3600) % 24),
    minutes: open(rule.minutes, "MINUTELY", Math.floor(seconds / 60) % 60),
    seconds: open(rule.seconds, "SECONDLY", seconds % 60)
  }
}

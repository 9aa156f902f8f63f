/**
 * When a schedule ticks: by a cron expression, in steady intervals, by a calendar rule, or once.
 *
 * `next` is the only way to a tick, for previews as for tasks that are made: so the two cannot differ. It depends on the instant that it
 * is given and on nothing else. What it gives on the days on which clocks are set is written in docs/schedules.md, "When the clocks
 * change".
 */
import { DateTime, Duration, Option, Result, Schema } from "effect"
import * as Bounds from "./Bounds.ts"
import * as CronFields from "./CronFields.ts"
import { InvalidTimetable } from "./Errors.ts"
import * as Quoting from "./Quoting.ts"
import * as Recurrence from "./Recurrence.ts"
import * as RecurrenceRule from "./RecurrenceRule.ts"
import * as Rfc3339 from "./Rfc3339.ts"
import * as TimetableText from "./TimetableText.ts"
import * as TimeZone from "./TimeZone.ts"
import * as WallClock from "./WallClock.ts"
import * as WallTicks from "./WallTicks.ts"

/** At the times on the wall that a cron expression admits. */
const Cron = Schema.Struct({
  /** Five fields, or six with seconds first, or a macro such as `@daily`. */
  cron: Schema.String,
  /** The name of an IANA zone. */
  timeZone: Schema.String
})

/** In steady intervals, whatever clocks show. */
const Every = Schema.Struct({
  every: Schema.DurationFromMillis,
  /** The first tick; the others are whole intervals from it. Without it, whole intervals from 1970 in UTC. */
  start: Schema.optionalKey(Schema.DateTimeUtcFromMillis)
})

/** At the times on the wall at which a calendar rule recurs. */
const Rrule = Schema.Struct({
  /** As RFC 5545 writes it: `FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=9`. */
  rrule: Schema.String,
  /** The name of an IANA zone. */
  timeZone: Schema.String,
  /** The time on the wall from which it counts: `2026-01-31T09:00:00`. Without it, the beginning of 1970. */
  start: Schema.optionalKey(Schema.String)
})

/** Once. */
const At = Schema.Struct({ at: Schema.DateTimeUtcFromMillis })

/**
 * When a schedule ticks. Made by {@link parse}; its encoded side is the JSON in which it is stored, which has to pass {@link parse} again
 * when it is read: zones may be others by then.
 */
export const Timetable = Schema.Union([Cron, Every, Rrule, At])
export type Timetable = typeof Timetable.Type

/** A timetable as programs write it. */
export type Input =
  | { readonly cron: string; readonly timeZone?: string | undefined }
  | { readonly every: Duration.Input; readonly start?: DateTime.DateTime.Input | undefined }
  | {
    readonly rrule: string
    readonly timeZone?: string | undefined
    /** A time on the wall, such as `2026-01-31T09:00`, or an instant. */
    readonly start?: DateTime.DateTime.Input | undefined
  }
  | { readonly at: DateTime.DateTime.Input }

/** The zone of a timetable that names none. */
export const defaultTimeZone = "UTC"

/** An interval at least: each tick may make a task. */
export const minEvery: Duration.Duration = Duration.seconds(1)

/** An interval at most. */
export const maxEvery: Duration.Duration = Bounds.maxDelay

const kinds = ["cron", "every", "rrule", "at"] as const

/** The fields of each kind. */
const fieldsOf: Readonly<Record<(typeof kinds)[number], ReadonlyArray<string>>> = {
  cron: ["cron", "timeZone"],
  every: ["every", "start"],
  rrule: ["rrule", "timeZone", "start"],
  at: ["at"]
}

/**
 * Reads a timetable, also one of a program without types. What it gives can be stored, and given to {@link next}.
 *
 * @example
 * ```ts
 * import { Result } from "effect"
 *
 * const nightly = Timetable.parse({ cron: "30 2 * * *", timeZone: "Europe/Berlin" })
 * Result.isSuccess(nightly) // true
 * Timetable.parse({ cron: "0 0 30 2 *" }) // fails: it never ticks
 * ```
 */
export const parse = (input: Input): Result.Result<Timetable, InvalidTimetable> =>
  Result.gen(function*() {
    const kind = yield* kindOf(input)
    if (kind === "cron") {
      const { cron, timeZone = defaultTimeZone } = input as Extract<Input, { readonly cron: string }>
      const timetable = { cron, timeZone }
      yield* ticksOfCron(timetable)
      return timetable
    }
    if (kind === "every") {
      const { every, start } = input as Extract<Input, { readonly every: Duration.Input }>
      const interval = yield* intervalOf(every)
      return start === undefined ? { every: interval } : { every: interval, start: yield* instantOf("start", start) }
    }
    if (kind === "rrule") {
      const { rrule, start, timeZone = defaultTimeZone } = input as Extract<Input, { readonly rrule: string }>
      const plain = { rrule, timeZone }
      const timetable = start === undefined ? plain : { ...plain, start: yield* wallStartOf(start, timeZone) }
      yield* ticksOfRrule(timetable)
      return timetable
    }
    return { at: yield* instantOf("at", (input as Extract<Input, { readonly at: unknown }>).at) }
  })

const refuse = (at: string, found: string, expected: string): Result.Result<never, InvalidTimetable> =>
  Result.fail(new InvalidTimetable({ at, found, expected }))

const kindOf = (input: Input): Result.Result<(typeof kinds)[number], InvalidTimetable> => {
  const expected = `one of ${kinds.join(", ")}`
  if (typeof input !== "object" || input === null) return refuse("its top", Bounds.foundOf(input), expected)
  const given = Object.entries(input).filter(([, value]) => value !== undefined).map(([name]) => name)
  const [kind, another] = kinds.filter((one) => given.includes(one))
  if (kind === undefined) return refuse("its top", given.length === 0 ? "nothing" : shownNames(given), expected)
  if (another !== undefined) return refuse("its top", `${kind} and ${another}`, `${expected}, not several`)
  const unknown = given.find((name) => !fieldsOf[kind].includes(name))
  if (unknown === undefined) return Result.succeed(kind)
  const having = kinds.filter((one) => fieldsOf[one].includes(unknown))
  if (having.length > 0) return refuse(unknown, `it with ${kind}`, `it with ${having.join(" or ")} only`)
  const meant = Quoting.nearest(unknown, fieldsOf[kind])
  return refuse(
    JSON.stringify(Quoting.shortened(unknown, 40)),
    "a field that is not known",
    meant === undefined ? `only ${fieldsOf[kind].join(" and ")}` : meant
  )
}

const shownNames = (names: ReadonlyArray<string>): string =>
  names.slice(0, 5).map((name) => JSON.stringify(Quoting.shortened(name, 40))).join(", ")

const intervalOf = (input: Duration.Input): Result.Result<Duration.Duration, InvalidTimetable> => {
  const expected = `a duration from ${Duration.toSeconds(minEvery)} second to ${
    Duration.toDays(maxEvery)
  } days, in whole milliseconds`
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  const millis = duration === undefined ? Number.NaN : Duration.toMillis(duration)
  return Number.isInteger(millis) && millis >= Duration.toMillis(minEvery) && millis <= Duration.toMillis(maxEvery)
    ? Result.succeed(Duration.millis(millis))
    : refuse("every", Bounds.foundOf(input), expected)
}

const instantOf = (field: string, input: DateTime.DateTime.Input): Result.Result<DateTime.Utc, InvalidTimetable> => {
  const instant = typeof input === "string" ? Rfc3339.parse(input) : Option.getOrUndefined(DateTime.make(input))
  return instant !== undefined && Number.isInteger(instant.epochMilliseconds) &&
      instant.epochMilliseconds >= 0 && instant.epochMilliseconds <= Bounds.maxRunAt
    ? Result.succeed(DateTime.toUtc(instant))
    : refuse(field, Bounds.foundOf(input), "a date and time in the years 1970 to 9999, such as 2026-01-31T12:00:00Z")
}

const wallForm = /^(\d{4}-\d\d-\d\d)(?:(T\d\d:\d\d)(:\d\d)?)?$/

const wallExpected =
  "a time on the wall such as 2026-01-31T09:00, or one of UTC such as 2026-01-31T08:00:00Z, from 1970 on"

/** Milliseconds of a time on the wall, as `Date.UTC` counts them. */
const wallOf = (text: string): number | undefined => {
  const [, date = "", time = "T00:00", seconds = ":00"] = wallForm.exec(text) ?? []
  const instant = Rfc3339.parse(`${date}${time}${seconds}Z`)?.epochMilliseconds
  return instant !== undefined && instant >= 0 ? instant : undefined
}

const wallStartOf = (
  input: DateTime.DateTime.Input,
  timeZone: string
): Result.Result<string, InvalidTimetable> =>
  Result.gen(function*() {
    const wall = typeof input === "string" ? wallOf(input) : undefined
    if (wall !== undefined) return textOfWall(wall)
    const instant = yield* instantOf("start", input).pipe(
      Result.mapError(({ at, found }) => new InvalidTimetable({ at, found, expected: wallExpected }))
    )
    const clock = yield* TimeZone.clockOf(timeZone)
    return textOfWall(Math.max(0, WallClock.wallAt(clock, instant.epochMilliseconds)))
  })

const textOfWall = (wall: number): string => DateTime.formatIso(DateTime.makeUnsafe(wall)).slice(0, 19)

/** The first tick after an instant, of a timetable that is compiled. */
type Ticks = (after: number) => number | undefined

/** Reading an expression takes longer than a step to its next tick. */
const compiled = new WeakMap<Timetable, Ticks>()

/**
 * The first tick after an instant, both in milliseconds since 1970; `undefined` where there is none before the year 10000. Throws
 * `InvalidTimetable` where the timetable has not passed {@link parse}.
 *
 * @example
 * ```ts
 * const nightly = Result.getOrThrow(Timetable.parse({ cron: "30 2 * * *" }))
 * Timetable.next(nightly, Date.UTC(2026, 0, 1)) // Date.UTC(2026, 0, 1, 2, 30)
 * ```
 */
export const next = (timetable: Timetable, after: number): number | undefined => {
  let ticks = compiled.get(timetable)
  if (ticks === undefined) {
    ticks = compile(timetable)
    compiled.set(timetable, ticks)
  }
  if (!(after < Bounds.maxRunAt)) return undefined
  // A tick is in 1970 or later
  const tick = ticks(Math.max(Math.floor(after), -1))
  return tick === undefined || tick > Bounds.maxRunAt ? undefined : tick
}

/** The first `count` ticks after an instant, or as many as there are. */
export const upcoming = (timetable: Timetable, after: number, count: number): ReadonlyArray<number> => {
  const ticks: Array<number> = []
  let tick = next(timetable, after)
  while (tick !== undefined && ticks.length < count) {
    ticks.push(tick)
    tick = next(timetable, tick)
  }
  return ticks
}

/** When it ticks, in plain words: `every day at 02:30 in Europe/Berlin`, `every 5 minutes`. */
export const describe = (timetable: Timetable): string => {
  if ("cron" in timetable) {
    return TimetableText.ofCron(Result.getOrThrow(CronFields.parse(timetable.cron)), timetable.timeZone)
  }
  if ("rrule" in timetable) {
    const { rrule, start, timeZone } = timetable
    const rule = RecurrenceRule.parse(rrule, start === undefined ? undefined : wallOf(start))
    return TimetableText.ofRule(Result.getOrThrow(rule), timeZone, start)
  }
  if ("every" in timetable) {
    const from = timetable.start === undefined ? "" : ` from ${DateTime.formatIso(timetable.start)}`
    return `every ${interval(timetable.every)}${from}`
  }
  return `once at ${DateTime.formatIso(timetable.at)}`
}

/** `5 minutes`, `minute`; what is no whole number of one unit is short: `1m 30s`. */
const interval = (every: Duration.Duration): string => {
  const ms = Duration.toMillis(every)
  const [unit, size] = lengths.find(([, size]) => ms % size === 0) ?? ["", 0]
  const count = ms / size
  return unit === "" ? Duration.format(every) : count === 1 ? unit : `${count} ${unit}s`
}

const lengths = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1000]] as const

const compile = (timetable: Timetable): Ticks => {
  if ("cron" in timetable) return Result.getOrThrow(ticksOfCron(timetable))
  if ("rrule" in timetable) return Result.getOrThrow(ticksOfRrule(timetable))
  if ("every" in timetable) {
    const every = Duration.toMillis(timetable.every)
    const start = timetable.start?.epochMilliseconds
    const anchor = start ?? 0
    return (after) =>
      start !== undefined && after < start ? start : anchor + (Math.floor((after - anchor) / every) + 1) * every
  }
  const at = timetable.at.epochMilliseconds
  return (after) => after < at ? at : undefined
}

const ticksOfCron = ({ cron, timeZone }: typeof Cron.Type): Result.Result<Ticks, InvalidTimetable> =>
  Result.gen(function*() {
    if (typeof cron !== "string") return yield* refuse("cron", Bounds.foundOf(cron), "a cron expression")
    const fields = yield* CronFields.parse(cron)
    const clock = yield* TimeZone.clockOf(timeZone)
    if (CronFields.firstTime(fields, 0) === undefined) {
      return yield* refuse("cron", `${JSON.stringify(cron)}, which never ticks`, "a day that one of its months has")
    }
    const times = { hasFixedHour: fields.hasFixedHour, first: (from: number) => CronFields.firstTime(fields, from) }
    return (after) => WallTicks.next(times, clock, after)
  })

const ticksOfRrule = ({ rrule, start, timeZone }: typeof Rrule.Type): Result.Result<Ticks, InvalidTimetable> =>
  Result.gen(function*() {
    const clock = yield* TimeZone.clockOf(timeZone)
    const begin = start === undefined ? undefined : wallOf(start)
    if (start !== undefined && begin === undefined) return yield* refuse("start", Bounds.foundOf(start), wallExpected)
    const rule = yield* RecurrenceRule.parse(rrule, begin)
    const times = Recurrence.timesOf(rule, begin ?? 0)
    const { count, until } = rule
    const ticks: Ticks = (after) => {
      const tick = WallTicks.next(times, clock, after)
      return tick === undefined || until !== undefined && tick > until ? undefined : tick
    }
    // Before its first tick, whatever the zone
    const before = Math.max(-1, (begin ?? 0) - WallClock.maxShift)
    if (ticks(before) === undefined) {
      return yield* refuse(
        "rrule",
        `${JSON.stringify(Quoting.shortened(rrule, 80))}, which never ticks`,
        "a rule with a tick at its start or later"
      )
    }
    return count === undefined ? ticks : firstOf(ticks, before, count)
  })

/** So many of the ticks after an instant. They are counted as far as is asked, and not again. */
const firstOf = (ticks: Ticks, before: number, count: number): Ticks => {
  let reached = before
  let counted = 0
  return (after) => {
    while (counted < count && reached <= after) {
      const following = ticks(reached)
      if (following === undefined || following > after) break
      reached = following
      counted++
    }
    return counted === count && reached <= after ? undefined : ticks(after)
  }
}

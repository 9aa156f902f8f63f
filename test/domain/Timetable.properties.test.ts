/** Claims about ticks that hold for every timetable and every zone, compared with a clock that is watched minute by minute. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Timetable from "../../src/domain/Timetable.ts"
import * as WallMinutes from "./WallMinutes.ts"

const zones = Intl.supportedValuesOf("timeZone")
const hourMillis = 3_600_000
const minuteMillis = 60_000

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const valuesOf = (minimum: number, maximum: number) =>
  Schema.optionalKey(Schema.Array(int(minimum, maximum)).check(Schema.isMinLength(1), Schema.isMaxLength(3)))

/** Hours and minutes in which clocks are set are more likely than others. */
const Spec = Schema.Struct({
  minutes: valuesOf(0, 59),
  hours: Schema.optionalKey(
    Schema.Array(Schema.Union([int(0, 4), int(0, 23)])).check(Schema.isMinLength(1), Schema.isMaxLength(4))
  ),
  monthDays: valuesOf(1, 31),
  months: valuesOf(1, 12),
  weekDays: valuesOf(0, 6)
})

const Zone = Schema.Literals(zones)

const cronOf = (spec: WallMinutes.Spec, timeZone: string) =>
  Timetable.parse({ cron: WallMinutes.textOf(spec), timeZone })

/** Ticks between two instants: from the first on, before the second. */
const between = (timetable: Timetable.Timetable, from: number, until: number): ReadonlyArray<number> => {
  const ticks: Array<number> = []
  let tick = Timetable.next(timetable, from - 1)
  while (tick !== undefined && tick < until) {
    ticks.push(tick)
    tick = Timetable.next(timetable, tick)
  }
  return ticks
}

const shown = (ticks: ReadonlyArray<number>) => ticks.map((tick) => new Date(tick).toISOString())

/** From a day before the clock is set until a day after. */
const around = (day: number) => [day - 24 * hourMillis, day + 48 * hourMillis] as const

describe("the ticks of a cron expression", () => {
  it.prop(
    "are those that a person finds who watches the clock on the days on which it is set, in every zone",
    [Spec, Zone, int(0, 1000)],
    ([spec, zone, choice]) => {
      const timetable = cronOf(spec, zone)
      // It never ticks
      if (Result.isFailure(timetable)) return
      const days = WallMinutes.daysOfChange(zone, 1973, 2041)
      const [from, until] = around(days[choice % days.length] ?? Date.UTC(2024, choice % 12, 15))
      const expected = WallMinutes.ticksBetween(spec, zone, from, until)
      assert.deepStrictEqual(shown(between(timetable.success, from, until)), shown(expected))
      // Whatever the minute in which it is asked
      let position = 0
      for (let after = from; after < (expected.at(-1) ?? from); after += minuteMillis) {
        while (expected[position]! <= after) position++
        assert.strictEqual(Timetable.next(timetable.success, after), expected[position])
        assert.strictEqual(Timetable.next(timetable.success, after + 59_999), expected[position])
      }
    },
    { arbitrary: { runs: 60 } }
  )

  it.prop("go forward, and a preview shows the same", [Spec, Zone, int(0, 4_000_000_000)], ([spec, zone, seconds]) => {
    const timetable = cronOf(spec, zone)
    if (Result.isFailure(timetable)) return
    const preview = Timetable.upcoming(timetable.success, seconds * 1000, 20)
    let tick = seconds * 1000
    for (const expected of preview) {
      assert.isAbove(expected, tick)
      const between = tick + Math.floor((expected - tick) / 2)
      assert.strictEqual(Timetable.next(timetable.success, between), expected)
      tick = Timetable.next(timetable.success, tick) ?? 0
      assert.strictEqual(tick, expected)
    }
    assert.strictEqual(preview.length, 20)
  })

  const changes = zones.flatMap((zone) => WallMinutes.daysOfChange(zone, 2026, 2027).map((day) => [zone, day] as const))

  it("are right in every zone whose clock is set in 2026", () => {
    assert.isAbove(changes.length, 100)
    const specs: ReadonlyArray<WallMinutes.Spec> = [
      { minutes: [30], hours: [2] },
      { minutes: [0, 30], hours: [0, 1, 23] },
      { minutes: [15] }
    ]
    for (const [index, [zone, day]] of changes.entries()) {
      const spec = specs[index % specs.length]!
      const [from, until] = around(day)
      const ticks = between(Result.getOrThrow(cronOf(spec, zone)), from, until)
      assert.deepStrictEqual(shown(ticks), shown(WallMinutes.ticksBetween(spec, zone, from, until)), zone)
    }
  })

  it.prop("with a fixed time come once on each day that a zone has", [int(0, 23), int(0, 59), Zone, int(1975, 2040)], (
    [hour, minute, zone, year]
  ) => {
    const timetable = Result.getOrThrow(cronOf({ minutes: [minute], hours: [hour] }, zone))
    const show = WallMinutes.clockOf(zone)
    const from = Date.UTC(year, 0, 1)
    const ticks = between(timetable, from, from + 400 * 24 * hourMillis)
    const days = ticks.map((tick) => Math.floor(show(tick) / (24 * 60)))
    // A gap at midnight puts the end of a day at the beginning of the next one; Samoa and others left one out
    const steps = days.slice(1).map((day, index) => day - days[index]!)
    assert.isAtMost(steps.filter((step) => step !== 1).length, 6)
    assert.isAbove(ticks.length, 397)
    assert.isBelow(ticks.length, 402)
  })
})

describe("a calendar rule and a cron expression that say the same", () => {
  const days = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"]

  it.prop(
    "tick at the same instants",
    [int(0, 23), int(0, 59), int(1, 28), int(0, 6), int(1, 12), int(1, 4), Zone, int(1975, 2040)],
    ([hour, minute, day, weekDay, month, nth, timeZone, year]) => {
      const time = `BYHOUR=${hour};BYMINUTE=${minute}`
      const pairs: ReadonlyArray<readonly [string, string]> = [
        [`FREQ=DAILY;${time}`, `${minute} ${hour} * * *`],
        [`FREQ=HOURLY;BYMINUTE=${minute}`, `${minute} * * * *`],
        ["FREQ=MINUTELY;INTERVAL=15", "*/15 * * * *"],
        ["FREQ=MINUTELY;BYHOUR=2;BYMINUTE=0,20", "0,20 2 * * *"],
        [`FREQ=SECONDLY;BYHOUR=${hour};BYMINUTE=${minute};BYSECOND=7`, `7 ${minute} ${hour} * * *`],
        [`FREQ=WEEKLY;BYDAY=${days[weekDay]};${time}`, `${minute} ${hour} * * ${weekDay}`],
        [`FREQ=MONTHLY;BYMONTHDAY=${day},31;${time}`, `${minute} ${hour} ${day},31 * *`],
        [`FREQ=MONTHLY;BYMONTHDAY=-1;${time}`, `${minute} ${hour} L * *`],
        [`FREQ=MONTHLY;BYDAY=${nth}${days[weekDay]};${time}`, `${minute} ${hour} * * ${weekDay}#${nth}`],
        [`FREQ=MONTHLY;BYDAY=-1${days[weekDay]};${time}`, `${minute} ${hour} * * ${weekDay}L`],
        [`FREQ=YEARLY;BYMONTH=${month};BYMONTHDAY=${day};${time}`, `${minute} ${hour} ${day} ${month} *`],
        [`FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;${time}`, `${minute} ${hour} LW * *`]
      ]
      const after = Date.UTC(year, 2, 1)
      for (const [rrule, cron] of pairs) {
        // A rule that counts by an interval needs a start; without one they begin alike
        const start = rrule.includes("INTERVAL") ? { start: "1970-01-01" } : {}
        const byRule = Result.getOrThrow(Timetable.parse({ rrule, timeZone, ...start }))
        const byCron = Result.getOrThrow(Timetable.parse({ cron, timeZone }))
        assert.deepStrictEqual(
          shown(Timetable.upcoming(byRule, after, 40)),
          shown(Timetable.upcoming(byCron, after, 40)),
          `${rrule} ${timeZone}`
        )
      }
    },
    { arbitrary: { runs: 25 } }
  )

  it.prop(
    "with an interval, tick on each such day, week, month and year from the start",
    [int(1, 40), int(0, 20_000), int(0, 6)],
    ([interval, startDay, weekDay]) => {
      const dayMillis = 24 * hourMillis
      const start = new Date(startDay * dayMillis)
      const begin = start.toISOString().slice(0, 10)
      const weekOf = (day: number) => Math.floor((day + 3) / 7)
      const monthOf = (date: Date) => date.getUTCFullYear() * 12 + date.getUTCMonth()
      const rules: ReadonlyArray<readonly [string, (day: number, date: Date) => boolean]> = [
        ["DAILY", (day) => (day - startDay) % interval === 0],
        [
          `WEEKLY;BYDAY=${days[weekDay]}`,
          (day, date) => (weekOf(day) - weekOf(startDay)) % interval === 0 && date.getUTCDay() === weekDay
        ],
        [
          "MONTHLY;BYMONTHDAY=15",
          (_, date) => (monthOf(date) - monthOf(start)) % interval === 0 && date.getUTCDate() === 15
        ],
        [
          "YEARLY;BYYEARDAY=-1",
          (_, date) =>
            (date.getUTCFullYear() - start.getUTCFullYear()) % interval === 0 && date.getUTCMonth() === 11 &&
            date.getUTCDate() === 31
        ]
      ]
      for (const [rule, isTick] of rules) {
        const rrule = `FREQ=${rule.replace(";", `;INTERVAL=${interval};`)}${
          rule.includes(";") ? "" : `;INTERVAL=${interval}`
        }`
        const timetable = Result.getOrThrow(Timetable.parse({ rrule, start: begin }))
        const expected: Array<number> = []
        for (let day = startDay; day < startDay + 1500; day++) {
          if (isTick(day, new Date(day * dayMillis))) expected.push(day * dayMillis)
        }
        assert.deepStrictEqual(
          shown(between(timetable, 0, (startDay + 1500) * dayMillis)),
          shown(expected),
          `${rrule} from ${begin}`
        )
      }
    }
  )
})

describe("an interval", () => {
  it.prop("neither drifts nor depends on when it is asked", [
    int(1000, 100_000_000),
    int(0, 4_000_000_000_000),
    int(0, 1000)
  ], (
    [every, start, steps]
  ) => {
    const timetable = Result.getOrThrow(Timetable.parse({ every, start }))
    assert.strictEqual(Timetable.next(timetable, start - 1 - steps), start)
    const tick = start + steps * every
    assert.strictEqual(Timetable.next(timetable, tick - 1), tick)
    assert.strictEqual(Timetable.next(timetable, tick), tick + every)
    assert.strictEqual(Timetable.next(timetable, tick + every - 1), tick + every)
  })
})

describe("what anyone may write", () => {
  const Item = Schema.Literals([
    "*",
    "?",
    "1",
    "5",
    "31",
    "60",
    "L",
    "W",
    "15W",
    "LW",
    "#",
    "fri#2",
    "mon",
    "jan",
    "/",
    "-",
    "*/2",
    "1-5",
    "5-1",
    "9/3",
    "",
    "@"
  ])
  const Field = Schema.Array(Item).check(Schema.isMinLength(1), Schema.isMaxLength(3))
  const Cron = Schema.Array(Field).check(Schema.isMinLength(4), Schema.isMaxLength(7))

  it.prop(
    "is read or refused with a message that is not too long, and then ticks and is told",
    [Cron, Zone],
    ([fields, timeZone]) => {
      const cron = fields.map((items) => items.join(",")).join(" ")
      const timetable = Timetable.parse({ cron, timeZone })
      if (Result.isFailure(timetable)) {
        assert.isBelow(timetable.failure.message.length, 500)
        return
      }
      assert.isDefined(Timetable.next(timetable.success, Date.UTC(2026, 0, 1)))
      assert.isBelow(Timetable.describe(timetable.success).length, 1000)
    },
    { arbitrary: { runs: 150 } }
  )

  const Part = Schema.Literals([
    "INTERVAL=61",
    "INTERVAL=999999",
    "COUNT=1000",
    "UNTIL=20300101",
    "BYMONTH=2",
    "BYMONTH=4,6",
    "BYWEEKNO=53,-53",
    "BYYEARDAY=366",
    "BYMONTHDAY=29,30",
    "BYMONTHDAY=-31",
    "BYDAY=MO",
    "BYDAY=5FR,-5SU",
    "BYHOUR=2,3",
    "BYMINUTE=7",
    "BYSECOND=59",
    "BYSETPOS=-366,2",
    "WKST=TH"
  ])
  const Frequency = Schema.Literals(["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
  const Rule = Schema.Array(Part).check(Schema.isMaxLength(5))

  it.prop(
    "of calendar rules, too, and is at an end where no tick follows",
    [Frequency, Rule, Zone],
    ([frequency, parts, timeZone]) => {
      const rrule = [`FREQ=${frequency}`, ...new Set(parts)].join(";")
      const timetable = Timetable.parse({ rrule, start: "2026-01-01T02:30", timeZone })
      if (Result.isFailure(timetable)) {
        assert.isBelow(timetable.failure.message.length, 500)
        return
      }
      const ticks = Timetable.upcoming(timetable.success, 0, 20)
      assert.isAbove(ticks.length, 0)
      for (const [index, tick] of ticks.entries()) {
        assert.strictEqual(Timetable.next(timetable.success, tick - 1), tick)
        if (index > 0) assert.isAbove(tick, ticks[index - 1]!)
      }
      assert.isBelow(Timetable.describe(timetable.success).length, 1000)
    },
    { arbitrary: { runs: 150 } }
  )
})

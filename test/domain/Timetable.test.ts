import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Result, Schema } from "effect"
import * as Timetable from "../../src/domain/Timetable.ts"

const parse = (input: Timetable.Input): Timetable.Timetable => Result.getOrThrow(Timetable.parse(input))

/** The first ticks after an instant of RFC 3339, as clocks in Berlin or another zone show them, with what they are from UTC. */
const shown = (input: Timetable.Input, after: string, count: number, zone = "Europe/Berlin"): ReadonlyArray<string> => {
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    dateStyle: "short",
    timeStyle: "short"
  })
  const offset = new Intl.DateTimeFormat("en-US", { timeZone: zone, hour: "numeric", timeZoneName: "longOffset" })
  return Timetable.upcoming(parse(input), Date.parse(after), count).map((tick) =>
    `${format.format(tick)} ${offset.format(tick).slice(-6)}`
  )
}

const berlin = (cron: string): Timetable.Input => ({ cron, timeZone: "Europe/Berlin" })

describe("a timetable", () => {
  it("ticks at a fixed hour once on the day without it, at the first moment after the gap", () => {
    assert.deepStrictEqual(shown(berlin("30 2 * * *"), "2024-03-30T00:00:00Z", 3), [
      "2024-03-30 02:30 +01:00",
      "2024-03-31 03:00 +02:00",
      "2024-04-01 02:30 +02:00"
    ])
  })

  it("ticks at a fixed hour once on the day with two of it, at the first", () => {
    assert.deepStrictEqual(shown(berlin("30 2 * * *"), "2024-10-26T00:00:00Z", 3), [
      "2024-10-26 02:30 +02:00",
      "2024-10-27 02:30 +02:00",
      "2024-10-28 02:30 +01:00"
    ])
  })

  it("ticks every real hour where the hour is not fixed", () => {
    assert.deepStrictEqual(shown(berlin("30 * * * *"), "2024-03-31T00:00:00Z", 3), [
      "2024-03-31 01:30 +01:00",
      "2024-03-31 03:30 +02:00",
      "2024-03-31 04:30 +02:00"
    ])
    assert.deepStrictEqual(shown(berlin("30 * * * *"), "2024-10-27T00:00:00Z", 3), [
      "2024-10-27 02:30 +02:00",
      "2024-10-27 02:30 +01:00",
      "2024-10-27 03:30 +01:00"
    ])
  })

  it("goes on after a fixed hour that is shown again, however many times it has", () => {
    const later = shown(berlin("* * 2 * * *"), "2024-10-27T01:10:00Z", 1)
    assert.deepStrictEqual(later, ["2024-10-28 02:00 +01:00"])
  })

  it("has no tick after the year 9999, whatever is asked", () => {
    for (const timetable of [berlin("30 2 * * *"), { every: 5000 }, { rrule: "FREQ=YEARLY" }, { at: 7 }]) {
      for (
        const after of [Number.POSITIVE_INFINITY, Number.NaN, Number.MAX_VALUE, Date.UTC(9999, 11, 31, 23, 59, 59)]
      ) {
        assert.strictEqual(Timetable.next(parse(timetable), after), undefined, `${JSON.stringify(timetable)} ${after}`)
      }
      for (const after of [Number.NEGATIVE_INFINITY, -1, -1e15]) {
        assert.isAtLeast(Timetable.next(parse(timetable), after) ?? -1, 0)
      }
    }
    assert.deepStrictEqual(shown(berlin("30 2 * * *"), "9999-12-31T01:00:00Z", 3), ["9999-12-31 02:30 +01:00"])
  })

  it.each<[string, ReadonlyArray<string>]>([
    ["0 0 1W 8 *", ["2026-08-03", "2027-08-02"]],
    ["0 0 31W * *", ["2026-01-30", "2026-03-31", "2026-05-29"]],
    ["0 0 LW * *", ["2026-01-30", "2026-02-27", "2026-03-31"]],
    ["0 0 L-30 * *", ["2026-01-01", "2026-03-01", "2026-05-01"]],
    ["0 0 * * friL", ["2026-01-30", "2026-02-27", "2026-03-27"]],
    ["0 0 1 * fri#1", ["2026-01-01", "2026-01-02", "2026-02-01", "2026-02-06"]],
    ["0 0 * * 5-7", ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-09"]],
    ["0 0 * * SAT-sun", ["2026-01-03", "2026-01-04", "2026-01-10"]],
    ["0 0 10-20/5 feb,Mar ?", ["2026-02-10", "2026-02-15", "2026-02-20", "2026-03-10"]],
    ["0 0 25/3 1 *", ["2026-01-25", "2026-01-28", "2026-01-31", "2027-01-25"]],
    ["0 0 29 2 mon#5", ["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29", "2044-02-29", "2048-02-29"]],
    ["@weekly", ["2026-01-04", "2026-01-11"]],
    [" @Monthly ", ["2026-01-01", "2026-02-01"]]
  ])("ticks on the days of %s", (cron, days) => {
    const ticks = Timetable.upcoming(parse({ cron }), Date.UTC(2026, 0, 1) - 1, days.length)
    assert.deepStrictEqual(ticks, days.map((day) => Date.parse(day)))
  })

  it("ticks in steady intervals from its start, or from 1970", () => {
    const every = parse({ every: "90 seconds" })
    assert.deepStrictEqual(Timetable.upcoming(every, 0, 3), [90_000, 180_000, 270_000])
    const started = parse({ every: "1 minute", start: 10_500 })
    assert.deepStrictEqual(Timetable.upcoming(started, 0, 3), [10_500, 70_500, 130_500])
    assert.strictEqual(Timetable.next(started, 70_499), 70_500)
    assert.strictEqual(Timetable.next(started, 70_500), 130_500)
  })

  it("ticks once", () => {
    const once = parse({ at: "2026-01-31T12:00:00Z" })
    const at = Date.UTC(2026, 0, 31, 12)
    assert.deepStrictEqual(Timetable.upcoming(once, 0, 3), [at])
    assert.strictEqual(Timetable.next(once, at), undefined)
  })

  it("has intervals within bounds, and a zone if none is named", () => {
    for (const every of [Timetable.minEvery, Timetable.maxEvery]) assert.deepStrictEqual(parse({ every }), { every })
    for (const every of [999, 1000.5, Duration.toMillis(Timetable.maxEvery) + 1, Infinity, -1000]) {
      assert.isTrue(Result.isFailure(Timetable.parse({ every })), String(every))
    }
    assert.deepStrictEqual(parse({ cron: "@daily" }), { cron: "@daily", timeZone: Timetable.defaultTimeZone })
  })

  it("is stored as JSON", () => {
    for (
      const timetable of [
        parse(berlin("@daily")),
        parse({ every: Duration.minutes(5), start: DateTime.makeUnsafe(7) }),
        parse({ at: 7 })
      ]
    ) {
      const stored = JSON.stringify(Schema.encodeSync(Timetable.Timetable)(timetable))
      const read = Schema.decodeUnknownSync(Timetable.Timetable)(JSON.parse(stored))
      assert.deepStrictEqual(read, timetable)
      assert.deepStrictEqual(Timetable.parse(read), Result.succeed(timetable))
    }
  })

  it.each<[unknown, string]>([
    [{ cron: "0 0 30 2 *" }, "never ticks"],
    [{ cron: "0 0 * * *", timeZone: "Europe/Berln" }, "Europe/Berlin"],
    [{ cron: "0 0 * * *", timeZone: "berlin" }, "Europe/Berlin"],
    [{ cron: "0 0 * * *", timeZone: "BST" }, "IANA"],
    [{ cron: "0 0 * * *", timezone: "UTC" }, "timeZone"],
    [{ cron: "0 24 * * *" }, "cron, hour"],
    [{ cron: "0 0 * *" }, "five fields"],
    [{ every: "10 millis" }, "every"],
    [{ every: 5000, cron: "* * * * *" }, "cron and every"],
    [{ at: "nonsense" }, "years 1970"],
    [null, "one of cron"],
    [{}, "nothing"]
  ])("refuses %j", (input, text) => {
    const parsed = Timetable.parse(input as Timetable.Input)
    assert.include(Result.isFailure(parsed) ? parsed.failure.message : "it is taken", text)
  })
})

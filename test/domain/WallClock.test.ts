import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Timetable from "../../src/domain/Timetable.ts"
import * as TimeZone from "../../src/domain/TimeZone.ts"
import * as WallClock from "../../src/domain/WallClock.ts"
import * as WallMinutes from "./WallMinutes.ts"

const zones = Intl.supportedValuesOf("timeZone")
const minute = 60_000

describe("the clock of a zone", () => {
  // Minutes, because Liberia was 44 minutes and 30 seconds behind until 1972
  const Minute = Schema.Int.check(
    Schema.isBetween({ minimum: Date.UTC(1973, 0) / minute, maximum: Date.UTC(2150, 0) / minute })
  )

  it.prop("shows what Intl says, at any time", [Minute, Schema.Literals(zones)], ([minutes, zone]) => {
    const instant = minutes * minute
    const wall = WallClock.wallAt(WallClock.of(zone), instant)
    assert.strictEqual(wall / minute, WallMinutes.clockOf(zone)(instant), zone)
  }, { arbitrary: { runs: 1000 } })

  it("is known where it was set twice within a week", () => {
    const clock = WallClock.of("America/Noronha")
    const show = WallMinutes.clockOf("America/Noronha")
    for (let hour = Date.UTC(2000, 9, 1); hour < Date.UTC(2000, 10, 1); hour += 60 * minute) {
      assert.strictEqual(WallClock.wallAt(clock, hour) / minute, show(hour))
    }
  })

  it("has seconds where a zone had them", () => {
    const clock = WallClock.of("Africa/Monrovia")
    assert.strictEqual(WallClock.wallAt(clock, 0), -(44 * 60 + 30) * 1000)
    const daily = Result.getOrThrow(Timetable.parse({ cron: "0 12 * * *", timeZone: "Africa/Monrovia" }))
    assert.strictEqual(Timetable.next(daily, 0), Date.UTC(1970, 0, 1, 12, 44, 30))
  })
})

describe("a zone", () => {
  it.each([
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Calcutta",
    "US/Pacific",
    "EST5EDT",
    "Etc/GMT+5",
    "America/Argentina/Buenos_Aires"
  ])(
    "is taken by the name of IANA: %s",
    (zone) => {
      assert.isTrue(Result.isSuccess(TimeZone.clockOf(zone)))
    }
  )

  it.each([
    ["europe/berlin", "perhaps Europe/Berlin"],
    ["Europe/Berln", "perhaps Europe/Berlin"],
    ["Europe Berlin", "perhaps Europe/Berlin"],
    ["New York", "perhaps America/New_York"],
    ["tokyo", "perhaps Asia/Tokyo"],
    ["BST", "the name of an IANA zone"],
    ["pst", "the name of an IANA zone"],
    ["SystemV/PST8PDT", "the name of an IANA zone"],
    ["+02:00", "such as UTC"],
    ["UTC+2", "the name of an IANA zone"],
    ["", "such as UTC"],
    ["x".repeat(100_000), "such as UTC"],
    ["__proto__", "such as UTC"],
    ["../etc/passwd", "such as UTC"]
  ])("is refused otherwise, with the one that was meant: %s", (zone, text) => {
    const clock = TimeZone.clockOf(zone)
    const message = Result.isFailure(clock) ? clock.failure.message : "it is taken"
    assert.include(message, text)
    assert.isBelow(message.length, 400)
  })
})

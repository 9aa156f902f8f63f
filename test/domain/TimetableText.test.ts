import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Timetable from "../../src/domain/Timetable.ts"

const told = (input: Timetable.Input) => Timetable.describe(Result.getOrThrow(Timetable.parse(input)))

describe("a timetable is told in plain English", () => {
  it.each([
    ["30 2 * * *", "every day at 02:30"],
    ["5 4 3 * * *", "every day at 03:04:05"],
    ["0 9,17 * * mon-fri", "on Monday to Friday at 09:00 and 17:00"],
    ["* * * * *", "every minute"],
    ["*/10 * * * * *", "every 10 seconds"],
    ["*/15 * * * *", "every 15 minutes"],
    ["*/15 9-17 * * 0,6", "every 15 minutes in the hours 9 to 17 on Saturday and Sunday"],
    ["5,20,50 * * * *", "at minutes 5, 20 and 50 of every hour"],
    ["0 * * * *", "every hour"],
    ["30 * * * *", "at minute 30 of every hour"],
    ["0 */2 * * *", "every 2 hours"],
    ["0 8-18 * * *", "at minute 0 in the hours 8 to 18"],
    ["@yearly", "on 1 January at 00:00"],
    ["0 0 1,15 * *", "on days 1 and 15 of the month at 00:00"],
    ["0 0 * 1-3 *", "every day in January to March at 00:00"],
    ["0 0 L-2 * *", "on the third last day of the month at 00:00"],
    ["0 0 15W,LW * *", "on the weekday nearest to day 15 and the last weekday of the month at 00:00"],
    ["0 12 * * fri#2,monL", "on the second Friday of the month and the last Monday of the month at 12:00"],
    ["7 7 13 7 fri", "on day 13 of the month, or on Friday, in July at 07:07"]
  ])("%s: %s", (cron, text) => {
    assert.strictEqual(told({ cron, timeZone: "Europe/Berlin" }), `${text} in Europe/Berlin`)
  })

  it.each([
    ["FREQ=DAILY;COUNT=10", "every day at 09:00 in UTC from 2026-01-31 09:00 10 times"],
    [
      "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17",
      "every month on the last Friday of the month at 17:00 in UTC from 2026-01-31 09:00"
    ],
    [
      "FREQ=WEEKLY;INTERVAL=2;UNTIL=20301231",
      "every 2 weeks on Saturday at 09:00 in UTC from 2026-01-31 09:00 until 2030-12-31 23:59"
    ],
    ["FREQ=HOURLY;INTERVAL=6;BYMINUTE=30", "every 6 hours at minute 30 in UTC from 2026-01-31 09:00"],
    ["FREQ=YEARLY;BYDAY=21MO", "every year on the 21st Monday of the year at 09:00 in UTC from 2026-01-31 09:00"],
    [
      "FREQ=YEARLY;BYYEARDAY=100,-1",
      "every year on day 100 and the last day of the year at 09:00 in UTC from 2026-01-31 09:00"
    ],
    [
      "FREQ=YEARLY;BYWEEKNO=20,-2",
      "every year on Saturday in week 20 and the second last week at 09:00 in UTC from 2026-01-31 09:00"
    ],
    [
      "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1",
      "every month the last of the times on Monday and Tuesday at 09:00 in UTC from 2026-01-31 09:00"
    ]
  ])("%s: %s", (rrule, text) => {
    assert.strictEqual(told({ rrule, start: "2026-01-31T09:00" }), text)
  })

  it("also intervals and single times", () => {
    assert.strictEqual(told({ every: "90 seconds" }), "every 90 seconds")
    assert.strictEqual(told({ every: "36 hours", start: 0 }), "every 36 hours from 1970-01-01T00:00:00.000Z")
    assert.strictEqual(told({ at: 0 }), "once at 1970-01-01T00:00:00.000Z")
  })
})

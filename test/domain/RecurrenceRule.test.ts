import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Timetable from "../../src/domain/Timetable.ts"

const zone = "America/New_York"

/** The first days, or times, on which a rule ticks that begins at nine on 2 September 1997, a Tuesday, in New York, as the RFC's examples do. */
const ticks = (rrule: string, count: number, start = "1997-09-02T09:00"): ReadonlyArray<string> => {
  const timetable = Result.getOrThrow(Timetable.parse({ rrule, start, timeZone: zone }))
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" })
  return Timetable.upcoming(timetable, 0, count).map((tick) => format.format(tick).replace(" 09:00", ""))
}

const septemberOn = (...days: ReadonlyArray<number>) => days.map((day) => `1997-09-${String(day).padStart(2, "0")}`)

describe("a calendar rule ticks as RFC 5545 says in its examples", () => {
  it.each<[string, ReadonlyArray<string>, string?]>([
    ["FREQ=YEARLY;BYMONTH=4;BYDAY=1SU", ["1998-04-05", "1999-04-04", "2000-04-02"]],
    ["FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", ["1997-10-26", "1998-10-25", "1999-10-31"]],
    ["FREQ=DAILY;COUNT=10", septemberOn(2, 3, 4, 5, 6, 7, 8, 9, 10, 11)],
    ["FREQ=DAILY;UNTIL=19970905T000000Z", septemberOn(2, 3, 4)],
    ["FREQ=DAILY;INTERVAL=2", septemberOn(2, 4, 6, 8)],
    ["FREQ=DAILY;INTERVAL=10;COUNT=5", [...septemberOn(2, 12, 22), "1997-10-02", "1997-10-12"]],
    ["FREQ=WEEKLY;COUNT=3", septemberOn(2, 9, 16)],
    ["FREQ=WEEKLY;INTERVAL=2;WKST=SU", [...septemberOn(2, 16, 30), "1997-10-14"]],
    ["FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", [
      ...septemberOn(2, 4, 9, 11, 16, 18, 23, 25, 30),
      "1997-10-02"
    ]],
    ["FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=MO,WE,FR", septemberOn(1, 3, 5, 15, 17, 19, 29), "1997-09-01T09:00"],
    ["FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", [
      ...septemberOn(2, 4, 16, 18, 30),
      "1997-10-02",
      "1997-10-14",
      "1997-10-16"
    ]],
    ["FREQ=MONTHLY;COUNT=3;BYDAY=1FR", ["1997-09-05", "1997-10-03", "1997-11-07"], "1997-09-05T09:00"],
    ["FREQ=MONTHLY;INTERVAL=2;COUNT=5;BYDAY=1SU,-1SU", [
      ...septemberOn(7, 28),
      "1997-11-02",
      "1997-11-30",
      "1998-01-04"
    ], "1997-09-07T09:00"],
    ["FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", ["1997-09-22", "1997-10-20", "1997-11-17"], "1997-09-22T09:00"],
    ["FREQ=MONTHLY;BYMONTHDAY=-3", [
      "1997-09-28",
      "1997-10-29",
      "1997-11-28",
      "1997-12-29",
      "1998-01-29",
      "1998-02-26"
    ]],
    ["FREQ=MONTHLY;COUNT=4;BYMONTHDAY=1,-1", ["1997-09-30", "1997-10-01", "1997-10-31", "1997-11-01"]],
    ["FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=10,11", ["1997-09-10", "1997-09-11", "1999-03-10", "1999-03-11"]],
    ["FREQ=YEARLY;COUNT=4;BYMONTH=6,7", ["1997-06-10", "1997-07-10", "1998-06-10", "1998-07-10"], "1997-06-10T09:00"],
    [
      "FREQ=YEARLY;INTERVAL=3;COUNT=4;BYYEARDAY=1,100,200",
      ["1997-01-01", "1997-04-10", "1997-07-19", "2000-01-01"],
      "1997-01-01T09:00"
    ],
    ["FREQ=YEARLY;BYDAY=20MO", ["1997-05-19", "1998-05-18", "1999-05-17"], "1997-05-19T09:00"],
    ["FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", ["1997-05-12", "1998-05-11", "1999-05-17"], "1997-05-12T09:00"],
    ["FREQ=YEARLY;BYMONTH=3;BYDAY=TH", ["1997-03-13", "1997-03-20", "1997-03-27", "1998-03-05"], "1997-03-13T09:00"],
    ["FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["1998-02-13", "1998-03-13", "1998-11-13", "1999-08-13", "2000-10-13"]],
    ["FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", ["1997-09-13", "1997-10-11", "1997-11-08"]],
    [
      "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
      ["1996-11-05", "2000-11-07", "2004-11-02"],
      "1996-11-05T09:00"
    ],
    ["FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", ["1997-09-04", "1997-10-07", "1997-11-06"], "1997-09-04T09:00"],
    ["FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", ["1997-09-29", "1997-10-30", "1997-11-27"], "1997-09-29T09:00"],
    ["FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z", ["1997-09-02", "1997-09-02 12:00", "1997-09-02 15:00"]],
    ["FREQ=MINUTELY;INTERVAL=90;COUNT=4", [
      "1997-09-02",
      "1997-09-02 10:30",
      "1997-09-02 12:00",
      "1997-09-02 13:30"
    ]],
    ["FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10", [
      "1997-09-02",
      "1997-09-02 09:20",
      "1997-09-02 09:40",
      "1997-09-02 10:00",
      "1997-09-02 10:20",
      "1997-09-02 10:40",
      "1997-09-03"
    ]],
    [
      "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
      ["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"],
      "1997-08-05T09:00"
    ],
    [
      "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
      ["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"],
      "1997-08-05T09:00"
    ],
    [
      "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
      ["2007-01-15", "2007-01-30", "2007-02-15", "2007-03-15", "2007-03-30"],
      "2007-01-15T09:00"
    ]
  ])("%s", (rule, expected, start) => {
    assert.deepStrictEqual(ticks(rule, expected.length + 1, start).slice(0, expected.length), expected)
    if (/COUNT|UNTIL/.test(rule)) assert.strictEqual(ticks(rule, 100, start).length, expected.length)
  })

  it("picks by BYSETPOS whatever the order of lists, and nothing where a period has fewer", () => {
    assert.deepStrictEqual(ticks("FREQ=DAILY;BYHOUR=19,4;BYSETPOS=-1", 2), ["1997-09-02 19:00", "1997-09-03 19:00"])
    assert.deepStrictEqual(ticks("FREQ=MONTHLY;BYDAY=5MO,1MO;BYSETPOS=2", 2), ["1997-09-29", "1997-12-29"])
    assert.deepStrictEqual(ticks("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=5,1", 4), [
      "1997-09-29",
      "1997-10-06",
      "1997-11-03",
      "1997-12-01"
    ])
  })

  it("counts the weeks of a year by the day on which weeks start, also those that two years share", () => {
    assert.deepStrictEqual(ticks("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", 3), ["1997-12-29", "1999-01-04", "2000-01-03"])
    assert.deepStrictEqual(ticks("FREQ=YEARLY;BYWEEKNO=-1", 3), ["1997-12-23", "1998-12-29", "1999-12-28"])
  })
})

describe("a calendar rule", () => {
  it.each<[string, string]>([
    ["", "a part such as FREQ=…"],
    ["FREQ=FORTNIGHTLY", "one of SECONDLY"],
    ["INTERVAL=2", "FREQ: found nothing"],
    ["FREQ=DAILY;FREQ=DAILY", "it twice"],
    ["FREQ=DAILY;BYHUOR=9", "BYHOUR=…"],
    ["FREQ=DAILY;BYHOUR=", "BYHOUR=…"],
    ["FREQ=DAILY;BYHOUR=24", "numbers from 0 to 23"],
    ["FREQ=DAILY;BYHOUR=-1", "numbers from 0 to 23"],
    ["FREQ=DAILY;BYHOUR=9,,10", "numbers from 0 to 23"],
    ["FREQ=DAILY;INTERVAL=0", "a number from 1"],
    ["FREQ=DAILY;INTERVAL=99999999999", "a number from 1"],
    ["FREQ=DAILY;COUNT=100000", "a number from 1 to 1000"],
    ["FREQ=DAILY;COUNT=1;UNTIL=20300101", "one of the two"],
    ["FREQ=DAILY;UNTIL=20300231", "a date such as"],
    ["FREQ=DAILY;UNTIL=19970101", "never ticks"],
    ["FREQ=DAILY;BYDAY=2MO", "MO without a number"],
    ["FREQ=MONTHLY;BYDAY=6MO", "a number from 1 to 5"],
    ["FREQ=MONTHLY;BYDAY=XX", "days SU, MO"],
    ["FREQ=MONTHLY;BYWEEKNO=2", "it with YEARLY only"],
    ["FREQ=WEEKLY;BYMONTHDAY=2", "it with SECONDLY"],
    ["FREQ=DAILY;BYSETPOS=1", "another part that begins with BY"],
    ["FREQ=DAILY;WKST=1", "one of SU"],
    ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never ticks"],
    ["FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never ticks"],
    ["FREQ=MINUTELY;INTERVAL=60;BYMINUTE=7", "never ticks"],
    ["FREQ=DAILY;BYHOUR=9;BYSETPOS=2", "never ticks"],
    ["DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY", "fields of the timetable"],
    [`FREQ=DAILY;BYHOUR=${"9,".repeat(1000)}9`, "at most 1024 characters"]
  ])("is refused with the reason: %s", (rrule, text) => {
    const parsed = Timetable.parse({ rrule, start: "1997-09-02T09:00", timeZone: zone })
    assert.include(Result.isFailure(parsed) ? parsed.failure.message : "it is taken", text)
  })

  it.each(["FREQ=DAILY;INTERVAL=2", "FREQ=DAILY;COUNT=2", "FREQ=WEEKLY"])("needs a start for %s", (rrule) => {
    const parsed = Timetable.parse({ rrule })
    assert.include(Result.isFailure(parsed) ? parsed.failure.message : "it is taken", "a start")
  })

  it.each([
    ["FREQ=HOURLY;INTERVAL=2", ["00:00+02:00", "02:00+02:00"]],
    ["FREQ=HOURLY", ["00:00+02:00", "01:00+02:00", "02:00+02:00", "02:00+01:00", "03:00+01:00"]],
    ["FREQ=MINUTELY;INTERVAL=45", ["00:00+02:00", "00:45+02:00", "01:30+02:00", "02:15+02:00", "03:00+01:00"]],
    ["FREQ=MINUTELY;INTERVAL=60;BYHOUR=2", ["02:00+02:00"]],
    [`FREQ=DAILY;BYHOUR=${Array.from({ length: 24 }, (_, hour) => hour).join(",")};BYSETPOS=3`, ["02:00+02:00"]]
  ])("has a fixed hour unless it ticks alike in every hour: %s in autumn", (rrule, expected) => {
    const timetable = Result.getOrThrow(Timetable.parse({ rrule, start: "2024-10-27", timeZone: "Europe/Berlin" }))
    const until = Date.parse("2024-10-27T03:00+01:00")
    const found = Timetable.upcoming(timetable, 0, 10).filter((tick) => tick <= until)
    assert.deepStrictEqual(found, expected.map((time) => Date.parse(`2024-10-27T${time}`)))
  })

  it("ends after COUNT ticks, in whatever order it is asked, also where one is shown twice", () => {
    const hourly = { rrule: "FREQ=HOURLY;COUNT=4", start: "2024-10-27T01:00", timeZone: "Europe/Berlin" }
    const timetable = Result.getOrThrow(Timetable.parse(hourly))
    const first = Date.UTC(2024, 9, 26, 23)
    const hour = 3_600_000
    const afters = [0, 9, 3, 2, -1, 1, 4, 2, 3, 0]
    const expected = afters.map((after) => after < 3 ? first + (after + 1) * hour : undefined)
    assert.deepStrictEqual(afters.map((after) => Timetable.next(timetable, first + after * hour)), expected)
    // From the summer's hour to the winter's
    assert.deepStrictEqual(Timetable.upcoming(timetable, 0, 10).length, 4)
  })

  it("has a start on the wall, or at an instant", () => {
    const start = (given: string | number) => {
      const timetable = Result.getOrThrow(Timetable.parse({ rrule: "FREQ=DAILY", start: given, timeZone: zone }))
      return "rrule" in timetable ? timetable.start : undefined
    }
    assert.strictEqual(start("2026-07-01T09:00"), "2026-07-01T09:00:00")
    assert.strictEqual(start("2026-07-01"), "2026-07-01T00:00:00")
    assert.strictEqual(start("2026-07-01T09:00:00Z"), "2026-07-01T05:00:00")
    assert.strictEqual(start(Date.UTC(2026, 0, 1, 9)), "2026-01-01T04:00:00")
    for (const wrong of ["tomorrow", "2026-02-30", "1969-01-01", "2026-07-01T25:00"]) {
      const parsed = Timetable.parse({ rrule: "FREQ=DAILY", start: wrong })
      assert.include(Result.isFailure(parsed) ? parsed.failure.message : "it is taken", "a time on the wall")
    }
  })
})

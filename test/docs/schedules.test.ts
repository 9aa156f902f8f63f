/** The tables of the page about schedules, line by line. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import * as Timetable from "../../src/domain/Timetable.ts"

const page = readFileSync(new URL("../../docs/schedules.md", import.meta.url), "utf8")

const linesOf = (head: string): ReadonlyArray<ReadonlyArray<string>> => {
  const table = page.slice(page.indexOf(`${head}\n`)).split("\n\n")[0]!
  return table.split("\n").slice(2).map((line) =>
    line.slice(2, -2).split(" | ").map((cell) => cell.replaceAll("`", ""))
  )
}

const inputOf = (text: string, timeZone: string): Timetable.Input =>
  text.startsWith("FREQ=")
    ? { rrule: text, timeZone }
    : text.startsWith("every ")
    ? { every: Number(text.slice(6, -1)) * 3_600_000 }
    : { cron: text, timeZone }

const instantOf = (text: string) => Date.parse(text.replace(" ", "T"))

describe("the page about schedules", () => {
  const lines = linesOf("| what | timetable | zone | ticks |")

  it("tells more than thirty cases", () => {
    assert.isAbove(lines.length, 30)
  })

  it.each(lines)("is right about %s: %s in %s", (_, text, zone, ticks) => {
    const expected = ticks!.split(", ").map(instantOf)
    const timetable = Result.getOrThrow(Timetable.parse(inputOf(text!, zone!)))
    assert.deepStrictEqual(Timetable.upcoming(timetable, expected[0]! - 1, expected.length), expected)
    // Times are those that the clock shows: an offset of another season would name the same instants
    const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone!, dateStyle: "short", timeStyle: "short" })
    assert.deepStrictEqual(
      expected.map((tick) => format.format(tick)),
      ticks!.split(", ").map((tick) => tick.slice(0, 16))
    )
  })

  it.each(linesOf("| timetable | refused |"))("is right about what is refused: %s, %s", (text, reason) => {
    const parsed = Timetable.parse(inputOf(text!, "UTC"))
    assert.include(Result.isFailure(parsed) ? parsed.failure.message : "it is taken", reason!)
  })
})

/**
 * Instants as RFC 3339 writes them: `2026-01-31T12:00:00Z`, `2026-01-31T13:00:00.5+01:00`.
 *
 * `Date.parse` takes far more: it finds the year 2001 in `1`, a month in `task 7`, and turns the 31st of February into
 * the 3rd of March. A task that runs on another day than its client meant is worse than one that is refused.
 */
import { DateTime, Effect, Option, Schema, SchemaGetter, SchemaIssue } from "effect"
import { daysIn } from "./Calendar.ts"

const form =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** Reads an instant, to the millisecond; `undefined` when the text is none. */
export const parse = (text: string): DateTime.Utc | undefined => {
  const [, year = "", month = "", day = "", hour = "", minute = "", second = "", fraction = "", zone = ""] =
    form.exec(text) ?? []
  if (year === "" || Number(day) > daysIn(Number(year), Number(month))) return undefined
  const isLeap = second === "60"
  const millis = fraction.slice(0, 3).padEnd(3, "0")
  const plain = `${year}-${month}-${day}T${hour}:${minute}:${isLeap ? "59" : second}.${millis}${zone.toUpperCase()}`
  const instant = Option.map(DateTime.make(plain), DateTime.toUtc)
  if (!isLeap) return Option.getOrUndefined(instant)
  // No clock here has leap seconds: one is the first second after it. There are some at the end of June and of December
  return Option.getOrUndefined(
    instant.pipe(Option.map(DateTime.add({ seconds: 1 })), Option.filter(beginsHalfYear))
  )
}

const beginsHalfYear = (instant: DateTime.Utc): boolean => {
  const { day, hour, minute, month, second } = DateTime.toPartsUtc(instant)
  return (month === 1 || month === 7) && day === 1 && hour === 0 && minute === 0 && second === 0
}

/** When a task is due, on the wire. */
export const Rfc3339 = Schema.String.annotate({
  format: "date-time",
  description: "When the task is due, in RFC 3339: 2026-01-31T12:00:00Z; not together with delay"
}).pipe(
  Schema.decodeTo(Schema.DateTimeUtc, {
    decode: SchemaGetter.transformEffect((text: string) => {
      const instant = parse(text)
      return instant === undefined
        ? Effect.fail(
          new SchemaIssue.InvalidValue({
            message: `Expected a date and time of RFC 3339 such as 2026-01-31T12:00:00Z, got ${
              JSON.stringify(text.slice(0, 80))
            }`
          })
        )
        : Effect.succeed(instant)
    }),
    encode: SchemaGetter.transform(DateTime.formatIso)
  })
)

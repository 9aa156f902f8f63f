/** The values that requests are made of, as several endpoints take them: names, JSON, durations, lists and pages. */
import { Duration, Schema, SchemaTransformation } from "effect"
import * as Bounds from "../../domain/Bounds.ts"
import * as Cursor from "../../domain/Cursor.ts"
import { DurationText } from "../../domain/DurationText.ts"

/**
 * Checks a value of the wire by the bound that programs have too. The API's description has no word for such a check, and
 * loses what is annotated behind it: describe a field before it, or behind a check that it knows.
 */
export const within = <A>({ accepts, expected }: Bounds.Bound<A>) =>
  Schema.makeFilter((value: A) => accepts(value) ? undefined : `Expected ${expected}`)

/** Names of types and queues. */
export const Name = Schema.String.check(
  within(Bounds.name),
  Schema.isNonEmpty(),
  Schema.isMaxLength(Bounds.maxNameLength)
)

/** A duration as text, or a number of milliseconds. */
export const MillisOrText = Schema.Union([
  DurationText,
  Schema.Finite.pipe(
    Schema.decodeTo(
      Schema.Duration,
      SchemaTransformation.transform({ decode: Duration.millis, encode: Duration.toMillis })
    )
  )
])

/** Arrays and objects inside each other at most: code that walks through a payload uses its stack. */
export const maxDepth = 128

/** Any JSON that is not nested too deeply. It comes from a parser, so nothing else of it needs to be checked. */
export const JsonValue = Schema.Unknown.pipe(
  Schema.refine((value): value is Schema.Json => isShallow(value, maxDepth), {
    expected: `JSON that is nested ${maxDepth} levels deep at most`
  })
)

/** Whether no more than so many arrays and objects are inside each other. */
export const isShallow = (value: unknown, levels: number): boolean => {
  if (typeof value !== "object" || value === null) return true
  if (levels === 0) return false
  if (Array.isArray(value)) return value.every((item) => isShallow(item, levels - 1))
  for (const key in value) if (!isShallow((value as Record<string, unknown>)[key], levels - 1)) return false
  return true
}

/**
 * Several values, repeated (`?status=a&status=b`) or with commas (`?status=a,b`). A value that has commas itself stands in
 * double quotes (`?queue="a,b"`), in which a quote is doubled.
 */
export const listOf = <Value extends string>(value: Schema.Codec<Value, string>) =>
  Schema.Array(Schema.String).pipe(
    Schema.decodeTo(
      Schema.Array(value),
      SchemaTransformation.transform<ReadonlyArray<string>, ReadonlyArray<string>>({
        decode: (texts) => texts.flatMap(valuesOf),
        encode: (values) => values.map(quoted)
      })
    )
  )

/** A value in quotes, or what is between two commas. A quote that is never closed is a character like others. */
const part = /\s*"((?:[^"]|"")*)"\s*(?:,|$)|([^,]*)(?:,|$)/gy

const valuesOf = (text: string): ReadonlyArray<string> => {
  const values: Array<string> = []
  for (const [whole, inQuotes, plain = ""] of text.matchAll(part)) {
    values.push(inQuotes === undefined ? plain.trim() : inQuotes.replaceAll(`""`, `"`))
    if (!whole.endsWith(",")) break
  }
  return values
}

const quoted = (value: string): string =>
  /[,"]/.test(value) || value !== value.trim() ? `"${value.replaceAll(`"`, `""`)}"` : value

/** Items on a page at most, and when nothing is said. */
export const pageSize = { max: 1000, default: 50 } as const

/** How many items, as the text of a URL. */
export const PageSize = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: 1, maximum: pageSize.max })
)

/** A cursor of a list, as its check knows it. */
export const cursorText = (isOurs: (cursor: string) => boolean) =>
  Schema.String.check(
    Schema.makeFilter((text: string) =>
      isOurs(text) ? undefined : "Expected a cursor from the field next of an earlier page"
    )
  )

/** From a page of tasks. Whether it is one of this filter, the queue knows. */
export const TaskCursor = cursorText(Cursor.isTaskCursor)

/** Which page of tasks, and how much of each. */
export const taskListQuery = {
  limit: Schema.optionalKey(PageSize),
  cursor: Schema.optionalKey(TaskCursor),
  brief: Schema.optionalKey(Schema.Literals(["true", "false"]))
}

/** From a page of queues. */
export const QueueCursor = cursorText((text) => Cursor.decodeName("queue", text) !== undefined)

/** From a page of types. */
export const TypeCursor = cursorText((text) => Cursor.decodeName("type", text) !== undefined)

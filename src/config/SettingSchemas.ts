/** How the texts of settings are read. */
import { Duration, Schema, SchemaGetter } from "effect"
import { DurationText } from "../domain/DurationText.ts"

/** A whole number within bounds. */
export const integer = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) =>
  Schema.String.check(Schema.isPattern(/^-?\d+$/)).pipe(
    Schema.decodeTo(Schema.FiniteFromString),
    Schema.check(Schema.isBetween({ minimum, maximum }))
  )

/** A duration within bounds; `infinity` is one where the maximum is. */
export const duration = (minimum: Duration.Input, maximum: Duration.Input) => {
  const bounds = { minimum: Duration.fromInputUnsafe(minimum), maximum: Duration.fromInputUnsafe(maximum) }
  return Schema.String.pipe(
    Schema.decodeTo(DurationText, {
      decode: SchemaGetter.transform((text) => text.toLowerCase() === "infinity" ? "Infinity" : text),
      encode: SchemaGetter.passthrough()
    }),
    Schema.check(Schema.makeFilter((value: Duration.Duration) => Duration.between(value, bounds)))
  )
}

/** One of some words, in any case. */
export const word = <const Words extends ReadonlyArray<Lowercase<string>>>(...words: Words) =>
  Schema.String.pipe(
    Schema.decodeTo(Schema.String, { decode: SchemaGetter.toLowerCase(), encode: SchemaGetter.passthrough() }),
    Schema.decodeTo(Schema.Literals(words))
  )

/** Yes or no, in the common spellings. */
export const flag = word("1", "true", "yes", "on", "0", "false", "no", "off").pipe(
  Schema.decodeTo(Schema.Boolean, {
    decode: SchemaGetter.transform((text) => ["1", "true", "yes", "on"].includes(text)),
    encode: SchemaGetter.transform((on) => on ? "1" : "0")
  })
)

const levels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  fatal: "Fatal",
  none: "None"
} as const

/** How much is logged, from `trace` to `none`. */
export const logLevel = word("trace", "debug", "info", "warn", "error", "fatal", "none").pipe(
  Schema.decodeTo(Schema.Literals(Object.values(levels)), {
    decode: SchemaGetter.transform((name) => levels[name]),
    encode: SchemaGetter.transform((level) => level.toLowerCase() as keyof typeof levels)
  })
)

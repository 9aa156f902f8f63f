/** How the texts of settings are read. What a good text is stands with the schema, as its `expected`. */
import { Duration, Effect, Result, Schema, SchemaGetter, SchemaIssue, String as Text } from "effect"
import { IpNetwork } from "effect/net"
import * as Bounds from "../domain/Bounds.ts"
import { DurationText, format } from "../domain/DurationText.ts"

/** A whole number within bounds. */
export const integer = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) =>
  Schema.String.check(Schema.isPattern(/^-?\d+$/)).pipe(
    Schema.decodeTo(Schema.FiniteFromString),
    Schema.check(Schema.isBetween({ minimum, maximum })),
    Schema.annotate({
      expected: maximum < Number.MAX_SAFE_INTEGER
        ? `a whole number from ${minimum} to ${maximum}`
        : minimum === 0
        ? "a whole number"
        : `a whole number of at least ${minimum}`
    })
  )

/** A duration within bounds; `infinity` is one where the maximum is, and then any other has the engine's own bound. */
export const duration = (minimum: Duration.Input, maximum: Duration.Input) => {
  const bounds = { minimum: Duration.fromInputUnsafe(minimum), maximum: Duration.fromInputUnsafe(maximum) }
  return Schema.String.pipe(
    Schema.decodeTo(DurationText, {
      decode: SchemaGetter.transform((text) => text.toLowerCase() === "infinity" ? "Infinity" : text),
      encode: SchemaGetter.passthrough()
    }),
    Schema.check(
      Schema.makeFilter((value: Duration.Duration) =>
        Duration.between(value, bounds) && Bounds.retention.accepts(value)
      )
    ),
    Schema.annotate({ expected: `a duration from ${format(bounds.minimum)} to ${format(bounds.maximum)}` })
  )
}

const oneOf = (words: ReadonlyArray<string>): string => `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`

/** One of some words, in any case. */
export const word = <const Words extends ReadonlyArray<Lowercase<string>>>(...words: Words) =>
  Schema.String.pipe(
    Schema.decodeTo(Schema.String, { decode: SchemaGetter.toLowerCase(), encode: SchemaGetter.passthrough() }),
    Schema.decodeTo(Schema.Literals(words)),
    Schema.annotate({ expected: oneOf(words) })
  )

/** Yes or no, in the common spellings. */
export const flag = word("1", "true", "yes", "on", "0", "false", "no", "off").pipe(
  Schema.decodeTo(Schema.Boolean, {
    decode: SchemaGetter.transform((text) => ["1", "true", "yes", "on"].includes(text)),
    encode: SchemaGetter.transform((on) => on ? "1" : "0")
  }),
  Schema.annotate({ expected: "1 or 0" })
)

/** Several values with commas between them. */
export const list = <A>(item: Schema.ConstraintCodec<A, string>) =>
  Schema.String.pipe(
    Schema.decodeTo(Schema.Array(item), {
      decode: SchemaGetter.transform((text: string) => text.split(",").map((part) => part.trim())),
      encode: SchemaGetter.transform((parts: ReadonlyArray<string>) => parts.join(","))
    })
  )

/** So many per window, such as `100/1s`. */
export interface Rate {
  readonly limit: number
  readonly window: Duration.Duration
}

const rateWindows = { minimum: Duration.seconds(1), maximum: Duration.days(1) }

/** A rate. */
export const rate = Schema.String.pipe(
  Schema.decodeTo(
    Schema.declare((value): value is Rate => typeof value === "object"),
    {
      decode: SchemaGetter.transformEffect((text: string) => {
        const [, limit = "", window = ""] = /^(\d{1,9})\/(.+)$/.exec(text) ?? []
        const duration = Schema.decodeResult(DurationText)(/^\d/.test(window) ? window : `1${window}`)
        return Number(limit) >= 1 && Result.isSuccess(duration) &&
            Duration.between(duration.success, rateWindows)
          ? Effect.succeed({ limit: Number(limit), window: duration.success })
          : Effect.fail(new SchemaIssue.InvalidValue({ message: `Not a rate: ${text}` }))
      }),
      encode: SchemaGetter.transform(({ limit, window }) => `${limit}/${Duration.toMillis(window)}ms`)
    }
  ),
  Schema.annotate({ expected: "a number and a window from 1s to 1d such as 100/1s or 6000/1m" })
)

/** An address, or a network such as `10.0.0.0/8`. */
export const network = Schema.String.pipe(
  Schema.decodeTo(Schema.declare(IpNetwork.isIpNetwork), {
    decode: SchemaGetter.transformEffect((text: string) =>
      Result.match(IpNetwork.fromString(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`), {
        onFailure: () => Effect.fail(new SchemaIssue.InvalidValue({ message: `Not a network: ${text}` })),
        onSuccess: Effect.succeed
      })
    ),
    encode: SchemaGetter.transform(IpNetwork.format)
  })
)

/** Where a page comes from, as browsers say it: a scheme, a host and perhaps a port. */
export const origin = Schema.String.check(Schema.isPattern(/^https?:\/\/[^\s/*,]+$/))

const levels = ["trace", "debug", "info", "warn", "error", "fatal", "none"] as const

/** How much is logged, from `trace` to `none`. */
export const logLevel = word(...levels).pipe(
  Schema.decodeTo(Schema.Literals(levels.map(Text.capitalize)), {
    decode: SchemaGetter.transform(Text.capitalize),
    encode: SchemaGetter.transform(Text.uncapitalize)
  }),
  Schema.annotate({ expected: oneOf(levels) })
)

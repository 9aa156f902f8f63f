/**
 * Durations as people and settings write them: `250ms`, `5m`, `1h30m`, and Effect's own `"5 minutes"`.
 */
import { Duration, Effect, Option, Schema, SchemaGetter, SchemaIssue } from "effect"

const millisPerUnit: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

const compact = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/
const part = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g

/** Reads a duration, or `undefined` when the text is none or says a negative one. */
export const parse = (input: string): Duration.Duration | undefined => {
  const trimmed = input.trim()
  if (compact.test(trimmed)) {
    let millis = 0
    for (const [, amount, unit] of trimmed.matchAll(part)) millis += Number(amount) * (millisPerUnit[unit ?? ""] ?? 0)
    return Duration.millis(millis)
  }
  const duration = Option.getOrUndefined(Duration.fromInput(trimmed as Duration.Input))
  return duration === undefined || Duration.isNegative(duration) ? undefined : duration
}

/** Writes a duration in the compact form: `1h30m`. */
export const format = (duration: Duration.Duration): string => {
  let rest = Duration.toMillis(duration)
  if (!Number.isFinite(rest)) return "Infinity"
  let out = ""
  for (const unit of ["d", "h", "m", "s"] as const) {
    const amount = Math.floor(rest / millisPerUnit[unit]!)
    if (amount > 0) out += `${amount}${unit}`
    rest -= amount * millisPerUnit[unit]!
  }
  return rest > 0 || out === "" ? `${out}${rest}ms` : out
}

/** The one schema of durations in settings, payloads and on the wire. */
export const DurationText = Schema.String.pipe(
  Schema.decodeTo(Schema.Duration, {
    decode: SchemaGetter.transformEffect((input: string) => {
      const duration = parse(input)
      return duration === undefined
        ? Effect.fail(
          new SchemaIssue.InvalidValue({
            message: `Expected a duration such as 250ms, 5m, 1h30m or "5 minutes", got ${JSON.stringify(input)}`
          })
        )
        : Effect.succeed(duration)
    }),
    encode: SchemaGetter.transform(format)
  })
)

/** What task types that send requests have in their payloads. */
import { Duration, Schema } from "effect"
import { DurationText } from "../../domain/DurationText.ts"

/** An address on the Web; whether tasks may connect to it is decided when they do. */
export const Url = Schema.String.check(
  Schema.isMaxLength(8192),
  Schema.makeFilter((text: string) => /^https?:\/\//i.test(text) && URL.canParse(text), {
    expected: "an http:// or https:// URL"
  })
)

/** What a connection is for is not a payload's to say. */
const reserved = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/** Headers of a request. */
export const Headers = Schema.Record(Schema.String, Schema.String.check(Schema.isMaxLength(8192))).check(
  Schema.makeFilter((headers: Readonly<Record<string, string>>) => {
    const names = Object.keys(headers)
    const bad = names.find((name) => !/^[\w!#$%&'*+.^`|~-]+$/.test(name) || reserved.has(name.toLowerCase()))
    const broken = names.find((name) => /[\r\n\0]/.test(headers[name]!))
    return names.length > 100
      ? "Expected at most 100 headers"
      : bad !== undefined
      ? `Expected headers without ${JSON.stringify(bad)}`
      : broken !== undefined
      ? `Expected the header ${JSON.stringify(broken)} to be one line`
      : undefined
  })
)

/** A limit of time that a payload may set; the server's own holds too. */
export const Timeout = DurationText.check(
  Schema.makeFilter((duration: Duration.Duration) => {
    const millis = Duration.toMillis(duration)
    return millis >= 1 && Number.isFinite(millis)
  }, { expected: "a duration of at least 1ms" })
)

/** Names as they are compared, so that a payload's header replaces ours. */
export const lowerCase = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

import { assert, describe, it } from "@effect/vitest"
import { Duration, Exit, Schema } from "effect"
import { DurationText, format, parse } from "../../src/domain/DurationText.ts"

const millis = (text: string) => {
  const duration = parse(text)
  return duration === undefined ? undefined : Duration.toMillis(duration)
}

const decode = Schema.decodeUnknownExit(DurationText)
const encode = Schema.encodeUnknownExit(DurationText)

describe("DurationText", () => {
  it("reads the compact form in every unit and any combination", () => {
    const examples = {
      "250ms": 250,
      "2s": 2000,
      "5m": 300_000,
      "1h30m": 5_400_000,
      "1d": 86_400_000,
      "2w": 1_209_600_000,
      "1d2h3m4s5ms": 93_784_005,
      "1.5s": 1500,
      "0ms": 0,
      " 5m ": 300_000
    }
    for (const [text, expected] of Object.entries(examples)) assert.strictEqual(millis(text), expected, text)
  })

  it("reads Effect's own form", () => {
    assert.strictEqual(millis("5 minutes"), 300_000)
    assert.strictEqual(millis("1 second"), 1000)
    assert.strictEqual(millis("1.5 hours"), 5_400_000)
    assert.strictEqual(millis("Infinity"), Infinity)
  })

  it("refuses what is no duration", () => {
    for (const text of ["", " ", "5", "m", "m5", "5x", "5M", "five minutes", "5m!", "1h 30m", "1e3ms", "NaN", "PT5M"]) {
      assert.strictEqual(parse(text), undefined, JSON.stringify(text))
    }
  })

  it("refuses negative durations in either form", () => {
    for (const text of ["-5m", "-1ms", "-5 minutes", "-Infinity"]) assert.strictEqual(parse(text), undefined, text)
  })

  it("writes the compact form, largest unit first", () => {
    const examples = {
      "0ms": Duration.zero,
      "250ms": Duration.millis(250),
      "2s": Duration.seconds(2),
      "1s500ms": Duration.millis(1500),
      "1h30m": Duration.minutes(90),
      "14d": Duration.weeks(2),
      "1d1ms": Duration.millis(86_400_001),
      Infinity: Duration.infinity
    }
    for (const [text, duration] of Object.entries(examples)) assert.strictEqual(format(duration), text)
  })

  it.prop(
    "reads back what it writes",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e14 }))],
    ([ms]) => millis(format(Duration.millis(ms))) === ms
  )

  it.prop("writes what it reads in one way only", [
    Schema.Array(Schema.Struct({
      amount: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })),
      unit: Schema.Literals(["ms", "s", "m", "h", "d", "w"])
    })).check(Schema.isMinLength(1))
  ], ([parts]) => {
    const duration = parse(parts.map(({ amount, unit }) => `${amount}${unit}`).join(""))!
    assert.deepStrictEqual(parse(format(duration)), duration)
  })

  it("is a schema that says what it expected and what it got", () => {
    assert.deepStrictEqual(decode("1h30m"), Exit.succeed(Duration.minutes(90)))
    assert.deepStrictEqual(encode(Duration.minutes(90)), Exit.succeed("1h30m"))
    const refused = decode("soon")
    assert.isTrue(Exit.isFailure(refused))
    assert.include(String(refused), `250ms, 5m, 1h30m or "5 minutes", got "soon"`)
    for (const input of [5, null, undefined, {}]) assert.isTrue(Exit.isFailure(decode(input)), `${input}`)
  })
})

import { assert, describe, it } from "@effect/vitest"
import { DateTime, Exit, Schema } from "effect"
import * as Bounds from "../../src/domain/Bounds.ts"
import { parse, Rfc3339 } from "../../src/domain/Rfc3339.ts"

const read = (text: string): string | undefined => {
  const instant = parse(text)
  return instant && DateTime.formatIso(instant)
}

describe("an instant of RFC 3339", () => {
  it("is read with every zone and fraction, to the millisecond", () => {
    for (
      const [text, instant] of [
        ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"],
        ["2026-01-31t12:00:00z", "2026-01-31T12:00:00.000Z"],
        ["2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z"],
        ["2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123Z"],
        ["2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00.000Z"],
        ["2026-01-31T23:30:00-05:30", "2026-02-01T05:00:00.000Z"],
        ["2026-01-31T12:00:00-00:00", "2026-01-31T12:00:00.000Z"],
        ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
        ["0099-12-31T00:00:00Z", "0099-12-31T00:00:00.000Z"],
        ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"]
      ] as const
    ) assert.strictEqual(read(text), instant, text)
  })

  it("is on a day that there is", () => {
    for (const day of ["2024-02-29", "2000-02-29", "2026-04-30", "2026-12-31"]) {
      assert.isDefined(read(`${day}T00:00:00Z`), day)
    }
    for (
      const day of [
        "2026-02-29",
        "1900-02-29",
        "2026-02-31",
        "2026-04-31",
        "2026-00-10",
        "2026-13-01",
        "2026-01-00",
        "2026-01-32"
      ]
    ) assert.isUndefined(read(`${day}T00:00:00Z`), day)
  })

  it("may be a leap second, where there can be one", () => {
    assert.strictEqual(read("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000Z")
    assert.strictEqual(read("2015-07-01T01:59:60.25+02:00"), "2015-07-01T00:00:00.250Z")
    for (const text of ["2016-12-31T22:59:60Z", "2016-12-30T23:59:60Z", "2016-03-31T23:59:60Z"]) {
      assert.isUndefined(read(text), text)
    }
  })

  it("is nothing else", () => {
    for (
      const text of [
        "",
        "1",
        "task 7",
        "01/06/2030",
        "2030",
        "2030-06-01",
        "2030-06-01T12:00Z",
        "2030-06-01T12:00:00",
        "2030-06-01 12:00:00Z",
        "2030-06-01T12:00:00 Z",
        "2030-06-01T12:00:00+0100",
        "2030-06-01T12:00:00+01",
        "2030-06-01T12:00:00+24:00",
        "2030-06-01T12:00:00.Z",
        "2030-06-01T24:00:00Z",
        "2030-06-01T12:60:00Z",
        "2030-06-01T12:00:61Z",
        "+010000-01-01T00:00:00Z",
        "-000001-01-01T00:00:00Z",
        "June 1, 2030 12:00 UTC",
        "1900000000",
        " 2030-06-01T12:00:00Z",
        "2030-06-01T12:00:00Z\n"
      ]
    ) assert.isUndefined(read(text), JSON.stringify(text))
  })

  it.prop("comes back as it was written, whatever the instant", [
    Schema.Int.check(Schema.isBetween({ minimum: Bounds.minRunAt, maximum: Bounds.maxRunAt }))
  ], ([millis]) => {
    const instant = DateTime.makeUnsafe(millis)
    assert.strictEqual(read(DateTime.formatIso(instant)), DateTime.formatIso(instant))
    const encoded = Schema.encodeExit(Rfc3339)(instant)
    assert.deepStrictEqual(
      Exit.isSuccess(encoded) ? Schema.decodeExit(Rfc3339)(encoded.value) : encoded,
      Exit.succeed(instant)
    )
  })
})

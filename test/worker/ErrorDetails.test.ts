import { assert, describe, it } from "@effect/vitest"
import * as Bounds from "../../src/domain/Bounds.ts"
import * as ErrorDetails from "../../src/worker/ErrorDetails.ts"

const long = "é".repeat(Bounds.maxDetailBytes)

describe("the details of a declared error", () => {
  it("are kept as they are where they fit", () => {
    const error = { _tag: "Refused", code: 5, reasons: ["a", null, true], nested: { text: "ü" } }
    assert.deepStrictEqual(ErrorDetails.of(error), { error })
  })

  it("have long texts cut as little as makes them fit, and everything else as it was", () => {
    const { error, note } = ErrorDetails.of({ _tag: "Refused", code: 5, none: null, body: long })
    assert.deepStrictEqual(error, { _tag: "Refused", code: 5, none: null, body: long.slice(0, 65_536) })
    assert.strictEqual(
      note,
      "(Its details have 524337 bytes of JSON, and 262144 are kept at most, which no setting changes: " +
        "texts of more than 65536 characters are cut)"
    )
    assert.deepStrictEqual(ErrorDetails.of({ bodies: [long, { inner: long }, "short"] }).error, {
      bodies: [long.slice(0, 8192), { inner: long.slice(0, 8192) }, "short"]
    })
  })

  it("are left out where cutting texts does not make them fit", () => {
    assert.deepStrictEqual(ErrorDetails.of(Array.from({ length: Bounds.maxDetailBytes }, () => 0)), {
      note:
        "(Its details have 524289 bytes of JSON, and 262144 are kept at most, which no setting changes: they are left out)"
    })
  })
})

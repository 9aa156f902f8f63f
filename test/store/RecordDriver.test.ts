import { assert, describe, it } from "@effect/vitest"
import * as ByteOrder from "../../src/domain/ByteOrder.ts"
import { nextVersion } from "../../src/store/RecordDriver.ts"

describe("the number of a put", () => {
  it("is greater than the one before, whatever the clock shows", () => {
    const clocks = [
      0,
      -1e15,
      1_700_000_000_000,
      1_800_000_000_000,
      1_800_000_000_000,
      1_700_000_000_001,
      1e13,
      1e15,
      8e15,
      0
    ]
    let last = 0
    for (const now of clocks) {
      const version = nextVersion(last, now)
      assert.isAbove(version, last)
      assert.isTrue(Number.isSafeInteger(version), `at ${now}`)
      last = version
    }
  })

  it("is greater than what a store that has lost its last writes has given", () => {
    const now = 1_800_000_000_000
    let lost = 0
    for (let put = 0; put < 1000; put++) lost = nextVersion(lost, now)
    assert.isAbove(nextVersion(0, now + 1), lost)
  })
})

it("ids are in the order of their bytes", () => {
  const ids = [
    "",
    "a",
    "b",
    "ab",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "😀",
    "😁",
    "😀a",
    "\u{10000}",
    "\u{10ffff}",
    "a😀",
    "a\uffff"
  ]
  for (const a of ids) {
    for (const b of ids) {
      const order = Buffer.compare(Buffer.from(a), Buffer.from(b))
      assert.strictEqual(Math.sign(ByteOrder.compare(a, b)), order, JSON.stringify([a, b]))
    }
  }
})

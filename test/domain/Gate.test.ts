import { assert, describe, it } from "@effect/vitest"
import * as Gate from "../../src/domain/Gate.ts"

describe("the passes of a gate", () => {
  const passes = [
    "a=",
    "a=b",
    "!a=b",
    "a=\"",
    "a=\"]",
    "a=[\"b\"]",
    "a=\\",
    "a=\\\"",
    "a=\n",
    "a=\u2028",
    "a=\ud800",
    "a=ü😀",
    "a=\",\"b"
  ]

  it("are those that it was made of", () => {
    for (const pass of passes) {
      assert.deepStrictEqual(Gate.passesOf(Gate.gated([[pass, 1]]).gate), [pass])
      for (const other of passes) {
        assert.deepStrictEqual(Gate.passesOf(Gate.gated([[pass, 1], [other, 2]]).gate), [pass, other])
      }
    }
  })

  it("are none of a task without a gate", () => {
    assert.deepStrictEqual(Gate.passesOf(null), [])
    assert.deepStrictEqual(Gate.passesOf(Gate.gated([]).gate), [])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as Priority from "../../src/domain/Priority.ts"

const decode = Schema.decodeUnknownExit(Priority.PriorityFromInput)
const encode = Schema.encodeUnknownExit(Priority.PriorityFromInput)

describe("Priority", () => {
  it("reads names, critical and urgent alike", () => {
    for (const [name, number] of [["low", 0], ["normal", 1], ["high", 2], ["critical", 3], ["urgent", 3]] as const) {
      assert.deepStrictEqual(decode(name), Exit.succeed(number))
      assert.strictEqual(Priority.toNumber(name), number)
    }
    assert.strictEqual(Priority.normal, 1)
  })

  it("reads the integers from 0 to 9, writes them, and passes them through", () => {
    for (let priority = 0; priority <= 9; priority++) {
      assert.deepStrictEqual(decode(priority), Exit.succeed(priority))
      assert.deepStrictEqual(encode(priority), Exit.succeed(priority))
      assert.strictEqual(Priority.toNumber(priority), priority)
    }
  })

  it("refuses everything else", () => {
    for (const input of [-1, 10, 1.5, NaN, Infinity, "1", "Low", "", "toString", null, undefined, true, {}]) {
      assert.isTrue(Exit.isFailure(decode(input)), `${input}`)
    }
  })

  it("names every number for people, critical from 3 on", () => {
    const names = Array.from({ length: 10 }, (_, priority) => Priority.nameOf(priority))
    assert.deepStrictEqual(names, ["low", "normal", "high", ...Array.from({ length: 7 }, () => "critical" as const)])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as Bounds from "../../src/domain/Bounds.ts"
import * as JsonText from "../../src/domain/JsonText.ts"
import * as TaskDefinition from "../../src/domain/TaskDefinition.ts"

const nested = (levels: number): unknown => {
  let value: unknown = "]}[{"
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { field: value }
  return value
}

const issueOf = (exit: Exit.Exit<unknown, Schema.SchemaError>): string =>
  Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Fail" ? exit.cause.reasons[0].error.message : ""

describe("A JSON text", () => {
  it("is that of a value that has one, within the bounds", () => {
    assert.deepStrictEqual(JsonText.encode({ a: 1, b: undefined }, 100), Exit.succeed(`{"a":1}`))
    assert.deepStrictEqual(JsonText.encode(undefined, 100), Exit.succeed("null"))
    assert.isTrue(Exit.isSuccess(JsonText.encode("x".repeat(98), 100)))
    assert.include(issueOf(JsonText.encode("x".repeat(99), 100)), "at most 100 bytes, got 101")
    assert.include(issueOf(JsonText.encode("€".repeat(33), 100)), "at most 100 bytes, got 101")
  })

  it("is nested no deeper than it may be, however it looks within its texts", () => {
    const brackets = `\\"${"[{".repeat(500)}\\`
    assert.isTrue(Exit.isSuccess(JsonText.encode([brackets, { [brackets]: brackets }], 1_000_000)))
    assert.isTrue(Exit.isSuccess(JsonText.encode(nested(128), 1_000_000)))
    assert.include(issueOf(JsonText.encode(nested(129), 1_000_000)), "128 levels deep at most")
    assert.include(issueOf(JsonText.encode(nested(50_000), 1_000_000)), "has a JSON text")
  })
})

describe("A definition", () => {
  const wide = TaskDefinition.make("wide", { payload: Schema.Any, success: Schema.Any, error: Schema.Any })

  it("encodes no more than may be stored", () => {
    const large = "x".repeat(Bounds.maxPayloadBytes)
    assert.include(issueOf(wide.codec.encodePayload(large)), `at most ${Bounds.maxPayloadBytes} bytes`)
    assert.include(issueOf(wide.codec.encodeSuccess(large)), `at most ${Bounds.maxResultBytes} bytes`)
    assert.isTrue(Exit.isSuccess(wide.codec.encodePayload(large.slice(2))))
  })

  it("encodes errors as plain JSON, which nothing can change any more", () => {
    let reads = 0
    const error = wide.codec.encodeError({
      get reads() {
        return ++reads
      }
    })
    assert.deepStrictEqual(error, Exit.succeed({ reads: 1 }))
  })

  it("says what is wrong with a value whose encoder throws", () => {
    class Odd extends Schema.Class<Odd>("Odd")({ n: Schema.Int }) {
      override get n(): number {
        throw new Error("a trap")
      }
    }
    const odd = TaskDefinition.make("odd", { payload: Schema.Any, success: Odd, error: Schema.Never })
    assert.include(issueOf(odd.codec.encodeSuccess(Object.create(Odd.prototype) as Odd)), "a trap")
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Thrown from "../../src/domain/Thrown.ts"

const trap = (): never => {
  throw new Error("a trap")
}

const traps = { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap }

const withField = (name: string, get: () => unknown) => Object.defineProperty(new Error("m"), name, { get })

const hidden = "A value that cannot be shown as text (object)"

const shown: ReadonlyArray<readonly [what: string, thrown: unknown, tag: string, message: string]> = [
  ["undefined", undefined, "undefined", "undefined"],
  ["null", null, "null", "null"],
  ["a text", "text", "string", "text"],
  ["an empty text", "", "string", ""],
  ["a number", 0, "number", "0"],
  ["a bigint", 5n, "bigint", "5"],
  ["a symbol", Symbol("s"), "symbol", "Symbol(s)"],
  ["a plain object", { code: 5 }, "object", `{"code":5}`],
  ["an object with a message", { message: "m" }, "object", "m"],
  ["an object whose message is an object", { message: { code: 5 } }, "object", `{"code":5}`],
  ["an object without prototype", Object.create(null), "object", "{}"],
  ["a tagged object", { _tag: "Refused", message: "m" }, "Refused", "m"],
  ["an array", [1, 2], "object", "1,2"],
  ["an error", new RangeError("m"), "RangeError", "m"],
  ["an error without a message", new Error(), "Error", ""],
  ["an error without a name", Object.assign(new Error("m"), { name: undefined }), "Error", "m"],
  ["an error whose name is a number", Object.assign(new Error("m"), { name: 5 }), "Error", "m"],
  ["an error whose name is empty", Object.assign(new Error("m"), { name: "" }), "Error", "m"],
  ["an error whose name throws", withField("name", trap), "Error", "m"],
  ["an error whose tag throws", withField("_tag", trap), "Error", "m"],
  ["an error whose stack throws", withField("stack", trap), "Error", "m"],
  ["an error whose stack is no text", withField("stack", () => [1]), "Error", "m"],
  ["a proxy that throws", new Proxy({}, traps), "object", hidden],
  ["a function that cannot be shown", new Proxy(() => 1, traps), "function", hidden.replace("object", "function")]
]

describe("What was thrown", () => {
  it.each(shown)("is shown: %s", (_, thrown, tag, message) => {
    const { stack, ...texts } = Thrown.show(thrown)
    assert.deepStrictEqual(texts, { tag, message })
    assert.isTrue(stack === undefined || typeof stack === "string")
  })

  it("is shown though reading its message throws", () => {
    assert.strictEqual(Thrown.show(withField("message", trap)).tag, "Error")
  })

  it("is cut, and well-formed wherever it was cut", () => {
    const thrown = Object.assign(new Error("🙂".repeat(100_000)), { name: "n🙂".repeat(1000) })
    thrown.stack = `${"s".repeat(Thrown.maxStackLength - 1)}🙂`
    const { message, stack, tag } = Thrown.show(thrown)
    for (const text of [tag, message, stack!]) assert.isTrue(text.isWellFormed())
    assert.strictEqual(tag.length, Thrown.maxTagLength)
    assert.strictEqual(message.length, Thrown.maxMessageLength)
    assert.strictEqual(stack?.length, Thrown.maxStackLength)
    assert.isTrue(Thrown.show({ _tag: "\ud800" }).tag.isWellFormed())
  })

  it("is shown with its causes, however long their chain is", () => {
    const shown = Thrown.show(new Error("outer", { cause: new TypeError("inner", { cause: "text" }) }))
    assert.include(shown.stack, "Error: outer")
    assert.include(shown.stack, "[cause]: TypeError: inner")
    const circular = new Error("circular")
    circular.cause = circular
    assert.strictEqual(Thrown.show(circular).message, "circular")
  })
})

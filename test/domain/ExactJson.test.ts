import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { inexactIn } from "../../src/domain/ExactJson.ts"

describe("numbers of a JSON text", () => {
  it("are kept where they are written back with the same digits", () => {
    for (
      const text of [
        "0",
        "-0",
        "9007199254740991",
        "-9007199254740991",
        "9007199254740992",
        "12345678901234567000",
        "10000000000000000.0",
        "1e308",
        "1.2345678901234567e300",
        "12345678901234567e3",
        "9007199254740991e0",
        "12345678.12345678e3",
        "1e21",
        "0e999",
        "1e-400",
        "0.12345678901234567890",
        `"9007199254740993"`,
        `{"9007199254740993":1}`,
        String.raw`["\"9007199254740993", "\\", "1e400"]`,
        "[]",
        `"1e400 has no end`
      ]
    ) assert.isUndefined(inexactIn(text), text)
  })

  it("are named where they would become others, with the way to them", () => {
    for (
      const [text, number, path] of [
        ["9007199254740993", "9007199254740993", []],
        ["-9007199254740993", "-9007199254740993", []],
        ["18446744073709551616", "18446744073709551616", []],
        ["9007199254740993.0", "9007199254740993.0", []],
        ["9.007199254740993e15", "9.007199254740993e15", []],
        ["-900719925474099.3E1", "-900719925474099.3E1", []],
        ["90071992547409930e-1", "90071992547409930e-1", []],
        ["90071992.54740993e+8", "90071992.54740993e+8", []],
        ["1844674407370955.1616e4", "1844674407370955.1616e4", []],
        ["1e400", "1e400", []],
        ["-1E+400", "-1E+400", []],
        [`{"a":[1,{"b":9007199254740993}],"c":1e400}`, "9007199254740993", ["a", 1, "b"]],
        [`[{"id":"9007199254740993"},{"id":9007199254740995}]`, "9007199254740995", [1, "id"]],
        [String.raw`{"\"9007199254740993\\":[[9007199254740993]]}`, "9007199254740993", [`"9007199254740993\\`, 0, 0]]
      ] as const
    ) assert.deepStrictEqual<unknown>(inexactIn(text), { number, path }, text)
  })

  it.prop("are all kept in what JavaScript has written", [Schema.Json], ([json]) => {
    assert.isUndefined(inexactIn(JSON.stringify(json)))
  })

  it.prop("are kept or named, whatever the integer", [Schema.Int, Schema.Int], ([a, b]) => {
    const text = String(2n ** 53n + BigInt(a) * BigInt(b))
    const isKept = JSON.stringify(JSON.parse(text)) === text
    assert.strictEqual(inexactIn(`[${text}]`) === undefined, isKept)
    const point = 1 + Number(BigInt.asUintN(4, BigInt(a))) % (text.length - 1)
    const sameNumber = text.startsWith("-")
      ? text
      : `${text.slice(0, point)}.${text.slice(point)}e${text.length - point}`
    assert.strictEqual(inexactIn(`[${sameNumber}]`) === undefined, isKept, sameNumber)
  })
})

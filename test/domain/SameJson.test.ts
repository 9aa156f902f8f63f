import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { sameJson } from "../../src/domain/SameJson.ts"

const same = (left: string, right: string) => {
  assert.isTrue(sameJson(left, right), `${left} and ${right}`)
  assert.isTrue(sameJson(right, left), `${right} and ${left}`)
}
const different = (left: string, right: string) => {
  assert.isFalse(sameJson(left, right), `${left} and ${right}`)
  assert.isFalse(sameJson(right, left), `${right} and ${left}`)
}

/** The same with the fields of all objects in the reverse order. */
const reversed = (json: Schema.Json): Schema.Json =>
  Array.isArray(json)
    ? json.map(reversed)
    : typeof json === "object" && json !== null
    ? Object.fromEntries(Object.entries(json).toReversed().map(([key, value]) => [key, reversed(value)]))
    : json

describe("sameJson", () => {
  it("does not look at the order of fields, however deep", () => {
    same(`{"a":1,"b":{"c":[{"d":2,"e":3}],"f":null}}`, `{"b":{"f":null,"c":[{"e":3,"d":2}]},"a":1}`)
  })

  it("does not look at how a number, a text or white space is written", () => {
    same(`[1,100,0]`, ` [ 1.0, 1e2, -0 ] `)
    same(`{"ä":"\\u0041"}`, String.raw`{"\u00e4":"A"}`)
  })

  it("looks at everything else", () => {
    for (
      const [left, right] of [
        [`[1,2]`, `[2,1]`],
        [`[1]`, `[1,1]`],
        [`{"a":1}`, `{"a":2}`],
        [`{"a":1}`, `{"b":1}`],
        [`{"a":1}`, `{"a":1,"b":null}`],
        [`{"a":null}`, `{}`],
        [`[]`, `{}`],
        [`["a"]`, `{"0":"a"}`],
        [`1`, `"1"`],
        [`null`, `0`],
        [`null`, `{}`],
        [`{"__proto__":{}}`, `{}`],
        [`{"__proto__":{"a":1}}`, `{"__proto__":{"a":2}}`],
        [`{"toString":1}`, `{"valueOf":1}`],
        [`no JSON`, `{}`]
      ] as const
    ) different(left, right)
  })

  it("compares what is nested deeper than calls may be", () => {
    const deep = (inner: string) => `${"[".repeat(100_000)}${inner}${"]".repeat(100_000)}`
    same(deep(`{"a":1,"b":2}`), deep(`{"b":2,"a":1}`))
    different(deep("1"), deep("2"))
  })

  it.prop("finds any value the same as itself with all fields reversed", [Schema.Json], ([json]) => {
    same(JSON.stringify(json), JSON.stringify(reversed(json)))
  })
})

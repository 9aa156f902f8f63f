import { assert, describe, it } from "@effect/vitest"
import * as Tags from "../../src/domain/Tags.ts"

describe("tags", () => {
  it("may have markup, quotes, spaces within, signs of several characters, and any case", () => {
    const odd = [
      "<img src=x onerror=alert(1)>",
      "a b",
      `"quoted"`,
      "a;b",
      "%2C",
      "👩‍💻",
      "ä",
      "می‌خواهم",
      "EU",
      "..",
      "a=b",
      "x".repeat(64)
    ]
    for (const tag of odd) {
      assert.isTrue(Tags.tag.accepts(tag), tag)
      assert.deepStrictEqual(Tags.fromText(Tags.textOf([tag])!), [tag])
    }
  })

  it("are refused where they are empty, too long, several in one, or cannot be seen", () => {
    const wrong = [
      "",
      " ",
      "a ",
      "\ta",
      "a,b",
      ",",
      "a\u0000",
      "a\nb",
      "\u202eab",
      "a\ufeff",
      "\ud800",
      "x".repeat(65),
      "é".repeat(33),
      "x".repeat(1e6)
    ]
    for (const tag of wrong) assert.isFalse(Tags.tag.accepts(tag), JSON.stringify(tag.slice(0, 80)))
    assert.isFalse(Tags.tags.accepts(Array.from({ length: 11 }, (_, index) => String(index))))
    assert.isTrue(Tags.tags.accepts([]))
    assert.isFalse(Tags.someTags.accepts([]))
  })

  it("are one where they are spelt in two ways, and two where their case differs", () => {
    const [composed, decomposed] = ["caf\u00e9", "cafe\u0301"]
    assert.strictEqual(Tags.textOf([decomposed, composed, "EU", "eu", "EU"]), JSON.stringify([composed, "EU", "eu"]))
    assert.deepStrictEqual(Tags.joined([composed], [decomposed, "eu"]), [composed, "eu"])
    assert.isTrue(Tags.having([decomposed])(Tags.textOf([composed])!))
    assert.isFalse(Tags.having(["Eu"])(Tags.textOf(["EU", "eu"])!))
    // a decomposed text is longer than what is kept of it
    assert.isTrue(Tags.tag.accepts("e\u0301".repeat(32)))
  })

  it("are those of a task only where it has all of them", () => {
    const text = Tags.textOf(["invoice", "eu"])!
    assert.isTrue(Tags.having(["eu", "invoice"])(text))
    assert.isFalse(Tags.having(["eu", "us"])(text))
    assert.isFalse(Tags.having(["voice"])(text))
    assert.isFalse(Tags.having(["eu"])(null))
  })

  it("are none in a text that another version has written in another way", () => {
    for (const text of ["", "{", "null", "7", `{"a":1}`]) assert.deepStrictEqual(Tags.fromText(text), [], text)
    assert.deepStrictEqual(Tags.fromText(`["a",7,null]`), ["a"])
    assert.isUndefined(Tags.textOf([]))
    assert.isUndefined(Tags.textOf(undefined))
  })
})

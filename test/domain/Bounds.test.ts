import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration } from "effect"
import * as Bounds from "../../src/domain/Bounds.ts"
import * as Priority from "../../src/domain/Priority.ts"

const claim = <A>(bound: Bounds.Bound<A>, accepted: ReadonlyArray<A>, refused: ReadonlyArray<unknown>) => {
  for (const value of accepted) assert.isTrue(bound.accepts(value), `${String(value)} is accepted`)
  for (const value of refused) assert.isFalse(bound.accepts(value as A), `${String(value)} is refused`)
}

describe("Bounds", () => {
  it("takes texts that every store keeps as they are", () => {
    const accepted = ["a", "ä", "日本", "\u{1f600}", "a b\n\t", "\u0001", "\ufffd", "x".repeat(255)]
    const refused = ["", "\u0000", "a\u0000b", "\ud800", "a\udc00", "\udc00\ud800", "x".repeat(256), undefined, null, 1]
    for (const bound of [Bounds.id, Bounds.key, Bounds.name]) claim(bound, accepted, refused)
    assert.isTrue(Bounds.isStorable(""))
    for (const text of ["\u0000", "a\ud800"]) assert.isFalse(Bounds.isStorable(text))
  })

  it("takes no id that cannot end a path", () => {
    claim(Bounds.id, ["...", "a.", ".a"], [".", ".."])
    claim(Bounds.key, [".", ".."], [])
  })

  it("takes priorities by name and whole ones from 0 to 9", () => {
    claim(Priority.bound, ["low", "urgent", 0, 9], [-1, 10, 1.5, NaN, Infinity, 2 ** 53, "hihg", "toString", null])
  })

  it("takes whole retries, and -1 for no limit", () => {
    claim(Bounds.retries, [-1, 0, Bounds.maxRetryCount], [-2, 1.5, NaN, Infinity, 2 ** 31, 2 ** 53, "3", null])
  })

  it("takes durations of up to ten years", () => {
    const common = ["1 hour", 1.5, Duration.days(3650), { days: 3650 }] as const
    const refused = [
      -1,
      NaN,
      [NaN, 0],
      { days: NaN },
      Infinity,
      "Infinity",
      1e18,
      2 ** 53,
      Duration.infinity,
      Duration.sum(Bounds.maxDelay, Duration.millis(1)),
      "soon",
      null
    ]
    claim(Bounds.delay, [0, ...common], refused)
    claim(Bounds.timeout, [Bounds.maxTimeout, ...common], [0, "0 seconds", ...refused])
  })

  it("takes instants that RFC 3339 can write", () => {
    const at = (text: string) => DateTime.makeUnsafe(text)
    const accepted = ["0000-01-01T00:00:00Z", "1969-07-20T20:17:00Z", "9999-12-31T23:59:59.999Z"].map(at)
    const refused = [NaN, Infinity, 1e18, 2 ** 53].map((epochMilliseconds) => ({ epochMilliseconds }))
    accepted.push(DateTime.makeUnsafe(Bounds.minRunAt), DateTime.makeUnsafe(Bounds.maxRunAt))
    claim(Bounds.runAt, accepted, [at("+010000-01-01T00:00:00Z"), at("-000001-12-31T23:59:59.999Z"), ...refused])
  })

  it("says which option is outside of its bound, what was found and what is accepted", () => {
    assert.isUndefined(Bounds.refuse("maxRetries", Bounds.retries, undefined))
    assert.isUndefined(Bounds.refuse("maxRetries", Bounds.retries, 3))
    const invalid = Bounds.refuse("maxRetries", Bounds.retries, 1.5, 7)
    assert.strictEqual(
      invalid?.message,
      "The option maxRetries is 1.5; expected an integer from 0 to 2147483647, or -1 for no limit"
    )
    assert.strictEqual(invalid?.index, 7)
    assert.strictEqual(Bounds.refuse("id", Bounds.id, "a\u0000\ud800")?.found, String.raw`"a\u0000\ud800"`)
    assert.isBelow(Bounds.refuse("id", Bounds.id, "x".repeat(1e6))!.message.length, 300)
  })

  it("leaves room for payloads and results in what stores send at once", () => {
    for (const max of [Bounds.maxPayloadBytes, Bounds.maxResultBytes]) assert.isBelow(max, 16 * 1024 * 1024)
  })
})

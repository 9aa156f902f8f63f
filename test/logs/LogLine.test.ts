import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Logger, Redacted, Schema } from "effect"
import { LogBuffer, maxBytes, maxLines } from "../../src/logs/LogBuffer.ts"
import * as LogLine from "../../src/logs/LogLine.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(LogLine.LogLine))

/** The lines that a program logs, as they would be kept. */
const linesOf = Effect.fnUntraced(function*(program: Effect.Effect<void>) {
  const texts: Array<string> = []
  const logger = Logger.make<unknown, void>((options) => {
    texts.push(LogLine.encode(texts.length + 1, options))
  })
  yield* Effect.provideService(program, Logger.CurrentLoggers, new Set([logger]))
  for (const text of texts) assert.isAtMost(Buffer.byteLength(text), LogLine.maxLineBytes)
  return texts.map((text) => decode(text))
})

const lineOf = (program: Effect.Effect<void>) => Effect.map(linesOf(program), ([line]) => line!)

describe("a line of a log", () => {
  it.effect("has its level, its time, its annotations, its spans and its cause", () =>
    Effect.gen(function*() {
      const line = yield* lineOf(
        Effect.logWarning("sent", { to: "ada", copies: 2 }, 3, Cause.fail(new Error("no answer"))).pipe(
          Effect.annotateLogs({ tenant: "acme", size: 12, isLast: true, at: { x: 1 } }),
          Effect.withLogSpan("mail")
        )
      )
      assert.deepInclude(line, {
        n: 1,
        at: 0,
        level: "Warn",
        text: `sent {"to":"ada","copies":2} 3`,
        annotations: { tenant: "acme", size: 12, isLast: true, at: `{"x":1}` },
        spans: { mail: 0 }
      })
      assert.match(line.cause!, /no answer/)
      assert.notProperty(line, "cut")
    }))

  it.effect("has no text that some store would refuse, and nothing that rules a terminal", () =>
    Effect.gen(function*() {
      const line = yield* lineOf(
        Effect.logInfo("a\u0000b\ud800c\u001b[31mred\u001b[0m\r\nnext\ttab\u0007").pipe(
          Effect.annotateLogs("k\u0000\udfff", "v\u0000")
        )
      )
      assert.strictEqual(line.text, "a\ufffdb\ufffdcred\nnext\ttab\ufffd")
      assert.deepStrictEqual(line.annotations, { "k\ufffd\ufffd": "v\ufffd" })
    }))

  it.effect("is cut where it is too long, and says so", () =>
    Effect.gen(function*() {
      for (const filler of ["x", "\u0000", "\"", "漢", "😀", "\ud800"]) {
        const long = filler.repeat(300_000 / filler.length)
        const line = yield* lineOf(
          Effect.logError(long, Cause.die(new Error(long))).pipe(
            Effect.annotateLogs(Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`${index}${long}`, long])))
          )
        )
        assert.strictEqual(line.cut, true)
        assert.isAtMost(line.text.length, LogLine.maxText)
        assert.isAtMost(line.cause!.length, LogLine.maxCause)
        assert.isTrue(line.text.isWellFormed())
      }
    }))

  it.effect("shows whatever is logged, and never throws", () =>
    Effect.gen(function*() {
      const circle: Record<string, unknown> = {}
      circle["self"] = circle
      const hostile = new Proxy({}, {
        get: () => {
          throw new Error("no")
        }
      })
      const things = [
        undefined,
        null,
        Symbol("s"),
        () => 1,
        1n,
        NaN,
        circle,
        hostile,
        new Map(),
        new Date(NaN),
        [[]],
        ""
      ]
      const lines = yield* linesOf(Effect.forEach(things, (thing) => Effect.log(thing), { discard: true }))
      assert.lengthOf(lines, things.length)
      assert.strictEqual((yield* lineOf(Effect.log(new TypeError("wrong")))).text, "TypeError: wrong")
      assert.deepInclude(yield* lineOf(Effect.log("a").pipe(Effect.annotateLogs({ circle, hostile }))), { text: "a" })
      // No arguments at all
      assert.strictEqual((yield* lineOf(Effect.log())).text, "")
    }))

  it.effect("has no secrets of URLs, of annotations and of fields that are named as such", () =>
    Effect.gen(function*() {
      const url = "postgres://ada:hunter2@db.example.org/tasks?sslkey=hunter2"
      const line = yield* lineOf(
        Effect.logInfo(
          `asks ${url}`,
          { url, authorization: "Bearer hunter2" },
          Redacted.make("hunter2"),
          new Error(url)
        )
          .pipe(Effect.annotateLogs({ password: "hunter2", url, token: Redacted.make("hunter2") }))
      )
      assert.notInclude(JSON.stringify(line), "hunter2")
      assert.include(line.text, "db.example.org")
      // Half of a URL would not be known as one
      for (let length = 3900; length < 4100; length += 7) {
        const cut = yield* lineOf(Effect.log(`${"x".repeat(length)} ${url}`))
        assert.notInclude(cut.text, "hunter2")
      }
      for (let length = 64 * 1024 - 60; length < 64 * 1024 + 10; length += 3) {
        const cut = yield* lineOf(Effect.log(`${`${url} `.repeat(1000)}`.padEnd(length, " y"), url))
        assert.notInclude(cut.text, "hunter")
      }
    }))
})

describe("the lines of an attempt", () => {
  const add = (buffer: LogBuffer, count: number, size = 10) => {
    for (let index = 0; index < count; index++) buffer.add((n) => JSON.stringify({ n, text: "x".repeat(size) }))
  }
  const numbersOf = (buffer: LogBuffer): ReadonlyArray<number> =>
    (JSON.parse(buffer.toJson()) as ReadonlyArray<{ readonly n: number }>).map(({ n }) => n)

  it("are the first and the latest; those between are counted", () => {
    const buffer = new LogBuffer()
    assert.strictEqual(buffer.toJson(), "[]")
    add(buffer, 10_000)
    assert.strictEqual(buffer.logged, 10_000)
    const numbers = numbersOf(buffer)
    assert.lengthOf(numbers, maxLines)
    assert.deepStrictEqual(numbers.slice(0, 100), Array.from({ length: 100 }, (_, index) => index + 1))
    assert.strictEqual(numbers.at(-1), 10_000)
    assert.strictEqual(numbers.at(-400), 9601)
  })

  it("stay within their bytes, in their order", () => {
    for (const size of [1, 100, 1000, 10_000, 16_000]) {
      const buffer = new LogBuffer()
      for (let round = 0; round < 100; round++) add(buffer, 3, round % 2 === 0 ? size : 1)
      assert.isAtMost(buffer.bytes, maxBytes)
      const numbers = numbersOf(buffer)
      assert.deepStrictEqual(numbers, numbers.toSorted((a, b) => a - b))
      assert.strictEqual(numbers[0], 1)
      assert.strictEqual(numbers.at(-1), 300)
    }
  })

  it("are counted where there is no room", () => {
    const buffer = new LogBuffer()
    add(buffer, 1)
    buffer.skip()
    add(buffer, 1)
    assert.strictEqual(buffer.logged, 3)
    assert.deepStrictEqual(numbersOf(buffer), [1, 3])
  })
})

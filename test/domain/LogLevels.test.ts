import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { LogLevels } from "../../src/domain/LogLevels.ts"
import * as LogLevelText from "../../src/domain/LogLevelText.ts"
import { names } from "../../src/domain/LogModule.ts"

describe("the level of a module", () => {
  it("is that of its own name, else that of all handlers, else that of all others", () => {
    const levels = new LogLevels({ "*": "warn", handlers: "info", "handlers:email": "trace" })
    assert.strictEqual(levels.of("handlers:email"), "Trace")
    assert.strictEqual(levels.of("handlers:report"), "Info")
    assert.strictEqual(levels.of("claimer"), "Warn")
    assert.isTrue(levels.allows("claimer", "Error"))
    assert.isFalse(levels.allows("claimer", "Info"))
  })

  it("is what was said last of the same name, and a more exact name counts more than that", () => {
    const levels = new LogLevels({ "*": "info", http: "warn" })
    assert.strictEqual(levels.of("claimer"), "Info")
    levels.say([{ "*": "debug" }, { claimer: "error", "*": "trace" }])
    assert.strictEqual(levels.of("claimer"), "Error")
    assert.strictEqual(levels.of("settler"), "Debug")
    assert.strictEqual(levels.of("http"), "Warn")
    assert.deepStrictEqual(levels.held, { "*": "debug", http: "warn", claimer: "error" })
    levels.say([])
    assert.strictEqual(levels.of("claimer"), "Info")
  })

  it("is no level at all where it is none", () => {
    assert.isFalse(new LogLevels({ "*": "none" }).allows("http", "Fatal"))
  })

  it("remembers a bounded number of names", () => {
    const levels = new LogLevels({ "*": "info", "handlers:t7": "debug" })
    for (let n = 0; n < 5000; n++) levels.of(`handlers:t${n}`)
    assert.isAtMost((levels as unknown as { readonly known: Map<string, unknown> }).known.size, 1000)
    assert.strictEqual(levels.of("handlers:t7"), "Debug")
    assert.strictEqual(levels.of("handlers:__proto__"), "Info")
  })
})

describe("levels as people write them", () => {
  const problem = (text: string) => Result.getOrElse(Result.flip(LogLevelText.parse(text)), () => "none")

  it("are read in any case, with spaces, and types as they are", () => {
    assert.deepStrictEqual(
      Result.getOrUndefined(LogLevelText.parse(" HTTP = Warn,handlers:Send:Mail=debug ")),
      { http: "warn", "handlers:Send:Mail": "debug" }
    )
  })

  it.each([
    ["clamer=debug", "\"clamer\" is no module; did you mean claimer?"],
    ["claimer=debgu", "\"debgu\" is no level; did you mean debug?"],
    ["handler:email=debug", "\"handler:email\" is no module; did you mean handlers?"],
    ["handlers:=debug", "has no type"],
    ["http:users=debug", "\"http:users\" is no module; did you mean http?"],
    ["debug", "\"debug\" has no level: write module=level"],
    ["claimer=debug, claimer=info", "claimer is named twice"],
    ["__proto__=debug", "is no module"],
    ["", "has no level"]
  ])("are refused with what is wrong: %s", (text, expected) => {
    assert.include(problem(text), expected)
  })

  it("name every module where one is unknown, and cut what is long", () => {
    const text = problem(`${"x".repeat(10_000)}=debug`)
    for (const name of names) assert.include(text, name)
    assert.isBelow(text.length, 500)
  })

  it("are a bounded number", () => {
    const many = Array.from({ length: 51 }, (_, n) => `handlers:t${n}=debug`).join(",")
    assert.include(problem(many), "50 modules at most")
  })
})

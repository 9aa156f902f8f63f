import { assert, describe, it } from "@effect/vitest"
import { Console, type Context, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as ServerLog from "../../src/config/ServerLog.ts"
import * as LogLevels from "../../src/domain/LogLevels.ts"
import * as LogModule from "../../src/domain/LogModule.ts"

/** The lines that an effect logs. */
const linesOf = (effect: Effect.Effect<unknown>, options: Partial<ServerLog.Options> = {}) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const console = { ...globalThis.console, log: (line: string) => void lines.push(line) }
    yield* effect.pipe(
      Effect.provide(ServerLog.layer({ format: "json", colours: false, level: "Info", ...options })),
      Effect.provideService(Console.Console, console)
    )
    return lines
  })

const recordOf = (effect: Effect.Effect<unknown>) =>
  Effect.map(linesOf(effect), (lines) => {
    assert.strictEqual(lines.length, 1)
    assert.notInclude(lines[0], "\n")
    return JSON.parse(lines[0]!) as Record<string, unknown>
  })

const boom = new Error("boom")

describe("a JSON record", () => {
  it.effect("has time, level, msg and module, then its annotations", () =>
    Effect.gen(function*() {
      const record = yield* recordOf(
        Effect.annotateLogs(Effect.logWarning("slow"), { worker_id: 3, job_id: "a", duration: 1.5 })
      )
      assert.deepStrictEqual(Object.keys(record), ["time", "level", "msg", "module", "worker_id", "job_id", "duration"])
      assert.strictEqual(record["level"], "warn")
      assert.strictEqual(record["msg"], "slow")
      assert.strictEqual(record["duration"], 1.5)
      assert.strictEqual(new Date(String(record["time"])).toISOString(), record["time"])
    }))

  it.effect("keeps its own fields against annotations of the same name", () =>
    Effect.gen(function*() {
      const record = yield* recordOf(Effect.annotateLogs(Effect.logInfo("real"), { msg: "fake", level: "fake" }))
      assert.strictEqual(record["msg"], "real")
      assert.strictEqual(record["level"], "info")
    }))

  it.effect("has annotations with any name, also one that every object inherits", () =>
    Effect.gen(function*() {
      const record = yield* recordOf(
        Effect.logInfo("named").pipe(
          Effect.annotateLogs("constructor", 1),
          Effect.annotateLogs("toString", [2]),
          Effect.annotateLogs("__proto__", 3)
        )
      )
      const annotations = Object.entries(record).slice(4).toSorted(([one], [other]) => one < other ? -1 : 1)
      assert.deepStrictEqual(annotations, [["__proto__", 3], ["constructor", 1], ["toString", [2]]])
    }))

  it.effect("is one line, with stacks, causes and details as fields", () =>
    Effect.gen(function*() {
      const stack = yield* recordOf(Effect.logError("task failed", boom.stack))
      assert.strictEqual(stack["stack"], boom.stack)
      const cause = yield* recordOf(
        Effect.catchCause(Effect.die(boom), (cause) => Effect.logError("loop failed", cause))
      )
      assert.include(cause["cause"], "Error: boom")
      const details = yield* recordOf(Effect.logInfo("started", { port: 80 }))
      assert.deepStrictEqual(details["details"], [{ port: 80 }])
    }))

  it.effect("survives what is no text", () =>
    Effect.gen(function*() {
      const loop: Record<string, unknown> = {}
      loop["self"] = loop
      assert.strictEqual((yield* recordOf(Effect.logInfo(10n)))["msg"], "\"10n\"")
      assert.isDefined((yield* recordOf(Effect.logInfo("loop", loop)))["details"])
    }))
})

describe("a record for people", () => {
  it.effect("is one line with its annotations, and the stack below", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(
        Effect.annotateLogs(Effect.logError("task failed", "Error: boom\n    at here"), { worker_id: 3 }),
        { format: "pretty" }
      )
      assert.match(lines[0]!, /^\d\d:\d\d:\d\d\.\d{3} ERROR task failed worker_id=3\n {2}Error: boom\n {6}at here$/)
    }))

  it.effect("has no escape sequences of others, which would rule the terminal", () =>
    Effect.gen(function*() {
      const evil = "a\u001b[2Jb\u0007\u009b31m\u202ec\u2028d"
      const [line] = yield* linesOf(Effect.annotateLogs(Effect.logInfo(evil, evil), { id: evil }), { format: "pretty" })
      assert.notMatch(line!, /(?!\n)[\p{Control}\p{Bidi_Control}\p{Zl}]/u)
      assert.include(line!, "a\\u001b[2Jb")
    }))

  it.effect("is coloured on a terminal only", () =>
    Effect.gen(function*() {
      const [plain] = yield* linesOf(Effect.logInfo("x"), { format: "pretty" })
      const [coloured] = yield* linesOf(Effect.logInfo("x"), { format: "pretty", colours: true })
      assert.notInclude(plain, "\u001b[")
      assert.include(coloured, "\u001b[32mINFO ")
    }))
})

describe("a record of either kind", () => {
  it.effect("shows no secrets at a level that was set for its module while it runs", () =>
    Effect.gen(function*() {
      const url = "postgres://me:hunter2@host/db?token=hunter2"
      for (const format of ["json", "pretty"] as const) {
        const said = Effect.gen(function*() {
          yield* Effect.logDebug("hidden", url)
          const levels = yield* LogLevels.Current
          levels?.say([{ "handlers:mail": "trace" }])
          const speaks = Effect.all([
            Effect.logTrace(`asks ${url}`, { url }),
            Effect.annotateLogs(Effect.logDebug("asks"), { url, to: { url } })
          ])
          yield* Effect.updateContext(speaks, (context: Context.Context<never>) =>
            LogModule.addTo(context, LogModule.ofType("mail")))
        })
        const lines = yield* linesOf(Effect.provide(said, LogLevels.layer()), { format })
        assert.lengthOf(lines.join("\n").match(/asks/g) ?? [], 2)
        assert.include(lines.join(), "handlers:mail")
        assert.notInclude(lines.join(), "hunter2")
        assert.notInclude(lines.join(), "hidden")
      }
    }))

  it.effect("shows no user, password and query of a URL", () =>
    Effect.gen(function*() {
      const url = "postgres://me:hunter2@host/db?token=hunter2"
      for (const format of ["json", "pretty"] as const) {
        const error = new Error(`cannot reach ${url}`)
        const lines = yield* linesOf(
          Effect.all([
            Effect.annotateLogs(Effect.logInfo(`cannot reach ${url}`, url), { url }),
            Effect.catchCause(Effect.die(error), (cause) => Effect.logError("failed", cause)),
            Effect.logError("failed", error.stack),
            Effect.annotateLogs(Effect.logInfo("asking", { to: [url] }, error), { target: { url } })
          ]),
          { format }
        )
        assert.notInclude(lines.join(), "hunter2")
        assert.include(lines.join(), "postgres://***@host/db?***")
        if (format === "json") { for (const line of lines.join("\n").split("\n")) assert.isObject(JSON.parse(line)) }
      }
    }))
})

describe("the level", () => {
  it.effect("leaves out what is less important", () =>
    Effect.gen(function*() {
      const all = Effect.all([Effect.logDebug("a"), Effect.logInfo("b"), Effect.logError("c")])
      const countOf = (options: Partial<ServerLog.Options>) =>
        Effect.map(linesOf(all, options), (written) => written.flatMap((text) => text.split("\n")).length)
      assert.strictEqual(yield* countOf({}), 2)
      assert.strictEqual(yield* countOf({ level: "Debug" }), 3)
      assert.strictEqual(yield* countOf({ level: "None" }), 0)
    }))
})

describe("what JSON does not know", () => {
  it.effect("is written all the same", () =>
    Effect.gen(function*() {
      const record = yield* recordOf(Effect.annotateLogs(Effect.logWarning("big"), { size: 2n ** 64n, none: null }))
      assert.include(String(record["size"]), "18446744073709551616")
      assert.isNull(record["none"])
    }))
})

describe("lines", () => {
  it.effect("are written together soon; a warning at once, with what is before it; all of them in the end", () =>
    Effect.gen(function*() {
      const written = yield* linesOf(
        Effect.gen(function*() {
          yield* Effect.logInfo("a")
          yield* Effect.logInfo("b")
          yield* TestClock.adjust("20 millis")
          yield* Effect.logInfo("c")
          yield* Effect.logWarning("d")
          yield* Effect.logInfo("e")
        })
      )
      const messages = written.map((text) => text.split("\n").map((line) => JSON.parse(line).msg).join(""))
      assert.deepStrictEqual(messages, ["ab", "cd", "e"])
    }))
})

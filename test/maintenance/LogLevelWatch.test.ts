/** Levels of the log that are set while an engine runs. */
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Logger, References } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import type { Levels } from "../../src/domain/LogLevels.ts"
import * as LogLevels from "../../src/domain/LogLevels.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { Logs, pass, passing, reaches, start, withStore } from "../engine/TestEngine.ts"

const Chat = Task.make("chat", { timeout: "1 day" })

/** What the test rules. */
interface Switches {
  /** The handler ends. */
  isOver: boolean
  /** The store does not answer for records. */
  isDown: boolean
}

/** Says something each second at two levels. */
const talking = (switches: Switches) =>
  Effect.gen(function*() {
    while (!switches.isOver) {
      yield* Effect.logDebug("chat at debug")
      yield* Effect.logInfo("chat at info")
      yield* Effect.sleep("1 second")
    }
  })

const failing = (records: RecordStore["Service"], switches: Switches): RecordStore["Service"] => {
  const fails = Effect.suspend(() =>
    switches.isDown
      ? Effect.fail(new StoreError({ operation: "read", reason: "the test has taken it down" }))
      : Effect.void
  )
  return {
    ...records,
    get: (kind, ids) => Effect.andThen(fails, records.get(kind, ids)),
    due: (kind, limit) => Effect.andThen(fails, records.due(kind, limit))
  }
}

/** An engine whose log has levels. */
const withLevels = <A, E>(
  modules: Levels,
  body: (switches: Switches) => Effect.Effect<A, E, TaskQueue | RecordStore | Logs | TaskStore>
) => {
  const switches = { isOver: false, isDown: false }
  return withStore(
    {},
    Effect.gen(function*() {
      const engine = yield* start({
        handlers: Chat.toLayer(() => talking(switches)),
        instance: "here"
      })
      yield* pass("1 second")
      const result = yield* Effect.provide(body(switches), engine.context)
      switches.isOver = true
      yield* passing("2 minutes", engine.close)
      return result
    }).pipe(
      Effect.updateService(RecordStore, (records) => failing(records, switches)),
      Effect.provide(LogLevels.layer({ modules }))
    )
  )
}

const countOf = (pattern: RegExp) => Effect.map(Logs.matching(pattern), (lines) => lines.length)

/** How many lines match that are logged while time passes. */
const during = (time: Duration.Input, pattern: RegExp) =>
  Effect.gen(function*() {
    const before = yield* countOf(pattern)
    yield* pass(time)
    return (yield* countOf(pattern)) - before
  })

const set = (levels: Levels, options?: Parameters<TaskQueue["Service"]["setLogLevels"]>[1]) =>
  TaskQueue.use((queue) => queue.setLogLevels(levels, options))

describe("a level that is set while tasks run", () => {
  it.effect("is obeyed by a handler that has begun before, and ends when its time has passed", () =>
    withLevels({}, () =>
      Effect.gen(function*() {
        const { id } = yield* Chat.enqueue()
        yield* reaches(id, "running")
        assert.strictEqual(yield* during("10 seconds", /at debug/), 0)
        yield* set({ "handlers:chat": "debug" }, { for: "10 minutes" })
        yield* pass("5 seconds")
        assert.strictEqual(yield* during("10 seconds", /at debug/), 10)
        assert.isAbove(yield* countOf(/^levels of the log: .*handlers:chat=debug/), 0)
        yield* pass("9 minutes")
        assert.strictEqual(yield* during("10 seconds", /at debug/), 10)
        yield* pass("40 seconds")
        assert.strictEqual(yield* during("1 minute", /at debug/), 0)
        assert.isAbove(yield* during("10 seconds", /at info/), 0)
        // Nothing is left of it
        const left = yield* RecordStore.use((records) => records.list("logLevels"))
        assert.deepStrictEqual(left.records, [])
      })))

  it.effect("ends at its time also while the store is out of reach", () =>
    withLevels({}, (switches) =>
      Effect.gen(function*() {
        const { id } = yield* Chat.enqueue()
        yield* reaches(id, "running")
        yield* set({ handlers: "debug" }, { for: "1 minute" })
        yield* pass("10 seconds")
        assert.strictEqual(yield* during("10 seconds", /at debug/), 10)
        switches.isDown = true
        yield* pass("45 seconds")
        assert.strictEqual(yield* during("5 seconds", /at debug/), 0)
        switches.isDown = false
        yield* pass("30 seconds")
      })))

  it.effect("holds until it is unset where it has no end, and silences as well", () =>
    withLevels({ handlers: "debug" }, () =>
      Effect.gen(function*() {
        const { id } = yield* Chat.enqueue()
        yield* reaches(id, "running")
        assert.isAbove(yield* during("10 seconds", /at debug/), 0)
        yield* set({ "handlers:chat": "none" })
        yield* pass("6 seconds")
        assert.strictEqual(yield* during("1 hour", /chat at/), 0)
        const found = yield* TaskQueue.use((queue) => queue.logLevels())
        assert.deepStrictEqual(
          found.levels.map(({ level, module, until }) => ({ level, module, until })),
          [{ level: "none", module: "handlers:chat", until: null }]
        )
        yield* TaskQueue.use((queue) => queue.unsetLogLevels({ modules: ["handlers:chat"] }))
        yield* pass("6 seconds")
        assert.isAbove(yield* during("10 seconds", /at debug/), 0)
      })))

  it.effect("counts for one instance before it counts for all", () =>
    withLevels({}, () =>
      Effect.gen(function*() {
        const { id } = yield* Chat.enqueue()
        yield* reaches(id, "running")
        yield* set({ handlers: "none" })
        yield* set({ handlers: "debug" }, { instance: "here" })
        yield* pass("6 seconds")
        assert.isAbove(yield* during("10 seconds", /at debug/), 0)
        yield* TaskQueue.use((queue) => queue.unsetLogLevels({ instance: "here" }))
        yield* pass("6 seconds")
        assert.strictEqual(yield* during("10 seconds", /chat at/), 0)
      })))

  it.effect("decides what is kept with an attempt", () =>
    withLevels({ handlers: "warn" }, (switches) =>
      Effect.gen(function*() {
        const { id } = yield* Chat.enqueue()
        yield* reaches(id, "running")
        yield* pass("10 seconds")
        const queue = yield* TaskQueue
        assert.deepStrictEqual((yield* queue.logs(id)).flatMap(({ lines }) => lines), [])
        yield* set({ "handlers:chat": "debug" })
        yield* pass("10 seconds")
        switches.isOver = true
        yield* pass("10 seconds")
        const levels = (yield* queue.logs(id)).flatMap(({ lines }) => lines.map(({ level }) => level))
        assert.includeMembers([...levels], ["Debug", "Info"])
      })))

  it.effect("leaves alone what code says of itself", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
      yield* Effect.all([
        Effect.logDebug("hidden"),
        Effect.provideService(Effect.logDebug("shown"), References.MinimumLogLevel, "Debug"),
        Effect.provideService(Effect.logWarning("hidden"), References.MinimumLogLevel, "Error")
      ]).pipe(
        Effect.provide(LogLevels.layer()),
        Effect.provideService(Logger.CurrentLoggers, new Set([logger]))
      )
      assert.deepStrictEqual(lines, ["shown"])
    }))
})

describe("what is refused", () => {
  const refused = (levels: object, options?: object) =>
    Effect.map(
      Effect.flip(set(levels as Levels, options)),
      (error) => error.message
    )

  it.effect("names what is known and close to it", () =>
    withLevels({}, () =>
      Effect.gen(function*() {
        assert.include(yield* refused({ clamer: "debug" }), "did you mean claimer?")
        assert.include(yield* refused({ claimer: "loud" }), "The levels are trace, debug")
        assert.include(yield* refused({ "handlers:chta": "debug" }), "did you mean handlers:chat?")
        assert.include(yield* refused({ claimer: "debug" }, { instance: "gone" }), "No living instance has the id gone")
        assert.include(yield* refused({}), "1 to 50 modules")
        assert.include(yield* refused({ claimer: "debug" }, { for: "1 minute", until: "now" }), "until")
        assert.include(yield* refused({ claimer: "debug" }, { for: -1 }), "The option for is")
        assert.include(yield* refused({ claimer: "debug" }, { fro: "1 minute" }), "fro")
        const many = Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`handlers:${n}`, "debug"]))
        assert.include(yield* refused(many), "51 modules")
      })))
})

/** What a program says about a task is checked by the same bounds on every way in, and nothing outside of them is stored. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schedule, Schema } from "effect"
import { InvalidOption } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { withEngine } from "../engine/TestEngine.ts"

const Ping = Task.make("ping", {})

/** Options that are outside of their bounds, by name; some cannot be written in TypeScript. */
const outside: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  id: ["", "a\u0000", "\ud800", "x".repeat(256), ".", "..", 7],
  key: ["", "a\u0000", "\ud800", "x".repeat(256)],
  queue: ["", "a\u0000", "\ud800", "x".repeat(256)],
  priority: [-1, 10, 1.5, NaN, Infinity, 2 ** 53, 1e18, "hihg"],
  maxRetries: [-2, 1.5, NaN, Infinity, 2 ** 53, 1e18, "3"],
  delay: [-1, NaN, Infinity, 2 ** 53, 1e18, "Infinity", "soon"],
  expiresIn: [0, -1, NaN, Infinity, 2 ** 53, 1e18, "Infinity", "soon"],
  startWithin: [-1, NaN, Infinity, 2 ** 53, 1e18, "Infinity", "soon"],
  tags: [
    "invoice",
    null,
    [""],
    [" eu"],
    ["eu\u00a0"],
    ["a,b"],
    ["a\nb"],
    ["a\u202eb"],
    ["\u200b"],
    ["\ud800"],
    ["x".repeat(65)],
    ["日".repeat(22)],
    [7],
    [["eu"]],
    Array.from({ length: 11 }, (_, index) => String(index)),
    Array.from({ length: 10_000 }, (_, index) => String(index))
  ],
  timeout: [0, -1, NaN, Infinity, 2 ** 53, 1e18, "Infinity", "soon"],
  runAt: [{ epochMilliseconds: NaN }, { epochMilliseconds: 1e18 }, DateTime.makeUnsafe(253_402_300_800_000), "soon"]
}

describe("options of an enqueue", () => {
  it.effect("are refused outside of their bounds, by name, with nothing stored", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        for (const [option, values] of Object.entries(outside)) {
          for (const value of values) {
            const error = yield* Effect.flip(Ping.enqueue(undefined, { [option]: value }))
            assert.instanceOf(error, InvalidOption, `${option} ${String(value)}`)
            assert.deepInclude(error, { option, index: 0 })
            assert.include(error.message, error.expected)
          }
        }
        const queue = yield* TaskQueue
        const second = yield* Effect.flip(queue.create([
          { definition: Ping, payload: "null", options: {} },
          { definition: Ping, payload: "null", options: { key: "" } }
        ]))
        assert.deepInclude(second, { _tag: "InvalidOption", option: "key", index: 1 })
        assert.strictEqual((yield* queue.counts).totals.created, 0)
      })
    ))

  it.effect("are refused where there is no option of that name, as a program without types may write them", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        for (const name of ["dealy", "maxretries", "constructor", "toString", "__proto", "n".repeat(10_000)]) {
          const options = Object.fromEntries([["priority", "high"], [name, "5 minutes"]])
          const enqueued = [
            Ping.enqueue(undefined, options),
            Ping.enqueueAll([undefined], options),
            queue.submit([{ definition: Ping, payload: "null", options }])
          ]
          for (const one of enqueued) {
            const error = yield* Effect.flip<unknown, unknown, TaskQueue>(one)
            assert.instanceOf(error, InvalidOption, name)
            assert.deepInclude(error, { found: "unknown", index: 0 })
            assert.isTrue(name.startsWith(error.option.slice(0, 80)))
            assert.match(error.message, /expected one of .*\bdelay, runAt\b/)
            assert.isBelow(error.message.length, 300)
          }
          yield* Ping.enqueue(undefined, { [name]: undefined })
        }
        const shared = yield* Effect.flip(Ping.enqueueAll([undefined, undefined], { id: "one" } as object))
        assert.deepInclude(shared, { _tag: "InvalidOption", option: "id" })
        const waiting = yield* Effect.flip(Ping.enqueue(undefined, { whenFull: "wiat" as never }))
        assert.deepInclude(waiting, { _tag: "InvalidOption", option: "whenFull" })
        assert.strictEqual((yield* queue.counts).totals.created, 6)
      })
    ))

  it.effect("are refused where they are no object, for one task, for many, and for each of a batch", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        for (const none of [null, 5, "urgent", true] as unknown as ReadonlyArray<never>) {
          const one = yield* Effect.flip(Ping.enqueue(undefined, none))
          assert.deepInclude(one, { _tag: "InvalidOption", option: "options", index: 0 })
          const many = yield* Effect.flip(Ping.enqueueAll([undefined, undefined], none))
          assert.deepInclude(many, { _tag: "InvalidOption", option: "options" })
          const each = (_: unknown, index: number) => index === 1 ? none : {}
          const second = yield* Effect.flip(Ping.enqueueAll([undefined, undefined], { each }))
          assert.deepInclude(second, { _tag: "InvalidOption", option: "options", index: 1 })
        }
        assert.strictEqual((yield* TaskQueue.use((queue) => queue.counts)).pending, 0)
      })
    ))

  it.effect("name one time at which a task is due, not two", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const runAt = yield* DateTime.now
        const error = yield* Effect.flip(Ping.enqueue(undefined, { delay: "5 minutes", runAt }))
        assert.deepInclude(error, { _tag: "InvalidOption", option: "delay", index: 0 })
        yield* Ping.enqueue(undefined, { delay: undefined, runAt })
        yield* Ping.enqueue(undefined, { delay: "5 minutes", runAt: undefined })
      })
    ))
})

describe("options of a task type", () => {
  it("are refused where there is no option of that name", () => {
    const unknown: ReadonlyArray<readonly [name: string, options: object]> = [
      ["sucess", { sucess: Schema.String }],
      ["retry.time", { retry: { time: 3 } }],
      ["retry.byTag.Busy.shedule", { retry: { byTag: { Busy: { shedule: Schedule.forever } } } }],
      ["retry.byTag.Busy.byTag", { retry: { byTag: { Busy: { byTag: {} } } } }]
    ]
    for (const [option, options] of unknown) {
      try {
        Task.make("ping", options)
      } catch (error) {
        assert.instanceOf(error, InvalidOption)
        assert.deepInclude(error, { option, found: "unknown" })
        continue
      }
      assert.fail(`${option} was taken`)
    }
    Task.make("ping", { timeout: undefined, retry: { byTag: { Busy: false, Gone: undefined } } })
  })
})

describe("a list", () => {
  it.effect("refuses a filter that there is not", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const error = yield* Effect.flip(queue.list({ state: ["failed"] } as object))
        assert.deepInclude(error, { _tag: "InvalidOption", option: "state", found: "unknown" })
      })
    ))

  it.effect("refuses a cursor that no page gave", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        for (const cursor of ["", "-1", "Next!", "00", "zzzzzzzzzzzzzz"]) {
          const error = yield* Effect.flip(queue.list({ cursor }))
          assert.deepInclude(error, { _tag: "InvalidOption", option: "cursor" }, cursor)
        }
      })
    ))
})

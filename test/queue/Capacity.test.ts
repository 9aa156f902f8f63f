import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { QueueFull } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import { pass, passing, quiesce, reaches, withEngine } from "../engine/TestEngine.ts"

const Work = Task.make("work")
const times = (count: number) => Array.from({ length: count }, () => undefined)
const created = Effect.map(TaskQueue.use((queue) => queue.counts), ({ totals }) => totals.created)

describe("a full queue", () => {
  it.effect("refuses a task with a typed error that says how full it is", () =>
    withEngine(
      { store: { capacity: 3 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll(times(2))
        yield* Work.enqueue(undefined, { delay: "1 hour" })
        const error = yield* Effect.flip(Work.enqueue())
        assert.deepStrictEqual(error, new QueueFull({ capacity: 3, unfinished: 3, offered: 1 }))
        assert.include(error.message, "3 of 3")
      })
    ))

  it.effect("takes all tasks of a batch or none", () =>
    withEngine(
      { store: { capacity: 3 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll(times(2))
        const error = yield* Effect.flip(Work.enqueueAll(times(2)))
        assert.deepInclude(error, { _tag: "QueueFull", unfinished: 2, offered: 2 })
        assert.strictEqual(yield* created, 2)
      })
    ))

  it.effect("has room again when a task has finished", () =>
    withEngine(
      { store: { capacity: 1 }, handlers: Work.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        for (let i = 0; i < 5; i++) yield* (yield* Work.enqueue()).result
        assert.strictEqual(yield* created, 5)
      })
    ))

  it.effect("makes a patient caller wait until there is room", () => {
    const gate = new Gate()
    return withEngine(
      { store: { capacity: 2 }, handlers: Work.toLayer(() => gate.run) },
      Effect.gen(function*() {
        const first = yield* Work.enqueueAll(times(2))
        const waiting = yield* Effect.forkChild(Work.enqueue(undefined, { whenFull: "wait" }))
        yield* pass("1 minute")
        assert.isUndefined(waiting.pollUnsafe())
        assert.strictEqual(yield* created, 2)
        gate.open()
        yield* reaches(first[0]!.id, "completed")
        yield* pass("1 second")
        yield* (yield* Fiber.join(waiting)).result
        assert.strictEqual(yield* created, 3)
      })
    )
  })

  it.effect("lets many patient callers through, each once", () =>
    withEngine(
      { store: { capacity: 3 }, handlers: Work.toLayer(() => Effect.sleep("50 millis")) },
      Effect.gen(function*() {
        const { value } = yield* passing(
          "5 minutes",
          Effect.forEach(times(40), () => Work.enqueue(undefined, { whenFull: "wait" }), { concurrency: "unbounded" })
        )
        assert.strictEqual(new Set(value.map(({ id }) => id)).size, 40)
        yield* pass("1 second")
        assert.deepInclude((yield* TaskQueue.use((queue) => queue.counts)).totals, { created: 40, completed: 40 })
      })
    ))

  it.effect("refuses at once a batch that can never fit, however patient the caller", () =>
    withEngine(
      { store: { capacity: 3 } },
      Effect.gen(function*() {
        const error = yield* Effect.flip(Work.enqueueAll(times(4), { whenFull: "wait" }))
        assert.deepInclude(error, { _tag: "QueueFull", capacity: 3, offered: 4 })
        assert.include(error.message, "can never fit")
      })
    ))

  it.effect("never refuses retries and releases", () => {
    let runs = 0
    return withEngine(
      {
        store: { capacity: 1 },
        handlers: Work.toLayer(() => Effect.suspend(() => ++runs < 3 ? Effect.die("again") : Effect.void))
      },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        yield* quiesce
        assert.strictEqual((yield* Effect.flip(Work.enqueue()))._tag, "QueueFull")
        yield* passing("10 seconds", handle.result)
        assert.strictEqual(runs, 3)
      })
    )
  })
})

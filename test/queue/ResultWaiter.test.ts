import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { pass, passing, quiesce, withEngine } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work", { success: Schema.Void })

const finishElsewhere = Effect.gen(function*() {
  const store = yield* TaskStore
  const { claim, id } = yield* OtherProcess.claim()
  yield* store.settle([{ _tag: "Complete", id, claim, result: "null" }])
})

describe("waiting for results", () => {
  it.effect("takes no time when the hint arrives", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.sleep("7 seconds")) },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        assert.strictEqual((yield* passing("10 seconds", handle.result)).tookMs, 7000)
      })
    ))

  it.effect("costs a poll interval when the hint is lost", () =>
    withEngine(
      { queue: { pollInterval: "2 seconds" } },
      Effect.gen(function*() {
        const handle = yield* Work.enqueue()
        const result = yield* Effect.forkChild(handle.result)
        yield* pass("9 seconds")
        yield* finishElsewhere
        yield* quiesce
        assert.isUndefined(result.pollUnsafe())
        yield* pass("2 seconds")
        yield* Fiber.join(result)
      })
    ))

  it.effect("costs no more than a poll interval while other results come and go all the time", () =>
    withEngine(
      { queue: { pollInterval: "1 second" } },
      Effect.gen(function*() {
        const Quick = yield* Work.handle("never-was")
        const handle = yield* Work.enqueue()
        const result = yield* Effect.forkChild(handle.result)
        yield* quiesce
        yield* finishElsewhere
        for (let i = 0; i < 20; i++) {
          yield* pass("500 millis")
          yield* Effect.ignore(Quick.result)
        }
        assert.isDefined(result.pollUnsafe())
        yield* Fiber.join(result)
      })
    ))

  it.effect("is one read for many waiters", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 500 } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handles = yield* Work.enqueueAll(Array.from({ length: 500 }, () => undefined))
        const waiting = yield* Effect.forkChild(
          Effect.forEach(handles, ({ result }) => result, { concurrency: "unbounded" })
        )
        yield* quiesce
        const before = store.calls("awaitResults")
        gate.open()
        yield* Fiber.join(waiting)
        assert.isAtMost(store.calls("awaitResults") - before, 5)
      })
    )
  })

  it.effect("costs nothing when nobody waits", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void) },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* Work.enqueueAll(Array.from({ length: 10 }, () => undefined))
        yield* pass("1 minute")
        assert.strictEqual(store.calls("awaitResults"), 0)
      })
    ))

  it.effect("outlives an outage of the store", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.sleep("5 seconds")) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handle = yield* Work.enqueue()
        const result = yield* Effect.forkChild(handle.result)
        yield* pass("1 second")
        store.down()
        yield* pass("30 seconds")
        store.up()
        yield* pass("10 seconds")
        yield* Fiber.join(result)
      })
    ))
})

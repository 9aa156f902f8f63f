import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { PriorityInput } from "../../src/domain/Priority.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { pass, type Services, withEngine } from "../engine/TestEngine.ts"

/** Runs with one worker, the queue paused until the body has enqueued what it wants; answers the order of work. */
const orderOf = (
  enqueue: (work: (name: string, priority: PriorityInput) => Effect.Effect<unknown, unknown, TaskQueue>) => //
  Effect.Effect<unknown, unknown, Services>
) => {
  const Work = Task.make("work", { payload: Schema.String })
  const order: Array<string> = []
  return withEngine(
    {
      handlers: Work.toLayer((name) => Effect.sync(() => order.push(name))),
      worker: { concurrency: 1 },
      store: { headStart: "5 minutes" }
    },
    Effect.gen(function*() {
      const queue = yield* TaskQueue
      yield* queue.pause("default")
      yield* enqueue((name, priority) => Work.enqueue(name, { priority }))
      yield* queue.resume("default")
      yield* pass("1 second")
      return order
    })
  )
}

describe("the order of work", () => {
  it.effect("is by priority, whatever the order of arrival", () =>
    Effect.gen(function*() {
      const order = yield* orderOf((work) =>
        Effect.all([
          work("low", "low"),
          work("normal", "normal"),
          work("nine", 9),
          work("high", "high"),
          work("urgent", "urgent")
        ])
      )
      assert.deepStrictEqual(order, ["nine", "urgent", "high", "normal", "low"])
    }))

  it.effect("is by arrival within a priority", () =>
    Effect.gen(function*() {
      const names = Array.from({ length: 30 }, (_, n) => `${n}`)
      const order = yield* orderOf((work) => Effect.forEach(names, (name) => work(name, "high")))
      assert.deepStrictEqual(order, names)
    }))

  it.effect("is strict while the lower task has waited less than the head start", () =>
    Effect.gen(function*() {
      const order = yield* orderOf((work) =>
        Effect.andThen(work("old", "normal"), Effect.andThen(pass("299 seconds"), work("fresh", "high")))
      )
      assert.deepStrictEqual(order, ["fresh", "old"])
    }))

  it.effect("starves nothing: beyond the head start, age beats priority", () =>
    Effect.gen(function*() {
      const order = yield* orderOf((work) =>
        Effect.andThen(work("old", "normal"), Effect.andThen(pass("301 seconds"), work("fresh", "high")))
      )
      assert.deepStrictEqual(order, ["old", "fresh"])
    }))
})

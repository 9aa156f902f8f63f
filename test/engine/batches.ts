/** What must hold of batch handlers on every store, with two instances that share the tasks. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Latch, Layer, References, Schedule, Schema } from "effect"
import * as Engine from "../../src/engine/Engine.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import type { StoreServices } from "../../src/store/Driver.ts"
import * as Task from "../../src/Task.ts"
import type { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"
import { patiently } from "../Patience.ts"

class Odd extends Schema.TaggedError<Odd>()("Odd", { n: Schema.Int }) {}

const Double = Task.make("double", {
  payload: Schema.Int,
  success: Schema.Int,
  error: Odd,
  retry: { times: 3, schedule: Schedule.spaced("1 millis") }
})

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

/** Another instance with the same handlers on the store at hand. */
const instance = (handlers: Layer.Layer<never, never, HandlerRegistry>, concurrency: number) =>
  Layer.build(
    Layer.provide(Layer.fresh(Engine.layer(handlers, { worker: { concurrency, pollInterval: "50 millis" } })), quiet)
  )

/** Holds a store to it. */
export const batches = (name: string, layer: () => Layer.Layer<StoreServices, unknown>): void => {
  describe(`${name} and batch handlers`, () => {
    it.live("ends each task by itself, retries and all: none is lost, and no batch is too large", () => {
      const sizes: Array<number> = []
      let calls = 0
      // Every third call gives too few results, and each multiple of seven fails once
      const handlers = Double.toBatchLayer((items) => {
        sizes.push(items.length)
        if (++calls % 3 === 0) return Effect.succeed(items.slice(1).map(() => Exit.succeed(0)))
        return Effect.delay(
          Effect.succeed(
            items.map(({ context, payload }) =>
              payload % 7 === 0 && context.attempt < 3 ? Exit.fail(new Odd({ n: payload })) : Exit.succeed(payload * 2)
            )
          ),
          "1 millis"
        )
      }, { max: 25, within: "5 millis" })
      return Effect.gen(function*() {
        const one = yield* instance(handlers, 40)
        yield* instance(handlers, 40)
        const numbers = Array.from({ length: 300 }, (_, index) => index)
        const handles = yield* Effect.provide(Double.enqueueAll(numbers, { maxRetries: -1 }), one)
        const results = yield* Effect.forEach(handles, ({ result }) => result, { concurrency: "unbounded" })
        assert.deepStrictEqual(results, numbers.map((n) => n * 2))
        assert.isAtMost(Math.max(...sizes), 25)
        assert.isAbove(Math.max(...sizes), 1)
        const counts = yield* Context.get(one, TaskQueue).counts
        assert.deepInclude(counts, { completed: 300, failed: 0, pending: 0, running: 0, scheduled: 0 })
      }).pipe(Effect.scoped, Effect.provide(layer()))
    })

    it.live("cancels one task of a batch that runs", () => {
      const gate = Latch.makeUnsafe()
      const handlers = Double.toBatchLayer(
        (items) => Effect.as(gate.await, items.map(({ payload }) => Exit.succeed(payload))),
        { max: 3, within: "1 minute" }
      )
      return Effect.gen(function*() {
        const one = yield* instance(handlers, 10)
        const [first, second, third] = yield* Effect.provide(Double.enqueueAll([1, 2, 3]), one)
        yield* Effect.repeat(first!.task, { until: ({ state }) => state === "running", schedule: patiently() })
        yield* first!.cancel
        assert.strictEqual((yield* Effect.flip(first!.result))._tag, "TaskCancelled")
        assert.strictEqual((yield* second!.task).state, "running")
        gate.openUnsafe()
        assert.deepStrictEqual([yield* second!.result, yield* third!.result], [2, 3])
      }).pipe(Effect.scoped, Effect.provide(layer()))
    })
  })
}

/**
 * Larger is more urgent; within a level, first in, first out. Beyond the head start (5 minutes by default) an old
 * task outranks a fresh urgent one, so nothing starves.
 */
import { Console, Effect, Layer, Schema } from "effect"
import { Engine, MemoryStore, Task, TaskQueue } from "taskforge"

const Work = Task.make("work", { payload: { name: Schema.String } })

const WorkLive = Work.toLayer(({ name }) => Console.log(`  ${name}`))

const program = Effect.gen(function*() {
  const queue = yield* TaskQueue
  // A paused queue takes tasks but starts none: here, so that all of them wait together.
  yield* queue.pause("default")
  const handles = [
    yield* Work.enqueue({ name: "low" }, { priority: "low" }),
    yield* Work.enqueue({ name: "normal, first" }),
    yield* Work.enqueue({ name: "normal, second" }),
    yield* Work.enqueue({ name: "high" }, { priority: "high" }),
    yield* Work.enqueue({ name: "critical" }, { priority: "critical" }),
    yield* Work.enqueue({ name: "seven" }, { priority: 7 })
  ]
  yield* Console.log("One slot takes them in this order:")
  yield* queue.resume("default")
  yield* Effect.forEach(handles, (handle) => handle.result, { concurrency: "unbounded" })
})

const Live = Engine.layer(WorkLive, { worker: { concurrency: 1 } }).pipe(
  Layer.provide(MemoryStore.layer())
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// One slot takes them in this order:
//   seven
//   critical
//   high
//   normal, first
//   normal, second
//   low

/**
 * Handlers that compute run on worker threads: while two of them are busy this program goes on, and cancelling one
 * stops it in the middle of its loop. The code that runs there is in `Collatz.thread.ts`.
 */
import { Console, Effect, Layer, Logger, Schedule } from "effect"
import { Engine, MemoryStore, onThread, ThreadPool } from "taskforge"
import { Collatz } from "./Collatz.ts"

const CollatzLive = Collatz.toLayer(onThread(Collatz, new URL("./Collatz.thread.js", import.meta.url)))

const program = Effect.gen(function*() {
  const short = yield* Collatz.enqueue({ below: 300_000 })
  const long = yield* Collatz.enqueue({ below: 1_000_000_000 })
  let ticks = 0
  yield* Effect.forkChild(Effect.repeat(Effect.sync(() => ticks++), Schedule.spaced("5 millis")))
  const { start, steps } = yield* short.result
  yield* Console.log(`the longest way to 1 starts at ${start} and takes ${steps} steps`)
  yield* Console.log(`this program went on at the same time: ${ticks > 0}`)

  yield* Effect.repeat(long.task, {
    until: ({ progress }) => progress !== null,
    schedule: Schedule.spaced("20 millis")
  })
  yield* long.cancel
  yield* Console.log(`the other one was stopped: ${(yield* Effect.flip(long.result))._tag}`)
})

const Live = Engine.layer(CollatzLive.pipe(Layer.provide(ThreadPool.layer({ size: 2 })))).pipe(
  // The log, which has a line for each failed or cancelled attempt, is left out here
  Layer.provide([MemoryStore.layer(), Logger.layer([])])
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// the longest way to 1 starts at 230631 and takes 442 steps
// this program went on at the same time: true
// the other one was stopped: TaskCancelled

/**
 * A waiting task is cancelled at once and never starts; a running one is interrupted, and its finalizers run.
 */
import { Console, Deferred, Effect, Layer, Logger } from "effect"
import { Engine, MemoryStore, Task } from "taskforge"

const Backup = Task.make("backup")

const program = Effect.gen(function*() {
  const started = yield* Deferred.make<void>()
  const BackupLive = Backup.toLayer(() =>
    Deferred.succeed(started, undefined).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Console.log("  the handler cleans up"))
    )
  )
  const Live = Engine.layer(BackupLive).pipe(
    // The log, which has a line for each failed or cancelled attempt, is left out here
    Layer.provide([MemoryStore.layer(), Logger.layer([])])
  )

  yield* Effect.gen(function*() {
    const later = yield* Backup.enqueue(undefined, { delay: "1 hour" })
    yield* Console.log(`a waiting task: ${yield* later.cancel}`)

    const running = yield* Backup.enqueue(undefined)
    yield* Deferred.await(started)
    yield* Console.log(`a running task: ${yield* running.cancel}`)
    const end = yield* Effect.flip(running.result)
    yield* Console.log(`its result: ${end._tag}`)
  }).pipe(Effect.provide(Live))
})

await Effect.runPromise(program)

// It prints:
// a waiting task: cancelled
// a running task: requested
//   the handler cleans up
// its result: TaskCancelled

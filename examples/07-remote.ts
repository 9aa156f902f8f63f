/**
 * A program that goes remote by swapping a layer: what it does to its queue is the same, whether the engine is in its
 * own process or behind a server somewhere else.
 */
import { Console, Effect, Layer, Logger, Schema } from "effect"
import { HttpServer as Listener } from "effect/http"
import { Engine, MemoryStore, Task } from "taskforge"
import { HttpTaskQueue } from "taskforge/http"
import { TaskCatalog, TaskServer } from "taskforge/server"

const Shout = Task.make("shout", { payload: { text: Schema.String }, success: Schema.String })

/** Knows nothing of where its tasks run. */
const program = Effect.gen(function*() {
  const handles = yield* Shout.enqueueAll([{ text: "near" }, { text: "far" }])
  const results = yield* Effect.forEach(handles, ({ result }) => result, { concurrency: "unbounded" })
  return results.join(", ")
})

const engine = Engine.layer(Shout.toLayer(({ text }) => Effect.succeed(text.toUpperCase())), { shutdown: 0 }).pipe(
  // The server asks the store for more than the queue does: its keys, its events
  Layer.provideMerge(MemoryStore.layer())
)

/** Elsewhere in real life; here it listens on any free port of this machine. */
const server = TaskServer.layer({ port: 0 }).pipe(
  Layer.provide(TaskCatalog.layer([Shout])),
  Layer.provide(engine)
)

const remote = Layer.unwrap(
  Effect.map(Listener.HttpServer, ({ address }) => HttpTaskQueue.layer({ url: Listener.formatAddress(address) }))
).pipe(Layer.provide(server))

const both = Effect.gen(function*() {
  yield* Console.log(`in this process: ${yield* Effect.provide(program, engine)}`)
  yield* Console.log(`on a server:     ${yield* Effect.provide(program, remote)}`)
})

// The log would show what the engines do meanwhile
await Effect.runPromise(Effect.provide(both, Logger.layer([])))

// It prints:
// in this process: NEAR, FAR
// on a server:     NEAR, FAR

/**
 * The smallest program: one task type, one handler, one task.
 *
 * Run it with `node --conditions=source examples/01-hello.ts`.
 */
import { Console, Effect, Layer, Schema } from "effect"
import { Engine, MemoryStore, Task } from "taskforge"

const Hello = Task.make("hello", {
  payload: { name: Schema.String },
  success: Schema.String
})

const HelloLive = Hello.toLayer(({ name }) => Effect.succeed(`Hello, ${name}!`))

const program = Effect.gen(function*() {
  yield* Console.log(yield* Hello.execute({ name: "Ada" }))
})

const Live = Engine.layer(HelloLive).pipe(
  Layer.provide(MemoryStore.layer())
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// Hello, Ada!

/**
 * Two versions of a program on one store, as during a rolling deploy: the new one runs tasks of both, the old one leaves newer tasks alone.
 */
import { Console, Context, Effect, Layer, Schema } from "effect"
import { Engine, MemoryStore, Task, TaskQueue, Versions } from "taskforge"

const Old = Task.make("greet", { payload: { name: Schema.String }, success: Schema.String })

const New = Task.make("greet", {
  payload: { names: Schema.Array(Schema.String) },
  success: Schema.String,
  earlier: Versions.first({ name: Schema.String }, ({ name }) => ({ names: [name] }))
})

const OldLive = Old.toLayer(({ name }) => Effect.succeed(`old: ${name}`))
const NewLive = New.toLayer(({ names }) => Effect.succeed(`new: ${names.join(" and ")}`))

const program = Effect.gen(function*() {
  const store = yield* Layer.build(MemoryStore.layer())
  const start = (handlers: typeof OldLive, instance: string) =>
    Layer.build(Layer.provide(Engine.layer(handlers, { instance }), Layer.succeedContext(store)))

  const old = yield* start(OldLive, "old")
  const newer = yield* Effect.provideContext(New.enqueue({ names: ["Ada", "Grace"] }), old)
  yield* Console.log(yield* Effect.provideContext(Old.execute({ name: "Ada" }), old))
  const { reasons } = yield* Context.get(old, TaskQueue).explain(newer.id)
  yield* Console.log(reasons[0]?.text)

  yield* start(NewLive, "new")
  yield* Console.log(yield* newer.result)
})

await Effect.runPromise(Effect.scoped(program))

// It prints:
// old: Ada
// The one running instance does not handle version 2 of the type "greet" in the queue "default": the newest that one handles is 1. The task waits for a program that knows its version.
// new: Ada and Grace

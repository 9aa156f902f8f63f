/** A program as applications write them, every part of which is exported without an annotation. */
import { Effect, Layer, Schema } from "effect"
import { ApiKeys, Engine, MemoryStore, Task, TaskContext, TaskQueue } from "taskforge"

export class Bounced extends Schema.TaggedError<Bounced>()("Bounced", { address: Schema.String }) {}

export const Email = Task.make("email", {
  payload: { to: Schema.String },
  success: Schema.Int,
  error: Bounced,
  idempotencyKey: ({ to }) => to
})

export const EmailLive = Email.toLayer(Effect.fnUntraced(function*({ to }) {
  const context = yield* TaskContext
  yield* context.progress(0.5)
  return to.length
}))

export const EmailMade = Email.toLayer(Effect.gen(function*() {
  const queue = yield* TaskQueue
  return (_, { complete }) => Effect.flatMap(queue.counts, ({ pending }) => complete(pending)).pipe(Effect.orDie)
}))

export const executed = Email.execute({ to: "ada@example.org" })

export const completed = Email.complete(1)

export const EngineLive = Engine.layer(EmailLive).pipe(Layer.provideMerge(MemoryStore.layer()))

export const ProducerLive = Layer.provideMerge(Engine.layerProducer(), MemoryStore.layer())

export const program = Effect.gen(function*() {
  const queue = yield* TaskQueue
  const handle = yield* Email.enqueue({ to: "ada@example.org" })
  const handles = yield* Email.enqueueAll([{ to: "grace@example.org" }])
  const page = yield* queue.list()
  return { handle, handles, page, counts: yield* queue.counts, queues: yield* queue.queues() }
})

export const result = Effect.flatMap(program, ({ handle }) => handle.result)

export const key = ApiKeys.create({ name: "ci", role: "write" })

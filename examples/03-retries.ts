/**
 * Retries follow the task's `Schedule`; rules per error tag decide what is worth another attempt. The task remembers
 * each failed attempt.
 */
import { Console, Effect, Layer, Logger, Ref, Schedule, Schema } from "effect"
import { Engine, MemoryStore, Task, TaskContext } from "taskforge"

class ServerBusy extends Schema.TaggedError<ServerBusy>()("ServerBusy", {}) {}
class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", { reason: Schema.String }) {}

const Fetch = Task.make("fetch", {
  payload: { url: Schema.String },
  success: Schema.String,
  error: Schema.Union([ServerBusy, BadRequest]),
  retry: {
    times: 5,
    schedule: Schedule.exponential("20 millis"),
    byTag: { BadRequest: false }
  }
})

const program = Effect.gen(function*() {
  const flaky = yield* Fetch.enqueue({ url: "https://example.org/flaky" })
  yield* Console.log(yield* flaky.result)
  const { history } = yield* flaky.task
  for (const [index, { failure }] of history.entries()) {
    yield* Console.log(`  attempt ${index + 1} failed: ${failure?.tag}`)
  }

  const broken = yield* Fetch.enqueue({ url: "not a url" })
  const error = yield* Effect.flip(broken.result)
  yield* Console.log(`${error._tag}, after ${(yield* broken.task).failures} attempt`)
})

const FetchLive = Layer.unwrap(Effect.gen(function*() {
  const calls = yield* Ref.make(0)
  return Fetch.toLayer(Effect.fnUntraced(function*({ url }) {
    const { attempt } = yield* TaskContext
    if (!url.startsWith("https://")) return yield* new BadRequest({ reason: `${url} is no address` })
    const call = yield* Ref.updateAndGet(calls, (n) => n + 1)
    if (call < 3) return yield* new ServerBusy()
    return `fetched at attempt ${attempt}`
  }))
}))

const Live = Engine.layer(FetchLive).pipe(
  // The log, which has a line for each failed or cancelled attempt, is left out here
  Layer.provide([MemoryStore.layer(), Logger.layer([])])
)

await Effect.runPromise(Effect.provide(program, Live))

// It prints:
// fetched at attempt 3
//   attempt 1 failed: ServerBusy
//   attempt 2 failed: ServerBusy
// BadRequest, after 1 attempt

/**
 * A plain program on the built library, as each runtime runs it: `store.mjs STORE [ADDRESS [NAMESPACE]]`. It enqueues,
 * runs, retries, cancels, pauses, awaits results, looks at what is stored, and ends by itself.
 */
import { Deferred, Effect, Layer, Schedule, Schema } from "effect"
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { Engine, MemoryStore, Task, TaskContext, TaskQueue } from "../../dist/index.js"

/** The driver named, loaded when it is chosen: a runtime may lack what another one stands on. */
const stores = {
  memory: async () => MemoryStore.layer(),
  SQLite: async (path) => (await import("../../dist/store/sqlite/index.js")).SqliteStore.layer({ path }),
  PostgreSQL: async (url, schema) =>
    (await import("../../dist/store/postgres/index.js")).PostgresStore.layerUrl({ url, schema }),
  Redis: async (url, prefix) => (await import("../../dist/store/redis/index.js")).RedisStore.layerUrl({ url, prefix })
}

class Refused extends Schema.TaggedError()("Refused", { reason: Schema.String }) {}

const Double = Task.make("double", { payload: { n: Schema.Int }, success: Schema.Int })
const Flaky = Task.make("flaky", { success: Schema.Int, retry: { schedule: Schedule.spaced("10 millis") } })
const Refuse = Task.make("refuse", { error: Refused, retry: { times: 0 } })
const Endless = Task.make("endless", { queue: "slow" })

const started = Deferred.makeUnsafe()
const interrupted = Deferred.makeUnsafe()

const handlers = Layer.mergeAll(
  Double.toLayer(({ n }) => Effect.succeed(2 * n)),
  Flaky.toLayer(Effect.fnUntraced(function*() {
    const { attempt, progress } = yield* TaskContext
    yield* progress(0.5)
    return attempt < 3 ? yield* Effect.die(new Error("not yet")) : attempt
  })),
  Refuse.toLayer(() => Effect.fail(new Refused({ reason: "never" }))),
  Endless.toLayer(() =>
    Deferred.succeed(started, undefined).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
    )
  )
)

const program = Effect.gen(function*() {
  const queue = yield* TaskQueue

  const handles = yield* Double.enqueueAll(Array.from({ length: 50 }, (_, n) => ({ n })))
  const results = yield* Effect.forEach(handles, ({ result }) => result, { concurrency: "unbounded" })
  assert.deepEqual(results, results.map((_, n) => 2 * n))

  const key = randomUUID()
  const once = yield* Double.enqueue({ n: 4 }, { key })
  const again = yield* Double.enqueue({ n: 4 }, { key })
  assert.equal(again.id, once.id)
  assert.equal(again.duplicate, true)

  const flaky = yield* Flaky.enqueue()
  assert.equal(yield* flaky.result, 3)
  assert.equal((yield* flaky.task).failures, 2)

  const refused = yield* Refuse.enqueue()
  assert.deepEqual(yield* Effect.flip(refused.result), new Refused({ reason: "never" }))
  yield* queue.rerun(refused.id)
  assert.equal((yield* Effect.flip(refused.result))._tag, "Refused")

  const later = yield* Double.enqueue({ n: 1 }, { delay: "1 hour" })
  assert.equal(yield* later.cancel, "cancelled")
  assert.equal((yield* Effect.flip(later.result))._tag, "TaskCancelled")
  yield* queue.remove(later.id)
  assert.equal((yield* Effect.flip(queue.get(later.id)))._tag, "TaskNotFound")

  const endless = yield* Endless.enqueue()
  yield* Deferred.await(started)
  const running = yield* queue.list({ states: ["running"], queues: ["slow"], types: ["endless"] })
  assert.deepEqual(running.tasks.map(({ id }) => id), [endless.id])
  assert.equal(yield* endless.cancel, "requested")
  yield* Deferred.await(interrupted)
  assert.equal((yield* Effect.flip(endless.result))._tag, "TaskCancelled")

  yield* queue.pause("default")
  const held = yield* Double.enqueue({ n: 21 })
  assert.deepEqual((yield* queue.paused).map(({ queue }) => queue), ["default"])
  const pending = yield* queue.list({ states: ["pending"], types: ["double"] })
  assert.deepEqual(pending.tasks.map(({ id }) => id), [held.id])
  yield* queue.resume("default")
  assert.equal(yield* held.result, 42)

  assert.equal((yield* queue.instances).instances.length, 1)
  const counts = yield* queue.counts
  assert.deepEqual([counts.pending, counts.running], [0, 0])
})

const [name, ...address] = process.argv.slice(2)
const store = await stores[name](...address)
const Live = Engine.layer(handlers, { worker: { pollInterval: "100 millis" } }).pipe(Layer.provide(store))
await Effect.runPromise(Effect.provide(program, Live))
console.log("done")

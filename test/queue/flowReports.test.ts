/** What people report of flows in other task queues, tried here: what has to hold of graphs, batches and waits from outside. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Schema } from "effect"
import * as Batch from "../../src/Batch.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Signal from "../../src/Signal.ts"
import * as Step from "../../src/Step.ts"
import { EventLog } from "../../src/store/EventLog.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"

/** Fails so often before it succeeds. */
const Work = Task.make("work", {
  payload: { fails: Schema.Int },
  success: Schema.Int,
  retry: { times: 2, schedule: Schedule.spaced("1 millis") }
})
const either = Signal.make("either", { success: Schema.String })
const Race = Task.make("race", { success: Schema.String })

const ran: Array<string> = []
const broken = new Set<string>()

const handlers = Layer.mergeAll(
  Work.toLayer(({ fails }, { attempt, id }) =>
    Effect.suspend(() => {
      ran.push(`${id} ${attempt}`)
      return attempt <= fails || broken.has(id) ? Effect.die(new Error("not yet")) : Effect.succeed(attempt)
    })
  ),
  Race.toLayer(() => Effect.race(Step.waitFor(either.event("one")), Step.waitFor(either.event("two")))),
  Batch.layer
)

const live = Engine.layer(handlers, { worker: { concurrency: 10 } }).pipe(Layer.provideMerge(MemoryStore.layer()))

const draft = (id: string, after: ReadonlyArray<string> = [], options: { fails?: number; onFailure?: "run" } = {}) =>
  Work.draft(
    { fails: options.fails ?? 0 },
    after.length === 0
      ? { id }
      : { id, after, ...options.onFailure === undefined ? {} : { onFailure: options.onFailure } }
  )

const stateOf = (id: string) => TaskQueue.use((queue) => Effect.map(queue.get(id), ({ state }) => state))
const statesOf = (...ids: ReadonlyArray<string>) => Effect.forEach(ids, stateOf)

/** Waits for all, however they end. */
const ended = (handles: ReadonlyArray<{ readonly result: Effect.Effect<unknown, unknown, never> }>) =>
  Effect.forEach(handles, ({ result }) => Effect.exit(result))

const attempts = (id: string) => ran.filter((one) => one.startsWith(`${id} `)).length

const claim = <A, E>(name: string, body: Effect.Effect<A, E, Layer.Success<typeof live>>) =>
  it.live(name, () =>
    Effect.suspend(() => {
      ran.length = 0
      broken.clear()
      return Effect.scoped(Effect.provide(body, live))
    }), 20_000)

describe("reports about flows", () => {
  claim(
    "bullmq#2918: the end of a task that fails because of another one is an event too",
    Effect.gen(function*() {
      broken.add("a")
      const log = yield* EventLog
      const every = Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)])
      // nothing is logged while nobody reads, and the engine looks for that from time to time
      yield* log.attend(60_000)
      yield* Effect.repeat(
        Effect.andThen(Effect.flatMap(Work.enqueue({ fails: 0 }), ({ result }) => result), log.read(0, 1)),
        { until: ({ events }) => events.length > 0, schedule: every }
      )
      yield* ended(yield* Task.enqueueAll([draft("a"), draft("b", ["a"])]))
      const failed = Effect.map(
        log.read(0, 1000),
        ({ events }) => events.filter(({ event }) => event === "failed").map(({ id }) => id)
      )
      yield* Effect.repeat(failed, {
        until: (ids) => ids.length >= 2,
        schedule: every
      })
      assert.sameMembers(yield* failed, ["a", "b"])
    })
  )

  claim(
    "bullmq#3319: a task that has waited for others keeps its retries",
    Effect.gen(function*() {
      const [, b] = yield* Task.enqueueAll([draft("a"), draft("b", ["a"], { fails: 2 })])
      assert.strictEqual(yield* b.result, 3)
      assert.strictEqual(attempts("a"), 1)
    })
  )

  claim(
    "celery#2324: what follows waits for the last retry",
    Effect.gen(function*() {
      const [, , c] = yield* Task.enqueueAll([draft("a", [], { fails: 2 }), draft("b"), draft("c", ["a", "b"])])
      yield* c.result
      assert.strictEqual(ran.at(-1), "c 1")
      assert.strictEqual(attempts("a"), 3)
    })
  )

  claim(
    "bullmq#1163, bullmq#1021: one task is waited for by many",
    Effect.gen(function*() {
      const all = yield* Task.enqueueAll([
        draft("shared"),
        draft("left", ["shared"]),
        draft("right", ["shared"]),
        draft("top", ["left", "right", "shared"])
      ])
      assert.isTrue((yield* ended(all)).every(Exit.isSuccess))
      assert.deepStrictEqual(new Set(ran).size, 4)
      assert.strictEqual(ran.length, 4)
    })
  )

  claim(
    "bullmq#1793, bullmq#2554: a graph that is stored again changes nothing, and a new task after what has ended starts",
    Effect.gen(function*() {
      const graph = [draft("a"), draft("b", ["a"]), draft("c", ["b"])]
      yield* ended(yield* Task.enqueueAll(graph))
      const again = yield* Task.enqueueAll(graph)
      assert.isTrue(again.every(({ duplicate }) => duplicate))
      yield* ended(again)
      assert.strictEqual(ran.length, 3)
      const [, , d] = yield* Task.enqueueAll([draft("a"), draft("b", ["a"]), draft("d", ["a", "b"])])
      assert.strictEqual(yield* d.result, 1)
      assert.strictEqual(ran.length, 4)
    })
  )

  claim(
    "celery#4333, oban#1342: after none of anything, and a batch of nothing",
    Effect.gen(function*() {
      const [none] = yield* Task.enqueueAll([Work.draft({ fails: 0 }, { id: "none", after: [] })])
      assert.strictEqual(yield* none.result, 1)
      const batch = yield* Batch.enqueue([], { onFinished: draft("finished") })
      assert.deepInclude(yield* batch.result, { total: 0 })
      const next = yield* TaskQueue.use((queue) => queue.outcome("finished"))
      assert.strictEqual(next.state, "completed")
    })
  )

  claim(
    "celery#6220, bullmq#3235: a failure deep in a graph reaches the top, and stops where a task runs all the same",
    Effect.gen(function*() {
      broken.add("leaf")
      const all = yield* Task.enqueueAll([
        draft("leaf"),
        draft("mid", ["leaf"]),
        draft("careless", ["mid"], { onFailure: "run" }),
        draft("careful", ["mid", "careless"]),
        draft("last", ["careless"])
      ])
      yield* ended(all)
      assert.deepStrictEqual(
        yield* statesOf("leaf", "mid", "careless", "careful", "last"),
        ["failed", "failed", "completed", "failed", "completed"]
      )
    })
  )

  claim(
    "celery#8180, celery#5958: groups one after another run each task once",
    Effect.gen(function*() {
      const first = ["1", "2", "3"]
      const second = ["4", "5", "6"]
      const all = yield* Task.enqueueAll([
        ...first.map((id) => draft(id)),
        ...second.map((id) => draft(id, first)),
        draft("7", second),
        draft("8", ["7"])
      ])
      yield* ended(all)
      assert.strictEqual(ran.length, 8)
      assert.deepStrictEqual(ran.slice(-2), ["7 1", "8 1"])
    })
  )

  claim(
    "airflow#52640, hatchet#1212, kestra#11223: what failed with a task runs again with it, and fails with it again",
    Effect.gen(function*() {
      broken.add("a")
      const all = yield* Task.enqueueAll([draft("a"), draft("b", ["a"]), draft("c", ["b"])])
      yield* ended(all)
      const { branches, rerun } = yield* TaskQueue
      yield* rerun(["c", "b", "a"])
      yield* ended(all)
      assert.deepStrictEqual(yield* statesOf("a", "b", "c"), ["failed", "failed", "failed"])
      broken.clear()
      yield* branches.rerun("a")
      assert.isTrue((yield* ended(all)).every(Exit.isSuccess))
      assert.deepStrictEqual(ran.slice(-2).map((one) => one[0]), ["b", "c"])
    })
  )

  claim(
    "inngest#1433, inngest-js#1617: an event that came first is not missed, and the wait that lost a race holds nothing up",
    Effect.gen(function*() {
      yield* either.event("two").complete("early")
      const race = yield* Race.enqueue()
      assert.strictEqual(yield* race.result, "early")
      assert.strictEqual(yield* stateOf(race.id), "completed")
    })
  )

  claim(
    "bullmq#644, bullmq#3362: who awaits a task that waits for others hears at once that one of them has failed",
    Effect.gen(function*() {
      broken.add("a")
      const [, b] = yield* Task.enqueueAll([draft("a"), draft("b", ["a"])])
      assert.strictEqual((yield* Effect.flip(b.result))._tag, "DependencyFailed")
    })
  )
})

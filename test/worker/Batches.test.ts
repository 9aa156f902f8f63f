import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Latch, Layer, Schedule, Schema } from "effect"
import { Batch, BatchLive } from "../../src/handlers/Batch.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import type { BatchingOptions, BatchItem } from "../../src/worker/Batcher.ts"
import { Gathering } from "../../src/worker/Gathering.ts"
import type { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import {
  Logs,
  pass,
  passing,
  quiesce,
  reaches,
  record,
  start,
  withEngine,
  withStore,
  withUnhurriedEngine
} from "../engine/TestEngine.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { n: Schema.Int }) {}

const Work = Task.make("work", {
  payload: Schema.Int,
  success: Schema.Int,
  error: Refused,
  timeout: "2 hours",
  retry: { times: 0 }
})

type Items = ReadonlyArray<BatchItem<number, number>>

/** Doubles what it is given, and notes its batches with the time at which they go. */
class Doubling {
  readonly batches: Array<ReadonlyArray<number>> = []
  readonly times: Array<number> = []
  /** Batches that run at the same time, at most. */
  atOnce = 0
  private running = 0
  private readonly latch: Latch.Latch

  constructor(open = true) {
    this.latch = Latch.makeUnsafe(open)
  }

  readonly run = Effect.fnUntraced({ self: this }, function*(items: Items) {
    this.batches.push(items.map(({ payload }) => payload))
    this.times.push(yield* Clock.currentTimeMillis)
    this.atOnce = Math.max(this.atOnce, ++this.running)
    yield* Effect.ensuring(this.latch.await, Effect.sync(() => this.running--))
    return items.map(({ payload }) => Exit.succeed(payload * 2))
  })

  readonly layer = (options: BatchingOptions) => Work.toBatchLayer(this.run, options)

  get sizes(): ReadonlyArray<number> {
    return this.batches.map(({ length }) => length)
  }

  open(): void {
    this.latch.openUnsafe()
  }
}

const upTo = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, index) => index + 1)

const enqueueAll = (n: number) => Effect.map(Work.enqueueAll(upTo(n)), (handles) => handles.map(({ id }) => id))

const slots = (concurrency: number) => ({ worker: { concurrency } })

describe("a batch", () => {
  it.effect("has as many tasks as are claimed together, up to its maximum, and each gets its own result", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 10 }), ...slots(25) },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll(upTo(25))
        const results = yield* Effect.forEach(handles, ({ result }) => result, { concurrency: "unbounded" })
        assert.deepStrictEqual(results, upTo(25).map((n) => n * 2))
        assert.deepStrictEqual(doubling.sizes, [10, 10, 5])
        assert.deepStrictEqual(doubling.batches.flat(), upTo(25))
      })
    )
  })

  it.effect("brings the next one with the slots that its tasks free, in one claim for all of them", () => {
    const doubling = new Doubling()
    const handlers = Work.toBatchLayer((items) => Effect.delay(doubling.run(items), "1 second"), { max: 10 })
    return withEngine(
      { handlers, ...slots(20) },
      Effect.gen(function*() {
        const ids = yield* enqueueAll(100)
        yield* pass("5 seconds")
        for (const id of ids) yield* reaches(id, "completed")
        assert.deepStrictEqual(doubling.sizes, upTo(10).map(() => 10))
      })
    )
  })

  it.effect("goes as soon as it is full", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 3, within: "1 minute" }) },
      Effect.gen(function*() {
        yield* enqueueAll(2)
        yield* pass("10 seconds")
        assert.deepStrictEqual(doubling.batches, [])
        yield* Work.enqueue(3)
        yield* quiesce
        assert.deepStrictEqual(doubling.batches, [[1, 2, 3]])
      })
    )
  })

  it.effect("waits so long after its first task, whatever comes later", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 100, within: "5 seconds" }), worker: { concurrency: 50 } },
      Effect.gen(function*() {
        yield* Effect.forEach(upTo(4), (n) => Effect.andThen(Work.enqueue(n), pass("2 seconds")))
        yield* pass("1 minute")
        assert.deepStrictEqual(doubling.batches, [[1, 2, 3], [4]])
        assert.deepStrictEqual(doubling.times, [5000, 11_000])
      })
    )
  })

  it.effect("runs next to others of its type", () => {
    const doubling = new Doubling(false)
    return withEngine(
      { handlers: doubling.layer({ max: 2 }), ...slots(6) },
      Effect.gen(function*() {
        const ids = yield* enqueueAll(6)
        yield* quiesce
        assert.strictEqual(doubling.atOnce, 3)
        doubling.open()
        for (const id of ids) yield* reaches(id, "completed")
      })
    )
  })

  const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const Arrivals = Schema.Array(Schema.Struct({ after: int(0, 200), tasks: int(1, 9) })).check(Schema.isMaxLength(8))

  it.effect.prop(
    "has no more than its maximum, whatever comes when, and no task is lost or run twice",
    { max: int(1, 7), within: int(0, 300), concurrency: int(1, 9), arrivals: Arrivals },
    ({ arrivals, concurrency, max, within }) => {
      const doubling = new Doubling()
      const handlers = Work.toBatchLayer(
        (items) => Effect.delay(doubling.run(items), items.length * 10),
        { max, within }
      )
      return withEngine(
        { handlers, worker: { concurrency } },
        Effect.gen(function*() {
          const ids: Array<string> = []
          for (const { after, tasks } of arrivals) {
            yield* pass(after)
            for (let task = 0; task < tasks; task++) ids.push((yield* Work.enqueue(ids.length)).id)
          }
          yield* pass("1 minute")
          for (const id of ids) yield* reaches(id, "completed")
          assert.deepStrictEqual(doubling.batches.flat().toSorted((a, b) => a - b), [...ids.keys()])
          assert.isAtMost(Math.max(0, ...doubling.sizes), Math.min(max, concurrency))
        })
      )
    },
    { arbitrary: { runs: 25 } }
  )
})

describe("the slots of a pool", () => {
  it.effect("may be fewer than a batch has: it goes when all of them wait for others", () => {
    const doubling = new Doubling()
    return withUnhurriedEngine(
      "1 minute",
      { handlers: doubling.layer({ max: 100, within: "1 hour" }), ...slots(3) },
      Effect.gen(function*() {
        const ids = yield* enqueueAll(7)
        yield* quiesce
        assert.deepStrictEqual(doubling.sizes, [3, 3])
        yield* pass("59 minutes")
        assert.strictEqual((yield* record(ids[6]!)).state, "running")
        yield* pass("1 minute")
        assert.deepStrictEqual(doubling.sizes, [3, 3, 1])
        yield* reaches(ids[6]!, "completed")
      })
    )
  })

  it.effect("may all wait in batches of several types: all of these go", () => {
    const Other = Task.make("other", { payload: Schema.Int, timeout: "2 hours" })
    const doubling = new Doubling()
    const others: Array<number> = []
    const handlers = Layer.merge(
      doubling.layer({ max: 100, within: "1 hour" }),
      Other.toBatchLayer((items) => {
        others.push(items.length)
        return Effect.succeed(items.map(() => Exit.void))
      }, { max: 100, within: "1 hour" })
    )
    return withEngine(
      { handlers, ...slots(5) },
      Effect.gen(function*() {
        yield* enqueueAll(3)
        yield* quiesce
        assert.deepStrictEqual(doubling.sizes, [])
        yield* Other.enqueueAll([1, 2])
        yield* quiesce
        assert.deepStrictEqual([doubling.sizes, others], [[3], [2]])
      })
    )
  })

  it.effect("may run other tasks, whose ends make room: the batch waits for these, and no longer than it may", () => {
    const Other = Task.make("other", { payload: Schema.Duration })
    const doubling = new Doubling()
    const handlers = Layer.merge(doubling.layer({ max: 3, within: "10 seconds" }), Other.toLayer(Effect.sleep))
    return withEngine(
      { handlers, ...slots(3) },
      Effect.gen(function*() {
        const [short] = yield* Other.enqueueAll([Duration.seconds(5)])
        yield* reaches(short!.id, "running")
        yield* enqueueAll(3)
        yield* pass("4 seconds")
        assert.deepStrictEqual(doubling.sizes, [])
        yield* pass("1 second")
        assert.deepStrictEqual(doubling.sizes, [3])
        const long = yield* Other.enqueue(Duration.minutes(1))
        yield* reaches(long.id, "running")
        yield* enqueueAll(2)
        yield* pass("9 seconds")
        assert.deepStrictEqual(doubling.sizes, [3])
        yield* pass("1 second")
        assert.deepStrictEqual(doubling.sizes, [3, 2])
      })
    )
  })

  it("are not waited for once the pool closes", () => {
    const gathering = new Gathering({ isFull: () => false, freeTogether: () => {} })
    const went: Array<string> = []
    gathering.wait({}, () => went.push("before"))
    gathering.close()
    gathering.wait({}, () => went.push("after"))
    assert.deepStrictEqual(went.slice(0, 1), ["before"])
    assert.include(went, "after")
  })

  it.effect("may be taken away, or held while the instance drains: a batch goes when none is left that could bring a task", () => {
    const Other = Task.make("other")
    const doubling = new Doubling()
    const handlers = Layer.merge(
      doubling.layer({ max: 10, within: "1 hour" }),
      Other.toLayer(() => Effect.sleep("30 minutes"))
    )
    return withEngine(
      { handlers, instance: "here", worker: { concurrency: 4, timeout: "1 hour" }, shutdown: "1 second" },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* enqueueAll(2)
        yield* pass("1 minute")
        assert.deepStrictEqual(doubling.sizes, [])
        yield* queue.setSlots("here", 2)
        yield* pass("5 seconds")
        assert.deepStrictEqual(doubling.sizes, [2])
        yield* queue.setSlots("here", 3)
        yield* pass("5 seconds")
        yield* reaches((yield* Other.enqueue()).id, "running")
        yield* Work.enqueue(3)
        yield* pass("1 minute")
        assert.deepStrictEqual(doubling.sizes, [2])
        yield* queue.drain("here")
        yield* pass("5 seconds")
        assert.deepStrictEqual(doubling.sizes, [2, 1])
      })
    )
  })

  it.effect("count no tasks that have left their batch", () => {
    const Other = Task.make("other")
    const doubling = new Doubling()
    const handlers = Layer.merge(
      doubling.layer({ max: 10, within: "1 minute" }),
      Other.toLayer(() => Effect.sleep("1 hour"))
    )
    return withEngine(
      { handlers, worker: { concurrency: 4, timeout: "2 hours" }, shutdown: "1 second" },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([1, 2, 3])
        yield* quiesce
        yield* TaskQueue.use((queue) => queue.cancel([handles[0]!.id, handles[1]!.id]))
        yield* quiesce
        for (const { id } of yield* Other.enqueueAll([undefined, undefined])) yield* reaches(id, "running")
        yield* reaches((yield* Work.enqueue(4)).id, "running")
        yield* pass("30 seconds")
        assert.deepStrictEqual(doubling.batches, [])
        yield* pass("30 seconds")
        assert.deepStrictEqual(doubling.batches, [[3, 4]])
      })
    )
  })

  it.effect("are occupied by tasks that wait, each with a lease of its own", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 10, within: "5 minutes" }) },
      Effect.gen(function*() {
        const ids = yield* enqueueAll(4)
        yield* pass("2 minutes")
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 4)
        for (const id of ids) assert.deepInclude(yield* record(id), { state: "running", claims: 1, crashes: 0 })
        yield* pass("3 minutes")
        for (const id of ids) assert.deepInclude(yield* reaches(id, "completed"), { claims: 1, crashes: 0 })
      })
    )
  })

  it.effect("may be thousands: one call of the handler runs them", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 5000, within: "1 second" }), store: { capacity: 10_000 }, ...slots(5000) },
      Effect.gen(function*() {
        const ids = yield* enqueueAll(5000)
        yield* quiesce
        assert.deepStrictEqual(doubling.sizes, [5000])
        yield* pass("1 second")
        for (const id of ids) assert.strictEqual((yield* record(id)).state, "completed")
      })
    )
  })
})

/** A batch that ends like this. */
const ending = (end: (items: Items) => Effect.Effect<ReadonlyArray<Exit.Exit<number, Refused>>, Refused, never>) =>
  Work.toBatchLayer(end, { max: 10 })

describe("the tasks of a batch", () => {
  it.effect("end each with their own result, error, defect or snooze", () => {
    const handlers = Work.toBatchLayer(
      (items) =>
        Effect.forEach(items, (item) =>
          item.run(Effect.gen(function*() {
            const { attempt, snooze } = yield* TaskContext
            switch (attempt === 1 ? item.payload : 0) {
              case 1:
                return yield* new Refused({ n: 1 })
              case 2:
                return yield* Effect.die(new Error("a defect of its own"))
              case 3:
                return yield* snooze("1 minute")
              default:
                return attempt
            }
          }))),
      { max: 10 }
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const [one, two, three, four] = yield* enqueueAll(4)
        assert.deepInclude((yield* reaches(one!, "failed")).failure, { kind: "error", tag: "Refused" })
        assert.deepInclude((yield* reaches(two!, "failed")).failure, { kind: "defect", message: "a defect of its own" })
        assert.deepInclude(yield* reaches(three!, "scheduled"), { failures: 0 })
        assert.deepInclude(yield* reaches(four!, "completed"), { result: "1" })
        yield* pass("1 minute")
        assert.deepInclude(yield* reaches(three!, "completed"), { result: "2", failures: 0 })
      })
    )
  })

  it.effect("are retried each by itself", () => {
    const Flaky = Task.make("flaky", {
      payload: Schema.Int,
      retry: { times: 3, schedule: Schedule.spaced("1 second") }
    })
    const batches: Array<ReadonlyArray<number>> = []
    const handlers = Flaky.toBatchLayer((items) => {
      batches.push(items.map(({ payload }) => payload))
      return Effect.succeed(
        items.map(({ context, payload }) => context.attempt > payload ? Exit.void : Exit.die("not yet"))
      )
    }, { max: 10 })
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handles = yield* Flaky.enqueueAll([0, 1, 2])
        yield* pass("1 minute")
        for (const [failures, { id }] of handles.entries()) {
          assert.deepInclude(yield* reaches(id, "completed"), { failures, claims: failures + 1 })
        }
        assert.deepStrictEqual(batches, [[0, 1, 2], [1, 2], [2]])
      })
    )
  })

  it.effect("all end with the error that the handler fails with", () =>
    withEngine(
      { handlers: ending((items) => Effect.fail(new Refused({ n: items.length }))) },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([1, 2, 3])
        const errors = yield* Effect.forEach(handles, ({ result }) => Effect.flip(result))
        assert.deepStrictEqual(errors, upTo(3).map(() => new Refused({ n: 3 })))
      })
    ))

  interface Broken {
    readonly fault: string
    readonly run: () => Effect.Effect<ReadonlyArray<Exit.Exit<number>>>
    readonly message: string
  }
  const broken: ReadonlyArray<Broken> = [
    { fault: "dies", run: () => Effect.die(new Error("it broke")), message: "it broke" },
    {
      fault: "throws",
      run: () => {
        throw new Error("it broke")
      },
      message: "it broke"
    },
    { fault: "is interrupted from within", run: () => Effect.interrupt, message: "interrupted from within" },
    {
      fault: "gives too few results",
      run: () => Effect.succeed([Exit.succeed(1), Exit.succeed(2)]),
      message: "expected 3, found 2"
    },
    { fault: "gives too many", run: () => Effect.succeed(upTo(4).map(Exit.succeed)), message: "expected 3, found 4" },
    { fault: "gives none", run: () => Effect.succeed([]), message: "expected 3, found 0" },
    {
      fault: "gives what throws when it is looked at",
      run: () => Effect.succeed(Object.defineProperty([0, 0, 0], 1, { get: () => assert.fail("a trap") }) as never),
      message: "a trap"
    },
    {
      fault: "gives no array",
      run: () => Effect.succeed(undefined as never),
      message: "expected 3, found no array"
    }
  ]

  it.effect.each(broken)("all have a defect where it $fault, and run again by their policy", ({ message, run }) => {
    let calls = 0
    const Patient = Task.make("work", {
      payload: Schema.Int,
      success: Schema.Int,
      retry: { times: 1, schedule: Schedule.spaced("1 second") }
    })
    const handlers = Patient.toBatchLayer(
      (items) => ++calls === 1 ? run() : Effect.succeed(items.map(() => Exit.succeed(7))),
      { max: 3 }
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handles = yield* Patient.enqueueAll([1, 2, 3])
        yield* quiesce
        for (const { id } of handles) {
          const { failures, history, state } = yield* record(id)
          assert.deepStrictEqual({ failures, state }, { failures: 1, state: "scheduled" })
          assert.strictEqual(history[0]?.failure?.kind, "defect")
          assert.include(history[0]?.failure?.message, message)
        }
        yield* pass("1 second")
        for (const { id } of handles) assert.deepInclude(yield* reaches(id, "completed"), { result: "7" })
        assert.strictEqual(calls, 2)
      })
    )
  })

  it.effect("keep their results where the one of another is no Exit, or does not fit its schema", () =>
    withEngine(
      { handlers: ending(() => Effect.succeed([Exit.succeed(1), 2 as never, Exit.succeed(1.5), Exit.succeed(4)])) },
      Effect.gen(function*() {
        const [one, two, three, four] = yield* enqueueAll(4)
        assert.deepInclude(yield* reaches(one!, "completed"), { result: "1" })
        assert.include((yield* reaches(two!, "failed")).failure?.message, "no Exit at place 2")
        assert.deepInclude((yield* reaches(three!, "failed")).failure, { kind: "invalid", tag: "InvalidResult" })
        assert.deepInclude(yield* reaches(four!, "completed"), { result: "4" })
      })
    ))

  it.effect("are without one whose payload does not fit its schema", () => {
    const Loose = Task.make("work", { payload: Schema.Finite, success: Schema.Int })
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 10 }) },
      Effect.gen(function*() {
        const [one, half, two] = yield* Loose.enqueueAll([1, 0.5, 2])
        assert.deepInclude((yield* reaches(half!.id, "failed")).failure, { kind: "invalid", tag: "InvalidPayload" })
        yield* reaches(one!.id, "completed")
        yield* reaches(two!.id, "completed")
        assert.deepStrictEqual(doubling.batches, [[1, 2]])
      })
    )
  })

  it.effect("are all snoozed by a snooze of the handler itself", () => {
    const handlers = Work.toBatchLayer(
      (items) =>
        items[0].context.attempt === 1
          ? items[0].context.snooze("1 minute")
          : Effect.succeed(items.map(() => Exit.succeed(1))),
      { max: 10 }
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const ids = yield* enqueueAll(2)
        for (const id of ids) assert.deepInclude(yield* reaches(id, "scheduled"), { failures: 0 })
        yield* pass("1 minute")
        for (const id of ids) yield* reaches(id, "completed")
      })
    )
  })

  it.effect("keep what is logged for them, and not what the handler logs for all; each has its line in the log", () => {
    const handlers = Work.toBatchLayer(
      Effect.fnUntraced(function*(items) {
        yield* Effect.log("all together")
        return yield* Effect.forEach(items, ({ payload, run }) => run(Effect.as(Effect.log(`it is ${payload}`), 1)))
      }),
      { max: 10 }
    )
    return withEngine(
      { handlers, worker: { logCompletions: "Info" } },
      Effect.gen(function*() {
        const ids = yield* enqueueAll(3)
        for (const id of ids) yield* reaches(id, "completed")
        yield* pass("1 second")
        for (const [index, id] of ids.entries()) {
          const [attempt] = yield* TaskQueue.use((queue) => queue.logs(id))
          assert.deepStrictEqual(attempt?.lines.map(({ text }) => text), [`it is ${index + 1}`])
        }
        assert.lengthOf(yield* Logs.matching(/^all together$/), 1)
        const lines = yield* Logs.matching(/^task work completed$/)
        assert.sameMembers(lines.map(({ annotations }) => annotations["job_id"]), [...ids])
      })
    )
  })

  it.effect("report progress and complete each by itself", () => {
    const gate = Latch.makeUnsafe()
    const handlers = Work.toBatchLayer(
      Effect.fnUntraced(function*(items) {
        for (const { context, payload } of items) yield* context.progress(payload / 10)
        yield* Effect.orDie(items[0].context.complete(100))
        yield* gate.await
        return items.map(({ payload }) => Exit.succeed(payload))
      }),
      { max: 10 }
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const [one, two, three] = yield* enqueueAll(3)
        yield* reaches(one!, "completed")
        yield* pass("1 second")
        assert.deepInclude(yield* record(two!), { state: "running", progress: 0.2 })
        assert.deepInclude(yield* record(three!), { state: "running", progress: 0.3 })
        gate.openUnsafe()
        assert.deepInclude(yield* reaches(two!, "completed"), { result: "2" })
        assert.deepInclude(yield* record(one!), { state: "completed", result: "100", claims: 1 })
      })
    )
  })
})

/** A handler that waits, and tells what became of its tasks; the batch goes on until {@link open}. */
class Watching {
  readonly stopped: Array<number> = []
  readonly interruptions: Array<number> = []
  starts = 0
  private readonly latch = Latch.makeUnsafe()

  readonly layer = (options: BatchingOptions, finalizing = Effect.void) =>
    Work.toBatchLayer(
      Effect.fnUntraced({ self: this }, function*(items: Items) {
        this.starts++
        for (const item of items) {
          yield* Effect.forkChild(Effect.map(item.stopped, () => this.stopped.push(item.payload)))
        }
        yield* Effect.onInterrupt(this.latch.await, () =>
          Effect.andThen(finalizing, Effect.map(Clock.currentTimeMillis, (now) => this.interruptions.push(now))))
        const open = yield* Effect.filter(items, ({ isStopped }) =>
          Effect.map(isStopped, (stopped) => !stopped))
        return items.map((item) => open.includes(item) ? Exit.succeed(open.length) : Exit.die("it is ignored"))
      }),
      options
    )

  open(): void {
    this.latch.openUnsafe()
  }
}

describe("a task that ends before its batch", () => {
  it.effect("since it was cancelled leaves the others, whose handler hears of it", () => {
    const watching = new Watching()
    return withEngine(
      { handlers: watching.layer({ max: 10 }) },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([1, 2, 3])
        yield* quiesce
        assert.strictEqual(yield* handles[1]!.cancel, "requested")
        assert.deepInclude(yield* reaches(handles[1]!.id, "cancelled"), { failures: 0 })
        yield* quiesce
        assert.deepStrictEqual([watching.stopped, watching.interruptions], [[2], []])
        watching.open()
        assert.deepInclude(yield* reaches(handles[0]!.id, "completed"), { result: "2" })
        assert.deepInclude(yield* reaches(handles[2]!.id, "completed"), { result: "2" })
        assert.strictEqual((yield* record(handles[1]!.id)).state, "cancelled")
      })
    )
  })

  it.effect("since it was cancelled while others were waited for is not in the batch", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 3, within: "1 minute" }) },
      Effect.gen(function*() {
        const [one, two] = yield* Work.enqueueAll([1, 2])
        yield* quiesce
        yield* one!.cancel
        yield* reaches(one!.id, "cancelled")
        yield* Work.enqueue(3)
        yield* quiesce
        assert.deepStrictEqual(doubling.batches, [])
        yield* Work.enqueue(4)
        yield* quiesce
        assert.deepStrictEqual(doubling.batches, [[2, 3, 4]])
        yield* reaches(two!.id, "completed")
      })
    )
  })

  it.effect("as the last one ends the wait, and the next task has a wait of its own", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 3, within: "10 seconds" }) },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([1, 2])
        yield* pass("5 seconds")
        for (const { cancel } of handles) yield* cancel
        for (const { id } of handles) yield* reaches(id, "cancelled")
        yield* Work.enqueue(3)
        yield* pass("9 seconds")
        assert.deepStrictEqual(doubling.batches, [])
        yield* pass("1 second")
        assert.deepStrictEqual(doubling.batches, [[3]])
      })
    )
  })

  it.effect("since its time was up spends its own retry alone", () => {
    const watching = new Watching()
    return withEngine(
      { handlers: watching.layer({ max: 10 }) },
      Effect.gen(function*() {
        const one = yield* Work.enqueueAll([1, 2], { timeout: "3 seconds" })
        const two = yield* Work.enqueue(3, { timeout: "5 seconds" })
        const three = yield* Work.enqueue(4)
        yield* pass("3 seconds")
        for (const { id } of one) {
          assert.deepInclude((yield* reaches(id, "failed")).failure, { kind: "timeout" })
        }
        assert.strictEqual((yield* record(two.id)).state, "running")
        yield* pass("2 seconds")
        assert.deepInclude((yield* reaches(two.id, "failed")).failure, { kind: "timeout" })
        watching.open()
        yield* reaches(three.id, "completed")
      })
    )
  })

  it.effect("since its lease was lost settles nothing", () => {
    const watching = new Watching()
    return withEngine(
      { handlers: watching.layer({ max: 10 }) },
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [one, two] = yield* enqueueAll(2)
        yield* quiesce
        const { claim } = yield* record(one!)
        yield* store.settle([{ _tag: "Complete", id: one!, claim, result: "42" }])
        yield* pass("10 seconds")
        assert.deepStrictEqual(watching.stopped, [1])
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 1)
        watching.open()
        assert.deepInclude(yield* reaches(two!, "completed"), { result: "1" })
        assert.deepInclude(yield* record(one!), { state: "completed", result: "42" })
      })
    )
  })

  it.effect("as the last one interrupts the handler, and ends after its finalizers", () => {
    const watching = new Watching()
    return withEngine(
      { handlers: watching.layer({ max: 10 }, Effect.sleep("2 seconds")) },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([1, 2, 3])
        yield* quiesce
        yield* handles[0]!.cancel
        yield* reaches(handles[0]!.id, "cancelled")
        yield* TaskQueue.use((queue) => queue.cancel([handles[1]!.id, handles[2]!.id]))
        yield* quiesce
        assert.deepInclude(yield* record(handles[1]!.id), { state: "running", cancelRequested: true })
        assert.deepInclude(yield* record(handles[2]!.id), { state: "running", cancelRequested: true })
        yield* pass("2 seconds")
        assert.deepStrictEqual(watching.interruptions, [2000])
        yield* reaches(handles[1]!.id, "cancelled")
        yield* reaches(handles[2]!.id, "cancelled")
        watching.open()
        assert.strictEqual(watching.starts, 1)
      })
    )
  })

  it.effect("is given up like any when the handler resists", () => {
    const handlers = Work.toBatchLayer(
      (items) => Effect.as(Effect.uninterruptible(Effect.sleep("1 minute")), items.map(() => Exit.succeed(1))),
      { max: 10 }
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([1, 2], { timeout: "1 second" })
        yield* pass("5999 millis")
        assert.strictEqual((yield* record(handles[1]!.id)).state, "running")
        yield* pass("1 millis")
        for (const { id } of handles) {
          assert.deepInclude((yield* reaches(id, "failed")).failure, { kind: "timeout" })
        }
        assert.strictEqual(yield* WorkerPool.use((pool) => pool.active), 0)
        yield* pass("1 minute")
      })
    )
  })

  it.effect("interrupts what the handler runs for it, and nothing else", () => {
    const ends: Array<string> = []
    const handlers = Work.toBatchLayer(
      (items) =>
        Effect.forEach(items, (item) =>
          Effect.map(item.run(Effect.delay(Effect.succeed(1), "10 seconds")), (exit) => {
            ends.push(
              `${item.payload} ${Exit.isSuccess(exit) ? "ended" : Exit.hasInterrupts(exit) ? "stopped" : "failed"}`
            )
            return exit
          }), { concurrency: "unbounded" }),
      { max: 10 }
    )
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll([1, 2])
        yield* pass("1 second")
        yield* handles[0]!.cancel
        yield* quiesce
        assert.deepStrictEqual(ends, ["1 stopped"])
        yield* pass("9 seconds")
        assert.deepStrictEqual(ends, ["1 stopped", "2 ended"])
        yield* reaches(handles[1]!.id, "completed")
      })
    )
  })

  it.effect("does not wait for others if it has no time for it", () => {
    const doubling = new Doubling()
    return withEngine(
      { handlers: doubling.layer({ max: 10, within: "10 seconds" }) },
      Effect.gen(function*() {
        const patient = yield* Work.enqueue(1)
        yield* pass("1 second")
        const hasty = yield* Work.enqueue(2, { timeout: "10 seconds" })
        yield* reaches(hasty.id, "completed")
        yield* reaches(patient.id, "completed")
        assert.deepStrictEqual(doubling.batches, [[1, 2]])
      })
    )
  })
})

describe("a shutdown", () => {
  const busy = Effect.fnUntraced(function*(handlers: Layer.Layer<never, never, HandlerRegistry>, tasks: number) {
    const engine = yield* start({ handlers })
    const ids = yield* Effect.provide(enqueueAll(tasks), engine.context)
    yield* quiesce
    return { engine, ids }
  })

  it.effect("lets a batch go that waits for others: nothing else can come", () => {
    const doubling = new Doubling()
    return withStore(
      {},
      Effect.gen(function*() {
        const { engine, ids } = yield* busy(doubling.layer({ max: 10, within: "1 hour" }), 3)
        assert.deepStrictEqual(doubling.sizes, [])
        assert.strictEqual((yield* passing("1 second", engine.close)).tookMs, 0)
        for (const id of ids) assert.deepInclude(yield* record(id), { state: "completed", claims: 1 })
        assert.deepStrictEqual(doubling.sizes, [3])
      })
    )
  })

  it.effect("releases the tasks of a batch that outlasts it, after the handler's finalizers: no retry is spent", () => {
    const watching = new Watching()
    return withStore(
      {},
      Effect.gen(function*() {
        const { engine, ids } = yield* busy(watching.layer({ max: 10 }, Effect.sleep("1 second")), 3)
        assert.strictEqual((yield* passing("30 seconds", engine.close)).tookMs, 21_000)
        assert.deepStrictEqual(watching.interruptions, [21_000])
        for (const id of ids) {
          const task = yield* record(id)
          assert.deepInclude(task, { state: "pending", failures: 0, crashes: 0, claims: 1 })
          assert.deepStrictEqual(task.history.map(({ outcome }) => outcome), ["released"])
        }
      })
    )
  })
})

describe("the options of a batch handler", () => {
  const refused = (options: object, timeout?: Duration.Input) => {
    try {
      Task.make("short", { timeout }).toBatchLayer(() => Effect.succeed([]), options as BatchingOptions)
    } catch (error) {
      return String(error)
    }
    return "accepted"
  }

  it.each([
    [{ max: 0 }, "max is 0; expected an integer from 1 to 10000"],
    [{ max: 10_001 }, "max is 10001"],
    [{ max: 1.5 }, "max is 1.5"],
    [{ max: NaN }, "max is NaN"],
    [{}, "max is"],
    [{ max: "10" }, "max is"],
    [{ max: 1, within: -1 }, "within is -1; expected a duration from 0 to 1 hour"],
    [{ max: 1, within: "61 minutes" }, "within is"],
    [{ max: 1, within: Infinity }, "within is Infinity"],
    [{ max: 1, within: "soon" }, "within is"],
    [{ max: 1, wthin: 1 }, "option wthin is unknown"]
  ])("have bounds: %j", (options, message) => {
    assert.include(refused(options), message)
  })

  it("may be their bounds", () => {
    assert.strictEqual(refused({ max: 1, within: 0 }), "accepted")
    assert.strictEqual(refused({ max: 10_000, within: "1 hour" }), "accepted")
  })

  it("leave a task time to run", () => {
    assert.include(refused({ max: 1, within: "5 seconds" }, "5 seconds"), "shorter than the timeout of task type")
    assert.strictEqual(refused({ max: 1, within: "4 seconds" }, "5 seconds"), "accepted")
  })
})

describe("a batch handler without a pool", () => {
  it.effect("gets the items of a `batch` task one by one, without a wait", () => {
    const doubling = new Doubling()
    const handlers = Layer.merge(doubling.layer({ max: 10, within: "1 hour" }), BatchLive)
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        const handle = yield* Batch.enqueue({
          type: "work",
          items: [1, 2, 3],
          chunk_size: 10,
          concurrency: 4,
          stop_on_failure: false
        })
        yield* reaches(handle.id, "completed")
        const { items } = yield* handle.result
        assert.deepStrictEqual(items.map(({ result }) => result), [2, 4, 6])
        assert.deepStrictEqual(doubling.batches, [[1], [2], [3]])
      })
    )
  })
})

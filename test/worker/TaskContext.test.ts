import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Schedule, Schema, Tracer } from "effect"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { Logs, pass, passing, quiesce, reaches, record, withEngine } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work", { queue: "lane", retry: { schedule: Schedule.spaced("1 second") } })

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"

describe("a handler", () => {
  it.effect("knows the attempt it runs in", () => {
    const seen: Array<object> = []
    const handlers = Work.toLayer(() =>
      Effect.gen(function*() {
        const { attempt, claim, id, instance, queue, slot, type } = yield* TaskContext
        seen.push({ attempt, claim, id, instance, queue, slot, type })
        if (attempt < 3) return yield* Effect.die("again")
      })
    )
    return withEngine(
      { handlers, instance: "here" },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* pass("5 seconds")
        const same = { id, instance: "here", queue: "lane", slot: 1, type: "work" }
        assert.deepStrictEqual(seen, [1, 2, 3].map((n) => ({ attempt: n, claim: n, ...same })))
      })
    )
  })

  it.effect("logs lines that name its task, also where the program annotates its own", () =>
    withEngine(
      {
        handlers: Work.toLayer(() => Effect.annotateLogs(Effect.logInfo("mine"), { tenant: "acme" })),
        instance: "here"
      },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue().pipe(Effect.withParentSpan(Tracer.externalSpan({ traceId, spanId })))
        yield* reaches(id, "completed")
        const line = (yield* Logs).find(({ message }) => message === "mine")
        assert.deepStrictEqual(line?.annotations, {
          module: "handlers:work",
          worker_id: "here/1",
          job_id: id,
          attempt: 1,
          trace_id: traceId,
          tenant: "acme"
        })
      })
    ))

  it.effect("gets a slot that no other attempt has at the time", () => {
    const busy = new Set<number>()
    const handlers = Work.toLayer(() =>
      Effect.gen(function*() {
        const { slot } = yield* TaskContext
        assert.isFalse(busy.has(slot))
        assert.isTrue(slot >= 1 && slot <= 4)
        busy.add(slot)
        yield* Effect.sleep(slot * 10)
        busy.delete(slot)
      })
    )
    return withEngine(
      { handlers, worker: { concurrency: 4 } },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll(Array.from({ length: 40 }, () => undefined))
        yield* passing("10 seconds", Effect.forEach(handles, ({ result }) => result))
      })
    )
  })
})

describe("progress", () => {
  /** Reports these fractions, each a moment after the one before. */
  const reporting = (gap: number, ...fractions: ReadonlyArray<number>) =>
    Work.toLayer(() =>
      Effect.gen(function*() {
        const { progress } = yield* TaskContext
        for (const fraction of fractions) {
          yield* progress(fraction)
          yield* Effect.sleep(gap)
        }
        yield* Effect.sleep("1 minute")
      })
    )

  it.effect("is stored within a second", () =>
    withEngine(
      { handlers: reporting(10_000, 0.25, 0.75) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* quiesce
        assert.isNull((yield* record(id)).progress)
        yield* pass("1 second")
        assert.strictEqual((yield* record(id)).progress, 0.25)
        yield* pass("10 seconds")
        assert.strictEqual((yield* record(id)).progress, 0.75)
      })
    ))

  it.effect("costs one write for many reports, and the last one counts", () =>
    withEngine(
      { handlers: reporting(1, ...Array.from({ length: 101 }, (_, n) => n / 100)) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const handles = yield* Work.enqueueAll([undefined, undefined, undefined])
        yield* pass("1 second")
        for (const { id } of handles) assert.strictEqual((yield* record(id)).progress, 1)
        assert.isAtMost(store.calls("report"), 2)
      })
    ))

  it.effect("stays between 0 and 1", () =>
    withEngine(
      { handlers: reporting(2000, 7, -3) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* pass("1 second")
        assert.strictEqual((yield* record(id)).progress, 1)
        yield* pass("2 seconds")
        assert.strictEqual((yield* record(id)).progress, 0)
      })
    ))

  it.effect("that is no number is no report, whatever it is", () =>
    withEngine(
      { handlers: reporting(0, 0.5, ...[NaN, "0.7", null, undefined, 1n, {}] as ReadonlyArray<any>) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* pass("1 second")
        assert.deepInclude(yield* record(id), { state: "running", progress: 0.5 })
      })
    ))

  it.effect("is not lost when the store fails for a moment", () =>
    withEngine(
      { handlers: reporting(60_000, 0.5) },
      Effect.gen(function*() {
        const store = yield* TestStore
        const { id } = yield* Work.enqueue()
        yield* reaches(id, "running")
        store.down("report")
        yield* pass("1 second")
        store.up()
        yield* pass("10 seconds")
        assert.strictEqual((yield* record(id)).progress, 0.5)
      })
    ))
})

describe("snooze", () => {
  /** Snoozes once, and notes when it runs. */
  const napping = (delay: number, runs: Array<number>) =>
    Work.toLayer(() =>
      Effect.gen(function*() {
        const { snooze } = yield* TaskContext
        runs.push(yield* Clock.currentTimeMillis)
        if (runs.length === 1) return yield* snooze(delay)
      })
    )

  it.effect("runs the task again after the delay, and spends nothing", () => {
    const runs: Array<number> = []
    return withEngine(
      { handlers: napping(90_000, runs) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue(undefined, { maxRetries: 0 })
        assert.strictEqual((yield* reaches(id, "scheduled")).dueAt, 90_000)
        yield* pass("90 seconds")
        const task = yield* reaches(id, "completed")
        assert.deepStrictEqual(runs, [0, 90_000])
        assert.deepInclude(task, { failures: 0, crashes: 0, claims: 2 })
        assert.deepStrictEqual(task.history.map(({ outcome }) => outcome), ["snoozed"])
      })
    )
  })

  it.effect("keeps to its delay when that is shorter than the poll interval", () => {
    const runs: Array<number> = []
    return withEngine(
      { handlers: napping(20, runs), worker: { pollInterval: "10 seconds" } },
      Effect.gen(function*() {
        yield* Work.enqueue()
        yield* pass("30 seconds")
        assert.deepStrictEqual(runs, [0, 20])
      })
    )
  })
})

describe("completing early", () => {
  const Ship = Task.make("ship", { success: Schema.Struct({ shipped: Schema.Int }) })
  const Other = Task.make("other")

  it.effect("gives the result back, so that a handler ends with it", () =>
    withEngine(
      {
        handlers: Layer.mergeAll(
          Ship.toLayer((_, { attempt, complete }) => Effect.orDie(complete({ shipped: attempt }))),
          Other.toLayer(() => Effect.orDie(Other.complete()))
        )
      },
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Ship.execute(), { shipped: 1 })
        assert.isUndefined(yield* Other.execute())
      })
    ))

  it.effect("is refused of a task of another type", () =>
    withEngine(
      { handlers: Ship.toLayer(() => Effect.as(Effect.orDie(Other.complete()), { shipped: 0 })) },
      Effect.gen(function*() {
        const { id } = yield* Ship.enqueue(undefined, { maxRetries: 0 })
        const { failure } = yield* reaches(id, "failed")
        assert.deepInclude(failure, { kind: "defect", message: "This attempt is of a task of type ship, not other" })
      })
    ))
})

describe("a layer of a handler", () => {
  class Counter extends Context.Service<Counter, { readonly next: Effect.Effect<number> }>()("Counter") {}
  const Count = Task.make("count", { success: Schema.Int })

  it.effect("may make its handler once, with its services, and keeps what it needs until it closes", () => {
    const steps: Array<string> = []
    const CountLive = Count.toLayer(Effect.gen(function*() {
      const { next } = yield* Counter
      yield* Effect.acquireRelease(
        Effect.sync(() => steps.push("made")),
        () => Effect.sync(() => steps.push("closed"))
      )
      return () => next
    }))
    let count = 0
    const counter = Layer.succeed(Counter, { next: Effect.sync(() => ++count) })
    return Effect.gen(function*() {
      yield* withEngine(
        { handlers: CountLive.pipe(Layer.provide(counter)) },
        Effect.gen(function*() {
          const counts = yield* Effect.forEach([1, 2, 3], () => Count.execute())
          assert.deepStrictEqual(counts, [1, 2, 3])
          assert.deepStrictEqual(steps, ["made"])
        })
      )
      assert.deepStrictEqual(steps, ["made", "closed"])
    })
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, Schedule } from "effect"
import { Recorder } from "../../src/observability/Metrics.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { pass, quiesce, reaches, withEngine, withStore } from "../engine/TestEngine.ts"

/** The state of a metric by its attributes; counters as numbers. */
const read = Effect.fnUntraced(function*(id: string, attributes: Record<string, string> = {}) {
  const found = (yield* Metric.snapshot).find((metric) =>
    metric.id === id &&
    Object.entries(attributes).every(([name, value]) => metric.attributes?.[name] === value)
  )
  return found?.state as { readonly count?: number; readonly value?: number; readonly sum?: number } | undefined
})
const count = (id: string, attributes?: Record<string, string>) =>
  Effect.map(read(id, attributes), (state) => state?.count ?? 0)

const Work = Task.make("work", { retry: { times: 1, schedule: Schedule.spaced("1 second") } })

const Timed = Task.make("timed", { queue: "counters", retry: { schedule: Schedule.spaced("1 second") } })

describe("the metrics", () => {
  it.effect("count what was created and how attempts ended, by type", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.andThen(Effect.sleep("2 seconds"), Effect.die("broken"))) },
      Effect.gen(function*() {
        yield* Work.enqueue(undefined, { key: "one" })
        yield* Work.enqueue(undefined, { key: "one" })
        const cancelled = yield* Work.enqueue()
        yield* reaches(cancelled.id, "running")
        yield* cancelled.cancel
        yield* pass("10 seconds")
        assert.strictEqual(yield* count("taskforge_tasks_created_total", { type: "work" }), 2)
        const outcomes = { retry: 1, fail: 1, cancel: 1, complete: 0 }
        for (const [outcome, expected] of Object.entries(outcomes)) {
          const found = yield* count("taskforge_attempts_total", { type: "work", outcome })
          assert.strictEqual(found, expected, outcome)
        }
        assert.strictEqual(yield* count("taskforge_tasks_failed_total", { type: "work" }), 1)
        assert.strictEqual(yield* count("taskforge_tasks_processed_total", { type: "work" }), 0)
      })
    ))

  it.effect("count a task that its handler has completed as completed, whatever the handler did afterwards", () =>
    withEngine(
      {
        handlers: Work.toLayer(() => Effect.andThen(Effect.orDie(Work.complete()), Effect.die("afterwards")))
      },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* reaches(id, "completed")
        yield* pass("10 seconds")
        for (const [outcome, expected] of Object.entries({ retry: 0, fail: 0, complete: 1 })) {
          const found = yield* count("taskforge_attempts_total", { type: "work", outcome })
          assert.strictEqual(found, expected, outcome)
        }
        assert.strictEqual(yield* count("taskforge_tasks_processed_total", { type: "work" }), 1)
      })
    ))

  it.effect("measure in seconds how long tasks wait and run", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.sleep("2 seconds")), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll([undefined, undefined])
        yield* pass("10 seconds")
        assert.deepInclude(yield* read("taskforge_task_duration_seconds", { type: "work" }), { count: 2, sum: 4 })
        assert.deepInclude(yield* read("taskforge_task_wait_seconds", { type: "work" }), { count: 2, sum: 2 })
        assert.strictEqual(yield* count("taskforge_tasks_processed_total", { type: "work" }), 2)
      })
    ))

  it.effect("count once for each task that should start within a time whether its first start was in time", () =>
    withEngine(
      {
        handlers: Timed.toLayer(() =>
          Effect.flatMap(
            TaskContext,
            ({ attempt, snooze }) =>
              attempt === 1 ? snooze("10 seconds") : attempt < 4 ? Effect.die("broken") : Effect.sleep("2 seconds")
          )
        ),
        worker: { concurrency: 1 }
      },
      Effect.gen(function*() {
        const starts = (outcome: string, attributes: Record<string, string> = { queue: "counters", type: "timed" }) =>
          count("taskforge_task_starts_total", { ...attributes, outcome })
        // A task without such a time is not counted
        yield* Timed.enqueue(undefined, { queue: "others" })
        const { id } = yield* Timed.enqueue(undefined, { startWithin: "1 second", maxRetries: 1 })
        yield* pass("20 seconds")
        yield* reaches(id, "failed")
        assert.deepStrictEqual([yield* starts("in_time"), yield* starts("late")], [1, 0])
        const queue = yield* TaskQueue
        yield* queue.pause("counters")
        yield* queue.rerun(id)
        yield* pass("3 seconds")
        yield* queue.resume("counters")
        yield* pass("5 seconds")
        yield* reaches(id, "completed")
        assert.deepStrictEqual([yield* starts("in_time"), yield* starts("late")], [1, 1])
        assert.strictEqual(yield* starts("in_time", { queue: "others" }), 0)
      })
    ))

  it.effect("count starts of queues and types beyond a bound under one name", () =>
    Effect.gen(function*() {
      const recorder = new Recorder(yield* Effect.context<never>())
      for (let n = 0; n < 2000; n++) recorder.started(`hostile ${n % 40}`, `hostile ${n}`, n % 2 === 0)
      const counted = (yield* Metric.snapshot).filter(({ attributes, id }) =>
        id === "taskforge_task_starts_total" &&
        (attributes?.["type"]?.startsWith("hostile") === true || attributes?.["type"] === "other")
      )
      assert.strictEqual(counted.length, 2 * 200)
      assert.strictEqual(yield* count("taskforge_task_starts_total", { type: "other", outcome: "late" }), 900)
    }))

  it.effect("show how many workers there are and how many are busy, while they are", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.sleep("2 seconds")), worker: { concurrency: 5 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll([undefined, undefined, undefined])
        yield* pass("1 second")
        assert.strictEqual((yield* read("taskforge_slots"))?.value, 5)
        assert.strictEqual((yield* read("taskforge_slots_active"))?.value, 3)
        yield* pass("2 seconds")
        assert.strictEqual((yield* read("taskforge_slots_active"))?.value, 0)
      })
    ))

  it.effect("count attempts that were given up", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.uninterruptible(Effect.sleep("1 minute"))) },
      Effect.gen(function*() {
        const { cancel } = yield* Work.enqueue()
        yield* quiesce
        yield* cancel
        yield* pass("10 seconds")
        assert.strictEqual(yield* count("taskforge_attempts_abandoned_total"), 1)
        yield* pass("1 minute")
      })
    ))

  it.effect("do not grow for ever, however many type names there are", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const recorder = new Recorder(yield* Effect.context<never>())
        for (let n = 0; n < 2000; n++) recorder.created(`type ${n}`, 1)
        recorder.created("type 0", 1)
        const series = (yield* Metric.snapshot).filter(({ id }) => id === "taskforge_tasks_created_total")
        assert.isAtMost(series.length, 201)
        assert.strictEqual(yield* count("taskforge_tasks_created_total", { type: "type 0" }), 2)
        assert.strictEqual(yield* count("taskforge_tasks_created_total", { type: "other" }), 1800)
      })
    ))
})

import { assert, describe, it } from "@effect/vitest"
import { Cause, DateTime, type Duration, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import { DependencyCycle, DependencyFailed, UnknownDependency } from "../../src/domain/DependencyErrors.ts"
import { InvalidOption } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { eventually, passing as passingIn, withEngine } from "../engine/TestEngine.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { part: Schema.Int }) {}

const Count = Task.make("count", {
  payload: { part: Schema.Int },
  success: Schema.Struct({ found: Schema.Int, at: Schema.DateTimeUtc }),
  error: Broken,
  retry: { times: 0 }
})
const Other = Task.make("other", { success: Schema.String })
const Sum = Task.make("sum", { success: Schema.Struct({ total: Schema.Int, failed: Schema.Array(Schema.Int) }) })

const partOf = (exit: Exit.Exit<unknown, unknown>): ReadonlyArray<number> => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  return error instanceof Broken ? [error.part] : []
}

const handlers = Layer.mergeAll(
  Count.toLayer(({ part }) =>
    part < 0
      ? Effect.fail(new Broken({ part }))
      : Effect.map(DateTime.now, (at) => ({ found: part * 10, at }))
  ),
  Other.toLayer(() => Effect.succeed("done")),
  Sum.toLayer(() =>
    Effect.map(Effect.orDie(Count.results), (results) => {
      const found = results.flatMap(({ exit }) => Exit.isSuccess(exit) ? [exit.value] : [])
      assert.isTrue(found.every(({ at }) => DateTime.isUtc(at)))
      return {
        total: found.reduce((sum, { found }) => sum + found, 0),
        failed: results.flatMap(({ exit }) => partOf(exit))
      }
    })
  )
)

/** What an effect gives while time passes. */
const passing = <A, E, R>(atMost: Duration.Input, effect: Effect.Effect<A, E, R>) =>
  Effect.map(passingIn(atMost, effect), ({ value }) => value)

/** No instance handles anything. */
const idle = {}

describe("a task that depends on others", () => {
  it.effect("has the results of those of each type, decoded, once they have ended", () =>
    withEngine(
      { handlers },
      Effect.gen(function*() {
        const counts = yield* Count.enqueueAll([{ part: 1 }, { part: 2 }, { part: 3 }])
        const other = yield* Other.enqueue()
        const sum = yield* Sum.enqueue(undefined, { after: [...counts, other.id] })
        // no time passes: the pool is told that the last of them has ended
        const fiber = yield* Effect.forkChild(sum.result)
        yield* eventually(Effect.sync(() => fiber.pollUnsafe() !== undefined), () => "It is not told")
        assert.deepStrictEqual(yield* Fiber.join(fiber), { total: 60, failed: [] })
      })
    ))

  it.effect("is not run when one of them fails, and says which, to who waits already too", () =>
    withEngine(
      { handlers },
      Effect.gen(function*() {
        const bad = yield* Count.enqueue({ part: -1 }, { delay: "1 minute" })
        const sum = yield* Sum.enqueue(undefined, { after: [bad] })
        const last = yield* Other.enqueue(undefined, { after: [sum] })
        const error = yield* passing("2 minutes", Effect.flip(last.result))
        assert.instanceOf(error, DependencyFailed)
        assert.deepStrictEqual(error.dependency, { id: sum.id, state: "failed" })
        assert.include(error.message, sum.id)
        const { attempt: _, ...failure } = { attempt: 0, ...(yield* sum.task).failure }
        assert.deepInclude(failure, { kind: "dependency", dependency: { id: bad.id, state: "failed" } })
      })
    ))

  it.effect("runs all the same when it is to, and sees what failed", () =>
    withEngine(
      { handlers },
      Effect.gen(function*() {
        const counts = yield* Count.enqueueAll([{ part: 4 }, { part: -2 }])
        const sum = yield* Sum.enqueue(undefined, { after: counts, onFailure: "run" })
        assert.deepStrictEqual(yield* passing("1 minute", sum.result), { total: 40, failed: [-2] })
      })
    ))

  it.effect("comes in a batch with those that it depends on, by ids that the caller chooses", () =>
    withEngine(
      { handlers },
      Effect.gen(function*() {
        const ids = ["c", "b", "a"]
        const tasks = yield* Other.enqueueAll([undefined, undefined, undefined], {
          each: (_, index) => ({ id: ids[index], after: ids.slice(index + 1) })
        })
        yield* passing("1 minute", Effect.forEach(tasks, ({ result }) => result))
        const started = yield* Effect.forEach(tasks, ({ id }) => TaskStore.use((store) => store.get(id)))
        const claims = started.map((task) => task!.claim)
        assert.deepStrictEqual(claims, claims.toSorted((a, b) => b - a))
      })
    ))

  it.effect("is refused where that is not possible, with a typed error", () =>
    withEngine(
      { handlers },
      Effect.gen(function*() {
        const unknown = yield* Effect.flip(Other.enqueue(undefined, { after: ["nothing"] }))
        assert.instanceOf(unknown, UnknownDependency)
        assert.deepInclude(unknown, { id: "nothing", index: 0 })
        const cycle = yield* Effect.flip(Other.enqueueAll([undefined, undefined], {
          each: (_, index) => ({ id: `${index}`, after: [`${1 - index}`] })
        }))
        assert.instanceOf(cycle, DependencyCycle)
        assert.strictEqual(cycle.message, "Tasks depend on each other in a circle, so none can start: 0, 1, 0")
        for (
          const options of [{ after: "a" }, { after: [1] }, { after: [""] }, { after: [null] }, { onFailure: "stop" }]
        ) {
          assert.instanceOf(yield* Effect.flip(Other.enqueue(undefined, options as never)), InvalidOption)
        }
        assert.strictEqual((yield* TaskQueue.use((queue) => queue.counts)).totals.created, 0)
      })
    ))

  it.effect("is answered as it is stored: it may have ended already", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const done = yield* Other.enqueue()
        yield* done.cancel
        const create = (id: string, options: object) =>
          Effect.map(
            queue.create([{ definition: Other, payload: "null", options: { id, ...options } }]),
            ([created]) => created!.task!
          )
        const failed = yield* create("failed", { after: [done.id] })
        assert.deepInclude(failed, { state: "failed", onFailure: "fail", waitsFor: 0 })
        const open = yield* create("open", { delay: "1 hour" })
        assert.deepInclude(yield* create("waits", { after: [open.id] }), { state: "scheduled", waitsFor: 1 })
      })
    ))

  it.effect("is explained by those that have not ended", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        const explain = (id: string) => TaskQueue.use((queue) => queue.explain(id))
        const open = yield* Other.enqueueAll([undefined, undefined], { delay: "1 hour" })
        const ids = open.map(({ id }) => id)
        const waits = yield* Sum.enqueue(undefined, { after: open })
        const gone = yield* Sum.enqueue(undefined, { after: open, onFailure: "cancel" })
        const { reasons, state, summary } = yield* explain(waits.id)
        assert.strictEqual(state, "scheduled")
        assert.deepInclude(reasons[0], { code: "dependency_open", open: 2, tasks: ids })
        assert.strictEqual(summary, `It waits until 2 tasks that it depends on have ended: ${ids.join(", ")}.`)
        yield* open[0]!.cancel
        const { summary: failed } = yield* explain(waits.id)
        assert.include(failed, `It failed: The task ${ids[0]}, which this one depends on, was cancelled.`)
        const { summary: cancelled } = yield* explain(gone.id)
        assert.include(cancelled, `It was cancelled: The task ${ids[0]}, which this one depends on, was cancelled.`)
      })
    ))

  it.effect("wakes a pool that is idle when an operator's cancel releases it", () =>
    withEngine(
      { handlers, worker: { pollInterval: "1 hour" }, queue: { pollInterval: "1 hour" } },
      Effect.gen(function*() {
        const open = yield* Other.enqueue(undefined, { delay: "10 hours" })
        const next = yield* Other.enqueue(undefined, { after: [open], onFailure: "run" })
        yield* passing("1 second", Effect.sleep("500 millis"))
        yield* open.cancel
        assert.strictEqual(yield* passing("2 seconds", next.result), "done")
      })
    ))
})

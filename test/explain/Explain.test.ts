import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { TaskNotFound } from "../../src/domain/Errors.ts"
import type { Explanation } from "../../src/explain/Explain.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"
import { Gate } from "../engine/Gate.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { pass, reaches, start, withEngine, withStore } from "../engine/TestEngine.ts"

const Work = Task.make("work")
const Other = Task.make("other", { queue: "others" })

const explain = (id: string) => TaskQueue.use((queue) => queue.explain(id))

const codesOf = ({ reasons }: Explanation) => reasons.map(({ code }) => code)

describe("an explanation", () => {
  it.effect("names every reason for which a task waits, and no other, until it runs", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        // The instance has said what it handles
        yield* pass("1 second")
        const now = yield* DateTime.now
        yield* queue.pause("default", { by: "ada", reason: "Lunch", for: "1 hour" })
        const later = yield* Work.enqueue(undefined, { delay: "2 hours" })
        const first = yield* explain(later.id)
        assert.deepStrictEqual(codesOf(first), ["not_due", "queue_paused"])
        assert.deepStrictEqual(first.mayStartAt, Option.some(DateTime.addDuration(now, "2 hours")))
        assert.include(first.summary, "It is due in 2h")
        const paused = yield* Work.enqueue()
        const second = yield* explain(paused.id)
        assert.deepStrictEqual(codesOf(second), ["queue_paused"])
        assert.deepStrictEqual(second.mayStartAt, Option.some(DateTime.addDuration(now, "1 hour")))
        assert.include(second.summary, "paused by ada until")
        assert.include(second.summary, "Lunch")
        yield* queue.pause("default")
        assert.deepStrictEqual((yield* explain(paused.id)).mayStartAt, Option.none())

        const nobody = yield* Other.enqueue()
        const third = yield* explain(nobody.id)
        assert.deepStrictEqual(codesOf(third), ["no_handler"])
        assert.deepInclude(third.reasons[0], { instances: 1 })

        yield* queue.resume("default")
        yield* reaches(paused.id, "running")
        const running = yield* explain(paused.id)
        assert.deepStrictEqual([running.state, codesOf(running)], ["running", []])
        assert.match(running.summary, /^It runs on .* since /)
        const busy = yield* Work.enqueue()
        // Instances say twice in a lease what they run
        yield* pass("30 seconds")
        const fourth = yield* explain(busy.id)
        assert.deepStrictEqual(codesOf(fourth), ["behind"])
        assert.deepInclude(fourth.reasons[0], { pending: 1, slots: 1, busy: 1 })
        assert.strictEqual(
          fourth.summary,
          "It is due, and waits for the one slot, which is busy; no other due task of its queue and type waits."
        )
        // It is due by now, and no claim has looked at it: none is made while the slot is busy
        const due = yield* Work.enqueue(undefined, { delay: "1 second" })
        yield* pass("2 seconds")
        const fifth = yield* explain(due.id)
        assert.deepStrictEqual([fifth.state, codesOf(fifth)], ["scheduled", ["behind"]])
        assert.deepInclude(fifth.reasons[0], { pending: 2, slots: 1, busy: 1 })
        assert.include(fifth.summary, "; 2 due tasks of its queue and type wait.")

        gate.open()
        yield* busy.result
        assert.deepInclude(yield* explain(busy.id), { state: "completed", summary: "It has completed.", reasons: [] })
        yield* queue.cancel(later.id)
        assert.include((yield* explain(later.id)).summary, "It was cancelled")
        assert.instanceOf(yield* Effect.flip(explain("unheard of")), TaskNotFound)
        assert.instanceOf(yield* Effect.flip(explain("\u0000")), TaskNotFound)
      })
    )
  })

  it.effect("says how long a task has until it should start, and how late it is", () => {
    const gate = new Gate()
    return withEngine(
      {
        handlers: Layer.merge(
          Work.toLayer(() => gate.run),
          Other.toLayer(() =>
            Effect.flatMap(TaskContext, ({ attempt }) => attempt === 1 ? Effect.die("It broke") : Effect.void)
          )
        ),
        worker: { concurrency: 2 }
      },
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* queue.pause("default")
        const { id } = yield* Work.enqueue(undefined, { startWithin: "90 seconds" })
        const startBy = (yield* queue.get(id)).startBy!
        const first = yield* explain(id)
        assert.deepInclude(first, { deadline: { ...first.deadline!, startBy } })
        assert.isBelow(first.deadline!.lateMs, 0)
        assert.match(first.deadline!.text, /^It should start within 1m\d+s.*, by \S+Z\.$/)
        assert.notInclude((yield* queue.verdict()).summary, "late")
        yield* pass("100 seconds")
        const late = yield* explain(id)
        assert.strictEqual(late.deadline!.lateMs, late.now.epochMilliseconds - startBy.epochMilliseconds)
        assert.isAbove(late.deadline!.lateMs, 0)
        assert.match(late.deadline!.text, /^It should have started by \S+Z, and is 1\ds.* late\.$/)
        assert.strictEqual(late.deadline!.startBy.epochMilliseconds, startBy.epochMilliseconds)
        const { starts, summary } = yield* queue.verdict()
        assert.deepInclude(starts, { timed: 1, late: 1 })
        assert.match(summary, / Starts are late: 1 of the newest 1 that should start within a time, by up to 1\ds/)
        // It started late, and runs
        yield* queue.resume("default")
        yield* reaches(id, "running")
        assert.isNull((yield* explain(id)).deadline)
        assert.deepInclude((yield* queue.verdict("default")).starts, { timed: 1, late: 1 })
        assert.deepStrictEqual((yield* queue.verdict("others")).starts, { timed: 0, late: 0, maxLateMs: 0 })
        // Nothing holds a retry to it
        const again = yield* Other.enqueue(undefined, { startWithin: "1 second" })
        yield* reaches(again.id, "scheduled")
        assert.isNull((yield* explain(again.id)).deadline)
        const plain = yield* Work.enqueue(undefined, { delay: "1 hour" })
        assert.isNull((yield* explain(plain.id)).deadline)
      })
    )
  })

  it.effect("tells a retry from a wait that the handler asked for", () =>
    withEngine(
      {
        handlers: Work.toLayer(() =>
          Effect.flatMap(
            TaskContext,
            ({ attempt, snooze }) => attempt === 1 ? Effect.die("It broke.") : snooze("1 hour")
          )
        )
      },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* reaches(id, "scheduled")
        assert.match((yield* explain(id)).summary, /^Its retry 1 is due in \d+s, at /)
        yield* pass("1 minute")
        assert.match((yield* explain(id)).summary, /^It is due in 59m\d+s, at /)
      })
    ))

  it.effect("says of the last failure what it was, in a sentence", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.die(new Error(`It broke.${" ".repeat(5000)}For good...`))) },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue(undefined, { maxRetries: 0 })
        yield* reaches(id, "failed")
        const { summary } = yield* explain(id)
        assert.isBelow(summary.length, 1200)
        assert.match(summary, /^It failed: It broke\./)
        assert.match(summary, /[^.]\. A rerun starts it again\.$/)
      })
    ))

  it.effect("does not take a pause whose time has ended for one that ends later", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { close, context } = yield* start({ handlers: Work.toLayer(() => Effect.void) })
        const queue = Context.get(context, TaskQueue)
        yield* queue.pause("default", { for: "1 minute", reason: "Lunch." })
        const { id } = yield* Effect.provide(Work.enqueue(), context)
        assert.include((yield* queue.explain(id)).summary, "Z: Lunch.")
        assert.notInclude((yield* queue.explain(id)).summary, "Lunch..")
        yield* close
        yield* TestClock.adjust("1 hour")
        const { mayStartAt, reasons, summary } = yield* queue.explain(id)
        assert.deepStrictEqual(reasons.map(({ code }) => code), ["queue_paused", "no_handler"])
        assert.deepStrictEqual(mayStartAt, Option.none())
        assert.include(summary, "until an instance resumes it: its time ended at 1970-01-01T00:01:00.000Z")
      })
    ))

  it.effect("says of a task whose process died that nothing is heard of it", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const { close, context } = yield* start()
        const queue = Context.get(context, TaskQueue)
        const { id } = yield* Effect.provide(Work.enqueue(), context)
        yield* OtherProcess.claim()
        const { summary } = yield* queue.explain(id)
        assert.match(
          summary,
          /^It runs on \S+ since .* That instance gives no sign of life: .* when its lease ends, at 1970-/
        )
        yield* close
      })
    ))
})

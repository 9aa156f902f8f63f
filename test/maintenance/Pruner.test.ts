import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { absent, RecordStore } from "../../src/store/RecordStore.ts"
import * as Task from "../../src/Task.ts"
import { eventually, pass, quiesce, withEngine, withUnhurriedEngine } from "../engine/TestEngine.ts"

const Good = Task.make("good")
const Bad = Task.make("bad", { retry: { times: 0 } })
const times = (count: number) => Array.from({ length: count }, () => undefined)
const counts = TaskQueue.use((queue) => queue.counts)

describe("the pruner", () => {
  it.effect("removes completed and cancelled tasks by age", () =>
    withEngine(
      { handlers: Good.toLayer(() => Effect.void), retention: { keepFinished: "20 seconds" } },
      Effect.gen(function*() {
        yield* Good.enqueueAll(times(3))
        const cancelled = yield* Bad.enqueue()
        yield* cancelled.cancel
        yield* pass("19 seconds")
        assert.deepInclude(yield* counts, { completed: 3, cancelled: 1 })
        yield* pass("2 seconds")
        assert.deepInclude(yield* counts, { completed: 0, cancelled: 0 })
      })
    ))

  it.effect("keeps dead letters longer than other finished tasks", () =>
    withEngine(
      {
        handlers: Bad.toLayer(() => Effect.die("bad")),
        retention: { keepFinished: "20 seconds", keepFailed: "50 seconds" }
      },
      Effect.gen(function*() {
        yield* Bad.enqueueAll(times(3))
        yield* pass("49 seconds")
        assert.strictEqual((yield* counts).failed, 3)
        yield* pass("2 seconds")
        assert.strictEqual((yield* counts).failed, 0)
        assert.strictEqual((yield* counts).totals.failed, 3)
      })
    ))

  it.effect("forgets the nonces of puts, but not within an hour", () =>
    withUnhurriedEngine(
      "10 minutes",
      {},
      Effect.gen(function*() {
        const records = yield* RecordStore
        const change = { kind: "thing", id: "a", expects: absent, document: "1" }
        const puts = Array.from(
          { length: 150 },
          (_, index) => records.put([{ ...change, id: `${index}` }], `n${index}`)
        )
        const versions = yield* Effect.all(puts)
        yield* pass("1 hour")
        assert.deepStrictEqual(yield* Effect.all(puts), versions)
        yield* pass("4 hours")
        const again = yield* Effect.forEach(puts, Effect.flip)
        assert.isTrue(again.every(({ _tag }) => _tag === "RecordConflict"))
      })
    ))

  it.effect("keeps no more finished tasks than allowed, however young", () =>
    withEngine(
      {
        handlers: Good.toLayer(() => Effect.void),
        retention: { maxFinished: 10 },
        worker: { concurrency: 500 },
        store: { capacity: 2000 }
      },
      Effect.gen(function*() {
        const handles = yield* Good.enqueueAll(times(1200))
        const last = handles[1199]!.id
        yield* eventually(Effect.map(counts, ({ totals }) => totals.completed === 1200))
        yield* pass("5 seconds")
        assert.strictEqual((yield* counts).completed, 10)
        const kept = yield* TaskQueue.use((queue) => queue.list())
        assert.strictEqual(kept.tasks[0]?.id, last)
        assert.strictEqual((yield* counts).totals.completed, 1200)
      })
    ))

  it.effect("never touches unfinished tasks, nor the keys of a day", () =>
    withEngine(
      { handlers: Good.toLayer(() => Effect.void), retention: { maxFinished: 0 } },
      Effect.gen(function*() {
        const keyed = yield* Good.enqueue(undefined, { key: "today" })
        yield* Bad.enqueue()
        yield* Good.enqueue(undefined, { delay: "1 hour" })
        yield* quiesce
        yield* pass("1 minute")
        assert.deepInclude(yield* counts, { completed: 1, pending: 1, scheduled: 1 })
        const again = yield* Good.enqueue(undefined, { key: "today" })
        assert.deepInclude(again, { id: keyed.id, duplicate: true })
      })
    ))
})

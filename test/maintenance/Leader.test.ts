import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as Task from "../../src/Task.ts"
import { pass, quiesce, start, withEngine, withStore } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work")
const handlers = Work.toLayer(() => Effect.void)
const leaders = Effect.map(
  InstanceStore.use((store) => store.list),
  ({ instances }) => instances.filter(({ leads }) => leads.length > 0).map(({ id }) => id)
)
const completed = TaskQueue.use((queue) => Effect.map(queue.counts, (counts) => counts.completed))

describe("the leader", () => {
  it.effect("is one instance, and does the chores for all", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const store = yield* TestStore
        const engines = yield* Effect.forEach(["one", "two", "three"], (instance) => start({ instance }))
        yield* quiesce
        const before = store.calls("prune")
        for (let minute = 0; minute < 5; minute++) {
          yield* pass("1 minute")
          assert.deepStrictEqual(yield* leaders, ["one"])
        }
        const calls = store.calls("prune") - before
        assert.isTrue(calls >= 299 && calls <= 301, `${calls} calls in 300 seconds`)
        for (const { close } of engines) yield* close
      })
    ))

  it.effect("is another one a moment after it left", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const one = yield* start({ instance: "one" })
        yield* quiesce
        const two = yield* start({ instance: "two" })
        yield* pass("1 second")
        yield* one.close
        yield* pass("5 seconds")
        assert.deepStrictEqual(yield* leaders, ["two"])
        yield* two.close
      })
    ))

  it.effect("that died is replaced within a lease, and the chores are done again", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const instances = yield* InstanceStore
        assert.isTrue(yield* instances.lead("maintenance", "dead", 15_000))
        const heir = yield* start({ handlers, instance: "heir", retention: { keepFinished: 0 } })
        yield* Effect.provide(Work.enqueue(), heir.context)
        yield* pass("10 seconds")
        assert.strictEqual(yield* Effect.provide(completed, heir.context), 1)
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* leaders, ["heir"])
        assert.strictEqual(yield* Effect.provide(completed, heir.context), 0)
        yield* heir.close
      })
    ))

  it.effect("stops its chores when it could not renew its lease in time", () =>
    withEngine(
      { instance: "one" },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* quiesce
        store.down("lead")
        yield* pass("16 seconds")
        const before = store.calls("prune")
        yield* pass("1 minute")
        assert.strictEqual(store.calls("prune"), before)
        store.up()
        yield* pass("10 seconds")
        assert.isAbove(store.calls("prune"), before)
      })
    ))
})

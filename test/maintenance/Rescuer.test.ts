import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { Logs, pass, reaches, record, start, withEngine, withStore } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work")

describe("the rescuer", () => {
  it.effect("takes back what a dead instance held, tells the pool, and writes a line", () => {
    const gate = new Gate()
    gate.open()
    return withStore(
      {},
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("orphan")
        yield* OtherProcess.claim({ leaseForMs: 4000 })
        const engine = yield* start({
          handlers: Work.toLayer(() => gate.run),
          worker: { pollInterval: "1 hour", lease: "6 seconds" },
          rescuer: { interval: "1 second" }
        })
        yield* pass("3900 millis")
        assert.strictEqual((yield* record("orphan")).state, "running")
        yield* pass("1 second")
        yield* reaches("orphan", "completed")
        const [line] = yield* Logs.matching(/lost its instance/)
        assert.deepInclude(line, { level: "Warn", annotations: { module: "rescuer", job_id: "orphan" } })
        yield* engine.close
      })
    )
  })

  it.effect("takes back thousands, batch by batch, without waiting in between", () =>
    withStore(
      { store: { capacity: 3000 } },
      Effect.gen(function*() {
        for (let n = 0; n < 1700; n++) {
          yield* OtherProcess.enqueue(`orphan ${n}`)
          yield* OtherProcess.claim({ leaseForMs: 1000 })
        }
        yield* pass("1 second")
        const store = yield* TestStore
        const engine = yield* start()
        const pending = Effect.provide(TaskQueue.use((queue) => queue.counts), engine.context).pipe(
          Effect.map((counts) => counts.pending)
        )
        yield* pass("7499 millis")
        assert.strictEqual(yield* pending, 0, "before half a lease has passed")
        const looks = store.calls("rescue")
        yield* pass("1 millis")
        assert.strictEqual(yield* pending, 1700)
        // One for the time, four for the tasks
        assert.strictEqual(store.calls("rescue") - looks, 5)
        yield* engine.close
      })
    ))

  it.effect("looks six times per lease, at most every 200 ms and at least every 2.5 s", () =>
    Effect.gen(function*() {
      const looks = (lease: number) =>
        withEngine(
          { worker: { lease } },
          Effect.gen(function*() {
            yield* pass("30 seconds")
            // One for the time, one for the tasks
            return (yield* TestStore).calls("rescue") / 2
          })
        )
      const near = (actual: number, expected: number) => assert.isAtMost(Math.abs(actual - expected), 1)
      near(yield* looks(6000), 30)
      near(yield* looks(300), 150)
      near(yield* looks(60_000), 12)
    }))

  it.effect("ends a task that was to be cancelled when its instance died", () =>
    withStore(
      {},
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("doomed")
        yield* OtherProcess.claim({ leaseForMs: 1000 })
        const engine = yield* start()
        const handle = yield* Effect.provide(Work.handle("doomed"), engine.context)
        assert.strictEqual(yield* handle.cancel, "requested")
        const result = yield* Effect.forkChild(Effect.flip(handle.result))
        yield* pass("8 seconds")
        assert.strictEqual(result.pollUnsafe()?._tag, "Success")
        assert.deepInclude(yield* record("doomed"), { state: "cancelled", crashes: 0 })
        yield* engine.close
      })
    ))

  it.effect("may run in every instance at once", () =>
    withStore(
      {},
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("orphan")
        yield* OtherProcess.claim({ leaseForMs: 1000 })
        const engines = [yield* start(), yield* start(), yield* start()]
        yield* pass("10 seconds")
        assert.deepInclude(yield* record("orphan"), { state: "pending", crashes: 1 })
        for (const { close } of engines) yield* close
      })
    ))
})

import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Schema } from "effect"
import { hostname } from "node:os"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { type InstanceRecord, InstanceStore, version } from "../../src/store/InstanceStore.ts"
import * as Task from "../../src/Task.ts"
import { Gate } from "../engine/Gate.ts"
import { eventually, pass, quiesce, record, start, withEngine, withStore } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work", { payload: Schema.Void })
const listed = Effect.map(InstanceStore.use((store) => store.list), ({ instances }) => instances)
const idsListed = Effect.map(listed, (instances) => instances.map(({ id }) => id))

describe("an instance", () => {
  it.effect("is on the list with what it is and what it can do", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void), instance: "here", worker: { concurrency: 3 } },
      Effect.gen(function*() {
        yield* pass("7 seconds")
        assert.deepStrictEqual(yield* listed, [{
          id: "here",
          host: hostname(),
          pid: process.pid,
          version,
          startedAt: 0,
          seenAt: 5000,
          capacity: 3,
          queues: [],
          limits: [],
          types: ["work"],
          running: [],
          sizing: { by: "start", min: null, max: 100, draining: false },
          load: { forMs: 5000, ended: 0, busyMs: 0 },
          leads: ["maintenance"]
        }])
        const { instances } = yield* TaskQueue.use((queue) => queue.instances)
        const [{ load: _, sizing, ...instance }] = (yield* listed) as [InstanceRecord]
        assert.deepStrictEqual(instances, [{
          ...instance,
          sizing: sizing!,
          shares: [],
          versions: {},
          startedAt: DateTime.makeUnsafe(0),
          seenAt: DateTime.makeUnsafe(5000),
          running: []
        }])
      })
    ))

  it.effect("says what it runs", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 3 } },
      Effect.gen(function*() {
        yield* pass("4 seconds")
        const { id } = yield* Work.enqueue()
        yield* pass("6 seconds")
        const [instance] = yield* listed
        assert.deepStrictEqual(instance!.running, [{ slot: 1, id, type: "work", forMs: 6000 }])
        const { instances } = yield* TaskQueue.use((queue) => queue.instances)
        assert.deepStrictEqual(instances[0]!.running, [{ slot: 1, id, type: "work", runningFor: Duration.seconds(6) }])
        gate.open()
        yield* pass("5 seconds")
        assert.deepStrictEqual((yield* listed)[0]!.running, [])
      })
    )
  })

  it.effect("that closes is listed until its tasks have ended, and then no more", () => {
    const gate = new Gate()
    return withStore(
      {},
      Effect.gen(function*() {
        const closing = yield* start({ handlers: Work.toLayer(() => gate.run), instance: "closing" })
        const staying = yield* start({ instance: "staying" })
        yield* Effect.provide(Work.enqueue(), closing.context)
        yield* eventually(Effect.sync(() => gate.count === 1))
        const closed = yield* Effect.forkChild(closing.close)
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* idsListed, ["closing", "staying"])
        gate.open()
        yield* quiesce
        yield* Fiber.join(closed)
        assert.deepStrictEqual(yield* idsListed, ["staying"])
        yield* staying.close
      })
    )
  })

  it.effect("closes without a farewell when the store is out of reach, and is forgotten after a lease", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const store = yield* TestStore
        const engine = yield* start({ instance: "cut off", shutdown: "10 seconds" })
        yield* quiesce
        store.hangs("leave")
        const closed = yield* Effect.forkChild(engine.close)
        yield* pass("10 seconds")
        yield* Fiber.join(closed)
        assert.deepStrictEqual(yield* idsListed, ["cut off"])
        yield* pass("5 seconds")
        assert.deepStrictEqual(yield* idsListed, [])
        store.up()
      })
    ))

  it.effect("is back after an outage that lasted longer than a lease", () =>
    withEngine(
      { instance: "here" },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* quiesce
        store.down("beat")
        yield* pass("1 minute")
        assert.deepStrictEqual(yield* idsListed, [])
        store.up()
        yield* pass("5 seconds")
        assert.deepStrictEqual(yield* idsListed, ["here"])
        assert.strictEqual((yield* listed)[0]!.startedAt, 0)
      })
    ))
})

describe("work", () => {
  it.effect("goes to whoever has room", () => {
    const gates = { small: new Gate(), large: new Gate() }
    const startOf = (instance: "small" | "large", concurrency: number) =>
      start({ handlers: Work.toLayer(() => gates[instance].run), instance, worker: { concurrency } })
    return withStore(
      {},
      Effect.gen(function*() {
        const small = yield* startOf("small", 2)
        const large = yield* startOf("large", 5)
        const handles = yield* Effect.provide(
          Work.enqueueAll(Array.from({ length: 10 }, () => undefined)),
          small.context
        )
        yield* pass("5 seconds")
        assert.deepStrictEqual([gates.small.count, gates.large.count], [2, 5])
        gates.large.open()
        yield* pass("5 seconds")
        // The busy instance kept what it runs and took no more; everything else went to the other one
        assert.deepStrictEqual([gates.small.count, gates.large.count], [2, 8])
        gates.small.open()
        yield* quiesce
        const instances = yield* Effect.forEach(handles, ({ id }) => Effect.map(record(id), ({ instance }) => instance))
        assert.strictEqual(instances.filter((instance) => instance === "small").length, 2)
        assert.strictEqual(instances.filter((instance) => instance === "large").length, 8)
        yield* small.close
        yield* large.close
      })
    )
  })
})

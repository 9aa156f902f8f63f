import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { InstanceNotFound, InvalidOption } from "../../src/domain/Errors.ts"
import { EventLoopDelay } from "../../src/observability/EventLoopDelay.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as InstanceSettings from "../../src/store/InstanceSettings.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import * as Task from "../../src/Task.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Gate } from "../engine/Gate.ts"
import { Logs, pass, quiesce, record, start, withEngine, withStore } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work")
const times = (count: number) => Array.from({ length: count }, () => undefined)
const size = WorkerPool.use((pool) => pool.concurrency)
const sizing = WorkerPool.use((pool) => pool.sizing)
const active = WorkerPool.use((pool) => pool.active)
const tell = <A, E>(use: (queue: TaskQueue["Service"]) => Effect.Effect<A, E>) => TaskQueue.use(use)

/** Runs with an event loop that is as late as the test says. */
const withDelay = (delay: { ms: number }) =>
  Effect.provideService(EventLoopDelay, Effect.succeed(Effect.sync(() => delay.ms)))

/** The sizes of a pool over so many seconds. */
const follow = Effect.fnUntraced(function*(seconds: number) {
  const sizes: Array<number> = []
  for (let second = 0; second < seconds; second++) {
    yield* pass("1 second")
    sizes.push(yield* size)
  }
  return sizes
})

const changesIn = (sizes: ReadonlyArray<number>): number =>
  sizes.reduce((count, one, index) => index > 0 && one !== sizes[index - 1] ? count + 1 : count, 0)

describe("a pool with a minimum", () => {
  it.effect("grows while short tasks wait, until none does, stays, and shrinks slowly when they are gone", () =>
    withEngine(
      {
        handlers: Work.toLayer(() => Effect.sleep("1 second")),
        store: { capacity: 100_000 },
        worker: { minConcurrency: 2, maxConcurrency: 50, concurrency: 2 }
      },
      Effect.gen(function*() {
        // Ten tasks of a second come each second
        const feed = yield* Effect.forkChild(
          Effect.forever(Effect.andThen(Effect.orDie(Work.enqueueAll(times(10))), Effect.sleep("1 second")))
        )
        const sizes = yield* follow(180)
        assert.isAtLeast(sizes.at(-1)!, 10)
        assert.isAtMost(sizes.at(-1)!, 30)
        const later = yield* follow(300)
        assert.isAtMost(changesIn(later), 3)
        assert.isAtLeast(Math.min(...later), 10)
        feed.interruptUnsafe()
        const idle = yield* follow(1200)
        assert.isAtMost(changesIn(idle), 20)
        assert.strictEqual(idle.at(-1), 2)
      }).pipe(Effect.scoped)
    ).pipe(withDelay({ ms: 0 })))

  it.effect("grows for long tasks that wait in the store, though none is claimed, and only for those it could run", () => {
    const gate = new Gate()
    return withEngine(
      {
        handlers: Work.toLayer(() => gate.run),
        worker: { minConcurrency: 4, concurrency: 4, queues: ["here", "paused"] }
      },
      Effect.gen(function*() {
        yield* tell((queue) => queue.pause("paused"))
        yield* Work.enqueueAll(times(4), { queue: "here" })
        yield* Work.enqueueAll(times(9), { queue: "elsewhere" })
        yield* Work.enqueueAll(times(9), { queue: "paused" })
        assert.deepStrictEqual(new Set(yield* follow(60)), new Set([4]))
        yield* Work.enqueueAll(times(1), { queue: "here" })
        const sizes = yield* follow(60)
        assert.strictEqual(sizes.at(-1), 6)
        assert.strictEqual(yield* active, 5)
        gate.open()
      })
    ).pipe(withDelay({ ms: 0 }))
  })

  it.effect("does not grow for a paused type", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { minConcurrency: 4, concurrency: 4 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll(times(4))
        yield* quiesce
        yield* tell((queue) => queue.pauseType("work"))
        yield* Work.enqueueAll(times(9))
        assert.deepStrictEqual(new Set(yield* follow(60)), new Set([4]))
        yield* tell((queue) => queue.resumeType("work"))
        assert.isAbove((yield* follow(60)).at(-1)!, 4)
        gate.open()
      })
    ).pipe(withDelay({ ms: 0 }))
  })

  it.effect("does not grow for tasks that wait for a limit, but for those that wait for a slot", () => {
    const Limited = Task.make("limited", {
      payload: { tenant: Schema.String },
      limits: ({ concurrency }) => [concurrency({ key: ({ tenant }) => tenant, max: 4 })]
    })
    return withEngine(
      {
        handlers: Layer.merge(Limited.toLayer(() => Effect.sleep("1 second")), Work.toLayer(() => Effect.sleep(10))),
        store: { capacity: 100_000 },
        worker: { minConcurrency: 8, concurrency: 8, maxConcurrency: 100 }
      },
      Effect.gen(function*() {
        // Tasks that hardly wait have all slots for a moment in each second
        const bursts = yield* Effect.forkChild(
          Effect.forever(Effect.andThen(Effect.orDie(Work.enqueueAll(times(100))), Effect.sleep("1 second")))
        )
        yield* Limited.enqueueAll(Array.from({ length: 1000 }, () => ({ tenant: "a" })))
        assert.deepStrictEqual(new Set(yield* follow(100)), new Set([8]))
        bursts.interruptUnsafe()
        yield* Limited.enqueueAll(Array.from({ length: 20_000 }, (_, index) => ({ tenant: `${index % 100}` })))
        assert.strictEqual((yield* follow(60)).at(-1), 100)
      }).pipe(Effect.scoped)
    ).pipe(withDelay({ ms: 0 }))
  })

  it.effect("shrinks while the event loop is late, interrupts nothing, and starts no more than it has slots for", () => {
    const gate = new Gate()
    const delay = { ms: 0 }
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { minConcurrency: 2, concurrency: 20 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll(times(100))
        yield* pass("2 seconds")
        const before = yield* active
        assert.isAtLeast(before, 20)
        delay.ms = 300
        const sizes = yield* follow(60)
        assert.strictEqual(sizes.at(-1), 2)
        assert.strictEqual(yield* active, before)
        assert.deepStrictEqual(gate.interrupted, [])
        const workers = yield* WorkerPool.use((pool) => pool.slots)
        assert.strictEqual(workers.filter(({ task }) => task !== undefined).length, before)
        gate.open()
        yield* quiesce
        assert.isAtMost(yield* active, 2)
      })
    ).pipe(withDelay(delay))
  })

  it.effect("asks the store no more than before while it has room", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void), worker: { minConcurrency: 2 } },
      Effect.gen(function*() {
        yield* quiesce
        const store = yield* TestStore
        const before = store.calls("claim")
        yield* pass("1 minute")
        assert.isAtMost(store.calls("claim") - before, 61)
        assert.strictEqual(store.calls("stranded"), 0)
      })
    ).pipe(withDelay({ ms: 0 })))

  it.effect("keeps its size while the store is out of reach, and says so", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { minConcurrency: 2, concurrency: 2 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll(times(10))
        yield* quiesce
        const store = yield* TestStore
        store.down("stranded")
        assert.deepStrictEqual(new Set(yield* follow(30)), new Set([2]))
        assert.isNotEmpty(yield* Logs.matching(/^pool size failed/))
        store.up()
        assert.isAbove((yield* follow(30)).at(-1)!, 2)
        gate.open()
      })
    ).pipe(withDelay({ ms: 0 }))
  })

  it.effect("refuses bounds that cross", () =>
    Effect.gen(function*() {
      for (
        const [worker, option] of [
          [{ minConcurrency: 0 }, "worker.minConcurrency"],
          [{ minConcurrency: 5, maxConcurrency: 4 }, "worker.minConcurrency"],
          [{ minConcurrency: 5, concurrency: 4 }, "worker.concurrency"],
          [{ maxConcurrency: 5, concurrency: 6 }, "worker.concurrency"],
          [{ maxConcurrency: 10_001 }, "worker.maxConcurrency"],
          [{ maxConcurrency: 1.5 }, "worker.maxConcurrency"]
        ] as const
      ) {
        const exit = yield* Effect.exit(withEngine({ worker }, Effect.void))
        assert.include(String(exit), option)
      }
    }))
})

describe("an operator", () => {
  const told = Effect.gen(function*() {
    const queue = yield* TaskQueue
    const { instances: [instance] } = yield* queue.instances
    return { slots: instance?.capacity, ...instance?.sizing }
  })

  it.effect("gives an instance more or fewer slots, within a third of a lease, and leaves them to it again", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), instance: "here", worker: { concurrency: 3, maxConcurrency: 8 } },
      Effect.gen(function*() {
        yield* Work.enqueueAll(times(20))
        yield* pass("1 second")
        yield* tell((queue) => queue.setSlots("here", 8))
        yield* pass("5 seconds")
        assert.strictEqual(yield* active, 8)
        assert.deepStrictEqual(yield* told, { slots: 8, by: "hand", min: null, max: 8, draining: false })
        yield* tell((queue) => queue.setSlots("here", 1))
        yield* pass("5 seconds")
        assert.strictEqual(yield* size, 1)
        // What runs goes on, and is seen
        assert.strictEqual(yield* active, 8)
        const { instances: [instance] } = yield* tell((queue) => queue.instances)
        assert.strictEqual(instance!.running.length, 8)
        yield* tell((queue) => queue.unsetSlots("here"))
        yield* pass("5 seconds")
        assert.deepStrictEqual(yield* told, { slots: 3, by: "start", min: null, max: 8, draining: false })
        assert.deepStrictEqual(gate.interrupted, [])
        gate.open()
      })
    )
  })

  it.effect("drains an instance: it takes no more, finishes what it has, and goes on when it is told to", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), instance: "here", worker: { concurrency: 2 } },
      Effect.gen(function*() {
        const handles = yield* Work.enqueueAll(times(3))
        yield* pass("1 second")
        yield* tell((queue) => queue.drain("here"))
        yield* pass("5 seconds")
        assert.isTrue((yield* told).draining)
        gate.open()
        yield* pass("1 minute")
        assert.strictEqual(gate.count, 2)
        assert.strictEqual((yield* record(handles[2]!.id)).state, "pending")
        const { summary } = yield* tell((queue) => queue.explain(handles[2]!.id))
        assert.include(summary, "drains")
        yield* tell((queue) => queue.undrain("here"))
        yield* pass("5 seconds")
        assert.strictEqual(gate.count, 3)
        assert.isFalse((yield* told).draining)
        assert.lengthOf(yield* Logs.matching(/drains|takes tasks again/), 2)
      })
    )
  })

  it.effect("has the last word over the load, and over what an instance begins with", () => {
    const gate = new Gate()
    const options = {
      handlers: Work.toLayer(() => gate.run),
      instance: "here",
      worker: { minConcurrency: 2, maxConcurrency: 50, concurrency: 4 }
    }
    return withStore(
      {},
      Effect.gen(function*() {
        const first = yield* start(options)
        yield* quiesce
        yield* Effect.provide(
          Effect.gen(function*() {
            yield* tell((queue) => queue.setSlots("here", 6))
            yield* tell((queue) => queue.drain("here"))
            yield* pass("5 seconds")
            yield* Work.enqueueAll(times(30))
            assert.deepStrictEqual(new Set(yield* follow(30)), new Set([6]))
          }),
          first.context
        )
        yield* first.close
        // It survives: the next process of that name does what was said, from its first claim on
        const second = yield* start(options)
        yield* Effect.provide(
          Effect.gen(function*() {
            yield* pass("10 seconds")
            assert.strictEqual(gate.count, 0)
            assert.deepInclude(yield* sizing, { by: "hand", draining: true })
            yield* tell((queue) => queue.undrain("here"))
            assert.deepStrictEqual((yield* follow(30)).at(-1), 6)
            assert.strictEqual(gate.count, 6)
            yield* tell((queue) => queue.unsetSlots("here"))
            yield* pass("5 seconds")
            assert.deepInclude(yield* sizing, { by: "load" })
            assert.isAbove((yield* follow(60)).at(-1)!, 6)
            gate.open()
            yield* quiesce
          }),
          second.context
        )
        yield* second.close
      })
    ).pipe(withDelay({ ms: 0 }))
  })

  it.effect("is told of an instance that is not there, cannot be told, or may not have so many", () =>
    withEngine(
      { instance: "here", worker: { maxConcurrency: 20 } },
      Effect.gen(function*() {
        yield* quiesce
        const store = yield* InstanceStore
        const refused = (use: (queue: TaskQueue["Service"]) => Effect.Effect<unknown, unknown>) =>
          Effect.flip(tell(use)) as Effect.Effect<InstanceNotFound | InvalidOption, unknown, TaskQueue>
        for (
          const use of [
            (queue: TaskQueue["Service"]) => queue.setSlots("nobody", 3),
            (queue: TaskQueue["Service"]) => queue.drain("nobody")
          ]
        ) assert.instanceOf(yield* refused(use), InstanceNotFound)
        for (const slots of [0, -1, 21, 1.5, NaN, Infinity, 1e9]) {
          const invalid = yield* refused((queue) => queue.setSlots("here", slots))
          assert.instanceOf(invalid, InvalidOption)
          assert.include(invalid.message, "from 1 to 20")
        }
        for (const id of ["", "x".repeat(256), "a\u0000"]) {
          assert.instanceOf(yield* refused((queue) => queue.drain(id)), InvalidOption)
          assert.instanceOf(yield* refused((queue) => queue.undrain(id)), InvalidOption)
          assert.instanceOf(yield* refused((queue) => queue.unsetSlots(id)), InvalidOption)
        }
        // One of before
        yield* store.beat(
          {
            id: "old",
            host: "h",
            pid: 1,
            version: "0.0.9",
            upForMs: 0,
            capacity: 4,
            queues: [],
            types: [],
            running: []
          },
          60_000
        )
        assert.include((yield* refused((queue) => queue.drain("old"))).message, "0.0.9")
        // What is gone may be set free
        yield* tell((queue) => queue.undrain("nobody"))
        yield* tell((queue) => queue.unsetSlots("nobody"))
        yield* pass("1 minute")
        assert.strictEqual(yield* size, 10)
      })
    ))

  it.effect("is obeyed by an instance whose ceiling is lower after a restart, as far as it goes", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const first = yield* start({ instance: "here", worker: { maxConcurrency: 40 } })
        yield* quiesce
        yield* Effect.provide(tell((queue) => queue.setSlots("here", 40)), first.context)
        yield* first.close
        const second = yield* start({ instance: "here", worker: { concurrency: 5, maxConcurrency: 8 } })
        yield* quiesce
        assert.strictEqual(yield* Effect.provide(size, second.context), 8)
        yield* second.close
      })
    ))

  it.effect("leaves no more than a thousand records of instances that are gone", () =>
    withEngine(
      { instance: "here" },
      Effect.gen(function*() {
        yield* quiesce
        const records = yield* RecordStore
        yield* Effect.forEach(Array.from({ length: InstanceSettings.maxKept }, (_, index) => index), (index) =>
          records.put([{ kind: "instance", id: `gone-${index}`, expects: 0, document: `{"drains":true}` }]))
        yield* tell((queue) =>
          queue.setSlots("here", 3)
        )
        const { records: left } = yield* records.list("instance")
        assert.deepStrictEqual(left.map(({ id }) => id), ["here"])
      })
    ))

  it.effect("does no harm with a record that cannot be read", () =>
    withEngine(
      { instance: "here", worker: { concurrency: 4 } },
      Effect.gen(function*() {
        const records = yield* RecordStore
        for (const [index, document] of [`[]`, `{"slots":"many"}`, `{"slots":-3}`, `{"drains":1}`].entries()) {
          const [known] = yield* records.get("instance", ["here"])
          yield* records.put([{ kind: "instance", id: "here", expects: known?.version ?? 0, document }])
          yield* pass("5 seconds")
          assert.strictEqual(yield* size, index === 2 ? 1 : 4)
          assert.isFalse((yield* sizing).draining)
        }
      })
    ))

  it.effect("has both of two orders that come at the same time", () =>
    withEngine(
      { instance: "here" },
      Effect.gen(function*() {
        yield* quiesce
        yield* Effect.all([
          tell((queue) => queue.setSlots("here", 7)),
          tell((queue) => queue.drain("here")),
          tell((queue) => queue.setSlots("here", 7))
        ], { concurrency: "unbounded" })
        yield* pass("5 seconds")
        assert.deepInclude(yield* sizing, { by: "hand", draining: true })
        assert.strictEqual(yield* size, 7)
      })
    ))
})

describe("an event loop", () => {
  it.live("that computes without a pause is late", () =>
    Effect.gen(function*() {
      const delay = yield* yield* EventLoopDelay
      const turns = Effect.andThen(
        Effect.sync(() => {
          const until = process.hrtime.bigint() + 120_000_000n
          while (process.hrtime.bigint() < until);
        }),
        Effect.sleep(1)
      )
      yield* Effect.sleep(200)
      yield* delay
      yield* Effect.repeat(turns, { times: 5 })
      assert.isAbove(yield* delay, 50)
    }).pipe(Effect.scoped))
})

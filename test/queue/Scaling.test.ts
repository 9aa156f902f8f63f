import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Schema } from "effect"
import { InvalidOption } from "../../src/domain/Errors.ts"
import * as Scaling from "../../src/queue/Scaling.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { type Beat, InstanceStore } from "../../src/store/InstanceStore.ts"
import * as Task from "../../src/Task.ts"
import { pass, quiesce, start, withEngine, withStore } from "../engine/TestEngine.ts"

const Work = Task.make("work", { payload: { ms: Schema.Int } })
const tasks = (count: number, ms = 1000) => Array.from({ length: count }, () => ({ ms }))
const handlers = Work.toLayer(({ ms }) => Effect.sleep(ms))
const scaling = (options?: Scaling.ScalingOptions) => TaskQueue.use((queue) => queue.scaling(options))

const minute = 60_000

/** An instance that was so busy in the last minute. */
const one = (capacity: number, ended: number, busyMs: number, forMs = minute) => ({
  capacity,
  running: [],
  load: { forMs, ended, busyMs }
})

const beat = (fields: Partial<Beat>): Beat => ({
  id: "a",
  host: "h",
  pid: 1,
  version: "1",
  upForMs: 0,
  capacity: 10,
  queues: [],
  types: ["work"],
  running: [],
  ...fields
})

describe("the need for slots", () => {
  const wanted = (instances: Parameters<typeof Scaling.needOf>[0], waiting: number, withinMs = minute) =>
    Scaling.needOf(instances, waiting, withinMs).slotsWanted

  it("is what was busy, with a fifth to spare", () => {
    assert.strictEqual(wanted([one(20, 600, 8 * minute)], 0), 10)
    assert.strictEqual(wanted([one(20, 600, 4 * minute), one(20, 600, 4 * minute)], 0), 10)
    assert.strictEqual(wanted([one(20, 0, 0)], 0), 0)
  })

  it("is more by what gets the waiting tasks done in time", () => {
    // A task takes a second: 600 of them in a minute need ten slots
    const busy = [one(10, 600, 10 * minute)]
    assert.strictEqual(wanted(busy, 0), 13)
    assert.strictEqual(wanted(busy, 600), 23)
    assert.strictEqual(wanted(busy, 600, 30_000), 33)
    // Each waiting task has a slot of its own at most, however long it takes
    assert.strictEqual(wanted([one(10, 1, 10 * minute)], 7), 20)
  })

  it("is not less than what is busy while tasks wait, though the minute before was quiet", () => {
    const running = Array.from({ length: 20 }, (_, slot) => ({ slot, id: `${slot}`, type: "work", forMs: 1 }))
    const rising = [{ ...one(20, 60, minute), running }]
    assert.strictEqual(wanted(rising, 60), 26)
    assert.strictEqual(wanted(rising, 0), 2)
  })

  it("doubles where nothing is known yet, and is one slot at least where a task waits", () => {
    assert.strictEqual(wanted([], 0), 0)
    assert.strictEqual(wanted([], 1000), 1)
    assert.strictEqual(wanted([one(4, 0, 0)], 1000), 4)
    assert.strictEqual(wanted([one(4, 0, 0)], 3), 3)
    // Of before: it says nothing of its load
    const running = [{ slot: 1, id: "1", type: "work", forMs: 1 }]
    assert.strictEqual(wanted([{ capacity: 4, running, load: undefined }], 0), 2)
  })

  it("comes with the time that the slots need, where that is known", () => {
    const need = (instances: Parameters<typeof Scaling.needOf>[0], waiting: number) =>
      Scaling.needOf(instances, waiting, minute)
    assert.deepInclude(need([one(10, 600, 10 * minute)], 600), {
      drainsIn: Duration.minutes(1),
      taskTime: Duration.seconds(1),
      endedPerSecond: 10,
      slots: 10
    })
    assert.deepStrictEqual(need([one(10, 600, 10 * minute)], 0).drainsIn, Duration.zero)
    assert.isNull(need([one(10, 0, 0)], 5).drainsIn)
    assert.isNull(need([], 5).drainsIn)
    // None has ended: each took as long as all did together, at least
    assert.deepInclude(need([one(2, 0, 2 * minute)], 1), {
      taskTime: Duration.minutes(2),
      drainsIn: Duration.minutes(1)
    })
  })

  it("settles: an autoscaler that follows it keeps a constant load with the same slots", () => {
    for (const arrivals of [1, 7, 10, 33, 100]) {
      let slots = 1
      let waiting = 0
      const sizes: Array<number> = []
      // Tasks of two seconds, looked at each minute
      for (let look = 0; look < 60; look++) {
        const offered = waiting + arrivals * 60
        const done = Math.min(offered, slots * 30)
        waiting = offered - done
        slots = Math.max(1, wanted([one(slots, done, done * 2000)], waiting))
        sizes.push(slots)
      }
      const end = sizes.at(-1)!
      assert.isAtLeast(end, arrivals * 2, `${arrivals}: ${sizes.join()}`)
      assert.isAtMost(end, Math.ceil(arrivals * 2 / 0.8))
      assert.strictEqual(new Set(sizes.slice(10)).size, 1)
      assert.strictEqual(waiting, 0)
    }
  })
})

describe("scaling", () => {
  it.effect("is known from what waits and from what instances did in the last minute", () =>
    withEngine(
      { handlers, instance: "here", worker: { concurrency: 4 }, store: { capacity: 10_000 } },
      Effect.gen(function*() {
        yield* quiesce
        assert.deepInclude(yield* scaling(), { slotsWanted: 0, slots: 4, busy: 0, waiting: 0, waitingSince: null })
        yield* Work.enqueueAll(tasks(1000))
        yield* quiesce
        const first = yield* scaling()
        assert.deepInclude(first, { slotsWanted: 4, waiting: 996, taskTime: null, drainsIn: null })
        for (let second = 0; second < 120; second++) yield* pass("1 second")
        const { now, waitingSince, ...need } = yield* scaling()
        assert.deepStrictEqual(waitingSince, DateTime.makeUnsafe(0))
        assert.deepStrictEqual(now, DateTime.makeUnsafe(120_000))
        // Four a second; 516 wait, of a second each
        assert.strictEqual(need.waiting, 516)
        assert.strictEqual(need.busy, 4)
        assert.approximately(need.endedPerSecond, 4, 0.2)
        assert.approximately(Duration.toMillis(need.taskTime!), 1000, 50)
        assert.approximately(Duration.toSeconds(need.drainsIn!), 129, 7)
        assert.approximately(need.slotsWanted, 5 + 8.6, 1.5)
        for (let second = 0; second < 240; second++) yield* pass("1 second")
        assert.deepInclude(yield* scaling(), { slotsWanted: 0, busy: 0, waiting: 0, endedPerSecond: 0 })
      })
    ))

  it.effect("counts the tasks that no instance is there for, those that have become due among them", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const engine = yield* start({})
        yield* Effect.provide(
          Effect.andThen(Work.enqueue({ ms: 1 }), Work.enqueue({ ms: 1 }, { delay: "1 hour" })),
          engine.context
        )
        yield* engine.close
        yield* pass("1 hour")
        const need = yield* Effect.provide(scaling(), engine.context)
        assert.deepInclude(need, { slotsWanted: 1, slots: 0, waiting: 2, drainsIn: null })
      })
    ))

  it.effect("leaves out paused queues and types, instances that drain, and the queues that are not asked for", () =>
    withEngine(
      { instance: "here", worker: { concurrency: 1, queues: ["none"] } },
      Effect.gen(function*() {
        const store = yield* InstanceStore
        const sizing = { by: "start", min: null, max: 10, draining: false } as const
        const load = { forMs: minute, ended: 60, busyMs: minute }
        yield* store.beat(beat({ id: "all", capacity: 10, sizing, load }), 600_000)
        yield* store.beat(beat({ id: "mail", capacity: 20, queues: ["mail"], sizing, load }), 600_000)
        yield* store.beat(beat({ id: "drains", capacity: 40, sizing: { ...sizing, draining: true }, load }), 600_000)
        yield* Work.enqueueAll(tasks(5), { queue: "mail" })
        yield* pass("1 second")
        yield* Work.enqueueAll(tasks(7), { queue: "reports" })
        yield* pass("1 second")
        assert.deepInclude(yield* scaling(), { slots: 31, waiting: 12, waitingSince: DateTime.makeUnsafe(0) })
        assert.deepInclude(yield* scaling({ queue: "mail" }), { slots: 30, waiting: 5 })
        assert.deepInclude(yield* scaling({ queue: "reports" }), {
          slots: 10,
          waiting: 7,
          waitingSince: DateTime.makeUnsafe(1000)
        })
        assert.deepInclude(yield* scaling({ queue: "unheard of" }), { slots: 10, waiting: 0, waitingSince: null })
        yield* TaskQueue.use((queue) => queue.pause("mail"))
        assert.deepInclude(yield* scaling(), { waiting: 7, waitingSince: DateTime.makeUnsafe(1000) })
        assert.deepInclude(yield* scaling({ queue: "mail" }), { waiting: 0, slots: 30 })
        yield* TaskQueue.use((queue) => queue.pauseType("work"))
        assert.deepInclude(yield* scaling(), { waiting: 0, waitingSince: null })
      })
    ))

  it.effect("refuses options that are unknown or outside of their bounds", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        for (
          const options of [{ within: 0 }, { within: "3651 days" }, { queue: "" }, { queues: ["a"] }, { within: NaN }]
        ) {
          assert.instanceOf(yield* Effect.flip(scaling(options as Scaling.ScalingOptions)), InvalidOption)
        }
      })
    ))
})

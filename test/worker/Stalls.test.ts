/** A pool that stands still although none of its steps fails: health names the part, and since when. */
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Layer } from "effect"
import * as StoreWatch from "../../src/maintenance/StoreWatch.ts"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import type { Room } from "../../src/store/WriteHealth.ts"
import * as Task from "../../src/Task.ts"
import { maxClockOffMs } from "../../src/worker/Claimer.ts"
import { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { Gate } from "../engine/Gate.ts"
import { Logs, pass, reaches, withEngine, withStore } from "../engine/TestEngine.ts"
import { TestStore } from "../engine/TestStore.ts"

const Work = Task.make("work", { timeout: "1 hour" })
const handlers = Work.toLayer(() => Effect.void)

const troubles = Supervisor.use(({ troubles }) => troubles)
const parts = Effect.map(troubles, (all) => all.map(({ part }) => part))

describe("a pool that stands still", () => {
  it.effect("is in trouble when a claim is not answered, while slots are free", () =>
    withEngine(
      { handlers, worker: { pollInterval: "1 second" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        yield* pass("10 seconds")
        store.hangs("claim")
        yield* pass("29 seconds")
        assert.deepStrictEqual(yield* parts, [])
        yield* pass("5 seconds")
        const [trouble] = yield* troubles
        assert.strictEqual(trouble?.part, "claimer")
        assert.isString(trouble?.advice)
        const since = DateTime.toEpochMillis(trouble!.since)
        assert.isTrue(since >= 10_000 && since <= 11_000, `since ${since}`)
        store.up()
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* parts, [])
        const told = (yield* Logs).map(({ message }) => message).filter((line) =>
          line.startsWith("claimer stands still")
        )
        assert.lengthOf(told, 1)
      })
    ))

  it.effect("is not when all slots are busy, however long", () => {
    const gate = new Gate()
    return withEngine(
      { handlers: Work.toLayer(() => gate.run), worker: { concurrency: 1 } },
      Effect.gen(function*() {
        const { id } = yield* Work.enqueue()
        yield* reaches(id, "running")
        yield* pass("10 minutes")
        assert.deepStrictEqual(yield* parts, [])
        gate.open()
        yield* reaches(id, "completed")
        assert.deepStrictEqual(yield* parts, [])
      })
    )
  })

  it.effect("is not when it waits for work, however seldom it looks", () =>
    withEngine(
      { handlers, worker: { pollInterval: "1 hour" } },
      Effect.gen(function*() {
        for (let times = 0; times < 10; times++) {
          yield* pass("7 minutes")
          assert.deepStrictEqual(yield* parts, [])
        }
      })
    ))

  it.effect("is in trouble when what has ended is not stored", () =>
    withEngine(
      { handlers },
      Effect.gen(function*() {
        const store = yield* TestStore
        store.hangs("settle")
        const { id } = yield* Work.enqueue()
        yield* pass("29 seconds")
        assert.deepStrictEqual(yield* parts, [])
        yield* pass("3 seconds")
        assert.deepStrictEqual(yield* parts, ["settler"])
        store.up()
        yield* pass("10 seconds")
        yield* reaches(id, "completed")
        assert.deepStrictEqual(yield* parts, [])
      })
    ))

  it.effect("is in trouble no longer than its store, though it has no slots by then", () =>
    withEngine(
      { handlers, worker: { concurrency: 1, pollInterval: "1 second" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        const pool = yield* WorkerPool
        const queue = yield* TaskQueue
        store.down("claim")
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* parts, ["claimer"])
        yield* queue.drain(pool.instance)
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* parts, ["claimer"])
        store.up()
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* parts, [])
      })
    ))

  it.effect("that fails is told of as what fails", () =>
    withEngine(
      { handlers, worker: { pollInterval: "1 second" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        store.down("claim")
        yield* pass("2 minutes")
        const [trouble, ...others] = yield* troubles
        assert.deepStrictEqual(others, [])
        assert.deepInclude(trouble, {
          part: "claimer",
          reason: "The store failed to claim: the test has taken it down"
        })
        assert.isAbove(trouble!.failures, 10)
      })
    ))
})

describe("a clock far from the store's", () => {
  it.effect.each([1, -1])("is a trouble, in either direction: %i", (sign) =>
    withEngine(
      { handlers, worker: { pollInterval: "1 second" } },
      Effect.gen(function*() {
        const store = yield* TestStore
        store.aheadMs = sign * (maxClockOffMs - 100)
        yield* pass("10 seconds")
        assert.deepStrictEqual(yield* parts, [])
        store.aheadMs = sign * (maxClockOffMs + 100)
        yield* pass("10 seconds")
        const [trouble] = yield* troubles
        assert.strictEqual(trouble?.part, "clock")
        assert.include(trouble?.reason, sign > 0 ? "60 s behind the store's" : "60 s ahead of the store's")
        store.aheadMs = 0
        yield* pass("2 seconds")
        assert.deepStrictEqual(yield* parts, [])
      })
    ))
})

describe("a disk that is nearly full", () => {
  const mebibyte = 1024 ** 2
  const gibibyte = 1024 * mebibyte

  it.effect.each<Room & { readonly isRed: boolean }>([
    { free: 10 * gibibyte, total: 1000 * gibibyte, isRed: false },
    { free: gibibyte - 1, total: 1000 * gibibyte, isRed: true },
    { free: 60 * mebibyte, total: gibibyte, isRed: false },
    { free: 40 * mebibyte, total: gibibyte, isRed: true },
    { free: 0, total: gibibyte, isRed: true }
  ])("is one with $free bytes free of $total: $isRed", ({ free, isRed, total }) =>
    withStore(
      {},
      Effect.gen(function*() {
        const room = { free: total, total }
        const store = yield* TaskStore
        const writeHealth = { refusal: Effect.undefined, probe: Effect.void, room: () => room }
        const context = yield* Layer.build(StoreWatch.layer.pipe(Layer.provideMerge(Supervisor.layer))).pipe(
          Effect.provideService(TaskStore, { ...store, writeHealth })
        )
        const { troubles } = Context.get(context, Supervisor)
        assert.deepStrictEqual(yield* troubles, [])
        room.free = free
        yield* pass("1 minute")
        const [trouble] = yield* troubles
        assert.strictEqual(trouble?.part, isRed ? "disk" : undefined)
        room.free = total
        assert.deepStrictEqual(yield* troubles, [])
      })
    ))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { type NewTask, TaskStore } from "taskforge/store"
import type { StoreServices } from "../../../src/store/Driver.ts"
import * as Fixtures from "../conformance/fixtures.ts"
import { elsewhere, file, refuseBad, using } from "./fixtures.ts"

const { hour, minute } = Fixtures

/** What a claim says that takes nothing. */
const looked = Effect.map(
  TaskStore.use((store) => store.claim(Fixtures.request({ queues: ["nowhere"] }))),
  ({ expired = [], nextDueAt, now }) => ({
    dueIn: nextDueAt === null ? null : nextDueAt - now,
    expired: Fixtures.idsOf(expired)
  })
)

/** A store that has been asked before anything was stored, so that it knows that there is nothing. */
const inStore = (use: (path: string) => Effect.Effect<void, unknown, StoreServices>) =>
  Effect.gen(function*() {
    const path = yield* file
    yield* using(path, () =>
      Effect.gen(function*() {
        yield* refuseBad(path)
        // The first time the file is read
        for (let time = 0; time < 2; time++) assert.deepStrictEqual(yield* looked, { dueIn: null, expired: [] })
        yield* use(path)
      }))
  })

const reschedule = (id: string, delayMs: number) =>
  TaskStore.use((store) => store.reschedule([{ id, type: "work", queue: "default", delayMs }]))

const failing = (fields: Partial<NewTask>) =>
  Effect.map(
    Effect.exit(TaskStore.use((store) => store.enqueue([[fields, { payload: "bad" }].map(Fixtures.task)]))),
    (exit) => assert.isTrue(Exit.isFailure(exit))
  )

const failingClaim = Effect.map(
  Effect.exit(Fixtures.take({ instance: "bad" })),
  (exit) => assert.isTrue(Exit.isFailure(exit))
)

describe("when the next task is due", () => {
  it.effect("is known after each change of one that is scheduled", () =>
    inStore(() =>
      Effect.gen(function*() {
        const later = yield* Fixtures.addOne({ delayMs: 2 * hour })
        assert.strictEqual((yield* looked).dueIn, 2 * hour)
        const sooner = yield* Fixtures.addOne({ delayMs: hour })
        assert.strictEqual((yield* looked).dueIn, hour)
        yield* reschedule(sooner, 3 * hour)
        assert.strictEqual((yield* looked).dueIn, 2 * hour)
        yield* reschedule(later, minute)
        assert.strictEqual((yield* looked).dueIn, minute)
        yield* Fixtures.cancel(later)
        assert.strictEqual((yield* looked).dueIn, 3 * hour)
        yield* TestClock.adjust(3 * hour)
        const claimed = yield* Fixtures.takeOne()
        assert.strictEqual(claimed.id, sooner)
        assert.isNull((yield* looked).dueIn)
        yield* Fixtures.settled(Fixtures.again(claimed, hour))
        assert.strictEqual((yield* looked).dueIn, hour)
      })
    ))

  it.effect("is known after another process has written", () =>
    inStore((path) =>
      Effect.gen(function*() {
        const id = yield* elsewhere(path, Fixtures.addOne({ delayMs: hour }))
        assert.strictEqual((yield* looked).dueIn, hour)
        yield* elsewhere(path, Fixtures.cancel(id))
        assert.isNull((yield* looked).dueIn)
      })
    ))

  it.effect("is what it was before a transaction that failed", () =>
    inStore(() =>
      Effect.gen(function*() {
        const id = yield* Fixtures.addOne({ delayMs: hour })
        yield* failing({ delayMs: minute })
        assert.strictEqual((yield* looked).dueIn, hour)
        yield* TestClock.adjust(hour)
        // It was not due any more when the claim failed
        yield* failingClaim
        assert.deepStrictEqual(yield* Fixtures.takeIds(), [id])
      })
    ))
})

describe("tasks that expire", () => {
  it.effect("are found after each change of one", () =>
    inStore(() =>
      Effect.gen(function*() {
        const last = yield* Fixtures.addOne({ expiresInMs: 2 * hour })
        assert.deepStrictEqual((yield* looked).expired, [])
        const first = yield* Fixtures.addOne({ expiresInMs: hour })
        yield* TestClock.adjust(hour)
        assert.deepStrictEqual((yield* looked).expired, [first])
        const running = yield* Fixtures.takeOne()
        assert.strictEqual(running.id, last)
        yield* TestClock.adjust(minute)
        assert.deepStrictEqual((yield* looked).expired, [])
        yield* Fixtures.settled(Fixtures.release(running))
        assert.deepStrictEqual((yield* looked).expired, [])
        yield* TestClock.adjust(hour)
        assert.deepStrictEqual((yield* looked).expired, [last])
      })
    ))

  it.effect("are found where another process has stored them", () =>
    inStore((path) =>
      Effect.gen(function*() {
        const id = yield* elsewhere(path, Fixtures.addOne({ expiresInMs: hour }))
        yield* TestClock.adjust(hour)
        assert.deepStrictEqual((yield* looked).expired, [id])
      })
    ))

  it.effect("are found again after a claim that failed", () =>
    inStore(() =>
      Effect.gen(function*() {
        const id = yield* Fixtures.addOne({ expiresInMs: hour })
        yield* Fixtures.addOne()
        yield* TestClock.adjust(hour)
        yield* failingClaim
        assert.deepStrictEqual((yield* looked).expired, [id])
      })
    ))
})

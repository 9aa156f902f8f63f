import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Budget } from "../../src/store/Admission.ts"

/** A store whose bytes a test says, and that takes as long as the test says to tell them. */
const store = Effect.gen(function*() {
  const state = { bytes: 0, tookMs: 0, asked: 0 }
  const measure = Effect.suspend(() => {
    state.asked++
    return Effect.as(Effect.sleep(state.tookMs), state.bytes)
  })
  return { state, budget: new Budget(1000, measure, yield* Clock.Clock) }
})

describe("a budget in bytes", () => {
  it.effect("is measured each second while something is stored, and adds what is stored in between", () =>
    Effect.gen(function*() {
      const { budget, state } = yield* store
      for (let second = 0; second < 5; second++) {
        yield* budget.measureFor(10)
        budget.add(10)
        yield* TestClock.adjust("999 millis")
        yield* budget.measureFor(10)
        budget.add(10)
        yield* TestClock.adjust("1 millis")
      }
      assert.strictEqual(state.asked, 5)
      assert.strictEqual(budget.used, 20)
      state.bytes = 990
      yield* budget.measureFor(10)
      assert.isTrue(budget.fits(10))
      assert.isFalse(budget.fits(11))
    }))

  it.effect("is measured before something is refused, so room that others made is found", () =>
    Effect.gen(function*() {
      const { budget, state } = yield* store
      state.bytes = 1000
      yield* budget.measureFor(10)
      assert.isFalse(budget.fits(10))
      state.bytes = 500
      yield* budget.measureFor(10)
      assert.isTrue(budget.fits(10))
    }))

  it.effect("is not measured for more than a fiftieth of the time, however much is refused", () =>
    Effect.gen(function*() {
      const { budget, state } = yield* store
      Object.assign(state, { bytes: 1000, tookMs: 100 })
      const measuring = yield* Effect.forkChild(budget.measureFor(10))
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(measuring)
      for (let ms = 100; ms < 5000; ms += 100) {
        yield* budget.measureFor(10)
        yield* TestClock.adjust("100 millis")
      }
      assert.strictEqual(state.asked, 1)
      state.tookMs = 0
      yield* budget.measureFor(10)
      assert.strictEqual(state.asked, 2)
    }))

  it.effect("is measured by one at a time, and counts what is stored meanwhile", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<number>()
      const budget = new Budget(1000, Deferred.await(answer), yield* Clock.Clock)
      const measuring = yield* Effect.forkChild(budget.measureFor(10))
      yield* Effect.yieldNow
      // It does not wait for the first one's answer
      yield* budget.measureFor(10)
      budget.add(300)
      yield* Deferred.succeed(answer, 200)
      yield* Fiber.join(measuring)
      assert.strictEqual(budget.used, 500)
    }))
})

import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  again,
  cancel,
  complete,
  extend,
  fail,
  hour,
  minute,
  record,
  release,
  request,
  rescue,
  running,
  second,
  settle,
  settled,
  snooze,
  stop,
  take,
  takeIds
} from "./fixtures.ts"

export const leases = (driver: Driver) =>
  describe("leases", () => {
    scenario(driver, "are prolonged from the moment of the heartbeat", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running({}, { leaseForMs: minute })
        const before = yield* record(claimed.id)
        yield* driver.advance("30 seconds")
        const { now: earliest } = yield* store.claim(request({ limit: 0 }))
        assert.strictEqual(yield* extend(claimed, minute), "held")
        const { now: latest } = yield* store.claim(request({ limit: 0 }))
        const { leaseUntil, ...after } = yield* record(claimed.id)
        assert.isTrue(leaseUntil! >= earliest + minute && leaseUntil! <= latest + minute)
        assert.deepStrictEqual({ ...after, leaseUntil: before.leaseUntil }, before)
      }))

    scenario(driver, "may be made shorter", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: hour })
        assert.strictEqual(yield* extend(claimed, second), "held")
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual((yield* rescue()).map(({ id }) => id), [claimed.id])
      }))

    scenario(driver, "keep a task from others and from rescue while they last", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: minute })
        for (let i = 0; i < 5; i++) {
          yield* driver.advance("50 seconds")
          assert.strictEqual(yield* extend(claimed, minute), "held")
          assert.deepStrictEqual(yield* rescue(), [])
          assert.deepStrictEqual(yield* takeIds({ instance: "other" }), [])
        }
      }))

    scenario(driver, "answer one thing per heartbeat, in order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [held, stopping, settledOne] = [yield* running(), yield* running(), yield* running()]
        yield* cancel(stopping.id)
        yield* settled(complete(settledOne))
        const answers = yield* store.extend(
          [settledOne, held, { id: "unknown", claim: held.claim }, stopping, { ...held, claim: stopping.claim }],
          minute
        )
        assert.deepStrictEqual(answers, ["lost", "held", "lost", "cancel", "lost"])
        assert.deepStrictEqual(yield* store.extend([], minute), [])
      }))

    scenario(driver, "stay valid after they expire until somebody rescues", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: second })
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* take({ instance: "other" }), [])
        assert.strictEqual(yield* extend(claimed, minute), "held")
        assert.deepStrictEqual(yield* rescue(), [])
        yield* driver.advance("1 hour")
        assert.strictEqual(yield* settle(complete(claimed)), "applied")
      }))

    for (
      const [name, settlement] of [["Fail", fail], ["Retry", again], ["Cancel", stop], ["Snooze", snooze], [
        "Release",
        release
      ]] as const
    ) {
      scenario(driver, `let ${name} settle after they expire`, () =>
        Effect.gen(function*() {
          const claimed = yield* running({}, { leaseForMs: second })
          yield* driver.advance("1 hour")
          assert.strictEqual(yield* settle(settlement(claimed)), "applied")
          assert.deepStrictEqual(yield* rescue(), [])
        }))
    }

    scenario(driver, "are lost once the task has been rescued, claimed again or not", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: second })
        yield* driver.advance("10 seconds")
        yield* rescue()
        assert.strictEqual(yield* extend(claimed), "lost")
        yield* take({ instance: "other" })
        assert.strictEqual(yield* extend(claimed), "lost")
      }))

    scenario(driver, "are held while a requested cancel waits, and prolonged", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: minute })
        assert.strictEqual(yield* cancel(claimed.id), "requested")
        yield* driver.advance("50 seconds")
        assert.strictEqual(yield* extend(claimed, minute), "cancel")
        yield* driver.advance("50 seconds")
        assert.deepStrictEqual(yield* rescue(), [])
        assert.strictEqual(yield* extend(claimed, minute), "cancel")
      }))

    scenario(driver, "end with the attempt", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: second })
        assert.notStrictEqual((yield* record(claimed.id)).leaseUntil, null)
        yield* settled(complete(claimed))
        assert.strictEqual((yield* record(claimed.id)).leaseUntil, null)
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* rescue(), [])
      }))

    scenario(driver, "carry progress, the last report standing", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [a, b] = [yield* running(), yield* running()]
        const before = yield* record(a.id)
        yield* store.report([{ ...a, progress: 0.25 }, { ...b, progress: 1 }])
        yield* store.report([{ ...a, progress: 0.5 }])
        yield* store.report([])
        assert.deepStrictEqual(yield* record(a.id), { ...before, progress: 0.5 })
        assert.strictEqual((yield* record(b.id)).progress, 1)
      }))
  })

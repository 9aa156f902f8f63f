import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  addOne,
  again,
  cancel,
  complete,
  counts,
  everything,
  extend,
  fail,
  failure,
  inState,
  minute,
  record,
  release,
  running,
  second,
  settled,
  snooze,
  stateOf,
  stop,
  takeIds
} from "./fixtures.ts"

export const cancelling = (driver: Driver) =>
  describe("cancel", () => {
    for (const state of ["scheduled", "pending"] as const) {
      scenario(driver, `ends a ${state} task at once; it never starts`, () =>
        Effect.gen(function*() {
          const id = yield* inState(state)
          const before = yield* record(id)
          assert.strictEqual(yield* cancel(id), "cancelled")
          const { completedAt, ...after } = yield* record(id)
          assert.notStrictEqual(completedAt, null)
          assert.deepStrictEqual({ ...after, completedAt: null }, { ...before, state: "cancelled" })
          yield* driver.advance("2 hours")
          assert.deepStrictEqual(yield* takeIds(), [])
        }))
    }

    scenario(driver, "ends a task that came back before others: they are claimed without it", () =>
      Effect.gen(function*() {
        const back = yield* running()
        yield* driver.advance("1 second")
        const later = yield* addOne()
        yield* settled(release(back))
        assert.strictEqual(yield* cancel(back.id), "cancelled")
        assert.deepStrictEqual(yield* takeIds(), [later])
      }))

    scenario(driver, "asks a running task to stop and changes nothing else", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        const before = yield* record(claimed.id)
        assert.strictEqual(yield* cancel(claimed.id), "requested")
        assert.deepStrictEqual(yield* record(claimed.id), { ...before, cancelRequested: true })
        assert.strictEqual(yield* cancel(claimed.id), "requested")
        assert.strictEqual(yield* extend(claimed), "cancel")
        yield* settled(stop(claimed))
        assert.strictEqual(yield* stateOf(claimed.id), "cancelled")
      }))

    for (const state of ["completed", "failed", "cancelled"] as const) {
      scenario(driver, `leaves a ${state} task as it is`, () =>
        Effect.gen(function*() {
          const id = yield* inState(state)
          const before = yield* record(id)
          assert.strictEqual(yield* cancel(id), "finished")
          assert.deepStrictEqual(yield* record(id), before)
        }))
    }

    scenario(driver, "answers one thing per id, in order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const finished = yield* inState("completed")
        const claimed = yield* inState("running")
        const waiting = yield* addOne()
        assert.deepStrictEqual(
          yield* store.cancel([waiting, "unknown", claimed, finished, waiting]),
          ["cancelled", "unknown", "requested", "finished", "finished"]
        )
        assert.deepStrictEqual(yield* store.cancel([]), [])
      }))

    scenario(driver, "lets a completion stand that was requested to stop", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* cancel(claimed.id)
        yield* settled(complete(claimed, "1"))
        assert.deepInclude(yield* record(claimed.id), { state: "completed", result: "1" })
        assert.deepInclude((yield* counts).totals, { completed: 1, cancelled: 0 })
      }))

    scenario(driver, "lets a final failure stand that was requested to stop", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* cancel(claimed.id)
        yield* settled(fail(claimed))
        assert.deepInclude(yield* record(claimed.id), { state: "failed", failures: 1, failure })
      }))

    scenario(driver, "turns a retry into the end, keeps the failure, and counts no retry", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* cancel(claimed.id)
        yield* settled(again(claimed, minute))
        assert.deepInclude(yield* record(claimed.id), { state: "cancelled", failures: 1, failure, leaseUntil: null })
        assert.deepInclude((yield* counts).totals, { cancelled: 1, retried: 0 })
      }))

    for (const [name, end] of [["a snooze", snooze], ["a release", release]] as const) {
      scenario(driver, `turns ${name} into the end`, () =>
        Effect.gen(function*() {
          const claimed = yield* running()
          yield* cancel(claimed.id)
          yield* settled(end(claimed))
          const found = yield* record(claimed.id)
          assert.deepInclude(found, { state: "cancelled", failures: 0, leaseUntil: null })
          assert.strictEqual(found.settledClaim, claimed.claim)
          assert.notStrictEqual(found.completedAt, null)
          assert.deepStrictEqual(yield* takeIds(), [])
        }))
    }

    scenario(driver, "is not overheard by an attempt whose lease has expired", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: second })
        yield* driver.advance("1 hour")
        assert.strictEqual(yield* cancel(claimed.id), "requested")
        assert.strictEqual(yield* extend(claimed), "cancel")
      }))

    scenario(driver, "leaves the other tasks alone", () =>
      Effect.gen(function*() {
        const kept = yield* addOne()
        const before = yield* record(kept)
        yield* cancel(yield* addOne())
        yield* cancel("unknown")
        assert.deepStrictEqual(yield* record(kept), before)
        assert.strictEqual((yield* everything).length, 2)
      }))
  })

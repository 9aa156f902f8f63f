import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  again,
  cancel,
  complete,
  counts,
  everything,
  extend,
  fail,
  inState,
  minute,
  record,
  rerun,
  rescue,
  running,
  second,
  settled,
  stateOf,
  takeIds,
  takeOne
} from "./fixtures.ts"

export const rerunning = (driver: Driver): void => {
  describe("a rerun", () => {
    scenario(
      driver,
      "makes a dead letter due now with fresh budgets; claims and history stay",
      () =>
        Effect.gen(function*() {
          yield* add({ maxRetries: 1 })
          const crashed = yield* takeOne({ leaseForMs: second })
          yield* driver.advance("10 seconds")
          yield* rescue()
          const retried = yield* takeOne()
          yield* settled(again(retried))
          const last = yield* takeOne()
          yield* settled(fail(last))
          const dead = yield* record(last.id)
          assert.deepInclude(dead, { state: "failed", failures: 2, crashes: 1, claims: 3, claim: last.claim })
          yield* driver.advance("1 hour")
          assert.deepStrictEqual(yield* rerun(last.id), { _tag: "rerun" })
          const fresh = yield* record(last.id)
          assert.deepInclude(fresh, {
            seq: dead.seq,
            createdAt: dead.createdAt,
            state: "pending",
            failures: 0,
            crashes: 0,
            claims: 3,
            claim: last.claim,
            completedAt: null,
            failure: null,
            cancelRequested: false
          })
          assert.deepStrictEqual(fresh.history.map(({ claim }) => claim), [crashed.claim, retried.claim, last.claim])
          assert.isTrue(fresh.dueAt > dead.completedAt!)
          assert.isAbove((yield* takeOne()).claim, last.claim)
          assert.strictEqual((yield* record(last.id)).claims, 4)
        })
    )

    scenario(driver, "lets a cancelled task run after all", () =>
      Effect.gen(function*() {
        const waiting = yield* addOne({ delayMs: minute })
        yield* cancel(waiting)
        assert.deepStrictEqual(yield* rerun(waiting), { _tag: "rerun" })
        assert.deepStrictEqual(yield* takeIds(), [waiting])
      }))

    scenario(driver, "forgets the request to cancel", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        yield* cancel(claimed.id)
        yield* settled(again(claimed))
        yield* rerun(claimed.id)
        const second = yield* takeOne()
        assert.strictEqual(yield* extend(second), "held")
        yield* settled(again(second))
        assert.strictEqual(yield* stateOf(claimed.id), "pending")
      }))

    for (const state of ["scheduled", "pending", "running", "completed"] as const) {
      scenario(driver, `does not fit a ${state} task`, () =>
        Effect.gen(function*() {
          const id = yield* inState(state)
          const before = yield* everything
          assert.deepStrictEqual(yield* rerun(id), { _tag: "conflict", state })
          assert.deepStrictEqual(yield* everything, before)
        }))
    }

    scenario(driver, "answers one thing per id, in order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [failed, completed] = [yield* inState("failed"), yield* inState("completed")]
        assert.deepStrictEqual(yield* store.rerun(["unknown", failed, completed, failed]), [
          { _tag: "unknown" },
          { _tag: "rerun" },
          { _tag: "conflict", state: "completed" },
          { _tag: "conflict", state: "pending" }
        ])
        assert.deepStrictEqual(yield* store.rerun([]), [])
      }))

    scenario(driver, "lets a task be finished and counted again", () =>
      Effect.gen(function*() {
        const failed = yield* inState("failed")
        yield* rerun(failed)
        yield* settled(fail(yield* takeOne()))
        yield* rerun(failed)
        yield* settled(complete(yield* takeOne()))
        assert.deepInclude((yield* counts).totals, { created: 1, failed: 2, completed: 1 })
        assert.deepInclude(yield* counts, { completed: 1, failed: 0, pending: 0, running: 0 })
      }))
  })

  describe("remove", () => {
    for (const state of ["completed", "failed", "cancelled"] as const) {
      scenario(driver, `takes a ${state} task away`, () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const id = yield* inState(state)
          assert.deepStrictEqual(yield* store.remove([id]), ["removed"])
          assert.strictEqual(yield* store.get(id), undefined)
          assert.deepStrictEqual(yield* store.results([id]), [null])
          assert.deepStrictEqual(yield* everything, [])
          assert.strictEqual((yield* counts)[state], 0)
          assert.deepStrictEqual(yield* store.remove([id]), ["unknown"])
        }))
    }

    for (const state of ["scheduled", "pending", "running"] as const) {
      scenario(driver, `refuses a ${state} task`, () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const id = yield* inState(state)
          const before = yield* everything
          assert.deepStrictEqual(yield* store.remove([id]), ["unfinished"])
          assert.deepStrictEqual(yield* everything, before)
        }))
    }

    scenario(driver, "answers one thing per id, in order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [finished, waiting] = [yield* inState("completed"), yield* addOne()]
        assert.deepStrictEqual(
          yield* store.remove(["unknown", finished, waiting, finished]),
          ["unknown", "removed", "unfinished", "unknown"]
        )
        assert.deepStrictEqual(yield* store.remove([]), [])
      }))

    scenario(driver, "frees the id for another task", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const id = yield* inState("cancelled")
        const { seq } = yield* record(id)
        yield* store.remove([id])
        yield* add({ id })
        const fresh = yield* record(id)
        assert.deepInclude(fresh, { state: "pending", claims: 0, claim: 0, settledClaim: 0, history: [] })
        assert.isTrue(fresh.seq > seq)
      }))
  })
}

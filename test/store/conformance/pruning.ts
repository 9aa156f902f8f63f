import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { keyedForMs, TaskState, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addGroup,
  addOne,
  counts,
  everything,
  hour,
  idsOf,
  inState,
  type Keeping,
  minute,
  rerun,
  retention,
  stateOf
} from "./fixtures.ts"

export const pruning = (driver: Driver) =>
  describe("prune", () => {
    const prune = (fields: Keeping, limit = 1000) => TaskStore.use((store) => store.prune(retention(fields), limit))
    const kept = Effect.map(everything, (tasks) => [...idsOf(tasks)])

    scenario(driver, "keeps everything that retention keeps", () =>
      Effect.gen(function*() {
        for (
          const state of ["completed", "failed", "cancelled", "expired", "running", "scheduled", "pending"] as const
        ) {
          yield* inState(state)
        }
        yield* driver.advance("1000 days")
        const before = yield* everything
        assert.strictEqual(yield* prune({}), 0)
        assert.deepStrictEqual(yield* everything, before)
      }))

    scenario(driver, "never takes an unfinished task, however old", () =>
      Effect.gen(function*() {
        const ids = [yield* inState("running"), yield* inState("scheduled"), yield* inState("pending")]
        yield* driver.advance("1000 days")
        assert.strictEqual(yield* prune({ finishedForMs: 0, failedForMs: 0, maxFinished: 0 }), 0)
        assert.sameMembers(yield* kept, ids)
      }))

    scenario(driver, "takes completed and cancelled tasks by one age and dead letters by another", () =>
      Effect.gen(function*() {
        const old = [yield* inState("completed"), yield* inState("cancelled"), yield* inState("failed")]
        yield* driver.advance("1 hour")
        const young = [yield* inState("completed"), yield* inState("cancelled"), yield* inState("failed")]
        assert.strictEqual(yield* prune({ finishedForMs: 30 * minute }), 2)
        assert.sameMembers(yield* kept, [old[2]!, ...young])
        assert.strictEqual(yield* prune({ failedForMs: 30 * minute }), 1)
        assert.sameMembers(yield* kept, young)
        yield* driver.advance("1 hour")
        assert.strictEqual(yield* prune({ finishedForMs: 30 * minute, failedForMs: 30 * minute }), 3)
        assert.deepStrictEqual(yield* kept, [])
      }))

    scenario(driver, "reckons the age from the end of a task, not from its creation", () =>
      Effect.gen(function*() {
        const waiting = yield* addOne()
        yield* driver.advance("10 days")
        yield* TaskStore.use((store) =>
          store.cancel([waiting])
        )
        assert.strictEqual(yield* prune({ finishedForMs: hour }), 0)
        yield* driver.advance("2 hours")
        assert.strictEqual(yield* prune({ finishedForMs: hour }), 1)
      }))

    scenario(driver, "takes by age whether or not there is a key", () =>
      Effect.gen(function*() {
        yield* inState("completed", { key: "a" })
        yield* inState("failed", { key: "b" })
        yield* driver.advance("2 hours")
        assert.strictEqual(yield* prune({ finishedForMs: hour, failedForMs: hour }), 2)
      }))

    scenario(driver, "takes the oldest of a state beyond the number kept of it, whatever there is of others", () =>
      Effect.gen(function*() {
        const ids: Array<string> = []
        for (const state of ["failed", "completed", "expired", "completed", "cancelled", "completed"] as const) {
          ids.push(yield* inState(state))
          yield* driver.advance("1 minute")
        }
        assert.strictEqual(yield* prune({ maxFinished: 3 }), 0)
        assert.strictEqual(yield* prune({ max: { completed: 1 } }), 2)
        assert.sameMembers(yield* kept, [ids[0]!, ids[2]!, ids[4]!, ids[5]!])
        for (const [state, place] of [["failed", 0], ["expired", 2], ["cancelled", 4], ["completed", 5]] as const) {
          assert.strictEqual(yield* prune({ max: { [state]: 0 } }), 1)
          assert.isFalse((yield* kept).includes(ids[place]!))
        }
        assert.deepStrictEqual(yield* kept, [])
      }))

    scenario(driver, "takes each state by its own age", () =>
      Effect.gen(function*() {
        for (const state of TaskState.finished) {
          yield* inState(state)
        }
        yield* driver.advance("1 hour")
        for (const state of TaskState.finished) {
          assert.strictEqual((yield* counts)[state], 1)
          assert.strictEqual(yield* prune({ forMs: { [state]: 30 * minute } }), 1)
          assert.strictEqual((yield* counts)[state], 0)
        }
      }))

    scenario(driver, "does not count unfinished tasks towards the number kept", () =>
      Effect.gen(function*() {
        yield* inState("completed")
        yield* inState("running")
        yield* add({}, {}, { delayMs: hour })
        assert.strictEqual(yield* prune({ maxFinished: 1 }), 0)
      }))

    scenario(driver, "spares keyed tasks younger than a day from pruning by number", () =>
      Effect.gen(function*() {
        const keyed = yield* inState("completed", { key: "a" })
        const keyedFailed = yield* inState("failed", { key: "b" })
        yield* driver.advance("1 minute")
        const plain = yield* inState("completed")
        yield* driver.advance("22 hours")
        assert.strictEqual(yield* prune({ maxFinished: 0 }), 1)
        assert.sameMembers(yield* kept, [keyed, keyedFailed])
        assert.isFalse((yield* kept).includes(plain))
        assert.deepStrictEqual(yield* addGroup([{ key: "a" }]), [{ id: keyed, duplicate: true }])
        yield* driver.advance(keyedForMs - 22 * hour)
        assert.strictEqual(yield* prune({ maxFinished: 0 }), 2)
      }))

    scenario(
      driver,
      "takes young keyed tasks too beyond the number kept whatever keys they have, the oldest first",
      () =>
        Effect.gen(function*() {
          const keyed: Array<string> = []
          for (let index = 0; index < 4; index++) {
            keyed.push(yield* inState("completed", { key: `k${index}` }))
            yield* driver.advance("1 minute")
          }
          const plain = yield* inState("completed")
          const fields = { maxFinished: 1, maxKeyedFinished: 3 }
          assert.strictEqual(yield* prune(fields, 1), 1)
          assert.sameMembers(yield* kept, keyed, `${plain} goes first`)
          assert.strictEqual(yield* prune(fields), 1)
          assert.sameMembers(yield* kept, keyed.slice(1))
          assert.strictEqual(yield* prune(fields), 0)
          assert.strictEqual((yield* addGroup([{ key: "k0" }]))[0]?.duplicate, false)
          assert.deepStrictEqual(yield* addGroup([{ key: "k1" }]), [{ id: keyed[1]!, duplicate: true }])
          assert.strictEqual(yield* prune({ maxFinished: 0, maxKeyedFinished: 0 }, 2), 2)
          assert.strictEqual(yield* prune({ maxFinished: 0, maxKeyedFinished: 0 }), 1)
          const counted = yield* counts
          assert.deepStrictEqual([counted.completed, counted.failed, counted.cancelled], [0, 0, 0])
        })
    )

    scenario(driver, "frees the key of what it takes", () =>
      Effect.gen(function*() {
        const gone = yield* inState("completed", { key: "a", payload: "1" })
        yield* driver.advance("2 days")
        assert.strictEqual(yield* prune({ maxFinished: 0 }), 1)
        const [answer] = yield* addGroup([{ key: "a", payload: "2" }])
        assert.strictEqual(answer?.duplicate, false)
        assert.notStrictEqual(answer?.id, gone)
      }))

    scenario(driver, "takes no more than its limit, the rest later", () =>
      Effect.gen(function*() {
        for (let i = 0; i < 5; i++) {
          yield* inState(i % 2 === 0 ? "completed" : "failed")
        }
        yield* driver.advance("2 hours")
        const step = prune({ finishedForMs: hour, failedForMs: hour }, 2)
        assert.deepStrictEqual([yield* step, yield* step, yield* step, yield* step], [2, 2, 1, 0])
        assert.deepStrictEqual(yield* kept, [])
      }))

    scenario(driver, "takes no more than its limit by number, the oldest first", () =>
      Effect.gen(function*() {
        const ids: Array<string> = []
        for (let i = 0; i < 5; i++) {
          ids.push(yield* inState("completed"))
          yield* driver.advance("1 minute")
        }
        assert.strictEqual(yield* prune({ maxFinished: 1 }, 3), 3)
        assert.sameMembers(yield* kept, ids.slice(3))
        assert.strictEqual(yield* prune({ maxFinished: 1 }, 3), 1)
        assert.deepStrictEqual(yield* kept, [ids[4]])
      }))

    scenario(driver, "keeps a task that an operator has brought back", () =>
      Effect.gen(function*() {
        const id = yield* inState("failed")
        yield* driver.advance("2 hours")
        yield* rerun(id)
        assert.strictEqual(yield* prune({ finishedForMs: 0, failedForMs: 0, maxFinished: 0 }), 0)
        assert.strictEqual(yield* stateOf(id), "pending")
      }))

    scenario(driver, "reckons the age of a task that ended twice from its last end", () =>
      Effect.gen(function*() {
        const id = yield* inState("failed")
        yield* driver.advance("2 hours")
        yield* rerun(id)
        yield* TaskStore.use((store) =>
          store.cancel([id])
        )
        assert.strictEqual(yield* prune({ finishedForMs: hour, failedForMs: hour }), 0)
        assert.deepStrictEqual(yield* kept, [id])
      }))

    scenario(driver, "leaves the totals as they are", () =>
      Effect.gen(function*() {
        for (const state of TaskState.finished) {
          yield* inState(state)
        }
        yield* driver.advance("2 hours")
        const before = yield* counts
        assert.strictEqual(yield* prune({ maxFinished: 0 }), 4)
        assert.deepStrictEqual(yield* counts, { ...before, completed: 0, failed: 0, cancelled: 0, expired: 0 })
      }))
  })

import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addGroup,
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
  release,
  rerun,
  rescue,
  running,
  second,
  settled,
  snooze,
  task,
  tasks
} from "./fixtures.ts"

const tags = (answers: ReadonlyArray<{ readonly _tag: string }>) => answers.map(({ _tag }) => _tag)

export const capacity = (driver: Driver) =>
  describe("capacity", () => {
    scenario(driver, "accepts exactly as many unfinished tasks as it says", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add(...tasks(3))
        assert.strictEqual((yield* counts).capacity, 3)
        assert.deepStrictEqual(yield* store.enqueue([[task()]]), [{ _tag: "Full", capacity: 3, unfinished: 3 }])
        assert.strictEqual((yield* everything).length, 3)
      }), { capacity: 3 })

    scenario(driver, "counts scheduled, pending and running tasks, and none that have finished", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        for (const state of ["completed", "failed", "cancelled", "running", "scheduled", "pending"] as const) {
          yield* inState(state)
        }
        assert.deepStrictEqual(yield* store.enqueue([[task()]]), [{ _tag: "Full", capacity: 3, unfinished: 3 }])
      }), { capacity: 3 })

    scenario(driver, "has room again for each task that finishes", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const first = yield* running()
        const second = yield* running()
        const third = yield* addOne()
        yield* settled(complete(first))
        yield* settled(fail(second))
        assert.strictEqual(yield* cancel(third), "cancelled")
        const answers = yield* store.enqueue([tasks(3), [task()]])
        assert.deepStrictEqual(tags(answers), ["Accepted", "Full"])
      }), { capacity: 3 })

    scenario(driver, "refuses a batch that does not fit whole", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add(task())
        const before = yield* everything
        assert.deepStrictEqual(yield* store.enqueue([tasks(3)]), [{ _tag: "Full", capacity: 3, unfinished: 1 }])
        assert.deepStrictEqual(yield* everything, before)
      }), { capacity: 3 })

    scenario(driver, "refuses a batch larger than itself at once, even when empty", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        assert.deepStrictEqual(yield* store.enqueue([tasks(4)]), [{ _tag: "Full", capacity: 3, unfinished: 0 }])
        assert.deepStrictEqual(yield* everything, [])
      }), { capacity: 3 })

    scenario(driver, "gives every group of a call its own fate, in order", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const answers = yield* store.enqueue([tasks(2), tasks(3), tasks(1), tasks(1), tasks(1)])
        assert.deepStrictEqual(tags(answers), ["Accepted", "Full", "Accepted", "Accepted", "Full"])
        assert.strictEqual((yield* everything).length, 4)
      }), { capacity: 4 })

    scenario(driver, "needs no room for duplicates", () =>
      Effect.gen(function*() {
        const [byId, byKey] = [task(), task({ key: "k" })]
        yield* add(byId, byKey)
        const answer = yield* addGroup([byId, task({ key: "k" }), byId])
        assert.deepStrictEqual(
          answer.map(({ duplicate }) =>
            duplicate
          ),
          [true, true, true]
        )
      }), { capacity: 2 })

    scenario(driver, "answers duplicates also when more came back than it holds", () =>
      Effect.gen(function*() {
        const dead = yield* inState("failed")
        const [known] = yield* add(task())
        yield* rerun(dead)
        assert.deepStrictEqual(yield* addGroup([{ id: known }, { id: dead }]), [
          { id: known, duplicate: true },
          { id: dead, duplicate: true }
        ])
      }), { capacity: 1 })

    scenario(driver, "counts only the new tasks of a mixed group", () =>
      Effect.gen(function*() {
        const known = task()
        yield* add(known)
        const answer = yield* addGroup([known, task(), known])
        assert.deepStrictEqual(
          answer.map(({ duplicate }) =>
            duplicate
          ),
          [true, false, true]
        )
      }), { capacity: 2 })

    scenario(driver, "never refuses what comes back: retry, snooze, release, rescue, a rerun", () =>
      Effect.gen(function*() {
        const dead = yield* inState("failed")
        const [a, b, c, d] = [yield* running(), yield* running(), yield* running(), yield* running()]
        yield* settled(again(a, minute))
        yield* settled(snooze(b, minute))
        yield* settled(release(c))
        assert.strictEqual(yield* extend(d, second), "held")
        yield* driver.advance("10 seconds")
        assert.strictEqual((yield* rescue()).length, 1)
        assert.deepStrictEqual(yield* rerun(dead), { _tag: "rerun" })
        const { pending, running: claimed, scheduled } = yield* counts
        assert.deepStrictEqual([scheduled, pending, claimed], [2, 3, 0])
        const answers = yield* TaskStore.use((store) =>
          store.enqueue([[task()]])
        )
        assert.deepStrictEqual(answers, [{ _tag: "Full", capacity: 4, unfinished: 5 }])
      }), { capacity: 4 })

    scenario(driver, "is not what a conflict is about: a group with both is told of the conflict", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ key: "k", payload: "1" })
        const conflicting = task({ key: "k", payload: "2" })
        for (const group of [[conflicting, ...tasks(5)], [...tasks(5), conflicting]]) {
          assert.deepStrictEqual(tags(yield* store.enqueue([group])), ["Conflict"])
        }
        assert.strictEqual((yield* everything).length, 1)
      }), { capacity: 2 })

    scenario(driver, "has room again for what is refused and sent once more", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running()
        const refused = task({ key: "k" })
        assert.deepStrictEqual(tags(yield* store.enqueue([[refused]])), ["Full"])
        yield* settled(complete(claimed))
        assert.deepStrictEqual(yield* addGroup([refused]), [{ id: refused.id, duplicate: false }])
      }), { capacity: 1 })

    scenario(driver, "counts a failed task that is to run again at once", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const failed = yield* running()
        yield* settled(fail(failed))
        yield* add({}, {})
        // Whatever a process has counted before, it has counted anew for this refusal
        assert.deepStrictEqual(tags(yield* store.enqueue([tasks(2)])), ["Full"])
        yield* rerun(failed.id)
        assert.deepStrictEqual(yield* store.enqueue([[task()]]), [{ _tag: "Full", capacity: 3, unfinished: 3 }])
      }), { capacity: 3 })
  })

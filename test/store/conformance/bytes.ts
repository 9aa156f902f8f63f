import { assert, describe } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { type NewTask, TaskStore } from "taskforge/store"
import { patiently } from "../../Patience.ts"
import { type Driver, scenario } from "./driver.ts"
import { add, again, complete, everything, running, settled, takeOne, task } from "./fixtures.ts"

/** Two tasks with a large payload fit, and no third one, whatever else a store counts. */
const maxBytes = 3 * 1024 * 1024
const payload = JSON.stringify("x".repeat(1_099_998))

const large = (fields: Partial<NewTask> = {}) => task({ payload, ...fields })

/** What became of the groups of one call. */
const offer = (...groups: ReadonlyArray<ReadonlyArray<NewTask>>) => TaskStore.use((store) => store.enqueue(groups))

const tagsOf = (answers: ReadonlyArray<{ readonly _tag: string }>) => answers.map(({ _tag }) => _tag)

/** A refusal because of bytes, with these facts. */
const refused = Effect.fnUntraced(function*(group: ReadonlyArray<NewTask>, offered: number, bound = maxBytes) {
  const [answer] = yield* offer(group)
  if (answer?._tag !== "Full") return assert.fail(`Expected a refusal, got ${answer?._tag}`)
  assert.isDefined(answer.size)
  assert.deepInclude(answer.size, { maxBytes: bound, offeredBytes: offered })
  return answer.size!.storedBytes
})

/** A store that asks a server may know a while later, any other at once. */
const patience = (driver: Driver) => driver.live === true ? patiently() : Schedule.recurs(0)

/** A group that fits once the store has seen that there is room. */
const eventually = (driver: Driver, group: ReadonlyArray<NewTask>) =>
  offer(group).pipe(
    Effect.repeat({ until: ([answer]) => answer?._tag === "Accepted", schedule: patience(driver) }),
    Effect.map(([answer]) => assert.strictEqual(answer?._tag, "Accepted"))
  )

export const bytes = (driver: Driver) =>
  describe("bytes", () => {
    scenario(driver, "are refused beyond their bound, the group as a whole", () =>
      Effect.gen(function*() {
        yield* add({ payload }, { payload })
        const stored = yield* refused([task(), large()], payload.length + 2)
        assert.isAtLeast(stored, 2 * payload.length)
        assert.isAtMost(stored, maxBytes)
        assert.strictEqual((yield* everything).length, 2)
        yield* add({}, {})
      }), { maxBytes })

    if (driver.forgets !== true) {
      scenario(
        driver,
        "are those of UTF-8",
        () => Effect.asVoid(refused([large({ payload: JSON.stringify("€".repeat(1_200_000)) })], 3_600_002)),
        { maxBytes }
      )
    }

    scenario(driver, "are those of all groups of a call, each with its own fate", () =>
      Effect.gen(function*() {
        const answers = yield* offer([large()], [large(), task()], [large()], [task()], [task({ key: "k" })])
        assert.deepStrictEqual(tagsOf(answers), ["Accepted", "Accepted", "Full", "Accepted", "Accepted"])
        assert.strictEqual((yield* everything).length, 5)
      }), { maxBytes })

    scenario(driver, "are too many for a group that is larger than the bound, however empty the store is", () =>
      Effect.gen(function*() {
        const stored = yield* refused([large(), large(), large()], 3 * payload.length)
        assert.isBelow(stored, payload.length)
        assert.deepStrictEqual(yield* everything, [])
      }), { maxBytes })

    scenario(driver, "are not needed for what is stored already, by id or by key", () =>
      Effect.gen(function*() {
        const [byId, byKey] = [large(), large({ key: "k" })]
        yield* add(byId, byKey)
        const [answer] = yield* offer([byId, large({ key: "k" }), task()])
        if (answer?._tag !== "Accepted") {
          return assert.fail(`Expected known tasks, got ${answer?._tag}`)
        }
        assert.deepStrictEqual(
          answer.tasks.map(({ duplicate }) =>
            duplicate
          ),
          [true, true, false]
        )
        assert.strictEqual((yield* offer([byId]))[0]?._tag, "Accepted")
        // One that is refused leaves its id and its key free
        yield* refused([byId, large({ key: "other" })], payload.length)
        assert.deepStrictEqual(tagsOf(yield* offer([task({ key: "other" })])), ["Accepted"])
      }), { maxBytes })

    scenario(driver, "are not what a conflict is about", () =>
      Effect.gen(function*() {
        yield* add({ key: "k", payload: "1" })
        const conflicting = task({ key: "k", payload: "2" })
        const answers = yield* offer([large(), large(), large(), conflicting])
        assert.deepStrictEqual(tagsOf(answers), ["Conflict"])
      }), { maxBytes })

    scenario(driver, "are free again once a task is removed", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [first] = yield* add({ payload }, { payload })
        yield* refused([large()], payload.length)
        assert.deepStrictEqual(yield* store.cancel([first]), ["cancelled"])
        assert.deepStrictEqual(yield* store.remove([first]), ["removed"])
        yield* eventually(driver, [large()])
        yield* refused([large()], payload.length)
      }), { maxBytes })

    scenario(driver, "never keep what runs from ending, and those of results count", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const first = yield* running({ payload })
        const second = yield* running({ payload })
        const third = yield* running()
        yield* settled(complete(first, payload))
        yield* settled(again(second))
        yield* settled(complete(third, payload))
        const retried = yield* takeOne()
        assert.strictEqual(retried.id, second.id)
        // Finished tasks are forgotten for a new one, or it is refused until somebody removes them
        if (driver.forgets === true) {
          yield* eventually(driver, [large()])
          assert.isUndefined(yield* store.get(first.id))
        } else {
          yield* known(driver, 4 * payload.length)
          assert.strictEqual((yield* offer([large()]))[0]?._tag, "Full")
          assert.isDefined(yield* store.get(first.id))
          assert.deepStrictEqual(yield* store.remove([first.id, third.id]), ["removed", "removed"])
          yield* eventually(driver, [large()])
        }
        yield* settled(complete(retried, payload))
      }), { maxBytes: 5 * 1024 * 1024 })
  })

/** Waits until the store knows of so many bytes, which it tells when it refuses something. */
const known = (driver: Driver, atLeast: number) =>
  refused([large(), large(), large()], 3 * payload.length, 5 * 1024 * 1024).pipe(
    Effect.repeat({ until: (stored) => stored >= atLeast, schedule: patience(driver) }),
    Effect.map((stored) => assert.isAtLeast(stored, atLeast))
  )

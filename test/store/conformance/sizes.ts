/** What is stored can be claimed, settled and read, however much of it there is; and what is kept of failures has a bound. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { maxPayloadBytes, type TaskFailure, type TaskRecord, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import { add, addOne, rescue, settled, take, takeOne } from "./fixtures.ts"

/** A JSON text that is as large as a payload or a result may be. */
const largest = JSON.stringify("x".repeat(maxPayloadBytes - 2))

/** How many of them are stored at once: more than fit into a page. */
const count = 5

const detailed = (length: number): TaskFailure => ({
  kind: "error",
  tag: "Refused",
  message: "m",
  error: { reason: "y".repeat(length) }
})

const small = detailed(100)
const large = detailed(200_000)
const { error: _, ...withoutDetails } = large

export const sizes = (driver: Driver): void => {
  describe("sizes", () => {
    scenario(
      driver,
      "the largest payloads and results are claimed, settled and read, many at once",
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const ids: Array<string> = []
          for (let n = 0; n < count; n++) ids.push(yield* addOne({ payload: largest }))
          const claimed = yield* take({ limit: count })
          assert.deepStrictEqual(claimed.map(({ id }) => id), ids)
          assert.isTrue(claimed.every(({ payload }) => payload === largest))
          // One by one, as the Settler sends what is so large
          for (const { claim, id } of claimed) yield* settled({ _tag: "Complete", id, claim, result: largest })
          assert.strictEqual((yield* store.get(ids[0]!))?.result, largest)
          const outcomes = yield* store.results([...ids, "unknown"])
          assert.deepStrictEqual(outcomes.map((outcome) => outcome?.id), [...ids, undefined])
          assert.isTrue(outcomes.slice(0, count).every((outcome) => outcome?.result === largest))
          assert.isNull(outcomes[count])
        })
    )

    scenario(driver, "a page of large tasks ends early, and the next ones go on", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const ids: Array<string> = []
        for (let n = 0; n < count; n++) ids.push(yield* addOne({ payload: largest }))
        for (const filter of [{}, { states: ["pending"] as const }, { types: ["work"] }]) {
          const pages: Array<ReadonlyArray<TaskRecord>> = []
          for (let before: number | undefined; pages.flat().length < count;) {
            const { next, tasks: page } = yield* store.list({ ...filter, before, limit: 100 })
            assert.isAbove(page.length, 0)
            pages.push(page)
            before = next
            assert.strictEqual(next !== undefined, pages.flat().length < count)
          }
          assert.deepStrictEqual(pages.flat().map(({ id }) => id), ids.toReversed())
          assert.isAtLeast(pages.length, 2)
        }
      }))

    scenario(driver, "many large failures and tasks are settled and rescued together", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        for (let n = 0; n < count; n++) yield* addOne({ payload: largest })
        const claimed = yield* take({ limit: count })
        const answers = yield* store.settle(
          claimed.map(({ claim, id }) => ({ _tag: "Retry", id, claim, delayMs: 0, failure: large }))
        )
        assert.isTrue(answers.every((answer) => answer === "applied"))
        yield* take({ limit: count, leaseForMs: 1 })
        yield* driver.advance("1 minute")
        assert.lengthOf(yield* rescue(), count)
        assert.strictEqual((yield* store.get(claimed[0]!.id))?.payload, largest)
      }))

    scenario(
      driver,
      "large details of an error are kept once: the history has them no more, small ones it has",
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const [id] = yield* add({})
          for (const failure of [small, large]) {
            const { claim } = yield* takeOne()
            yield* settled({ _tag: "Retry", id, claim, delayMs: 0, failure })
          }
          const retried = yield* store.get(id)
          assert.deepStrictEqual(retried?.failure, large)
          assert.deepStrictEqual(retried?.history.map(({ failure }) => failure), [small, withoutDetails])
          const { claim } = yield* takeOne()
          yield* settled({ _tag: "Fail", id, claim, failure: large })
          const [outcome] = yield* store.results([id])
          assert.deepStrictEqual(outcome?.failure, large)
          yield* store.rerun([id])
          const again = yield* store.get(id)
          assert.isNull(again?.failure)
          assert.deepStrictEqual(again?.history.map(({ failure }) => failure), [small, withoutDetails, withoutDetails])
        })
    )
  })
}

import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type Driver, scenario } from "./driver.ts"
import { add, addOne, again, minute, record, release, running, second, settled, snooze, takeIds } from "./fixtures.ts"

export const order = (driver: Driver) =>
  describe("order of work", () => {
    scenario(driver, "is first come, first served within a priority", () =>
      Effect.gen(function*() {
        const early = yield* add({}, {}, {})
        yield* driver.advance("1 second")
        const late = yield* add({}, {}, {})
        assert.deepStrictEqual(yield* takeIds({ limit: 4 }), [...early, late[0]])
        assert.deepStrictEqual(yield* takeIds(), late.slice(1))
      }))

    scenario(driver, "is by priority among tasks of one time", () =>
      Effect.gen(function*() {
        const priorities = [0, 3, 1, 9, 2, 9, 0]
        const ids = yield* add(...priorities.map((priority) => ({ priority })))
        assert.deepStrictEqual(yield* takeIds(), [3, 5, 1, 4, 2, 0, 6].map((index) => ids[index]!))
      }))

    scenario(driver, "lets a higher priority overtake within its head start", () =>
      Effect.gen(function*() {
        const low = yield* addOne({ priority: 0 })
        yield* driver.advance("50 seconds")
        const high = yield* addOne({ priority: 1 })
        assert.deepStrictEqual(yield* takeIds(), [high, low])
      }), { headStart: "1 minute" })

    scenario(driver, "serves an old task before a fresh one that it beats by more than the head start", () =>
      Effect.gen(function*() {
        const low = yield* addOne({ priority: 0 })
        yield* driver.advance("70 seconds")
        const high = yield* addOne({ priority: 1 })
        assert.deepStrictEqual(yield* takeIds(), [low, high])
      }), { headStart: "1 minute" })

    scenario(driver, "multiplies the head start by the distance of priorities", () =>
      Effect.gen(function*() {
        const low = yield* addOne({ priority: 0 })
        yield* driver.advance("170 seconds")
        const [normal, critical] = yield* add({ priority: 1 }, { priority: 3 })
        assert.deepStrictEqual(yield* takeIds(), [critical, low, normal])
      }), { headStart: "1 minute" })

    scenario(driver, "starves nothing under a steady stream of urgent work", () =>
      Effect.gen(function*() {
        const low = yield* addOne({ priority: 0 })
        let waitedSeconds = 0
        let taken: ReadonlyArray<string> = []
        while (!taken.includes(low)) {
          assert.isTrue(waitedSeconds <= 100, "The low task should have run by now")
          yield* add({ priority: 9 })
          taken = yield* takeIds({ limit: 1 })
          yield* driver.advance("10 seconds")
          waitedSeconds += 10
        }
        assert.isTrue(waitedSeconds >= 60, `The head start is 90 seconds, yet the low task ran after ${waitedSeconds}`)
      }), { headStart: "10 seconds" })

    scenario(driver, "is strict for ever with an infinite head start", () =>
      Effect.gen(function*() {
        const low = yield* addOne({ priority: 0 })
        yield* driver.advance("3650 days")
        const [normal, high] = yield* add({ priority: 1 }, { priority: 2 })
        const lowAgain = yield* addOne({ priority: 0 })
        assert.deepStrictEqual(yield* takeIds(), [high, normal, low, lowAgain])
      }), { headStart: Infinity })

    scenario(driver, "is plain first come, first served with no head start", () =>
      Effect.gen(function*() {
        const first = yield* addOne({ priority: 0 })
        yield* driver.advance("1 second")
        const second = yield* addOne({ priority: 9 })
        yield* driver.advance("1 second")
        const third = yield* addOne({ priority: 3 })
        assert.deepStrictEqual(yield* takeIds(), [first, second, third])
      }), { headStart: 0 })

    scenario(driver, "uses a head start of five minutes unless told otherwise", () =>
      Effect.gen(function*() {
        const low = yield* addOne({ priority: 0 })
        yield* driver.advance("4 minutes")
        const overtakes = yield* addOne({ priority: 1 })
        yield* driver.advance("2 minutes")
        const waits = yield* addOne({ priority: 1 })
        assert.deepStrictEqual(yield* takeIds(), [overtakes, low, waits])
      }))

    scenario(driver, "counts from the due time, not from the creation", () =>
      Effect.gen(function*() {
        const later = yield* addOne({ delayMs: 20 * second })
        const sooner = yield* addOne({ delayMs: 10 * second })
        const now = yield* addOne()
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds(), [now, sooner, later])
      }))

    scenario(driver, "puts a task with a time in the past before those created now", () =>
      Effect.gen(function*() {
        yield* driver.advance("1 hour")
        const now = yield* addOne()
        const { createdAt } = yield* record(now)
        const past = yield* addOne({ runAt: createdAt - minute })
        assert.deepStrictEqual(yield* takeIds(), [past, now])
      }))

    scenario(driver, "goes across queues and types alike", () =>
      Effect.gen(function*() {
        const ids = yield* add(
          { queue: "x", type: "a", priority: 1 },
          { queue: "y", type: "b", priority: 2 },
          { queue: "x", type: "b", priority: 3 },
          { queue: "y", type: "a", priority: 1 }
        )
        const taken = yield* takeIds({ queues: ["y", "x"], types: ["b", "a"] })
        assert.deepStrictEqual(
          taken,
          [2, 1, 0, 3].map((index) =>
            ids[index]!
          )
        )
      }))

    scenario(driver, "gives released tasks their old place and retried ones a new one", () =>
      Effect.gen(function*() {
        const released = yield* running()
        const retried = yield* running()
        const snoozed = yield* running()
        yield* driver.advance("10 seconds")
        const fresh = yield* addOne()
        yield* driver.advance("10 seconds")
        yield* settled(snooze(snoozed))
        yield* driver.advance("1 second")
        yield* settled(again(retried))
        yield* settled(release(released))
        assert.deepStrictEqual(yield* takeIds(), [released.id, fresh, snoozed.id, retried.id])
      }))
  })

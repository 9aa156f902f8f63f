import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addOne,
  again,
  cancel,
  complete,
  fail,
  minute,
  passState,
  release,
  rerun,
  rescue,
  second,
  setLimit,
  settled,
  snooze,
  stop,
  take,
  takeIds,
  tasks,
  through
} from "./fixtures.ts"

const letGo = (pass: string) => TaskStore.use((store) => store.letGo([pass]))

export const ordering = (driver: Driver) =>
  describe("order of a key", () => {
    scenario(driver, "is first in, first out, one at a time, and that of each key its own", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        const a = yield* addAll(tasks(3, through("!order=a")))
        const b = yield* addAll(tasks(2, through("!order=b")))
        const first = yield* take()
        assert.deepStrictEqual(first.map(({ id }) => id), [a[0], b[0]])
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(first[1]!))
        const second = yield* take()
        assert.deepStrictEqual(second.map(({ id }) => id), [b[1]])
        yield* settled(complete(first[0]!))
        assert.deepStrictEqual(yield* takeIds(), [a[1]])
      }))

    scenario(driver, "waits for retries, snoozes, releases and rescues of its first", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "continue" })
        const [first, second_] = yield* addAll(tasks(2, through("!order=a")))
        const [one] = yield* take()
        yield* settled(again(one!, minute))
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepInclude((yield* passState("!order=a")).holder, { id: first })
        yield* driver.advance("2 minutes")
        const [two] = yield* take()
        assert.strictEqual(two!.id, first)
        yield* settled(snooze(two!, minute))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("2 minutes")
        const [three] = yield* take()
        assert.strictEqual(three!.id, first)
        yield* settled(release(three!))
        const [four] = yield* take({ leaseForMs: second })
        assert.strictEqual(four!.id, first)
        yield* driver.advance("10 seconds")
        assert.strictEqual((yield* rescue()).length, 1)
        const [five] = yield* take()
        assert.strictEqual(five!.id, first)
        yield* settled(complete(five!))
        assert.deepStrictEqual(yield* takeIds(), [second_])
      }))

    scenario(driver, "goes on behind one that failed, where it is to continue", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "continue" })
        const [first, second_] = yield* addAll(tasks(2, through("!order=a")))
        const [one] = yield* take()
        yield* settled(fail(one!))
        assert.deepStrictEqual(yield* takeIds(), [second_])
        yield* rerun(first)
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(driver, "is blocked by one that failed until it has run again", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        const [first, second_] = yield* addAll(tasks(2, through("!order=a")))
        const [one] = yield* take()
        yield* settled(fail(one!))
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepStrictEqual((yield* passState("!order=a")).holder, { id: first, state: "failed" })
        yield* rerun(first)
        const [again_] = yield* take()
        assert.strictEqual(again_!.id, first)
        yield* settled(complete(again_!))
        assert.deepStrictEqual(yield* takeIds(), [second_])
      }))

    for (const way of ["let go", "removed", "cancelled", "changed"] as const) {
      scenario(driver, `is opened when its first was ${way}`, () =>
        Effect.gen(function*() {
          yield* setLimit("!order", { order: "block" })
          const [first, second_] = yield* addAll(tasks(2, through("!order=a")))
          const [one] = yield* take()
          yield* settled(way === "cancelled" ? again(one!, minute) : fail(one!))
          assert.deepStrictEqual(yield* takeIds(), [])
          if (way === "let go") yield* letGo("!order=a")
          if (way === "removed") yield* TaskStore.use((store) => store.remove([first]))
          if (way === "cancelled") assert.strictEqual(yield* cancel(first), "cancelled")
          if (way === "changed") yield* setLimit("!order", { order: "continue" })
          assert.deepStrictEqual(yield* takeIds(), [second_])
        }))
    }

    scenario(driver, "gives the one that is tried again, though others of its line come before it by now", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        const [later, first] = yield* add({ delayMs: second, ...through("!order=a") }, through("!order=a"))
        const [one] = yield* take()
        assert.strictEqual(one!.id, first)
        yield* settled(again(one!, minute))
        yield* driver.advance("10 seconds")
        const urgent = yield* addOne({ priority: 9, ...through("!order=a") })
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("2 minutes")
        const [two] = yield* take()
        assert.strictEqual(two!.id, first)
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(again(two!))
        const [three] = yield* take()
        assert.strictEqual(three!.id, first)
        yield* settled(complete(three!))
        const [four] = yield* take()
        assert.strictEqual(four!.id, urgent)
        yield* settled(complete(four!))
        assert.deepStrictEqual(yield* takeIds(), [later])
      }))

    scenario(
      driver,
      "gives the one that was tried again from behind others once, when it comes back without them",
      () =>
        Effect.gen(function*() {
          yield* setLimit("!order", { order: "block" })
          const first = yield* addOne(through("!order=a"))
          const [one] = yield* take()
          yield* settled(again(one!, minute))
          const urgent = yield* addOne({ priority: 9, ...through("!order=a") })
          yield* driver.advance("2 minutes")
          const [two] = yield* take()
          assert.strictEqual(two!.id, first)
          yield* settled(snooze(two!, 0))
          yield* cancel(urgent)
          const [three, ...others] = yield* take()
          assert.strictEqual(three!.id, first)
          assert.deepStrictEqual(others, [])
          yield* settled(complete(three!))
          assert.deepStrictEqual(yield* takeIds(), [])
        })
    )

    scenario(driver, "ends with a cancel of the one that runs", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        const [first, second_] = yield* addAll(tasks(2, through("!order=a")))
        const [one] = yield* take()
        assert.strictEqual(yield* cancel(first), "requested")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(stop(one!))
        assert.deepStrictEqual(yield* takeIds(), [second_])
      }))

    scenario(driver, "is that of storing, whenever a task becomes due", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        const [a, b] = yield* add({ delayMs: second, ...through("!order=a") }, through("!order=a"))
        yield* driver.advance("10 seconds")
        const [one] = yield* take()
        assert.strictEqual(one!.id, a)
        yield* settled(complete(one!))
        assert.deepStrictEqual(yield* takeIds(), [b])
      }))
  })

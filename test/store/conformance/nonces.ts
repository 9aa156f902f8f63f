import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { lastClaimForMs, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  cancel,
  complete,
  everything,
  fail,
  idsOf,
  minute,
  pause,
  record,
  request,
  rescue,
  retention,
  second,
  settle,
  settled,
  takeIds
} from "./fixtures.ts"

export const nonces = (driver: Driver) =>
  describe("repeating a call whose reply was lost", () => {
    scenario(driver, "gives the same tasks for the same claim and changes nothing", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({}, {}, {}, {})
        const asked = request({ limit: 2 })
        const first = yield* store.claim(asked)
        assert.strictEqual(first.tasks.length, 2)
        const before = yield* everything
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, first.tasks)
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, first.tasks)
        assert.deepStrictEqual(yield* everything, before)
      }))

    scenario(driver, "gives other tasks for another nonce", () =>
      Effect.gen(function*() {
        const ids = yield* add({}, {})
        assert.deepStrictEqual(yield* takeIds({ limit: 1, nonce: 1 }), [ids[0]])
        assert.deepStrictEqual(yield* takeIds({ limit: 1, nonce: 2 }), [ids[1]])
      }))

    scenario(driver, "keeps the nonces of workers apart", () =>
      Effect.gen(function*() {
        const ids = yield* add({}, {})
        assert.deepStrictEqual(yield* takeIds({ limit: 1, nonce: 1, instance: "ada" }), [ids[0]])
        assert.deepStrictEqual(yield* takeIds({ limit: 1, nonce: 1, instance: "grace" }), [ids[1]])
        assert.deepStrictEqual(yield* takeIds({ limit: 1, nonce: 1, instance: "ada" }), [ids[0]])
      }))

    scenario(driver, "prolongs no lease", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const id = yield* addOne()
        const asked = request({ leaseForMs: 10 * second })
        yield* store.claim(asked)
        const { leaseUntil } = yield* record(id)
        yield* driver.advance("6 seconds")
        yield* store.claim(asked)
        assert.strictEqual((yield* record(id)).leaseUntil, leaseUntil)
        yield* driver.advance("6 seconds")
        assert.deepStrictEqual(idsOf(yield* rescue()), [id])
      }))

    scenario(driver, "is possible for a day, whatever is pruned meanwhile", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({}, {})
        const asked = request({ limit: 1 })
        const first = yield* store.claim(asked)
        yield* driver.advance(lastClaimForMs - minute)
        yield* store.prune(retention({ maxFinished: 0 }), 10)
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, first.tasks)
      }))

    scenario(driver, "makes a new claim of one that gave nothing", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const asked = request()
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, [])
        const id = yield* addOne()
        assert.deepStrictEqual(idsOf((yield* store.claim(asked)).tasks), [id])
      }))

    scenario(driver, "leaves out what has been settled since", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({}, {}, {})
        const asked = request({ limit: 2 })
        const [first, second] = (yield* store.claim(asked)).tasks
        yield* settled(complete(first!))
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, [second!])
      }))

    scenario(driver, "leaves out what has been rescued since, even when another instance has it now", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({}, {})
        const asked = request({ limit: 2, leaseForMs: second, instance: "ada" })
        yield* store.claim(asked)
        yield* driver.advance("10 seconds")
        yield* rescue()
        assert.strictEqual((yield* takeIds({ limit: 1, instance: "grace" })).length, 1)
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, [])
      }))

    scenario(driver, "leaves out a new task that bears the id of a removed one", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const id = yield* addOne()
        const asked = request({ instance: "ada" })
        const [claimed] = (yield* store.claim(asked)).tasks
        yield* settled(complete(claimed!))
        yield* store.remove([id])
        yield* addOne({ id })
        assert.deepStrictEqual(yield* takeIds({ instance: "grace" }), [id])
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, [])
      }))

    scenario(driver, "gives the tasks that are still held although their lease has run out", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({})
        const asked = request({ leaseForMs: second })
        const first = yield* store.claim(asked)
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, first.tasks)
      }))

    scenario(driver, "gives the tasks that are still held although their queue has been paused", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({})
        const asked = request()
        const first = yield* store.claim(asked)
        yield* pause("default", true)
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, first.tasks)
      }))

    scenario(driver, "gives the tasks that are still held although their cancel has been requested", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const id = yield* addOne()
        const asked = request()
        const first = yield* store.claim(asked)
        assert.strictEqual(yield* cancel(id), "requested")
        assert.deepStrictEqual(idsOf((yield* store.claim(asked)).tasks), idsOf(first.tasks))
        assert.strictEqual((yield* record(id)).cancelRequested, true)
      }))

    scenario(driver, "answers already when a settlement is repeated, whatever it says now", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({})
        const [claimed] = (yield* store.claim(request())).tasks
        yield* settled(complete(claimed!, `"first"`))
        const before = yield* everything
        assert.strictEqual(yield* settle(complete(claimed!, `"first"`)), "already")
        assert.strictEqual(yield* settle(complete(claimed!, `"second"`)), "already")
        assert.strictEqual(yield* settle(fail(claimed!)), "already")
        assert.deepStrictEqual(yield* everything, before)
      }))
  })

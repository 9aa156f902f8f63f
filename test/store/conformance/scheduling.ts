import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { maxPromoted, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  again,
  cancel,
  counts,
  hour,
  minute,
  record,
  request,
  running,
  second,
  settled,
  snooze,
  stateOf,
  take,
  takeIds,
  tasks
} from "./fixtures.ts"

export const scheduling = (driver: Driver) =>
  describe("due times", () => {
    const nextDueAt = Effect.map(TaskStore.use((store) => store.claim(request({ limit: 0 }))), (answer) =>
      answer.nextDueAt)

    scenario(driver, "keep a task from being claimed before", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ delayMs: minute })
        yield* driver.advance("50 seconds")
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.strictEqual(yield* stateOf(id), "scheduled")
        yield* driver.advance("11 seconds")
        assert.deepStrictEqual(yield* takeIds(), [id])
      }))

    scenario(driver, "let one claim promote and take what has become due", () =>
      Effect.gen(function*() {
        const ids = yield* add({ delayMs: second }, { delayMs: 2 * second }, { delayMs: hour })
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [ids[0]])
        assert.strictEqual(yield* stateOf(ids[1]!), "pending")
        assert.strictEqual(yield* stateOf(ids[2]!), "scheduled")
      }))

    scenario(driver, "stay what they were after promotion", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ delayMs: minute })
        const { dueAt } = yield* record(id)
        yield* driver.advance("1 hour")
        const [claimed] = yield* take()
        assert.strictEqual(claimed?.dueAt, dueAt)
        assert.strictEqual((yield* record(id)).dueAt, dueAt)
      }))

    scenario(driver, "hold back retried and snoozed tasks", () =>
      Effect.gen(function*() {
        const retried = yield* running()
        const snoozed = yield* running()
        yield* settled(again(retried, minute))
        yield* settled(snooze(snoozed, 2 * minute))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance("90 seconds")
        assert.deepStrictEqual(yield* takeIds(), [retried.id])
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds(), [snoozed.id])
      }))

    scenario(driver, "are told by each claim: the next one of any queue and type", () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* nextDueAt, null)
        yield* addOne()
        assert.strictEqual(yield* nextDueAt, null)
        const late = yield* record(yield* addOne({ delayMs: hour }))
        assert.strictEqual(yield* nextDueAt, late.dueAt)
        const soon = yield* record(yield* addOne({ delayMs: minute, queue: "other", type: "other" }))
        assert.strictEqual(yield* nextDueAt, soon.dueAt)
        yield* driver.advance("2 minutes")
        assert.strictEqual(yield* nextDueAt, late.dueAt)
        assert.strictEqual(yield* cancel(late.id), "cancelled")
        assert.strictEqual(yield* nextDueAt, null)
      }))

    scenario(driver, "promote a bounded number per claim, the earliest first, and say that more are due", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const later = tasks(maxPromoted, { delayMs: 2 * second })
        const sooner = tasks(5, { delayMs: second })
        yield* add(...later, ...sooner)
        yield* driver.advance("1 minute")
        const first = yield* store.claim(request({ limit: 5 }))
        assert.deepStrictEqual(
          first.tasks.map(({ id }) =>
            id
          ),
          sooner.map(({ id }) =>
            id
          )
        )
        assert.deepInclude(yield* counts, { running: 5, pending: maxPromoted - 5, scheduled: 5 })
        assert.isTrue(first.nextDueAt !== null && first.nextDueAt <= first.now)
        const second_ = yield* store.claim(request({ limit: 2 * maxPromoted }))
        assert.strictEqual(second_.tasks.length, maxPromoted)
        assert.strictEqual(second_.nextDueAt, null)
      }), { capacity: 2 * maxPromoted })

    scenario(driver, "order what one claim promotes by rank, not by time alone", () =>
      Effect.gen(function*() {
        const [low, high] = yield* add({ delayMs: second, priority: 0 }, { delayMs: 2 * second, priority: 3 })
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [high])
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [low])
      }))
  })

import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type RescheduleRequest, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addOne,
  again,
  cancel,
  fail,
  hour,
  idsOf,
  minute,
  record,
  refOf,
  release,
  request,
  rerun,
  rescue,
  running,
  second,
  setLimit,
  settled,
  snooze,
  stateOf,
  take,
  takeIds,
  takeOne,
  through
} from "./fixtures.ts"

/** Asks for one change of a task of the usual type and queue. */
const reschedule = Effect.fnUntraced(function*(id: string, fields: Partial<RescheduleRequest>) {
  const [answer] = yield* TaskStore.use((store) =>
    store.reschedule([{ id, type: "work", queue: "default", ...fields }])
  )
  assert.deepStrictEqual(answer, { _tag: "rescheduled" })
})

export const deadlines = (driver: Driver) =>
  describe("tasks that should start within a time", () => {
    scenario(driver, "know until when, from when they are due", () =>
      Effect.gen(function*() {
        const [now, later, plain] = yield* add(
          { startWithinMs: minute },
          { startWithinMs: minute, delayMs: minute, expiresInMs: hour },
          { expiresInMs: hour }
        )
        const { createdAt } = yield* record(now)
        assert.deepInclude(yield* record(now), { startWithinMs: minute, startBy: createdAt + minute, expiresAt: null })
        assert.deepInclude(yield* record(later), {
          state: "scheduled",
          startWithinMs: minute,
          startBy: createdAt + 2 * minute,
          expiresAt: createdAt + minute + hour
        })
        assert.deepInclude(yield* record(plain), {
          startWithinMs: null,
          startBy: null,
          expiresAt: createdAt + hour
        })
        const given = yield* addOne({ runAt: createdAt - hour, startWithinMs: second })
        assert.deepInclude(yield* record(given), { dueAt: createdAt - hour, startBy: createdAt - hour + second })
      }))

    scenario(
      driver,
      "go by their deadline within a priority, those without a time as if that were the head start",
      () =>
        Effect.gen(function*() {
          const withins = [30 * second, null, 5 * second, 90 * second, null, 5 * second, minute, 1]
          const ids = yield* addAll(withins.map((startWithinMs) => ({ startWithinMs })))
          // one that says what others mean is the same as they are
          assert.deepStrictEqual(yield* takeIds(), [7, 2, 5, 0, 1, 4, 6, 3].map((index) => ids[index]!))
        }),
      { headStart: "1 minute" }
    )

    scenario(driver, "go by their deadline, whenever they were stored and became due", () =>
      Effect.gen(function*() {
        const [patient, late] = yield* add({ startWithinMs: 50 * second }, {
          delayMs: 10 * second,
          startWithinMs: second
        })
        yield* driver.advance("20 seconds")
        const [between, after] = yield* add({ startWithinMs: 10 * second }, { startWithinMs: 40 * second })
        assert.deepStrictEqual(yield* takeIds(), [late, between, patient, after])
      }))

    scenario(driver, "wait for what is more urgent, unless their deadline had passed when that became due", () =>
      Effect.gen(function*() {
        const low = yield* addOne({ priority: 0, startWithinMs: 10 * second })
        yield* driver.advance("8 seconds")
        const inTime = yield* addOne({ priority: 1 })
        yield* driver.advance("4 seconds")
        const [tooLate, timed, urgent] = yield* add(
          { priority: 1 },
          { priority: 1, startWithinMs: 30 * second },
          { priority: 2 }
        )
        assert.deepStrictEqual(yield* takeIds(), [urgent, timed, inTime, low, tooLate])
      }), { headStart: "1 minute" })

    scenario(driver, "starve no task of their priority that has no time", () =>
      Effect.gen(function*() {
        const plain = yield* addOne({})
        yield* driver.advance("58 seconds")
        const sooner = yield* addOne({ startWithinMs: 1 })
        yield* driver.advance("4 seconds")
        const later = yield* addOne({ startWithinMs: 1 })
        assert.deepStrictEqual(yield* takeIds(), [sooner, plain, later])
      }), { headStart: "1 minute" })

    scenario(driver, "overtake by an hour at most and no other priority, with an infinite head start", () =>
      Effect.gen(function*() {
        const [plain, low] = yield* add({}, { priority: 0, startWithinMs: 1 })
        yield* driver.advance("58 minutes")
        const sooner = yield* addOne({ startWithinMs: 1 })
        yield* driver.advance("4 minutes")
        const later = yield* addOne({ startWithinMs: 1 })
        assert.deepStrictEqual(yield* takeIds(), [sooner, plain, later, low])
      }), { headStart: Infinity })

    scenario(driver, "take an order of work among many that are stored alike", () =>
      Effect.gen(function*() {
        const slow = yield* addAll(Array.from({ length: 150 }, () => ({ startWithinMs: 20 * second })))
        const fast = yield* addAll(Array.from({ length: 150 }, () => ({ startWithinMs: 10 * second })))
        const mixed = yield* addAll([15, 5, 25].map((seconds) => ({ startWithinMs: seconds * second })))
        // from the middle of what a store may keep together
        assert.strictEqual(yield* cancel(fast[40]!), "cancelled")
        yield* reschedule(slow[60]!, { startWithinMs: 1 })
        const expected = [
          slow[60]!,
          mixed[1]!,
          ...fast.filter((_, index) =>
            index !== 40
          ),
          mixed[0]!,
          ...slow.filter((_, index) =>
            index !== 60
          ),
          mixed[2]!
        ]
        const taken = [...yield* takeIds({ limit: 7 }), ...yield* takeIds({ limit: 200 }), ...yield* takeIds()]
        assert.deepStrictEqual(taken, expected)
      }))

    scenario(driver, "tell a claim by when they should start, for their first start alone", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ startWithinMs: minute })
        const { startBy } = yield* record(id)
        const asked = request({ limit: 1 })
        const store = yield* TaskStore
        const [first] = (yield* store.claim(asked)).tasks
        assert.deepInclude(first, { id, startBy })
        // an answer that was lost is given once more
        assert.deepStrictEqual((yield* store.claim(asked)).tasks, [first!])
        assert.strictEqual((yield* record(id)).startBy, startBy)
        yield* settled(again(first!))
        assert.deepInclude(yield* record(id), { startWithinMs: minute, startBy: null })
        const second_ = yield* takeOne()
        assert.strictEqual(second_.startBy, null)
        yield* settled(fail(second_))
        assert.deepInclude(yield* rerun(id), { _tag: "rerun" })
        const { dueAt } = yield* record(id)
        assert.strictEqual((yield* record(id)).startBy, dueAt + minute)
        const third = yield* takeOne()
        assert.strictEqual(third.startBy, dueAt + minute)
        yield* settled(release(third))
        assert.strictEqual((yield* takeOne()).startBy, null)
      }))

    for (
      const [how, back] of [
        ["a retry", again],
        ["a snooze", snooze]
      ] as const
    ) {
      scenario(driver, `go by the deadline that follows from their own time after ${how}`, () =>
        Effect.gen(function*() {
          const timed = yield* running({ startWithinMs: 30 * second, delayMs: 0 })
          const plain = yield* addOne({})
          yield* driver.advance("10 seconds")
          yield* settled(back(refOf(timed), 5 * second))
          const before = yield* addOne({ startWithinMs: 34 * second })
          yield* driver.advance("6 seconds")
          const [after, last] = yield* add({ startWithinMs: 31 * second }, {})
          assert.strictEqual((yield* record(timed.id)).startWithinMs, 30 * second)
          assert.deepStrictEqual(yield* takeIds(), [before, timed.id, after, plain, last])
        }), { headStart: "1 minute" })
    }

    scenario(driver, "keep their place when a lease runs out or is given back", () =>
      Effect.gen(function*() {
        const released = yield* running({ startWithinMs: 30 * second })
        const lost = yield* running({ startWithinMs: 20 * second }, { leaseForMs: second })
        yield* driver.advance("2 seconds")
        assert.deepStrictEqual(idsOf(yield* rescue()), [lost.id])
        yield* settled(release(released))
        const plain = yield* addOne({ runAt: (yield* record(released.id)).createdAt - 35 * second })
        assert.deepStrictEqual(yield* takeIds(), [lost.id, plain, released.id])
        assert.strictEqual((yield* record(lost.id)).startBy, null)
      }), { headStart: "1 minute" })

    scenario(driver, "are promoted into their place", () =>
      Effect.gen(function*() {
        const ids = yield* addAll([40, null, 10, 5, null, 20].map((seconds) => ({
          delayMs: 10 * second,
          startWithinMs: seconds === null ? null : seconds * second
        })))
        const [urgent] = yield* add({ delayMs: 10 * second, priority: 2 })
        assert.strictEqual(yield* cancel(ids[3]!), "cancelled")
        yield* driver.advance("11 seconds")
        const fresh = yield* addOne({ startWithinMs: 15 * second })
        assert.deepStrictEqual(yield* takeIds(), [
          urgent,
          ids[2]!,
          fresh,
          ids[5]!,
          ids[0]!,
          ids[1]!,
          ids[4]!
        ])
        assert.strictEqual(yield* stateOf(ids[3]!), "cancelled")
      }), { headStart: "1 minute" })

    scenario(driver, "take another place when they are rescheduled", () =>
      Effect.gen(function*() {
        const [first, second_, third, plain] = yield* add(
          { startWithinMs: 10 * second },
          { startWithinMs: 20 * second },
          { startWithinMs: 30 * second },
          {}
        )
        const { createdAt } = yield* record(first)
        yield* reschedule(third, { startWithinMs: second })
        assert.deepInclude(yield* record(third), { startWithinMs: second, startBy: createdAt + second })
        // the time of a task that had none
        yield* reschedule(plain, { startWithinMs: 15 * second })
        assert.deepInclude(yield* record(plain), { startWithinMs: 15 * second, startBy: createdAt + 15 * second })
        // another time keeps what is between that and the deadline
        yield* reschedule(first, { runAt: createdAt + hour })
        assert.deepInclude(yield* record(first), { state: "scheduled", startBy: createdAt + hour + 10 * second })
        yield* reschedule(first, { runAt: createdAt, payload: "2", startWithinMs: 12 * second })
        assert.deepInclude(yield* record(first), { payload: "2", startBy: createdAt + 12 * second })
        assert.deepStrictEqual(yield* takeIds(), [third, first, plain, second_])
      }))

    scenario(driver, "have no deadline but their place where they are rescheduled for a retry", () =>
      Effect.gen(function*() {
        const [timed, plain] = yield* take({ limit: 2 }).pipe(
          Effect.tap(() =>
            add({}, {})
          ),
          Effect.andThen(take({ limit: 2 }))
        )
        yield* settled(again(timed!, hour))
        yield* settled(again(plain!))
        yield* reschedule(timed!.id, { delayMs: 0, startWithinMs: second })
        assert.deepInclude(yield* record(timed!.id), { startWithinMs: second, startBy: null })
        assert.deepStrictEqual(yield* takeIds(), [timed!.id, plain!.id])
      }))

    scenario(driver, "go in the order in which they were stored where they have one", () =>
      Effect.gen(function*() {
        yield* setLimit("!o", { order: "continue" })
        const ordered = through("!o=a")
        const [first, second_] = yield* add(ordered, { ...ordered, startWithinMs: 1 })
        const plain = yield* addOne({})
        assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [first])
        assert.deepStrictEqual(yield* takeIds(), [plain])
        assert.deepInclude(yield* record(second_), { state: "pending", startWithinMs: 1 })
      }))

    scenario(driver, "go by their deadline among tasks of one limit", () =>
      Effect.gen(function*() {
        yield* setLimit("l", { max: 1 })
        const limited = through("l=a")
        const [slow, plain, fast] = yield* add(
          { ...limited, startWithinMs: 30 * second },
          limited,
          { ...limited, startWithinMs: second }
        )
        for (const id of [fast, slow, plain]) {
          const claimed = yield* takeOne({ limit: 10 })
          assert.strictEqual(claimed.id, id)
          yield* settled(fail(claimed))
        }
      }))

    scenario(driver, "keep their time where another task with their key changes them", () =>
      Effect.gen(function*() {
        const unique = { window: "waiting", onConflict: "postpone", byMs: minute, maxMs: null } as const
        const id = yield* addOne({ key: "k", unique, delayMs: second, startWithinMs: 30 * second })
        yield* driver.advance("500 millis")
        yield* add({ key: "k", unique, payload: "2", startWithinMs: 1 })
        const { dueAt, ...after } = yield* record(id)
        assert.deepInclude(after, { payload: "2", startWithinMs: 30 * second, startBy: dueAt + 30 * second })
      }))
  })

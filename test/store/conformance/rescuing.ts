import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Settlement, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  again,
  anyTime,
  cancel,
  complete,
  counts,
  everything,
  extend,
  fail,
  hour,
  idsOf,
  minute,
  record,
  rerun,
  rescue,
  running,
  second,
  settled,
  take,
  takeIds,
  takeOne
} from "./fixtures.ts"

export const rescuing = (driver: Driver) =>
  describe("rescue", () => {
    /** Claims a task and lets its lease run out. */
    const crash = Effect.fnUntraced(function*() {
      const claimed = yield* takeOne({ leaseForMs: second })
      yield* driver.advance("10 seconds")
      const [rescued] = yield* rescue()
      assert.strictEqual(rescued?.id, claimed.id)
      return yield* record(claimed.id)
    })

    scenario(driver, "touches nothing but leases that have run out", () =>
      Effect.gen(function*() {
        yield* settled(complete(yield* running()))
        yield* settled(fail(yield* running()))
        yield* settled(again(yield* running(), hour))
        yield* running({}, { leaseForMs: hour })
        yield* add({}, { delayMs: hour })
        yield* driver.advance("10 seconds")
        const before = yield* everything
        assert.deepStrictEqual(yield* rescue(), [])
        assert.deepStrictEqual(yield* everything, before)
      }))

    scenario(driver, "answers what the store's clock shows, and with a limit of 0 does nothing else", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running({}, { leaseForMs: second })
        const { leaseUntil } = yield* record(claimed.id)
        yield* driver.advance("10 seconds")
        const { now, rescued } = yield* store.rescue({ ...anyTime, limit: 0 })
        assert.deepStrictEqual(rescued, [])
        assert.isAtLeast(now, leaseUntil! + 8 * second)
        assert.isTrue(Number.isInteger(now))
        assert.deepInclude(yield* record(claimed.id), { state: "running", crashes: 0 })
      }))

    scenario(driver, "takes nothing that had not run out by the time that the rescuer reckons with", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running({}, { leaseForMs: minute })
        const { leaseUntil } = yield* record(claimed.id)
        // the clock is set forward
        yield* driver.advance("1 hour")
        const early = yield* store.rescue({ ...anyTime, limit: 10, earliest: leaseUntil! - 1 })
        assert.deepStrictEqual(early.rescued, [])
        const late = yield* store.rescue({ ...anyTime, limit: 10, earliest: leaseUntil! })
        assert.deepStrictEqual(idsOf(late.rescued), [claimed.id])
      }))

    scenario(driver, "takes nothing for a request that has been under way for too long", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running({}, { leaseForMs: second })
        yield* driver.advance("10 seconds")
        const { now } = yield* store.rescue({ ...anyTime, limit: 0 })
        yield* driver.advance("1 minute")
        const sent = { ...anyTime, limit: 10, earliest: now, latest: now }
        const late = yield* store.rescue({ ...sent, maxOffMs: 30 * second })
        assert.deepStrictEqual(late.rescued, [])
        const soon = yield* store.rescue({ ...sent, maxOffMs: 3 * minute })
        assert.deepStrictEqual(idsOf(soon.rescued), [claimed.id])
      }))

    scenario(driver, "takes nothing when the clock was set back while the request was under way", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const claimed = yield* running({}, { leaseForMs: second })
        yield* driver.advance("10 seconds")
        const { now } = yield* store.rescue({ ...anyTime, limit: 0 })
        // an hour later by the clock that was set back since
        const sent = { ...anyTime, limit: 10, earliest: now + hour, latest: now + hour }
        const back = yield* store.rescue({ ...sent, maxOffMs: minute })
        assert.deepStrictEqual(back.rescued, [])
        const near = yield* store.rescue({ ...sent, maxOffMs: 2 * hour })
        assert.deepStrictEqual(idsOf(near.rescued), [claimed.id])
      }))

    scenario(driver, "takes what ends so far ahead that it was given before the clock was set back", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const far = yield* running({}, { leaseForMs: 2 * hour })
        const near = yield* running({}, { leaseForMs: minute })
        const { now } = yield* store.rescue({ ...anyTime, limit: 0 })
        const ahead = { ...anyTime, limit: 10, earliest: now, maxAheadMs: hour }
        // the rescuer still reckons with the clock as it was
        const early = yield* store.rescue({ ...ahead, latest: now + hour + minute })
        assert.deepStrictEqual(early.rescued, [])
        const late = yield* store.rescue({ ...ahead, latest: now })
        assert.deepStrictEqual(idsOf(late.rescued), [far.id])
        assert.deepInclude(yield* record(far.id), { state: "pending", crashes: 1 })
        // what the rescuer knows may be old: the store's clock is set forward again
        const behind = yield* store.rescue({ ...ahead, latest: now - 10 * hour })
        assert.deepStrictEqual(behind.rescued, [])
        assert.strictEqual(yield* extend(near, minute), "held")
      }))

    scenario(driver, "makes a crashed task due now, and says so", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: second, instance: "ada" })
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual(yield* rescue(), [{
          id: claimed.id,
          type: "work",
          state: "pending",
          crashes: 1,
          attempt: 1
        }])
        const found = yield* record(claimed.id)
        assert.deepInclude(found, {
          state: "pending",
          failures: 0,
          crashes: 1,
          claims: 1,
          settledClaim: 0,
          leaseUntil: null,
          completedAt: null,
          failure: null
        })
        assert.strictEqual(found.dueAt, found.history[0]!.endedAt)
        assert.deepStrictEqual(yield* takeIds(), [claimed.id])
      }))

    scenario(driver, "picks the expired among many, whoever holds them", () =>
      Effect.gen(function*() {
        yield* add({}, {}, {}, {})
        const [a] = yield* take({ limit: 1, instance: "ada", leaseForMs: hour })
        const [b] = yield* take({ limit: 1, instance: "ada", leaseForMs: second })
        const [c] = yield* take({ limit: 1, instance: "grace", leaseForMs: minute })
        const [d] = yield* take({ limit: 1, instance: "joan", leaseForMs: second })
        yield* driver.advance("10 seconds")
        assert.sameMembers([...idsOf(yield* rescue())], [b!.id, d!.id])
        yield* driver.advance("2 minutes")
        assert.deepStrictEqual(idsOf(yield* rescue()), [c!.id])
        assert.strictEqual((yield* record(a!.id)).state, "running")
      }))

    scenario(driver, "takes no more than its limit, the rest later", () =>
      Effect.gen(function*() {
        yield* add({}, {}, {}, {}, {})
        const claimed = yield* take({ leaseForMs: second })
        yield* driver.advance("10 seconds")
        const batches = [yield* rescue(2), yield* rescue(2), yield* rescue(2), yield* rescue(2)]
        assert.deepStrictEqual(
          batches.map(({ length }) =>
            length
          ),
          [2, 2, 1, 0]
        )
        assert.sameMembers([...idsOf(batches.flat())], [...idsOf(claimed)])
        assert.deepStrictEqual((yield* counts).totals.crashed, 5)
      }))

    scenario(driver, "waits longer after each further crash", () =>
      Effect.gen(function*() {
        yield* add({})
        for (let crashes = 1; crashes <= 10; crashes++) {
          const found = yield* crash()
          assert.strictEqual(found.crashes, crashes)
          assert.strictEqual(found.dueAt, found.history.at(-1)!.endedAt + Settlement.crashDelayMs(crashes))
          assert.strictEqual(found.state, crashes === 1 ? "pending" : "scheduled")
          yield* driver.advance("2 minutes")
        }
      }), { maxCrashes: -1 })

    scenario(driver, "quarantines none of the engine's own tasks", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ type: "taskforge.batch" })
        for (let crashes = 1; crashes <= 3; crashes++) {
          yield* takeOne({ types: ["taskforge.batch"], leaseForMs: second })
          yield* driver.advance("10 seconds")
          assert.deepStrictEqual((yield* rescue()).map(({ crashes, state }) => ({ crashes, state })), [
            { crashes, state: crashes === 1 ? "pending" : "scheduled" }
          ])
          yield* driver.advance("2 minutes")
        }
        assert.deepInclude(yield* record(id), { crashes: 3, failure: null })
      }), { maxCrashes: 1 })

    scenario(driver, "quarantines a task that has crashed too often", () =>
      Effect.gen(function*() {
        const id = yield* addOne()
        for (let crashes = 1; crashes <= 2; crashes++) {
          yield* crash()
          yield* driver.advance("2 minutes")
        }
        yield* takeOne({ leaseForMs: second })
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual(yield* rescue(), [{ id, type: "work", state: "failed", crashes: 3, attempt: 3 }])
        const found = yield* record(id)
        assert.deepInclude(found, { state: "failed", crashes: 3, failures: 0, claims: 3, leaseUntil: null })
        assert.strictEqual(found.failure?.kind, "quarantined")
        assert.notStrictEqual(found.completedAt, null)
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepInclude((yield* counts).totals, { failed: 1, crashed: 3 })
      }), { maxCrashes: 2 })

    scenario(driver, "allows five crashes unless told otherwise", () =>
      Effect.gen(function*() {
        const id = yield* addOne()
        for (let crashes = 1; crashes <= 5; crashes++) {
          yield* crash()
          yield* driver.advance("2 minutes")
        }
        assert.notStrictEqual((yield* record(id)).state, "failed")
        assert.strictEqual((yield* crash()).state, "failed")
      }))

    scenario(driver, "never quarantines when crashes are unlimited", () =>
      Effect.gen(function*() {
        const id = yield* addOne()
        for (let crashes = 1; crashes <= 30; crashes++) {
          yield* crash()
          yield* driver.advance("2 minutes")
        }
        assert.deepInclude(yield* record(id), { crashes: 30, failures: 0, claims: 30 })
      }), { maxCrashes: -1 })

    scenario(driver, "gives a quarantined task that is rerun a fresh budget", () =>
      Effect.gen(function*() {
        const id = yield* addOne()
        const first = yield* crash()
        yield* driver.advance("2 minutes")
        const second = yield* crash()
        assert.strictEqual(second.state, "failed")
        yield* rerun(id)
        assert.deepInclude(yield* record(id), { state: "pending", crashes: 0, failure: null, claims: 2 })
        const found = yield* crash()
        assert.deepInclude(found, { state: "pending", crashes: 1 })
        assert.deepStrictEqual(
          found.history.map(({ claim }) =>
            claim
          ),
          [first.claim, second.claim, found.claim]
        )
      }), { maxCrashes: 1 })

    scenario(driver, "cancels a task whose cancel was requested, and counts the lost lease", () =>
      Effect.gen(function*() {
        const claimed = yield* running({}, { leaseForMs: second })
        yield* cancel(claimed.id)
        yield* driver.advance("10 seconds")
        assert.deepStrictEqual(yield* rescue(), [{
          id: claimed.id,
          type: "work",
          state: "cancelled",
          crashes: 0,
          attempt: 1
        }])
        assert.deepInclude(yield* record(claimed.id), { state: "cancelled", crashes: 0, leaseUntil: null })
        assert.deepInclude((yield* counts).totals, { cancelled: 1, crashed: 1 })
      }))
  })

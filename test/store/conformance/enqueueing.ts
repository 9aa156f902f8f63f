import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addGroup,
  addOne,
  complete,
  counts,
  everything,
  hour,
  idsOf,
  minute,
  nearly,
  record,
  running,
  second,
  settled,
  task,
  tasks,
  timeless
} from "./fixtures.ts"

export const enqueueing = (driver: Driver) =>
  describe("enqueue", () => {
    scenario(driver, "stores what it was given and starts every count at zero", () =>
      Effect.gen(function*() {
        const given = task({ payload: `{"to":"ada"}`, priority: 7, key: "k", maxRetries: -1, timeoutMs: 1500 })
        yield* add(given)
        const { createdAt, delayMs: _delayMs, dueAt, expiresInMs: _expiresInMs, runAt: _runAt, seq, ...stored } = {
          ...given,
          ...yield* record(given.id)
        }
        assert.deepStrictEqual(stored, {
          id: given.id,
          type: "work",
          queue: "default",
          payload: `{"to":"ada"}`,
          priority: 7,
          key: "k",
          hold: null,
          maxRetries: -1,
          timeoutMs: 1500,
          gate: null,
          costs: null,
          expiresAt: null,
          startWithinMs: null,
          startBy: null,
          trace: null,
          tags: null,
          state: "pending",
          startedAt: null,
          completedAt: null,
          failures: 0,
          crashes: 0,
          claims: 0,
          claim: 0,
          settledClaim: 0,
          leaseUntil: null,
          instance: null,
          cancelRequested: false,
          progress: null,
          result: null,
          failure: null,
          history: [],
          onFailure: null,
          waitsFor: 0
        })
        assert.strictEqual(dueAt, createdAt)
        assert.isTrue(Number.isInteger(seq))
      }))

    scenario(driver, "keeps text of any script and length", () =>
      Effect.gen(function*() {
        const payload = JSON.stringify({ text: `\u0000 "quotes" 'ticks' \\ 漢字 🧵 ${"x".repeat(100_000)}` })
        const key = `ключ '"; drop table tasks; --`
        const id = yield* addOne({ id: "ид/100%_ü?", payload, key })
        const found = yield* record(id)
        assert.strictEqual(found.payload, payload)
        assert.strictEqual(found.key, key)
      }))

    scenario(driver, "gives sequence numbers in the order of the call", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const groups = [tasks(3), tasks(1), tasks(2)]
        yield* store.enqueue(groups)
        const newestFirst = yield* everything
        assert.deepStrictEqual(idsOf(newestFirst).toReversed(), idsOf(groups.flat()))
        const sequence = newestFirst.map(({ seq }) => seq)
        assert.deepStrictEqual(sequence, sequence.toSorted((a, b) => b - a))
        assert.strictEqual(new Set(sequence).size, 6)
      }))

    scenario(driver, "answers one thing per group, and nothing for no groups", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        assert.deepStrictEqual(yield* store.enqueue([]), [])
        assert.deepStrictEqual(timeless(yield* store.enqueue([[]])), [{ _tag: "Accepted", tasks: [] }])
        const [a, b] = [task(), task()]
        assert.deepStrictEqual(timeless(yield* store.enqueue([[a], [b]])), [
          { _tag: "Accepted", tasks: [{ id: a.id, duplicate: false }] },
          { _tag: "Accepted", tasks: [{ id: b.id, duplicate: false }] }
        ])
      }))

    scenario(driver, "answers a known id with duplicate and changes nothing, whatever else differs", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ key: "k" })
        const before = yield* everything
        const answer = yield* addGroup([{
          id,
          type: "other",
          payload: "1",
          priority: 9,
          key: "another",
          delayMs: hour
        }])
        assert.deepStrictEqual(answer, [{ id, duplicate: true }])
        assert.deepStrictEqual(yield* everything, before)
        assert.strictEqual((yield* counts).totals.created, 1)
      }))

    scenario(driver, "leaves a known id alone while its task runs and when it has finished", () =>
      Effect.gen(function*() {
        const claimed = yield* running()
        const whileRunning = yield* record(claimed.id)
        yield* addGroup([{ id: claimed.id }])
        assert.deepStrictEqual(yield* record(claimed.id), whileRunning)
        yield* settled(complete(claimed))
        const finished = yield* record(claimed.id)
        assert.deepStrictEqual(yield* addGroup([{ id: claimed.id }]), [{ id: claimed.id, duplicate: true }])
        assert.deepStrictEqual(yield* record(claimed.id), finished)
      }))

    scenario(driver, "stores an id once when it is given twice, within a group and across groups", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const twin = task()
        assert.deepStrictEqual(timeless(yield* store.enqueue([[twin, twin], [twin]])), [
          { _tag: "Accepted", tasks: [{ id: twin.id, duplicate: false }, { id: twin.id, duplicate: true }] },
          { _tag: "Accepted", tasks: [{ id: twin.id, duplicate: true }] }
        ])
        assert.strictEqual((yield* everything).length, 1)
      }))

    scenario(driver, "waits for the delay, and takes an absolute time over a delay", () =>
      Effect.gen(function*() {
        const delayed = yield* record(yield* addOne({ delayMs: minute }))
        assert.strictEqual(delayed.state, "scheduled")
        assert.strictEqual(delayed.dueAt, delayed.createdAt + minute)
        const runAt = delayed.createdAt + hour
        for (const delayMs of [0, minute]) {
          const absolute = yield* record(yield* addOne({ delayMs, runAt }))
          assert.deepInclude(absolute, { state: "scheduled", dueAt: runAt })
        }
      }))

    scenario(driver, "makes a task whose time has come pending at once", () =>
      Effect.gen(function*() {
        yield* driver.advance("1 hour")
        const { createdAt } = yield* record(yield* addOne())
        const past = yield* record(yield* addOne({ runAt: createdAt - minute, delayMs: hour }))
        assert.strictEqual(past.state, "pending")
      }))

    scenario(driver, "reads its own clock, in whole milliseconds", () =>
      Effect.gen(function*() {
        const early = yield* record(yield* addOne())
        yield* driver.advance("1 hour")
        const late = yield* record(yield* addOne())
        nearly(late.createdAt - early.createdAt, hour)
        assert.isTrue(Number.isInteger(early.createdAt) && Number.isInteger(late.createdAt))
      }))

    scenario(driver, "stores large groups whole", () =>
      Effect.gen(function*() {
        const group = tasks(2500, { delayMs: second })
        assert.strictEqual((yield* addGroup(group)).length, 2500)
        assert.deepStrictEqual(idsOf(yield* everything).toReversed(), idsOf(group))
      }), { capacity: 5000 })
  })

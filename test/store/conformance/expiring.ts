import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { RecordStore, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addOne,
  again,
  cancel,
  complete,
  counts,
  failure,
  idsOf,
  inState,
  minute,
  pause,
  record,
  release,
  request,
  rescue,
  second,
  setLimit,
  settled,
  snooze,
  stateOf,
  take,
  takeIds,
  takeOne,
  task,
  through
} from "./fixtures.ts"

/** Ends what has expired, and answers which tasks those are. */
const expire = (limit = 100) =>
  Effect.map(TaskStore.use((store) => store.expire(limit)), (expired) => expired.map(({ id }) => id))

/** A claim and the ids of what it found to be too old. */
const claim = (fields: Parameters<typeof request>[0] = {}) =>
  Effect.map(TaskStore.use((store) => store.claim(request(fields))), ({ expired = [], tasks }) => ({
    ids: tasks.map(({ id }) => id),
    expired: expired.map(({ id }) => id)
  }))

export const expiring = (driver: Driver) =>
  describe("expiry", () => {
    scenario(driver, "counts from when a task is due for the first time", () =>
      Effect.gen(function*() {
        const [now, later, ever] = yield* add(
          { expiresInMs: minute },
          { expiresInMs: minute, delayMs: minute },
          {}
        )
        const { createdAt, expiresAt } = yield* record(now)
        assert.strictEqual(expiresAt, createdAt + minute)
        assert.deepInclude(yield* record(later), { state: "scheduled", expiresAt: createdAt + 2 * minute })
        assert.strictEqual((yield* record(ever)).expiresAt, null)
        const at = createdAt + minute
        const given = yield* addOne({ runAt: at, expiresInMs: second })
        assert.deepInclude(yield* record(given), { dueAt: at, expiresAt: at + second })
      }))

    scenario(driver, "a claim gives a task up to then, and ends it from then on", () =>
      Effect.gen(function*() {
        const [short, long, plain] = yield* add({ expiresInMs: minute }, { expiresInMs: 3 * minute }, {})
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* claim(), { ids: [long, plain], expired: [short] })
        assert.deepInclude(yield* record(short), { state: "expired", claims: 0, result: null, failure: null })
        const { completedAt, expiresAt } = yield* record(short)
        assert.isAtLeast(completedAt!, expiresAt!)
        assert.deepStrictEqual(yield* claim(), { ids: [], expired: [] })
        assert.strictEqual(yield* stateOf(long), "running")
      }))

    scenario(driver, "ends tasks that no claim comes across: paused, of other types, behind closed gates", () =>
      Effect.gen(function*() {
        yield* setLimit("none", { max: 0 })
        const fields = { expiresInMs: minute }
        const ids = yield* add(
          { ...fields, queue: "paused" },
          { ...fields, type: "other" },
          { ...fields, ...through("none=") },
          { ...fields, delayMs: second }
        )
        const [kept] = yield* add({ queue: "paused" })
        yield* pause("paused", true)
        assert.deepStrictEqual(yield* expire(), [])
        yield* driver.advance(2 * minute)
        const found = yield* TaskStore.use((store) =>
          store.expire(100)
        )
        assert.sameMembers(found.map(({ id }) => id), [...ids])
        assert.deepStrictEqual(found.find(({ id }) => id === ids[0]), {
          id: ids[0],
          type: "work",
          queue: "paused",
          attempt: 0
        })
        for (const id of ids) assert.strictEqual(yield* stateOf(id), "expired")
        assert.strictEqual(yield* stateOf(kept), "pending")
        assert.deepStrictEqual(yield* expire(), [])
        assert.deepStrictEqual(
          idsOf((yield* TaskStore.use((store) => store.list({ limit: 100, states: ["expired"] }))).tasks).toSorted(),
          ids.toSorted()
        )
      }))

    scenario(driver, "ends the earliest first, as many as it is asked for", () =>
      Effect.gen(function*() {
        const [second_, first, third] = yield* add(
          { expiresInMs: 2 * second },
          { expiresInMs: second },
          { expiresInMs: 3 * second }
        )
        yield* driver.advance(minute)
        assert.deepStrictEqual(yield* expire(0), [])
        assert.deepStrictEqual(yield* expire(2), [first, second_])
        assert.deepStrictEqual(yield* expire(2), [third])
      }))

    scenario(driver, "a claim that meets many of them ends them bit by bit, and gives none", () =>
      Effect.gen(function*() {
        const ids = yield* addAll(Array.from({ length: 1200 }, () => ({ expiresInMs: minute })))
        const plain = yield* addOne()
        yield* driver.advance(2 * minute)
        const ended: Array<string> = []
        const given: Array<string> = []
        for (let claims = 0; claims < 10 && given.length === 0; claims++) {
          const { expired, ids } = yield* claim({ limit: 2 })
          ended.push(...expired)
          given.push(...ids)
        }
        assert.deepStrictEqual(given, [plain])
        assert.sameMembers(ended, [...ids])
        assert.deepInclude(yield* counts, { pending: 0, running: 1, expired: 1200 })
      }), { capacity: 2000 })

    scenario(driver, "never ends a task that runs", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ expiresInMs: minute })
        const running = yield* takeOne({ leaseForMs: 5 * minute })
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* expire(), [])
        assert.deepStrictEqual(yield* claim(), { ids: [], expired: [] })
        yield* settled(complete(running))
        assert.strictEqual(yield* stateOf(id), "completed")
        assert.deepStrictEqual(yield* expire(), [])
      }))

    scenario(driver, "ends a task that would run again too late, with its failure", () =>
      Effect.gen(function*() {
        yield* add({ expiresInMs: minute }, { expiresInMs: minute }, { expiresInMs: minute }, { expiresInMs: minute })
        const [late, early, snoozed, released] = yield* take({ leaseForMs: 5 * minute })
        yield* settled(again(late!, minute))
        yield* settled(again(early!, second))
        yield* settled(snooze(snoozed!, minute))
        assert.deepInclude(yield* record(late!.id), { state: "expired", failures: 1, failure })
        assert.deepInclude(yield* record(snoozed!.id), { state: "expired", failure: null })
        assert.strictEqual(yield* stateOf(early!.id), "scheduled")
        assert.deepInclude((yield* counts).totals, { retried: 1, expired: 2 })
        yield* driver.advance(2 * minute)
        yield* settled(release(released!))
        assert.strictEqual(yield* stateOf(released!.id), "expired")
        assert.deepStrictEqual(yield* expire(), [early!.id])
        assert.deepInclude(yield* record(early!.id), { state: "expired", failures: 1, failure })
      }))

    scenario(driver, "ends a task whose process died too late to run it again", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ expiresInMs: minute })
        yield* takeOne({ leaseForMs: second })
        yield* driver.advance(2 * minute)
        const [rescued] = yield* rescue()
        assert.deepInclude(rescued, { id, state: "expired", crashes: 1 })
        assert.deepInclude(yield* record(id), { state: "expired", crashes: 1 })
      }))

    scenario(driver, "frees the key of an order, in the claim itself", () =>
      Effect.gen(function*() {
        yield* setLimit("!ship", { order: "block" })
        const ordered = through("!ship=a")
        const [first, head, next] = yield* add(ordered, { ...ordered, expiresInMs: minute }, ordered)
        yield* settled(complete(yield* takeOne()))
        assert.strictEqual(yield* stateOf(first), "completed")
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* claim(), { ids: [next], expired: [head] })
      }))

    scenario(driver, "frees the key of an order that a task held through its retries", () =>
      Effect.gen(function*() {
        yield* setLimit("!ship", { order: "block" })
        const ordered = through("!ship=a")
        const [head, next] = yield* add({ ...ordered, expiresInMs: minute }, ordered)
        yield* settled(again(yield* takeOne(), 30 * second))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* expire(), [head])
        assert.deepStrictEqual(yield* takeIds(), [next])
      }))

    scenario(driver, "is over once a task is run again, which then never expires", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ expiresInMs: minute })
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* expire(), [id])
        const store = yield* TaskStore
        assert.deepStrictEqual(yield* store.rerun([id]), [{ _tag: "rerun" }])
        assert.deepInclude(yield* record(id), { state: "pending", expiresAt: null, completedAt: null })
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* expire(), [])
        yield* settled(again(yield* takeOne(), second))
        yield* driver.advance(2 * second)
        assert.deepStrictEqual(yield* claim(), { ids: [id], expired: [] })
      }))

    scenario(driver, "goes with a task that is cancelled or removed before", () =>
      Effect.gen(function*() {
        const [cancelled, removed] = yield* add({ expiresInMs: minute }, { expiresInMs: minute })
        yield* cancel(cancelled)
        yield* cancel(removed)
        const store = yield* TaskStore
        assert.deepStrictEqual(yield* store.remove([removed]), ["removed"])
        yield* add({ id: removed })
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* expire(), [])
        assert.strictEqual(yield* stateOf(cancelled), "cancelled")
        assert.strictEqual(yield* stateOf(removed), "pending")
      }))

    scenario(driver, "gives room to new tasks, and tells who waits for the result", () =>
      Effect.gen(function*() {
        const ids = yield* add({ expiresInMs: minute }, { expiresInMs: minute })
        const store = yield* TaskStore
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual((yield* expire()).length, 2)
        yield* add({}, {})
        assert.deepStrictEqual(
          yield* store.results(ids),
          ids.map((id) => ({ id, state: "expired" as const, result: null, failure: null }))
        )
        assert.deepInclude(yield* counts, { pending: 2, expired: 2 })
      }), { capacity: 2 })

    scenario(driver, "is kept together with records, and ends attempts there too", () =>
      Effect.gen(function*() {
        const late = yield* Effect.andThen(addOne({ expiresInMs: minute }), takeOne())
        const records = yield* RecordStore
        const next = task({ expiresInMs: minute })
        const { id } = next
        yield* records.atomically("once", { tasks: [next], settlements: [again(late, 2 * minute)] })
        assert.strictEqual(yield* stateOf(late.id), "expired")
        assert.isNotNull((yield* record(id)).expiresAt)
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual(yield* expire(), [id])
      }))

    scenario(driver, "does not matter to one that was repeated: its claim gives what it gave", () =>
      Effect.gen(function*() {
        const [held, waiting] = yield* add({ expiresInMs: minute }, { expiresInMs: minute })
        const once = request({ limit: 1, leaseForMs: 5 * minute })
        const store = yield* TaskStore
        const { tasks } = yield* store.claim(once)
        yield* driver.advance(2 * minute)
        assert.deepStrictEqual((yield* store.claim(once)).tasks, tasks)
        assert.deepStrictEqual(
          tasks.map(({ id }) =>
            id
          ),
          [held]
        )
        assert.deepStrictEqual(yield* expire(), [waiting])
      }))

    scenario(driver, "leaves a finished task that has expired to retention", () =>
      Effect.gen(function*() {
        const id = yield* inState("expired")
        const store = yield* TaskStore
        assert.deepStrictEqual(yield* store.cancel([id]), ["finished"])
        assert.deepStrictEqual(yield* store.remove([id]), ["removed"])
        assert.deepInclude(yield* counts, { expired: 0 })
      }))
  })

import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { type RescheduleRequest, TaskState, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addOne,
  again,
  complete,
  counts,
  everything,
  hour,
  inState,
  minute,
  nearly,
  record,
  second,
  setLimit,
  settled,
  take,
  takeIds,
  takeOne,
  through
} from "./fixtures.ts"

/** Asks for one change of a task of the usual type and queue. */
const reschedule = (id: string, fields: Partial<RescheduleRequest>) =>
  Effect.map(
    TaskStore.use((store) => store.reschedule([{ id, type: "work", queue: "default", ...fields }])),
    ([answer]) => answer!
  )

const done = { _tag: "rescheduled" } as const

export const rescheduling = (driver: Driver) =>
  describe("reschedule", () => {
    scenario(driver, "changes what is asked, and nothing else", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ payload: "1", priority: 3, delayMs: hour, key: "k" })
        const before = yield* record(id)
        assert.deepStrictEqual(yield* reschedule(id, { payload: "2" }), done)
        assert.deepStrictEqual(yield* record(id), { ...before, payload: "2" })
        assert.deepStrictEqual(yield* reschedule(id, { priority: 7 }), done)
        assert.deepStrictEqual(yield* record(id), { ...before, payload: "2", priority: 7 })
        const runAt = before.createdAt + 2 * hour
        assert.deepStrictEqual(yield* reschedule(id, { runAt }), done)
        assert.deepStrictEqual(yield* record(id), { ...before, payload: "2", priority: 7, dueAt: runAt })
        assert.deepStrictEqual(yield* reschedule(id, { delayMs: 0 }), done)
        const { dueAt, ...after } = yield* record(id)
        const { dueAt: _, ...expected } = before
        assert.deepStrictEqual(after, { ...expected, payload: "2", priority: 7, state: "pending" })
        nearly(dueAt, before.createdAt)
        const claimed = yield* takeOne()
        assert.deepStrictEqual([claimed.id, claimed.payload, claimed.priority], [id, "2", 7])
      }))

    for (const state of TaskState.all) {
      scenario(
        driver,
        `${state === "scheduled" || state === "pending" ? "changes" : "leaves"} a task that is ${state}`,
        () =>
          Effect.gen(function*() {
            const id = yield* inState(state)
            const before = yield* everything
            const isWaiting = state === "scheduled" || state === "pending"
            assert.deepStrictEqual(
              yield* reschedule(id, { payload: "2", priority: 5, delayMs: minute }),
              isWaiting ? done : { _tag: "conflict", state }
            )
            if (isWaiting) assert.strictEqual((yield* record(id)).state, "scheduled")
            else assert.deepStrictEqual(yield* everything, before)
          })
      )
    }

    scenario(driver, "leaves a task that has waited for too long, before something has ended it", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ expiresInMs: second })
        yield* driver.advance(minute)
        const before = yield* record(id)
        for (const fields of [{ payload: "2" }, { delayMs: hour }, { priority: 9 }]) {
          assert.deepStrictEqual(yield* reschedule(id, fields), { _tag: "conflict", state: "expired" })
        }
        assert.deepStrictEqual(yield* record(id), before)
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(driver, "knows no task of another type or queue, and none that is not there", () =>
      Effect.gen(function*() {
        const id = yield* addOne()
        const before = yield* everything
        for (const [asked, fields] of [["none", {}], [id, { type: "other" }], [id, { queue: "other" }]] as const) {
          assert.deepStrictEqual(yield* reschedule(asked, { payload: "2", ...fields }), { _tag: "unknown" })
        }
        assert.deepStrictEqual(yield* everything, before)
      }))

    scenario(driver, "changes the order of work, within many that were stored together", () =>
      Effect.gen(function*() {
        const ids = yield* addAll(Array.from({ length: 5 }, () => ({})))
        assert.deepStrictEqual(yield* reschedule(ids[3], { priority: 9 }), done)
        assert.deepStrictEqual(yield* reschedule(ids[0], { priority: 0 }), done)
        assert.deepStrictEqual(yield* reschedule(ids[2], { delayMs: minute }), done)
        assert.strictEqual((yield* counts).scheduled, 1)
        assert.deepStrictEqual(yield* takeIds(), [ids[3], ids[1], ids[4], ids[0]])
        yield* driver.advance(minute + 5 * second)
        assert.deepStrictEqual(yield* takeIds(), [ids[2]])
      }))

    scenario(driver, "changes one that waits for a retry, for its next attempt", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ payload: "1" })
        yield* settled(again(yield* takeOne(), hour))
        assert.deepStrictEqual(yield* reschedule(id, { payload: "2", priority: 4, delayMs: 0 }), done)
        const claimed = yield* takeOne()
        assert.deepStrictEqual([claimed.payload, claimed.priority, claimed.attempt], ["2", 4, 2])
        assert.strictEqual((yield* record(id)).failures, 1)
      }))

    scenario(driver, "moves a task to the line of its new gate", () =>
      Effect.gen(function*() {
        yield* setLimit("max", { max: 1 })
        const [running, waiting] = yield* add(through("max=a"), through("max=a"))
        assert.deepStrictEqual(yield* takeIds(), [running])
        assert.deepStrictEqual(yield* reschedule(waiting, { payload: "2", ...through("max=b") }), done)
        assert.deepStrictEqual(yield* takeIds(), [waiting])
        const plain = yield* addOne(through("max=a"))
        assert.deepStrictEqual(yield* reschedule(plain, { payload: "3", gate: null, costs: null }), done)
        assert.deepStrictEqual((yield* take()).map(({ gate, id }) => [id, gate]), [[plain, null]])
      }))

    scenario(driver, "leaves a task that has started in its order, for which others wait", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        const [first, last] = yield* add(through("!order=k"), through("!order=k"))
        assert.deepStrictEqual(yield* reschedule(first, { payload: "1", ...through("!order=other") }), done)
        assert.deepStrictEqual(yield* reschedule(first, { payload: "2", ...through("!order=k") }), done)
        yield* settled(again(yield* takeOne()))
        for (const gate of [through("!order=other"), { gate: null, costs: null }]) {
          assert.deepStrictEqual(yield* reschedule(first, { payload: "3", ...gate }), { _tag: "ordered" })
        }
        assert.deepStrictEqual(yield* reschedule(first, { payload: "4", ...through("!order=k", "max=a") }), done)
        const retried = yield* takeOne()
        assert.deepStrictEqual([retried.id, retried.payload], [first, "4"])
        yield* settled(complete(retried))
        assert.deepStrictEqual(yield* takeIds(), [last])
      }))

    scenario(driver, "keeps the place of a task that goes in order, and gives it no other priority", () =>
      Effect.gen(function*() {
        yield* setLimit("!order", { order: "block" })
        const ordered = through("!order=k")
        const [first, last] = yield* add({ ...ordered, payload: "1" }, ordered)
        assert.deepStrictEqual(yield* reschedule(first, { priority: 5 }), { _tag: "ordered" })
        assert.deepStrictEqual(yield* reschedule(first, { payload: "2", priority: 1, ...ordered }), done)
        assert.deepStrictEqual((yield* take()).map(({ id, payload }) => [id, payload]), [[first, "2"]])
        assert.deepStrictEqual(yield* reschedule(last, { payload: "3" }), done)
      }))

    scenario(driver, "is in the attempt that a claim starts at once, or is refused", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        for (let round = 0; round < 10; round++) {
          const id = yield* addOne({ payload: "1" })
          const [answer, { tasks }] = yield* Effect.all([
            reschedule(id, { payload: "2" }),
            store.claim({ types: ["work"], limit: 1, instance: "i", leaseForMs: hour, nonce: 2000 + round })
          ], { concurrency: "unbounded" })
          const payloads = [...tasks, ...yield* take()].map(({ payload }) =>
            payload
          )
          assert.deepStrictEqual(payloads, answer._tag === "rescheduled" ? ["2"] : ["1"])
          if (answer._tag !== "rescheduled") {
            assert.deepStrictEqual(answer, { _tag: "conflict", state: "running" })
          }
        }
      }))
  })

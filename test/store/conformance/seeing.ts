import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Seen, type SeenTask, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addOne,
  again,
  cancel,
  complete,
  counts,
  fail,
  hour,
  record,
  rerun,
  running,
  second,
  settled,
  stateOf,
  takeIds,
  takeOne
} from "./fixtures.ts"

/** A task with how it is now. */
const seen = (id: string, fields: Omit<SeenTask, "id" | "seen"> = {}): Effect.Effect<SeenTask, unknown, TaskStore> =>
  Effect.map(record(id), (task) => ({ id, seen: Seen.seenOf(task), ...fields }))

const one = <A>(answers: Effect.Effect<ReadonlyArray<A>, unknown, TaskStore>) => Effect.map(answers, ([only]) => only!)

const cancelSeen = (ref: SeenTask) => one(TaskStore.use((store) => store.cancel([ref])))
const rerunSeen = (ref: SeenTask) => one(TaskStore.use((store) => store.rerun([ref])))
const removeSeen = (ref: SeenTask) => one(TaskStore.use((store) => store.remove([ref])))
const moveSeen = ({ id, seen }: SeenTask) =>
  one(TaskStore.use((store) => store.reschedule([{ id, type: "work", queue: "default", seen, priority: 7 }])))

const unknown = { _tag: "unknown" } as const

export const seeing = (driver: Driver) =>
  describe("a task that was seen", () => {
    scenario(driver, "is cancelled, moved, run again and removed as long as it is so", () =>
      Effect.gen(function*() {
        const waiting = yield* addOne({ delayMs: hour })
        assert.deepStrictEqual(yield* moveSeen(yield* seen(waiting)), { _tag: "rescheduled" })
        const before = yield* seen(waiting)
        // it becomes due, which is no change
        yield* driver.advance("2 hours")
        assert.strictEqual(yield* cancelSeen(before), "cancelled")
        assert.deepStrictEqual(yield* rerunSeen(yield* seen(waiting)), { _tag: "rerun" })
        yield* settled(fail(yield* takeOne()))
        assert.strictEqual(yield* removeSeen(yield* seen(waiting)), "removed")
        const { id } = yield* running()
        assert.strictEqual(yield* cancelSeen(yield* seen(id)), "requested")
        assert.strictEqual((yield* counts).failed, 0)
      }))

    scenario(driver, "is left alone once it has started, ended, moved or come back", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ delayMs: second })
        const scheduled = yield* seen(id)
        yield* driver.advance("1 minute")
        const first = yield* takeOne()
        assert.strictEqual(yield* cancelSeen(scheduled), "unknown")
        assert.deepStrictEqual(yield* moveSeen(scheduled), unknown)
        const attempt = yield* seen(id)
        yield* settled(again(first))
        assert.strictEqual(yield* cancelSeen(attempt), "unknown")
        assert.strictEqual(yield* stateOf(id), "pending")
        yield* settled(fail(yield* takeOne()))
        const failed = yield* seen(id)
        assert.strictEqual(yield* cancelSeen(attempt), "unknown")
        // run again and failed again since
        yield* driver.advance("1 second")
        yield* rerun(id)
        assert.deepStrictEqual(yield* rerunSeen(failed), unknown)
        assert.strictEqual(yield* removeSeen(failed), "unknown")
        yield* settled(fail(yield* takeOne()))
        assert.deepStrictEqual(yield* rerunSeen(failed), unknown)
        assert.strictEqual(yield* removeSeen(failed), "unknown")
        assert.strictEqual(yield* stateOf(id), "failed")
        // run again and cancelled before it started: no claim tells
        yield* rerun(id)
        const waiting = yield* seen(id)
        yield* cancel(id)
        const cancelled = yield* seen(id)
        yield* driver.advance("1 second")
        yield* rerun(id)
        assert.strictEqual(yield* cancelSeen(waiting), "unknown")
        yield* cancel(id)
        assert.deepStrictEqual(yield* rerunSeen(cancelled), unknown)
        assert.strictEqual(yield* removeSeen(cancelled), "unknown")
        assert.strictEqual(yield* stateOf(id), "cancelled")
        // seen late enough, it is the same
        const until = { ...cancelled, seen: { ...cancelled.seen, at: cancelled.seen.at + hour } }
        assert.strictEqual(yield* removeSeen(until), "removed")
        assert.strictEqual(yield* removeSeen(until), "unknown")
      }))

    scenario(driver, "that is to be stopped already is left alone", () =>
      Effect.gen(function*() {
        const { id } = yield* running()
        const before = yield* seen(id)
        yield* cancel(id)
        assert.strictEqual(yield* cancelSeen(before), "unknown")
      }))

    scenario(driver, "waits as before where its cancel is taken back: with its time, its failures and its end", () =>
      Effect.gen(function*() {
        const [later, retried] = yield* add({ delayMs: hour, expiresInMs: hour, startWithinMs: second }, {})
        yield* settled(again(yield* takeOne(), 10 * second))
        for (const id of [later, retried]) {
          const before = yield* record(id)
          yield* cancel(id)
          const cancelled = yield* seen(id, { restores: true })
          yield* driver.advance("1 second")
          assert.deepStrictEqual(yield* rerunSeen(cancelled), { _tag: "rerun" })
          assert.deepStrictEqual(yield* record(id), before)
          assert.deepStrictEqual(yield* rerunSeen(cancelled), unknown)
        }
        yield* driver.advance("1 minute")
        assert.deepStrictEqual(yield* takeIds(), [retried])
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* takeIds(), [later])
      }))

    scenario(driver, "is due where its time has passed before its cancel is taken back, or has expired", () =>
      Effect.gen(function*() {
        const [due, old] = yield* add({ delayMs: second }, { delayMs: second, expiresInMs: second })
        for (const id of [due, old]) {
          yield* cancel(id)
        }
        yield* driver.advance("1 hour")
        for (const id of [due, old]) {
          assert.deepStrictEqual(yield* rerunSeen(yield* seen(id, { restores: true })), { _tag: "rerun" })
        }
        assert.deepStrictEqual(yield* takeIds(), [due])
        assert.strictEqual(yield* stateOf(old), "expired")
      }))

    scenario(driver, "is not taken back unless it is cancelled, and waits for what it depends on if it is", () =>
      Effect.gen(function*() {
        const dead = yield* running()
        yield* settled(fail(dead))
        assert.deepInclude(yield* rerunSeen(yield* seen(dead.id, { restores: true })), { _tag: "conflict" })
        const [first] = yield* add({})
        const [second] = yield* add({ after: [first] })
        yield* cancel(second)
        assert.deepStrictEqual(yield* rerunSeen(yield* seen(second, { restores: true })), { _tag: "rerun" })
        assert.deepInclude(yield* record(second), { state: "scheduled", waitsFor: 1 })
        yield* settled(complete(yield* takeOne()))
        assert.deepStrictEqual(yield* takeIds(), [second])
      }))
  })

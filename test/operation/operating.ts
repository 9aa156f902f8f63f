/** What must hold of operations on many tasks, on every store. */
import { assert, describe } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import * as PooledRandom from "../../src/engine/PooledRandom.ts"
import * as Records from "../../src/operation/OperationRecords.ts"
import { maxPart, step } from "../../src/operation/OperationSteps.ts"
import type { NewOperation } from "../../src/queue/NewOperation.ts"
import * as Operations from "../../src/queue/Operations.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import {
  add,
  addOne,
  cancel,
  fail,
  hour,
  record,
  rerun,
  running,
  settled,
  stateOf
} from "../store/conformance/fixtures.ts"

const operations = Effect.gen(function*() {
  const random = yield* SecureRandom.SecureRandom
  return Operations.make(yield* TaskStore, yield* RecordStore, random.uuidV7())
}).pipe(Effect.provide(PooledRandom.layer))

/** Tasks of a type that wait, a bounded number in each write. */
const waiting = Effect.fnUntraced(function*(count: number, type = "work") {
  const ids: Array<string> = []
  for (let left = count; left > 0; left -= 100) {
    ids.push(...yield* add(...Array.from({ length: Math.min(left, 100) }, () => ({ type, delayMs: hour }))))
  }
  return ids
})

const begin = Effect.fnUntraced(function*(given: Partial<NewOperation>) {
  const all = yield* operations
  return yield* all.start({ action: "cancel", filter: { types: ["work"] }, why: "A test", ...given })
})

/** Goes on until an operation rests. */
const rest = Effect.fnUntraced(function*(driver: Driver, id: string) {
  const all = yield* operations
  for (let steps = 0; steps < 200; steps++) {
    const nextInMs = yield* step
    const view = yield* all.get(id)
    if (view.state !== "running" && view.state !== "undoing") return view
    if (nextInMs > 0) yield* driver.advance(Math.min(nextInMs, 16_000))
  }
  return assert.fail("The operation does not end")
})

/** Why something is refused. */
const reasonOf = <A>(effect: Effect.Effect<A, Operations.OperationError>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag === "OperationRefused" ? error.reason : error._tag)

/** A store that crashes with the first change of tasks: before it, or behind it. */
const crashing = (store: TaskStore["Service"], when: "before" | "behind"): TaskStore["Service"] => ({
  ...store,
  cancel: (tasks) => when === "before" ? Effect.die("crash") : Effect.andThen(store.cancel(tasks), Effect.die("crash"))
})

export const operatesOn = (name: string, driver: Driver) =>
  describe(name, () => {
    scenario(driver, "are previewed with a count and a sample, and change nothing", () =>
      Effect.gen(function*() {
        const all = yield* operations
        const ids = yield* waiting(12)
        yield* waiting(3, "other")
        const preview = yield* all.preview({ action: "cancel", filter: { types: ["work"] } })
        assert.deepInclude(preview, { count: 12, isComplete: true, looked: 12, canUndo: true })
        assert.deepStrictEqual(preview.sample.map(({ id }) => id), ids.toReversed().slice(0, 10))
        const one = yield* all.preview({ action: "rerun", filter: { ids: [ids[0]!, "unknown", "\u0000"] } })
        assert.deepInclude(one, { count: 0, isComplete: true, canUndo: false })
        assert.strictEqual(yield* stateOf(ids[0]!), "scheduled")
        assert.deepStrictEqual((yield* all.list()).operations, [])
      }))

    scenario(driver, "are refused where they mean everything, nothing or what cannot be", () =>
      Effect.gen(function*() {
        const refused = (given: object) =>
          Effect.map(Effect.flip(begin(given)), (error) => (error as { option?: string }).option)
        assert.strictEqual(yield* refused({ filter: {} }), "filter")
        assert.strictEqual(yield* refused({ filter: { types: undefined } }), "filter")
        assert.strictEqual(yield* refused({ filter: { types: [] } }), "types")
        assert.strictEqual(yield* refused({ filter: null }), "options")
        assert.strictEqual(yield* refused({ filter: { colour: "red" } }), "colour")
        assert.strictEqual(yield* refused({ filter: { states: ["completed"] } }), "states")
        assert.strictEqual(yield* refused({ filter: { states: ["lost"] } }), "states")
        assert.strictEqual(yield* refused({ filter: { payload: {} } }), "payload")
        assert.strictEqual(
          yield* refused({ filter: { types: Array.from({ length: 1000 }, () => "x".repeat(255)) } }),
          "filter"
        )
        assert.strictEqual(yield* refused({ action: "remove" }), "action")
        assert.strictEqual(yield* refused({ why: "" }), "why")
        assert.strictEqual(yield* refused({ why: " \t\u00A0" }), "why")
        assert.strictEqual(yield* refused({ why: undefined }), "why")
        assert.strictEqual(yield* refused({ rate: 0 }), "rate")
        assert.strictEqual(yield* refused({ max: 0.5 }), "max")
        assert.strictEqual(yield* refused({ change: { priority: 1 } }), "change")
        assert.strictEqual(yield* refused({ action: "reschedule" }), "change")
        assert.strictEqual(yield* refused({ action: "reschedule", change: {} }), "change")
        assert.strictEqual(yield* refused({ action: "reschedule", change: { priority: 11 } }), "change.priority")
        const unknown = "00000000-0000-0000-0000-000000000000"
        const all = yield* operations
        for (const id of [unknown, "x", "\u0000"]) {
          assert.strictEqual((yield* Effect.flip(all.get(id)))._tag, "OperationNotFound")
          assert.strictEqual((yield* Effect.flip(all.undo(id)))._tag, "OperationNotFound")
        }
      }))

    scenario(
      driver,
      "are left alone by a version that does not know a term of their filter, which means fewer tasks",
      () =>
        Effect.gen(function*() {
          const [id] = yield* waiting(1)
          const { id: operation } = yield* begin({})
          const records = yield* RecordStore
          const [kept] = yield* records.get(Records.kind, [Records.turned(operation)])
          const { filter, ...rest } = JSON.parse(kept!.document)
          const later = { ...rest, filter: { ...filter, moods: ["glad"] } }
          const { id: of, version: expects } = kept!
          yield* records.put([{ kind: Records.kind, id: of, expects, document: JSON.stringify(later), dueInMs: 0 }])
          for (let steps = 0; steps < 5; steps++) {
            yield* step
            yield* driver.advance(1000)
          }
          assert.strictEqual(yield* stateOf(id!), "scheduled")
        })
    )

    scenario(driver, "change all that is meant and nothing else, at their rate, with who began them and why", () =>
      Effect.gen(function*() {
        const all = yield* operations
        const ids = yield* waiting(5)
        const others = yield* waiting(1, "other")
        const first = yield* begin({ rate: 2, by: "ada", name: "stuck <b>", why: "They are stuck & old" })
        assert.deepInclude(first, { state: "running", expected: { count: 5, isComplete: true }, done: 0, by: "ada" })
        yield* step
        yield* step
        assert.deepInclude(yield* all.get(first.id), { matched: 2, done: 2, looked: 2 })
        // made after it began
        const late = yield* waiting(1)
        const last = yield* rest(driver, first.id)
        assert.deepInclude(last, {
          state: "completed",
          name: "stuck <b>",
          why: "They are stuck & old",
          action: "cancel",
          matched: 5,
          done: 5,
          aborted: null
        })
        assert.strictEqual(last.undo?.tasks, 5)
        assert.isAtLeast(last.endedAt!.epochMilliseconds - last.createdAt.epochMilliseconds, 1900)
        for (const id of ids) {
          assert.strictEqual(yield* stateOf(id), "cancelled")
        }
        for (const id of [...others, ...late]) {
          assert.strictEqual(yield* stateOf(id), "scheduled")
        }
        const second = yield* begin({ filter: { ids: late, payload: { "a.b": "1" } } })
        assert.strictEqual((yield* rest(driver, second.id)).done, 0)
        assert.deepStrictEqual(
          (yield* all.list({ limit: 1 })).operations.map(({ id }) =>
            id
          ),
          [second.id]
        )
        const { next } = yield* all.list({ limit: 1 })
        assert.deepStrictEqual((yield* all.list({ cursor: next! })).operations.map(({ id }) => id), [first.id])
        assert.strictEqual(yield* reasonOf(all.abort(first.id)), "ended")
      }))

    scenario(driver, "are taken back: what is still cancelled and has not run since waits as before", () =>
      Effect.gen(function*() {
        const all = yield* operations
        const ids = yield* waiting(4)
        const before = yield* Effect.forEach(ids, (id) =>
          record(id))
        const { id } = yield* begin({ rate: 1000 })
        yield* rest(driver, id)
        yield* driver.advance("1 second")
        yield* rerun(ids[0]!)
        // cancelled by others since
        yield* rerun(ids[1]!)
        yield* cancel(ids[1]!)
        const undoing = yield* all.undo(id, { by: "bob" })
        assert.deepInclude(undoing, { state: "undoing" })
        const undone = yield* rest(driver, id)
        assert.deepInclude(undone, { state: "undone", done: 4, restored: 2, undo: null })
        assert.strictEqual(undone.undone?.by, "bob")
        assert.strictEqual(yield* stateOf(ids[0]!), "pending")
        assert.strictEqual(yield* stateOf(ids[1]!), "cancelled")
        assert.deepStrictEqual(yield* record(ids[2]!), before[2])
        assert.deepStrictEqual(yield* record(ids[3]!), before[3])
        assert.strictEqual(yield* reasonOf(all.undo(id)), "undone")
      }))

    scenario(driver, "take back what ran when it was asked to stop", () =>
      Effect.gen(function*() {
        const all = yield* operations
        const attempt = yield* running()
        const { id } = yield* begin({})
        assert.strictEqual((yield* rest(driver, id)).done, 1)
        assert.isTrue((yield* record(attempt.id)).cancelRequested)
        yield* settled({ _tag: "Cancel", id: attempt.id, claim: attempt.claim })
        yield* all.undo(id)
        assert.strictEqual((yield* rest(driver, id)).restored, 1)
        assert.strictEqual(yield* stateOf(attempt.id), "pending")
      }))

    for (const when of ["before", "behind"] as const) {
      scenario(driver, `go on after a crash ${when} a change, and change no task twice`, () =>
        Effect.gen(function*() {
          const all = yield* operations
          const ids = yield* waiting(4)
          const { id } = yield* begin({ rate: 2 })
          const store = yield* TaskStore
          yield* Effect.exit(Effect.provideService(step, TaskStore, crashing(store, when)))
          assert.deepInclude(yield* all.get(id), { matched: 2, done: 0 })
          // others have run it again, or cancelled it themselves, since the crash
          yield* driver.advance("5 seconds")
          yield* cancel(ids[3]!)
          yield* rerun(ids[3]!)
          assert.deepInclude(
            yield* rest(driver, id),
            when === "before" ? { done: 3, unsure: 0, matched: 4 } : { done: 2, unsure: 1, matched: 4 }
          )
          assert.strictEqual(yield* stateOf(ids[3]!), "pending")
          for (const other of ids.slice(0, 3)) {
            assert.strictEqual(yield* stateOf(other), "cancelled")
          }
        }))
    }

    scenario(driver, "are gone on with by several instances at once, and change each task once", () =>
      Effect.gen(function*() {
        const ids = yield* Effect.forEach(Array.from({ length: 30 }), () =>
          Effect.flatMap(running(), (one) =>
            Effect.as(settled(fail(one)), one.id)))
        const first = yield* begin({ action: "rerun", filter: { states: ["failed"] }, rate: 10 })
        const second = yield* begin({ action: "rerun", filter: { types: ["work"] }, rate: 10 })
        yield* Effect.all([rest(driver, first.id), rest(driver, second.id)], { concurrency: 2 })
        const all = yield* operations
        const views = yield* Effect.forEach([first, second], ({ id }) =>
          all.get(id))
        const sum = (count: (view: Operations.OperationView) => number) =>
          count(views[0]!) + count(views[1]!)
        // each waits for the other's lease to run out, so some parts are left in the middle
        assert.isAtMost(
          sum(({ done }) =>
            done
          ),
          30
        )
        assert.isAtLeast(
          sum(({ done, unsure }) =>
            done + unsure
          ),
          30
        )
        for (const id of ids) {
          assert.strictEqual(yield* stateOf(id), "pending")
        }
      }))

    scenario(driver, "are ended before their time, and what they have done can be taken back", () =>
      Effect.gen(function*() {
        const all = yield* operations
        const ids = yield* waiting(6)
        const { id } = yield* begin({ rate: 2 })
        yield* step
        yield* all.abort(id, { by: "ada" })
        const view = yield* rest(driver, id)
        assert.deepInclude(view, { state: "aborted", done: 2 })
        assert.strictEqual(view.aborted?.by, "ada")
        yield* driver.advance("1 minute")
        yield* step
        assert.strictEqual((yield* all.get(id)).done, 2)
        yield* all.undo(id)
        assert.strictEqual((yield* rest(driver, id)).restored, 2)
        for (const one of ids) {
          assert.strictEqual(yield* stateOf(one), "scheduled")
        }
      }))

    scenario(driver, "move, run again and discard tasks, so many at most", () =>
      Effect.gen(function*() {
        const all = yield* operations
        const [id] = yield* add({ delayMs: hour }, { delayMs: hour, type: "other" })
        const runAt = DateTime.makeUnsafe((yield* record(id)).createdAt + 3 * hour)
        const moved = yield* begin({ action: "reschedule", change: { priority: "high", runAt } })
        assert.deepInclude(yield* rest(driver, moved.id), { done: 1, priority: 2 })
        assert.deepInclude(yield* record(id), { priority: 2, dueAt: runAt.epochMilliseconds })
        yield* Effect.forEach(Array.from({ length: 3 }), () =>
          Effect.flatMap(running(), (one) =>
            settled(fail(one))))
        const again = yield* begin({ action: "rerun", filter: { errorTags: ["Refused"] }, max: 2 })
        assert.deepInclude(yield* rest(driver, again.id), { done: 2, matched: 2 })
        const gone = yield* begin({ action: "discard", filter: { text: "server" } })
        assert.deepInclude(yield* rest(driver, gone.id), { done: 1, undo: null })
        assert.strictEqual(yield* reasonOf(all.undo(gone.id)), "final")
      }))

    scenario(driver, "are forgotten: first what could be taken back, then who did it", () =>
      Effect.gen(function*() {
        const all = yield* operations
        yield* waiting(2)
        const { id } = yield* begin({})
        assert.isNotNull((yield* rest(driver, id)).undo)
        yield* driver.advance("25 hours")
        for (let steps = 0; steps < 4; steps++) {
          yield* step
        }
        assert.isNull((yield* all.get(id)).undo)
        assert.strictEqual(yield* reasonOf(all.undo(id)), "late")
        const records = yield* RecordStore
        assert.deepStrictEqual((yield* records.list("operation-part")).records, [])
        yield* driver.advance("31 days")
        for (let steps = 0; steps < 3; steps++) {
          yield* step
        }
        assert.strictEqual((yield* Effect.flip(all.get(id)))._tag, "OperationNotFound")
      }))

    scenario(driver, "are so many at a time, and more than a part each", () =>
      Effect.gen(function*() {
        const all = yield* operations
        const one = yield* addOne({ type: "slow", delayMs: hour })
        yield* waiting(maxPart + 20)
        const { id } = yield* begin({ rate: 10_000 })
        assert.deepInclude(yield* rest(driver, id), { done: maxPart + 20 })
        for (let count = 0; count < 20; count++) {
          yield* begin({ filter: { ids: [one] } })
        }
        const refused = yield* Effect.flip(begin({ filter: { ids: [one] } }))
        assert.deepInclude(refused, { _tag: "OperationRefused", reason: "busy" })
        for (let steps = 0; steps < 30; steps++) {
          yield* step
        }
        assert.strictEqual(
          (yield* all.list({ limit: 100 })).operations.filter(({ state }) =>
            state === "completed"
          ).length,
          21
        )
      }))
  })

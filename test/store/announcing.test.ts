/** What a store tells of its changes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as LimitRecords from "../../src/store/LimitRecords.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { announcing, announcingRecords, type Hint } from "../../src/store/Notifier.ts"
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { again, complete, request, task } from "./conformance/fixtures.ts"

const work: Hint = { _tag: "Work" }
const finished = (...ids: ReadonlyArray<string>): Hint => ({ _tag: "Finished", ids })

/** A store with its hints since they were last asked for. */
const setUp = Effect.gen(function*() {
  let told: Array<Hint> = []
  const publish = (hint: Hint) => Effect.sync(() => void told.push(hint))
  const store = announcing(yield* TaskStore, publish)
  const onRecords = Effect.provideService(RecordStore, announcingRecords(yield* RecordStore, publish))
  const hints = () => {
    const before = told
    told = []
    return before
  }
  return { store, hints, onRecords, records: announcingRecords(yield* RecordStore, publish) }
}).pipe(Effect.provide(MemoryStore.layer({ maxCrashes: 0 })))

describe("a store that announces", () => {
  it.effect("tells of new work, and of none that is refused", () =>
    Effect.gen(function*() {
      const { hints, store } = yield* setUp
      yield* store.enqueue([[task({ id: "a", key: "k" })]])
      assert.deepStrictEqual(hints(), [work])
      yield* store.enqueue([[task({ key: "k", payload: "1" })]])
      assert.deepStrictEqual(hints(), [])
    }))

  it.effect("tells how attempts end, and that there is work where a task runs again", () =>
    Effect.gen(function*() {
      const { hints, store } = yield* setUp
      yield* store.enqueue([[task({ id: "a" }), task({ id: "b" }), task({ id: "c" })]])
      const [a, b, c] = (yield* store.claim(request())).tasks
      hints()
      yield* store.settle([complete(a!), again(b!)])
      assert.deepStrictEqual(hints(), [work, finished("a")])
      yield* store.settle([complete({ id: "c", claim: c!.claim + 1 }), complete(a!)])
      assert.deepStrictEqual(hints(), [finished("a")])
    }))

  it.effect("tells once of what is written together, and of nothing that is refused", () =>
    Effect.gen(function*() {
      const { hints, records, store } = yield* setUp
      yield* store.enqueue([[task({ id: "a" }), task({ id: "b" })]])
      const [a, b] = (yield* store.claim(request())).tasks
      hints()
      const paused = { kind: PausedQueues.kind, id: "x" }
      const { version } = yield* records.atomically("1", { changes: [{ ...paused, expects: 0, document: "{}" }] })
      assert.deepStrictEqual(hints(), [])
      yield* Effect.flip(records.atomically("2", {
        tasks: [task()],
        settlements: [complete(a!), complete({ id: "b", claim: b!.claim + 1 })]
      }))
      assert.deepStrictEqual(hints(), [])
      yield* records.atomically("2", { tasks: [task(), task()], settlements: [complete(a!), again(b!)] })
      assert.deepStrictEqual(hints(), [work, finished("a")])
      yield* records.atomically("3", { changes: [{ ...paused, expects: version, document: null }] })
      assert.deepStrictEqual(hints(), [work])
      const [c] = (yield* store.claim(request())).tasks
      yield* records.atomically("4", { settlements: [complete(c!)] })
      assert.deepStrictEqual(hints(), [finished(c!.id)])
    }))

  it.effect("tells what operators do", () =>
    Effect.gen(function*() {
      const { hints, onRecords, store } = yield* setUp
      yield* store.enqueue([[task({ id: "runs" }), task({ id: "waits" })]])
      yield* store.claim(request({ limit: 1 }))
      hints()
      yield* store.cancel(["runs", "waits", "unknown"])
      assert.deepStrictEqual(hints(), [{ _tag: "Cancel", ids: ["runs"] }, finished("waits"), work])
      yield* store.rerun(["waits", "runs"])
      assert.deepStrictEqual(hints(), [work])
      yield* store.rerun(["runs"])
      yield* onRecords(PausedQueues.pause("default"))
      assert.deepStrictEqual(hints(), [])
      yield* onRecords(PausedQueues.resume("default"))
      assert.deepStrictEqual(hints(), [work])
      for (const pauses of [PausedQueues.types, PausedQueues.keys]) {
        yield* onRecords(pauses.pause("a"))
        assert.deepStrictEqual(hints(), [])
        yield* onRecords(pauses.resume("a"))
        assert.deepStrictEqual(hints(), [work])
      }
      yield* onRecords(LimitRecords.set("a", { max: 1 }, {}))
      assert.deepStrictEqual(hints(), [work])
      yield* onRecords(LimitRecords.reset("a"))
      assert.deepStrictEqual(hints(), [work])
      yield* store.letGo(["!a=b"])
      assert.deepStrictEqual(hints(), [work])
      yield* store.charge([{ pass: "a=b", amount: 1 }])
      assert.deepStrictEqual(hints(), [])
      yield* store.charge([{ pass: "a=b", amount: -1 }])
      assert.deepStrictEqual(hints(), [work])
      yield* store.cancel(["waits"])
      hints()
      yield* store.remove(["waits", "runs"])
      assert.deepStrictEqual(hints(), [work])
    }))

  it.effect("tells what became of tasks whose leases ran out", () =>
    Effect.gen(function*() {
      const { hints, store } = yield* setUp
      yield* store.enqueue([[task({ id: "a" })]])
      yield* store.claim(request({ leaseForMs: 1000 }))
      hints()
      yield* TestClock.adjust("2 seconds")
      const bounds = { earliest: 1e15, latest: 0, maxOffMs: 1e15, maxAheadMs: 1e15 }
      yield* store.rescue({ limit: 0, ...bounds })
      assert.deepStrictEqual(hints(), [])
      yield* store.rescue({ limit: 10, ...bounds })
      assert.deepStrictEqual(hints(), [finished("a")])
    }))
})

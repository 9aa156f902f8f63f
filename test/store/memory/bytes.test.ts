/** The memory store keeps no more bytes than it may, whatever the tasks are like. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MemoryStore from "../../../src/store/memory/MemoryStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { add, complete, everything, idsOf, retention, running, settled, task } from "../conformance/fixtures.ts"

const payload = JSON.stringify("x".repeat(998))

describe("the bytes of a memory store", () => {
  it.effect("are refused beyond their bound, and accepted when tasks have finished, the oldest of which are forgotten", () =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      const first = yield* running({ payload })
      const second = yield* running({ payload, key: "k" })
      const [third] = yield* add({ payload })
      const offer = (...payloads: ReadonlyArray<string>) =>
        Effect.map(store.enqueue([payloads.map((payload) => task({ payload }))]), ([answer]) => answer)
      const full = {
        _tag: "Full" as const,
        capacity: 1000,
        unfinished: 3,
        size: { maxBytes: 3500, storedBytes: 3000, offeredBytes: 1000 }
      }
      assert.deepStrictEqual(yield* offer(payload), full)
      assert.strictEqual((yield* offer(JSON.stringify("small")))?._tag, "Accepted")

      // A result counts too
      yield* settled(complete(first, JSON.stringify("x".repeat(98))))
      yield* settled(complete(second))
      assert.strictEqual((yield* offer(payload))?._tag, "Accepted")
      assert.isUndefined(yield* store.get(first.id))
      assert.isDefined(yield* store.get(second.id), "the younger one with a key stays")
      assert.strictEqual((yield* offer(payload))?._tag, "Accepted")
      assert.isUndefined(yield* store.get(second.id))
      assert.include(idsOf(yield* everything), third)
      assert.strictEqual((yield* offer(payload))?._tag, "Full")
    }).pipe(Effect.provide(MemoryStore.layer({ maxBytes: 3500 }))))

  it.effect("are not freed for a group that does not fit even so", () =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      const finished = yield* running({ payload })
      yield* settled(complete(finished))
      yield* add({ payload })
      const [answer] = yield* store.enqueue([[task({ payload }), task({ payload })]])
      assert.deepInclude(answer, { _tag: "Full", size: { maxBytes: 2500, storedBytes: 1000, offeredBytes: 2000 } })
      assert.isDefined(yield* store.get(finished.id))
      yield* add({ payload })
      assert.isUndefined(yield* store.get(finished.id))
    }).pipe(Effect.provide(MemoryStore.layer({ maxBytes: 2500 }))))

  it.effect("of finished tasks are taken again when these are rerun, removed or pruned", () =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      const [cancelled, removed, pruned] = yield* add({ payload }, { payload }, { payload })
      yield* store.cancel([cancelled, removed, pruned])
      assert.deepStrictEqual(yield* store.rerun([cancelled]), [{ _tag: "rerun" }])
      assert.deepStrictEqual(yield* store.remove([removed]), ["removed"])
      assert.strictEqual(yield* store.prune(retention({ maxFinished: 0 }), 10), 1)
      const [answer] = yield* store.enqueue([[task({ payload }), task({ payload }), task({ payload })]])
      assert.deepInclude(answer, { _tag: "Full", size: { maxBytes: 3500, storedBytes: 1000, offeredBytes: 3000 } })
      yield* add({ payload }, { payload })
    }).pipe(Effect.provide(MemoryStore.layer({ maxBytes: 3500 }))))

  it.effect("are free again when a task is removed", () =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      for (let round = 0; round < 10; round++) {
        const [id] = yield* add({ payload })
        assert.strictEqual((yield* store.enqueue([[task({ payload })]]))[0]?._tag, "Full")
        yield* store.cancel([id])
        yield* store.remove([id])
      }
      const [answer] = yield* store.enqueue([[task({ payload }), task({ payload })]])
      assert.deepInclude(answer, { _tag: "Full", size: { maxBytes: 1500, storedBytes: 0, offeredBytes: 2000 } })
    }).pipe(Effect.provide(MemoryStore.layer({ maxBytes: 1500 }))))
})

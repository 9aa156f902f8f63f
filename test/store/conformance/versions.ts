import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Gates, StoredType, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addGroup,
  addOne,
  idsOf,
  minute,
  putRecord,
  record,
  rerun,
  settled,
  take,
  takeIds,
  takeOne,
  task,
  through,
  timeless
} from "./fixtures.ts"

/** The stored type of a version of `work`. */
const work = (version: number) => StoredType.storedTypeOf("work", version)

const offer = Effect.fnUntraced(function*(...group: ReadonlyArray<Parameters<typeof task>[0]>) {
  const store = yield* TaskStore
  const [answer] = timeless(yield* store.enqueue([group.map(task)]))
  return answer!
})

export const versions = (driver: Driver) =>
  describe("versions", () => {
    scenario(driver, "are left to instances that ask for them, and keep the order of work with those before them", () =>
      Effect.gen(function*() {
        const [a, b, c] = yield* add({ type: work(2) }, { type: work(1) }, { type: work(3) })
        assert.deepStrictEqual(yield* takeIds({ types: [work(1)] }), [b])
        assert.deepStrictEqual(yield* takeIds({ types: [work(1), work(2)] }), [a])
        assert.deepStrictEqual(yield* takeIds({ types: [work(1), work(2)] }), [])
        const d = yield* addOne({ type: work(1) })
        const claimed = yield* take({ types: StoredType.upTo("work", 3) })
        assert.deepStrictEqual(idsOf(claimed), [c, d])
        assert.deepStrictEqual(
          claimed.map(({ type }) =>
            type
          ),
          [work(3), work(1)]
        )
        assert.strictEqual((yield* record(c)).type, work(3))
      }))

    scenario(driver, "are left alone behind gates too", () =>
      Effect.gen(function*() {
        const gate = through("limit=a")
        const [a, b] = yield* add({ type: work(2), ...gate }, { type: work(1), ...gate })
        assert.deepStrictEqual(yield* takeIds({ types: [work(1)] }), [b])
        assert.deepStrictEqual(yield* takeIds({ types: [work(2)] }), [a])
      }))

    scenario(driver, "share their keys, whichever of them comes first", () =>
      Effect.gen(function*() {
        for (const [key, first, second] of [["k", 1, 2], ["l", 2, 1], ["m", 2, 3]] as const) {
          const owner = yield* addOne({ type: work(first), key, payload: "1" })
          assert.deepStrictEqual(yield* offer({ type: work(second), key, payload: "1" }), {
            _tag: "Accepted",
            tasks: [{ id: owner, duplicate: true }]
          })
          assert.deepStrictEqual(yield* offer({ type: work(second), key, payload: "2" }), {
            _tag: "Conflict",
            index: 0,
            key,
            id: owner
          })
        }
        // within a group, and of another type
        const [e, f, g] = yield* addGroup([
          { type: work(2), key: "n" },
          { type: work(1), key: "n" },
          { type: "other", key: "n" }
        ])
        assert.deepStrictEqual([f!.id, f!.duplicate, g!.duplicate], [e!.id, true, false])
      }))

    scenario(driver, "share them once their windows are over, and take no payload of another version", () =>
      Effect.gen(function*() {
        const unique = (onConflict: "replace" | "return") =>
          ({ key: "k", unique: { window: "unfinished", onConflict, byMs: 0, maxMs: null } }) as const
        const owner = yield* addOne({ type: work(1), payload: "1", ...unique("replace") })
        assert.deepStrictEqual(yield* offer({ type: work(2), payload: "2", ...unique("replace") }), {
          _tag: "Conflict",
          index: 0,
          key: "k",
          id: owner,
          state: "pending"
        })
        assert.strictEqual((yield* record(owner)).payload, "1")
        const claimed = yield* takeOne({ types: [work(1)] })
        yield* settled({ _tag: "Cancel", id: claimed.id, claim: claimed.claim })
        const later = yield* addOne({ type: work(2), payload: "2", ...unique("replace") })
        assert.notStrictEqual(later, owner)
        assert.deepStrictEqual(yield* rerun(owner), { _tag: "superseded" })
      }))

    scenario(driver, "are paused with their type", () =>
      Effect.gen(function*() {
        const [a, b, c] = yield* add({ type: work(1) }, { type: work(2) }, { type: work(2), ...through("limit=a") })
        yield* putRecord(Gates.pausedTypeKind, "work", {})
        const types = StoredType.upTo("work", 2)
        assert.deepStrictEqual(yield* takeIds({ types }), [])
        assert.deepStrictEqual(yield* takeIds({ types, queues: ["default"] }), [])
        yield* putRecord(Gates.pausedTypeKind, "work", null)
        assert.deepStrictEqual(yield* takeIds({ types }), [a, b, c])
      }))

    scenario(driver, "are counted, and stranded, one by one, in an order without others in between", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ type: work(1) }, { type: work(2) }, { type: work(10), delayMs: minute }, { type: "work " })
        const { lanes } = yield* store.laneCounts({ limit: 10 })
        assert.deepStrictEqual(
          lanes.map(({ type }) =>
            type
          ),
          [work(1), work(10), work(2), "work "]
        )
        const stranded = yield* store.stranded([{ types: [work(1), "work "] }], 10)
        assert.deepStrictEqual(
          stranded.map(({ type }) =>
            type
          ),
          [work(2)]
        )
      }))
  })

import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { RecordConflict } from "../../src/domain/Errors.ts"
import * as JointPuts from "../../src/flow/JointPuts.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { absent, type Change, RecordStore } from "../../src/store/RecordStore.ts"

const change = (id: string, expects: number = absent): Change => ({ kind: "step", id, expects, document: `"${id}"` })

/** Puts through a store that notes how many changes each request has. */
const setup = (inside = false) =>
  Effect.gen(function*() {
    const records = yield* RecordStore
    const requests: Array<number> = []
    const put = yield* JointPuts.make({
      ...records,
      put: (changes) =>
        Effect.suspend(() => {
          requests.push(changes.length)
          // A store that is not in this process takes a while
          return Effect.andThen(Effect.yieldNow, records.put(changes))
        })
    }, Effect.succeed(inside))
    const all = (changes: ReadonlyArray<Change>) =>
      Effect.forEach(changes, (change) => Effect.exit(put([change])), { concurrency: "unbounded" })
    return { records, requests, all }
  })

const ids = Array.from({ length: 50 }, (_, index) => `${index}`)

describe("JointPuts", () => {
  it.effect("puts at the same time share requests, and each is told its version", () =>
    Effect.gen(function*() {
      const { all, records, requests } = yield* setup()
      const exits = yield* all(ids.map((id) => change(id)))
      const kept = yield* records.get("step", ids)
      assert.deepStrictEqual(exits, kept.map((record) => Exit.succeed(record!.version)))
      assert.isBelow(requests.length, 5)
      assert.strictEqual(requests.reduce((sum, changes) => sum + changes, 0), ids.length)
    }).pipe(Effect.provide(MemoryStore.layer())))

  it.effect("one that meets another version is told so, and takes no other one with it", () =>
    Effect.gen(function*() {
      const { all, records } = yield* setup()
      yield* records.put([change("7")])
      const exits = yield* all(ids.map((id) => change(id)))
      const failed = exits.filter(Exit.isFailure)
      assert.lengthOf(failed, 1)
      const error = Exit.isFailure(exits[7]!) ? exits[7]!.cause.reasons[0] : undefined
      assert.deepInclude(error?._tag === "Fail" ? error.error : error, { _tag: "RecordConflict", id: "7", index: 0 })
      assert.isTrue((yield* records.get("step", ids)).every((record) => record !== undefined))
    }).pipe(Effect.provide(MemoryStore.layer())))

  it.effect("of two that put one record at the same time one is done, and the other is told so", () =>
    Effect.gen(function*() {
      const { all } = yield* setup()
      const exits = yield* all([change("first"), change("same"), change("same"), change("last")])
      const failed = exits.filter(Exit.isFailure)
      assert.lengthOf(failed, 1)
      const [reason] = failed[0]!.cause.reasons
      assert.instanceOf(reason?._tag === "Fail" ? reason.error : reason, RecordConflict)
      assert.isTrue(Exit.isSuccess(exits[0]!) && Exit.isSuccess(exits[3]!))
    }).pipe(Effect.provide(MemoryStore.layer())))

  it.effect("a put inside a transaction of the application is by itself", () =>
    Effect.gen(function*() {
      const { all, requests } = yield* setup(true)
      yield* all(ids.map((id) => change(id)))
      assert.deepStrictEqual(requests, ids.map(() => 1))
    }).pipe(Effect.provide(MemoryStore.layer())))
})

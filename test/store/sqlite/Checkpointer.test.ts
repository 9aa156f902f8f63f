import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { existsSync, statSync } from "node:fs"
import { maxLogPages } from "../../../src/store/sqlite/WriteAheadLog.ts"
import { tasks } from "../conformance/fixtures.ts"
import { file, open, using } from "./fixtures.ts"

const pageSize = 4096

describe("the log", () => {
  it.live(
    "is brought into the database by the thread, and starts over, before SQLite itself has to",
    () =>
      Effect.gen(function*() {
        const path = yield* file
        const store = yield* open(path, { capacity: 1_000_000 })
        const pages = () => statSync(path).size / pageSize
        for (let before = pages(), round = 0; round < 8; round++, before = pages()) {
          // a thousand of these tasks write about 170 pages
          for (let i = 0; i < 15; i++) yield* store.enqueue([tasks(1000, { payload: JSON.stringify("x".repeat(200)) })])
          yield* Effect.repeat(store.enqueue([tasks(1)]), {
            until: () => pages() > before + 1000,
            schedule: Schedule.spaced("5 millis")
          })
        }
        assert.isAbove(pages(), maxLogPages)
        assert.isBelow(statSync(`${path}-wal`).size, maxLogPages * pageSize)
      })
  )

  it.live("is gone when the store closes, though a thread has read it", () =>
    Effect.gen(function*() {
      const path = yield* file
      yield* using(path, (store) => Effect.forEach(Array.from({ length: 20 }), () => store.enqueue([tasks(1000)])), {
        capacity: 1_000_000
      })
      assert.isFalse(existsSync(`${path}-wal`))
      assert.strictEqual((yield* using(path, (store) => store.counts)).pending, 20_000)
    }))

  it.live("is no reason to run a commit again when there is no thread to be had", () =>
    Effect.gen(function*() {
      const path = yield* file
      const store = yield* open(path, { capacity: 1_000_000 })
      const original = process.getBuiltinModule
      let refused = 0
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.getBuiltinModule = ((name: string) => {
            if (name === "node:worker_threads") {
              refused++
              throw new Error("no more threads")
            }
            return original(name)
          }) as typeof original
        }),
        () => Effect.sync(() => process.getBuiltinModule = original)
      )
      for (let i = 0; i < 12; i++) {
        const [answer] = yield* store.enqueue([tasks(1000)])
        assert.isTrue(answer?._tag === "Accepted" && answer.tasks.every(({ duplicate }) => !duplicate))
      }
      assert.strictEqual(refused, 1)
      assert.strictEqual((yield* store.counts).pending, 12_000)
    }))
})

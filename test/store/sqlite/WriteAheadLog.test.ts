import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import type { SqliteStore } from "../../../src/store/sqlite/index.ts"
import { request, task } from "../conformance/fixtures.ts"
import { file, open } from "./fixtures.ts"

/** How often the disk was asked to sync a file's log until the scope closes. */
const countSyncs = (path: string): Effect.Effect<() => number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const original = fs.fdatasync
        let count = 0
        fs.fdatasync = ((descriptor: number, done: fs.NoParamCallback) =>
          original(descriptor, (error) => {
            if (fs.fstatSync(descriptor).ino === fs.statSync(`${path}-wal`).ino) count++
            done(error)
          })) as typeof original
        syncBuiltinESMExports()
        return { count: () => count, original }
      }),
      ({ original }) =>
        Effect.sync(() => {
          fs.fdatasync = original
          syncBuiltinESMExports()
        })
    ),
    ({ count }) => count
  )

const syncsOf = Effect.fnUntraced(function*(synchronous: SqliteStore.Options["synchronous"]) {
  const path = yield* file
  const syncs = yield* countSyncs(path)
  const store = yield* open(path, { synchronous })
  const seen = [syncs()]
  yield* store.enqueue([[task()]])
  seen.push(syncs())
  const { tasks: [claimed] } = yield* store.claim(request())
  seen.push(syncs())
  yield* store.settle([{ _tag: "Complete", id: claimed!.id, claim: claimed!.claim, result: "null" }])
  seen.push(syncs())
  return seen
})

describe("what is answered is on disk", () => {
  it.live("an enqueue and a settlement sync the log; a claim does not", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* syncsOf("full"), [0, 1, 1, 2])
    }))

  it.live("nothing waits for the disk where that is not wanted", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* syncsOf("normal"), [0, 0, 0, 0])
    }))
})

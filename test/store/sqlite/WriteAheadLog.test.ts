import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, type Duration, Effect, Fiber, Latch, Layer, type Scope } from "effect"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { Notifier } from "../../../src/store/Notifier.ts"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { request, task } from "../conformance/fixtures.ts"
import { file, open } from "./fixtures.ts"

/** A clock that stands still unless a disk takes its time. */
const disk = { passedMs: 0n }
const byDisk = Effect.updateService(Clock.Clock, (clock) => ({
  ...clock,
  sleep: (duration: Duration.Duration) => clock.sleep(duration),
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  monotonicTimeNanosUnsafe: () => disk.passedMs * 1_000_000n
}))

/**
 * A disk that takes its time by that clock, and counts how often it was asked to sync a file's log, until the scope
 * closes.
 */
const countSyncs = (path: string, takesMs = 0n): Effect.Effect<Syncs, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const { fdatasync, fdatasyncSync } = fs
        const syncs = { onTheSpot: 0, meanwhile: 0 }
        const isLog = (descriptor: number) => fs.fstatSync(descriptor).ino === fs.statSync(`${path}-wal`).ino
        fs.fdatasyncSync = (descriptor) => {
          fdatasyncSync(descriptor)
          disk.passedMs += takesMs
          if (isLog(descriptor)) syncs.onTheSpot++
        }
        fs.fdatasync = ((descriptor: number, done: fs.NoParamCallback) =>
          fdatasync(descriptor, (error) => {
            disk.passedMs += takesMs
            if (isLog(descriptor)) syncs.meanwhile++
            done(error)
          })) as typeof fdatasync
        syncBuiltinESMExports()
        return { syncs, original: { fdatasync, fdatasyncSync } }
      }),
      ({ original }) =>
        Effect.sync(() => {
          Object.assign(fs, original)
          syncBuiltinESMExports()
        })
    ),
    ({ syncs }) => syncs
  )

interface Syncs {
  readonly onTheSpot: number
  readonly meanwhile: number
}

const syncsOf = Effect.fnUntraced(function*(synchronous: SqliteStore.Options["synchronous"]) {
  const path = yield* file
  const syncs = yield* countSyncs(path)
  const store = yield* open(path, { synchronous })
  const total = () => syncs.onTheSpot + syncs.meanwhile
  const seen = [total()]
  yield* store.enqueue([[task()]])
  seen.push(total())
  const { tasks: [claimed] } = yield* store.claim(request())
  seen.push(total())
  yield* store.settle([{ _tag: "Complete", id: claimed!.id, claim: claimed!.claim, result: "null" }])
  seen.push(total())
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

  it.live("a slow disk is waited for while others are served, until it is fast again", () =>
    Effect.gen(function*() {
      const path = yield* file
      const store = yield* open(path)
      const add = store.enqueue([[task()]])
      yield* Effect.scoped(Effect.gen(function*() {
        const slow = yield* countSyncs(path, 3n)
        yield* add
        assert.deepInclude(slow, { meanwhile: 0 })
        yield* add
        yield* add
        assert.deepInclude(slow, { meanwhile: 2 })
      }))
      const fast = yield* countSyncs(path)
      yield* add
      assert.deepStrictEqual(fast, { onTheSpot: 0, meanwhile: 1 })
      yield* add
      assert.deepStrictEqual(fast, { onTheSpot: 1, meanwhile: 1 })
    }).pipe(byDisk))

  it.live("a worker that hears of a new task has it before the disk does; the caller is answered after", () =>
    Effect.gen(function*() {
      const path = yield* file
      const syncs = yield* countSyncs(path)
      const services = yield* Layer.build(Layer.fresh(SqliteStore.layer({ path })))
      const store = Context.get(services, TaskStore)
      const heard = Latch.makeUnsafe()
      yield* Context.get(services, Notifier).listen(() => heard.openUnsafe())
      const seen: Array<string> = []
      const note = (what: string) =>
        Effect.sync(() => {
          seen.push(`${what} after ${syncs.onTheSpot + syncs.meanwhile} syncs`)
        })
      const worker = heard.await.pipe(
        Effect.andThen(store.claim(request())),
        Effect.tap(({ tasks }) => note(`${tasks.length} claimed`)),
        Effect.forkChild({ startImmediately: true })
      )
      const claiming = yield* worker
      yield* Effect.andThen(store.enqueue([[task()]]), note("answered"))
      yield* Fiber.join(claiming)
      assert.deepStrictEqual(seen, ["1 claimed after 0 syncs", "answered after 1 syncs"])
    }))
})

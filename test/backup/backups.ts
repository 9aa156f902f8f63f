import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Backup from "../../src/backup/Backup.ts"
import * as Mark from "../../src/backup/Mark.ts"
import * as Restore from "../../src/backup/Restore.ts"
import * as Gate from "../../src/domain/Gate.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import type { Driver } from "../store/conformance/driver.ts"
import { request } from "../store/conformance/fixtures.ts"
import { fill } from "./filled.ts"
import { holdsOf } from "./readings.ts"

type Stores = TaskStore | RecordStore

const archive = Effect.map(TaskStore, (store) => store.archive!)

/** The lines of a backup. */
export const lines = (id = "one") =>
  Effect.gen(function*() {
    const texts: Array<string> = []
    yield* Backup.run(yield* archive, { id, store: "test" }, (text) => Effect.sync(() => void texts.push(text)))
    return texts.join("").trimEnd().split("\n")
  })

/** Restores lines. */
const restore = (texts: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    return yield* Restore.run(yield* archive, Stream.fromIterable(texts), () => Effect.void)
  })

const memory = MemoryStore.layer({ capacity: 100_000 })

/** What is compared: all but the header, and the digest that includes it. */
export const content = (texts: ReadonlyArray<string>) => texts.slice(1).map((line) => line.replace(/,"sha256":.*/, ""))

const whyOf = (error: unknown) => error instanceof Restore.RestoreRefused ? error.why : undefined

/** Tests that what goes out of a store comes into another one as it was. */
export const backups = (name: string, driver: Driver): void => {
  const test = driver.live === true ? it.live : it.effect
  const begin = driver.live === true ? Effect.void : TestClock.setTime(1_800_000_000_000)
  const fresh = <A, E>(effect: Effect.Effect<A, E, Stores>) =>
    Effect.provide(effect, driver.layer({ capacity: 100_000 }) as Layer.Layer<Stores, unknown>, { local: true })
  const inMemory = <A, E>(effect: Effect.Effect<A, E, Stores>) => Effect.provide(effect, memory, { local: true })

  describe(`Backups of ${name}`, () => {
    test("come back as they were, from this store and from one in memory", () =>
      Effect.gen(function*() {
        yield* begin
        const own = yield* fresh(Effect.andThen(fill, lines()))
        const others = yield* inMemory(Effect.andThen(fill, lines()))
        for (const first of [own, others]) {
          const second = yield* inMemory(Effect.andThen(restore(first), lines("two")))
          const third = yield* fresh(Effect.andThen(restore(second), lines("three")))
          assert.deepStrictEqual(content(second), content(first))
          assert.deepStrictEqual(content(third), content(first))
        }
      }), 60_000)

    test("carry the fence of what ran, keys, orders and graphs", () =>
      Effect.gen(function*() {
        yield* begin
        const [running, texts] = yield* inMemory(Effect.all([fill, lines()]))
        yield* fresh(Effect.gen(function*() {
          yield* restore(texts)
          const store = yield* TaskStore
          const late = running.map(({ claim, id }) => ({ _tag: "Complete", id, claim, result: "1" }) as const)
          assert.deepStrictEqual(yield* store.settle(late), running.map(() => "stale"))
          const claimed = yield* store.claim(request({ queues: ["running", "limited", "ordered", "graph-2"] }))
          assert.deepStrictEqual(claimed.tasks.map(({ id }) => id).toSorted(), ["g3", "l1", "l2", "runs"])
          for (const { claim } of claimed.tasks) assert.isAbove(claim, Math.max(...running.map(({ claim }) => claim)))
          assert.deepStrictEqual(claimed.tasks.find(({ id }) => id === "runs")?.attempt, 2)
          // the retry of the first one holds the order
          assert.strictEqual(yield* holdsOf(Gate.passOf("!order", "a")), "o1")
          // what waits for the last of three starts once that has ended
          const g3 = claimed.tasks.find(({ id }) => id === "g3")!
          yield* store.settle([{ _tag: "Complete", id: "g3", claim: g3.claim, result: "1" }])
          const { tasks } = yield* store.claim(request({ queues: ["graph-2"] }))
          assert.deepStrictEqual(tasks.map(({ id }) => id), ["g4"])
          const counts = yield* store.counts
          assert.strictEqual(counts.running, 4)
        }))
      }), 60_000)

    test("are restored once more where a restore was ended, and change nothing then", () =>
      Effect.gen(function*() {
        yield* begin
        const texts = yield* inMemory(Effect.andThen(fill, lines()))
        yield* fresh(Effect.gen(function*() {
          const cut = yield* Effect.flip(restore(texts.slice(0, -5)))
          assert.strictEqual(cut._tag, "BackupInvalid")
          // it may have been killed, or be at work
          const mark = (yield* Mark.read)!
          yield* Mark.write(mark.mark, mark)
          const soon = yield* Effect.flip(restore(texts))
          assert.strictEqual(whyOf(soon), "under-way")
          yield* driver.advance("31 seconds")
          const cutAgain = yield* Effect.flip(restore(texts.slice(0, 20)))
          assert.strictEqual(cutAgain._tag, "BackupInvalid")
          const other = yield* Effect.flip(
            restore([texts[0]!.replace(/"id":"one"/, "\"id\":\"other\""), ...texts.slice(1)])
          )
          assert.strictEqual(whyOf(other), "other")
          yield* restore(texts)
          assert.deepStrictEqual(content(yield* lines("two")), content(texts))
          const again = yield* Effect.flip(restore(texts))
          assert.strictEqual(whyOf(again), "not-empty")
        }))
      }), 60_000)
  })
}

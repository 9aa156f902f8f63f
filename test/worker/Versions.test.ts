import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { InvalidOption, KeyConflict } from "../../src/domain/Errors.ts"
import * as StoredType from "../../src/domain/StoredType.ts"
import * as Versions from "../../src/domain/Versions.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import * as OtherProcess from "../engine/OtherProcess.ts"
import { pass, reaches, start, withEngine, withStore, withUnhurriedEngine } from "../engine/TestEngine.ts"

/** The type `work` as three programs know it, one after the other. */
const First = Task.make("work", { payload: { width: Schema.Int }, success: Schema.String })

const Second = Task.make("work", {
  payload: { width: Schema.Int, height: Schema.Int },
  success: Schema.String,
  earlier: Versions.first({ width: Schema.Int }, ({ width }) => ({ width, height: width }))
})

const Third = Task.make("work", {
  payload: { size: Schema.Array(Schema.Int) },
  success: Schema.String,
  idempotencyKey: ({ size }) => size.join("x"),
  orderBy: ({ size }) => size.join("x"),
  earlier: Versions.first({ width: Schema.Int }, ({ width }) => ({ width, height: width })).next(
    { width: Schema.Int, height: Schema.Int },
    ({ height, width }) => ({ size: [width, height] })
  )
})

const runs = (task: typeof First | typeof Second | typeof Third, name: string) =>
  (task as typeof First).toLayer((payload) => Effect.succeed(`${name} ${JSON.stringify(payload)}`))

const resultOf = (id: string) => Effect.map(TaskQueue.use((queue) => queue.get(id)), ({ result }) => result)

describe("versions of a payload", () => {
  it.effect("reach the handler as the one that it knows, whichever program has stored them", () =>
    withEngine(
      { handlers: runs(Third, "third") },
      Effect.gen(function*() {
        yield* First.enqueue({ width: 1 }, { id: "a" })
        yield* Second.enqueue({ width: 1, height: 2 }, { id: "b" })
        yield* Third.enqueue({ size: [3] }, { id: "c" })
        for (const [id, version, size] of [["a", 1, [1, 1]], ["b", 2, [1, 2]], ["c", 3, [3]]] as const) {
          yield* reaches(id, "completed")
          const stored = yield* TaskQueue.use((queue) => queue.get(id))
          assert.deepInclude(stored, { type: "work", version })
          assert.deepStrictEqual(yield* resultOf(id), stored.result)
          assert.strictEqual(yield* (yield* Third.handle(id)).result, `third ${JSON.stringify({ size })}`)
          assert.deepStrictEqual((yield* (yield* Third.handle(id)).task).payload, { size })
        }
        // An earlier program reads nothing of a later one
        const error = yield* Effect.flip((yield* First.handle("b")).task)
        assert.strictEqual(error._tag, "TaskDefect")
      })
    ))

  it.effect("are left alone by a program that does not know them, without an attempt, and taken by one that does", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const old = yield* start({ handlers: runs(First, "old"), instance: "old" })
        yield* Effect.gen(function*() {
          yield* Second.enqueue({ width: 1, height: 2 }, { id: "new" })
          yield* First.enqueue({ width: 1 }, { id: "first" })
          yield* reaches("first", "completed")
          yield* pass("1 minute")
          const waiting = yield* TaskQueue.use((queue) => queue.get("new"))
          assert.deepInclude(waiting, { state: "pending", claims: 0, failures: 0, version: 2 })
          const { reasons } = yield* TaskQueue.use((queue) => queue.explain("new"))
          assert.strictEqual(reasons[0]!.code, "no_handler")
          assert.include(reasons[0]!.text, `version 2 of the type "work"`)
          assert.include(reasons[0]!.text, "the newest that one handles is 1")
          const verdict = yield* TaskQueue.use((queue) => queue.verdict())
          assert.include(verdict.action, `"work" in version 2`)
          const { types } = yield* TaskQueue.use((queue) => queue.types())
          assert.deepStrictEqual(types.map(({ pending, type }) => [type, pending]), [["work", 1]])
        }).pipe(Effect.provide(old.context))
        const fresh = yield* start({ handlers: runs(Second, "new"), instance: "fresh" })
        yield* Effect.gen(function*() {
          yield* reaches("new", "completed")
          const { instances } = yield* TaskQueue.use((queue) => queue.instances)
          assert.deepStrictEqual(instances.map(({ id, types, versions }) => [id, types, versions]), [
            ["old", ["work"], {}],
            ["fresh", ["work"], { work: 2 }]
          ])
          const page = yield* TaskQueue.use((queue) => queue.list({ types: ["work"] }))
          assert.deepStrictEqual(page.tasks.map(({ id, version }) => [id, version]), [["first", 1], ["new", 2]])
        }).pipe(Effect.provide(fresh.context))
        yield* fresh.close
        yield* old.close
      })
    ))

  it.effect("fail readably and once, where nothing makes them what the handler takes", () =>
    withEngine(
      { handlers: runs(Second, "second") },
      Effect.gen(function*() {
        yield* OtherProcess.enqueue("odd", { payload: `{"size":1}` })
        const odd = yield* reaches("odd", "failed")
        assert.deepInclude(odd, { claims: 1, failures: 1 })
        assert.deepInclude(odd.failure, { kind: "invalid", tag: "InvalidPayload" })
        // Run again by a program that can
        yield* TaskQueue.use((queue) => queue.rerun("odd"))
        yield* reaches("odd", "failed")
      })
    ))

  it.effect("have what their definition makes of them: keys and orders are those of the version at hand", () =>
    withEngine(
      { handlers: Layer.empty },
      Effect.gen(function*() {
        yield* Third.enqueue({ size: [1, 2] }, { id: "a" })
        const again = yield* Effect.flip(Second.enqueue({ width: 1, height: 2 }, { key: "1x2" }))
        assert.instanceOf(again, KeyConflict)
        const { gate, type } = (yield* TaskStore.use((store) => store.get("a")))!
        assert.strictEqual(type, StoredType.storedTypeOf("work", 3))
        assert.include(gate, "1x2")
      })
    ))

  it.effect("are changed by their own version only", () =>
    withEngine(
      { handlers: Layer.empty },
      Effect.gen(function*() {
        yield* First.enqueue({ width: 1 }, { id: "a", delay: "1 hour" })
        yield* Second.enqueue({ width: 1, height: 2 }, { id: "b", delay: "1 hour" })
        const error = yield* Effect.flip((yield* Second.handle("a")).reschedule({ payload: { width: 2, height: 2 } }))
        assert.instanceOf(error, InvalidOption)
        assert.include(error.message, "of version 2")
        yield* (yield* First.handle("a")).reschedule({ payload: { width: 2 }, priority: "high" })
        yield* (yield* Second.handle("b")).reschedule({ payload: { width: 2, height: 3 }, delay: "2 hours" })
        yield* (yield* Second.handle("a")).reschedule({ delay: "2 hours" })
        const [a, b] = yield* Effect.forEach(["a", "b"], (id) => TaskQueue.use((queue) => queue.get(id)))
        assert.deepStrictEqual([a!.payload, b!.payload], [{ width: 2 }, { width: 2, height: 3 }])
      })
    ))

  it.effect("are those of schedules too", () =>
    withUnhurriedEngine(
      "1 minute",
      { handlers: runs(Third, "third") },
      Effect.gen(function*() {
        yield* Schedules.set("every", Second.schedule({ every: "1 hour" }, { width: 1, height: 2 }))
        const { task } = yield* Schedules.get("every")
        assert.deepInclude(task, { type: "work", version: 2 })
        const id = yield* Schedules.runNow("every")
        yield* reaches(id, "completed")
        assert.strictEqual(yield* (yield* Third.handle(id)).result, `third {"size":[1,2]}`)
        yield* pass("61 minutes")
        const { last } = yield* Schedules.get("every")
        assert.strictEqual((yield* reaches(last!.task!, "completed")).type, StoredType.storedTypeOf("work", 2))
      })
    ))
})

import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { DatabaseSync } from "node:sqlite"
import * as Engine from "../../../src/engine/Engine.ts"
import { TaskQueue } from "../../../src/queue/TaskQueue.ts"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import * as Task from "../../../src/Task.ts"
import { file, run, using } from "./fixtures.ts"

/** The lines of a process that must do what it is asked to. */
const succeed = (args: ReadonlyArray<string>) =>
  Effect.map(run(args), ({ code, errors, lines, signal }) => {
    assert.deepStrictEqual({ code, signal, errors }, { code: 0, signal: null, errors: "" })
    return lines
  })

describe("processes on one file", () => {
  it.live("share the work: no task is given twice or lost, and no lock reaches a caller", () =>
    Effect.gen(function*() {
      const path = yield* file
      const each = 400
      // Each waits for the tasks of the other, so one that fails ends both
      const given = (yield* Effect.forEach(["left", "right"], (name) =>
        succeed(["share", path, name, String(each), String(2 * each)]), { concurrency: 2 })).flat()
      assert.strictEqual(given.length, 2 * each)
      assert.strictEqual(new Set(given).size, 2 * each)
      const counts = yield* using(path, (store) =>
        store.counts)
      assert.deepInclude(counts, { pending: 0, running: 0, completed: 2 * each })
      assert.strictEqual(counts.totals.created, 2 * each)
    }))

  it.live("may keep each other from writing for longer than a lease: nothing that lives is taken for dead", () => {
    const Long = Task.make("long")
    let runs = 0
    const handlers = Long.toLayer(() =>
      Effect.suspend(() => {
        runs++
        return Effect.sleep("5 seconds")
      })
    )
    return Effect.gen(function*() {
      const path = yield* file
      const options = {
        worker: { lease: "900 millis", pollInterval: "50 millis" },
        rescuer: { interval: "50 millis" }
      } as const
      const instance = Layer.fresh(Engine.layer(handlers, options)).pipe(
        Layer.provideMerge(Layer.fresh(SqliteStore.layer({ path })))
      )
      const worker = yield* Layer.build(instance)
      // Another instance, that would take the task
      yield* Layer.build(instance)
      const handle = yield* Effect.provide(Long.enqueue(undefined), worker)
      const queue = Context.get(worker, TaskQueue)
      yield* Effect.repeat(queue.get(handle.id), {
        until: (task) => task?.state === "running",
        schedule: Schedule.spaced("10 millis")
      })
      // Both have looked at the store for longer than they wait at their start
      yield* Effect.sleep("700 millis")
      yield* succeed(["lock", path, "", "2500"])
      yield* Effect.provide(handle.result, worker)
      const task = yield* queue.get(handle.id)
      assert.deepInclude(task, { state: "completed", claims: 1, crashes: 0 })
      assert.strictEqual(runs, 1)
    })
  })

  it.live("lose nothing acknowledged when they are killed", () =>
    Effect.gen(function*() {
      const path = yield* file
      const acknowledged: Array<string> = []
      for (const name of ["first", "second", "third"]) {
        const { lines, signal } = yield* run(["flood", path, name], 500)
        assert.strictEqual(signal, "SIGKILL")
        acknowledged.push(...lines)
      }
      assert.isAtLeast(acknowledged.length, 1500)
      yield* using(path, (store) =>
        Effect.gen(function*() {
          for (const id of acknowledged) assert.isDefined(yield* store.get(id), id)
        }))
      // the counters agree with the rows, whatever the kill interrupted
      const database = new DatabaseSync(path)
      assert.deepStrictEqual(
        database.prepare("SELECT pending AS n, total_created AS m FROM tally").get(),
        database.prepare("SELECT count(*) AS n, count(*) AS m FROM task").get()
      )
      database.close()
    }))
})

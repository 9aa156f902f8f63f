import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { DatabaseSync } from "node:sqlite"
import * as Engine from "../../../src/engine/Engine.ts"
import { TaskQueue } from "../../../src/queue/TaskQueue.ts"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import * as Task from "../../../src/Task.ts"
import { request, rescue } from "../conformance/fixtures.ts"
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

  it.live(
    "leave no task that waits for ever, or starts before what it depends on, when they are killed",
    () =>
      Effect.gen(function*() {
        const path = yield* file
        let waiting = 0
        for (const [name, lines] of [["first", 3], ["second", 7], ["third", 6]] as const) {
          const { errors, signal } = yield* run(["graphs", path, name], lines)
          assert.deepStrictEqual({ errors, signal }, { errors: "", signal: "SIGKILL" })
          const database = new DatabaseSync(path)
          // what a task waits for is what has not ended or has not told it, whatever the kill interrupted
          const waits = `SELECT count(*) FROM edge JOIN task d ON d.seq = edge.dependency
          WHERE edge.task = t.seq AND (d.state < 3 OR edge.nr > d.told)`
          assert.deepStrictEqual(
            database.prepare(`SELECT id, waits_for, (${waits}) FROM task t WHERE state < 3 AND waits_for <> (${waits})`)
              .all(),
            []
          )
          const { n } = database.prepare("SELECT count(*) AS n FROM task WHERE state < 3 AND waits_for > 0").get()!
          waiting += n as number
          database.close()
        }
        assert.isAbove(waiting, 0, "no kill came while tasks waited: the test shows nothing")
        yield* using(path, (store) =>
          Effect.gen(function*() {
            let unfinished = Infinity
            for (let rounds = 0; unfinished > 0; rounds++) {
              assert.isBelow(rounds, 1000, "there are always tasks that wait")
              yield* rescue(10_000)
              const { tasks } = yield* store.claim(request({ limit: 1000 }))
              yield* store.settle(tasks.map(({ claim, id }) => ({ _tag: "Complete", id, claim, result: "null" })))
              const more = yield* store.tell
              const { pending, running, scheduled } = yield* store.counts
              unfinished = pending + running + scheduled
              if (tasks.length === 0 && !more) yield* Effect.sleep("20 millis")
            }
          }), { capacity: 1e6 })
        const database = new DatabaseSync(path)
        const early = `SELECT t.id FROM task t JOIN edge ON edge.task = t.seq JOIN task d ON d.seq = edge.dependency
        WHERE t.started_at IS NOT NULL AND (d.state <> 3 OR d.completed_at > t.started_at)`
        assert.deepStrictEqual(database.prepare(early).all(), [])
        assert.isAbove(database.prepare("SELECT count(*) AS n FROM task WHERE claims > 0").get()!["n"] as number, 1000)
        database.close()
      }),
    120_000
  )

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

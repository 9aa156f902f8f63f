/**
 * A process that shares a file with others.
 *
 * `share PATH NAME COUNT TOTAL` stores COUNT tasks while it works, until TOTAL tasks are completed, and writes the id
 * of each task that it was given. `flood PATH NAME` stores tasks for ever and writes the ids that were acknowledged.
 * `lock PATH _ MILLIS` keeps everybody else from writing for so long.
 */
import { Console, Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { SqliteStore } from "../../../src/store/sqlite/index.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import { request, task } from "../conformance/fixtures.ts"

const [mode, path = "", name = "", count = "0", total = "0"] = process.argv.slice(2)

const share = Effect.gen(function*() {
  const store = yield* TaskStore
  const producer = Effect.forEach(
    Array.from({ length: Number(count) }, (_, index) => task({ id: `${name}-${index}` })),
    (one) => store.enqueue([[one]]),
    { concurrency: 5, discard: true }
  )
  const worker = Effect.gen(function*() {
    while ((yield* store.counts).completed < Number(total)) {
      const { tasks } = yield* store.claim(request({ limit: 7, instance: name }))
      for (const { id } of tasks) yield* Console.log(id)
      yield* store.settle(tasks.map(({ claim, id }) => ({ _tag: "Complete", id, claim, result: "null" })))
      if (tasks.length === 0) yield* Effect.sleep("1 millis")
    }
  })
  yield* Effect.all([producer, worker], { concurrency: 2 })
})

const flood = Effect.gen(function*() {
  const store = yield* TaskStore
  let next = 0
  const producer = Effect.suspend(() => {
    const id = `${name}-${next++}`
    return Effect.andThen(store.enqueue([[task({ id })]]), Console.log(id))
  })
  yield* Effect.all(Array.from({ length: 10 }, () => Effect.forever(producer)), { concurrency: "unbounded" })
})

const lock = Effect.gen(function*() {
  const database = new DatabaseSync(path)
  database.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE")
  yield* Effect.sleep(Number(count))
  database.exec("COMMIT")
  database.close()
})

await Effect.runPromise(
  mode === "lock"
    ? lock
    : Effect.provide(mode === "share" ? share : flood, SqliteStore.layer({ path, capacity: 1e6 }))
)

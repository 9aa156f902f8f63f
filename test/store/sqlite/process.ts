/**
 * A process that shares a file with others.
 *
 * `share PATH NAME COUNT TOTAL` stores COUNT tasks while it works, until TOTAL tasks are completed, and writes the id
 * of each task that it was given. `flood PATH NAME` stores tasks for ever and writes the ids that were acknowledged.
 * `graphs PATH NAME` stores graphs of tasks for ever, ends their tasks in all ways and runs graphs again; it writes the ids of graphs.
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

/** Chains, one task that many wait for, many that one waits for, and diamonds. */
const shapes: ReadonlyArray<(place: number, size: number) => ReadonlyArray<number>> = [
  (place) => place % 8 === 0 ? [] : [place - 1],
  (place) => place === 0 ? [] : [0],
  (place, size) => place === size - 1 ? Array.from({ length: size - 1 }, (_, other) => other) : [],
  (place) => [[], [place - 1], [place - 2], [place - 2, place - 1]][place % 4]!
]

/** More than one write tells. */
const sizes = [4, 30, 1200]

const graphs = Effect.gen(function*() {
  const store = yield* TaskStore
  const rounds = Effect.fnUntraced(function*(round: number) {
    const size = sizes[round % 3]!
    const shape = shapes[round % 4]!
    const ids = Array.from({ length: size }, (_, place) => `${name}-${round}-${place}`)
    const group = ids.map((id, place) => {
      const after = shape(place, size).map((other) => ids[other]!)
      const onFailure = round % 2 === 0 ? "fail" as const : "cancel" as const
      return after.length === 0 ? task({ id }) : task({ id, after, onFailure })
    })
    yield* store.enqueue([round % 3 === 0 ? group.toReversed() : group])
    yield* Console.log(ids[0])
    for (let step = 0; step < 12; step++) {
      const { tasks } = yield* store.claim(request({ limit: 400, instance: name, leaseForMs: 50 }))
      yield* store.settle(tasks.map(({ attempt, claim, id }, index) =>
        attempt === 1 && (index + round + step) % 5 === 0
          ? { _tag: "Fail", id, claim, failure: { kind: "error", tag: "Refused", message: "it was refused" } }
          : { _tag: "Complete", id, claim, result: "null" }
      ))
      if (step === 5) yield* store.cancel([ids[round % size]!])
    }
    // backwards, so that each comes before those that it depends on
    yield* store.rerun(ids.slice(0, 1000).toReversed())
  })
  for (let round = 0;; round++) yield* rounds(round)
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
    : Effect.provide(
      mode === "share" ? share : mode === "graphs" ? graphs : flood,
      SqliteStore.layer({ path, capacity: 1e6 })
    )
)

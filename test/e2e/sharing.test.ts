/** Two server processes on one file. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { patiently } from "../Patience.ts"
import * as Gate from "./Gate.ts"
import * as Server from "./Server.ts"
import * as TaskFile from "./TaskFile.ts"

/** The ids of the tasks that a server has completed, by its log. */
const completedBy = ({ log }: Server.Server) =>
  log.filter(({ msg }) => msg.endsWith(" completed")).map((record) => String(record["job_id"]))

describe("two processes on one file", () => {
  it.live("share the work, and each task runs once", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const gate = yield* Gate.make
      const environment = { TASKFORGE_POLL_INTERVAL: "50ms", ...gate.environment }
      const [first, second] = yield* Effect.all(
        [Server.start(directory, environment), Server.start(directory, environment)],
        { concurrency: 2 }
      )
      // As many as both can run
      const ids = [...yield* first.post(gate.tasks(20))]
      yield* Server.until("all of them run", Effect.sync(() => gate.arrived() === 20))
      yield* gate.open
      ids.push(...yield* second.post(Array.from({ length: 280 }, () => ({ type: "echo" }))))
      const done = () => [...completedBy(first), ...completedBy(second)]
      yield* Server.until("all tasks are completed", Effect.sync(() => done().length >= ids.length))
      assert.deepStrictEqual(done().toSorted(), ids.toSorted())
      const held = ids.slice(0, 20)
      for (const server of [first, second]) {
        assert.lengthOf(completedBy(server).filter((id) => held.includes(id)), 10)
      }
      for (const server of [first, second]) {
        const { by_status, totals } = yield* server.stats
        assert.strictEqual(by_status.completed, 300)
        assert.strictEqual(totals.completed, 300)
      }
      for (const task of TaskFile.read(directory)) assert.strictEqual(task.claims, 1)
    }))

  it.live(
    "stand in for each other: a killed one's tasks run again when their leases have run out",
    () =>
      Effect.gen(function*() {
        const directory = yield* Server.directory
        const first = yield* Server.start(directory)
        yield* first.post(Array.from({ length: 5 }, () => ({ type: "sleep", payload: { duration: "10m" } })))
        yield* Server.until("they run", Effect.map(first.stats, (stats) => stats.workers_active === 5))
        const second = yield* Server.start(directory)
        yield* first.signal("SIGKILL")
        assert.deepStrictEqual(yield* first.ended, { code: null, signal: "SIGKILL" })
        const leases = new Map(TaskFile.read(directory).map(({ id, leaseUntil }) => [id, leaseUntil]))
        yield* Server.until("they run again", Effect.map(second.stats, (stats) => stats.workers_active === 5))
        for (const task of TaskFile.read(directory)) {
          assert.isAtLeast(task.startedAt!, leases.get(task.id)!, "taken over before the lease had run out")
          assert.strictEqual(task.claims, 2)
          assert.strictEqual(task.crashes, 1)
          assert.strictEqual(task.failures, 0)
        }
      })
  )

  it.live(
    "are fenced from each other: one that stood still finds its tasks taken over and changes nothing",
    () =>
      Effect.gen(function*() {
        const directory = yield* Server.directory
        const gate = yield* Gate.make
        const environment = { TASKFORGE_LEASE: "5s", ...gate.environment }
        const first = yield* Server.start(directory, environment)
        const ids = yield* first.post(gate.tasks(10))
        yield* Server.until("the first runs them", Effect.sync(() => gate.arrived() === 10))
        yield* standStill(first, directory)
        // What the first's own attempts wait for is there when it goes on
        yield* gate.release
        const second = yield* Server.start(directory, environment)
        yield* Server.until("the second runs them", Effect.sync(() => gate.arrived() === 20))
        yield* first.signal("SIGCONT")
        yield* Server.until("the first has none left", Effect.map(first.stats, (stats) => stats.workers_active === 0))
        yield* gate.open
        yield* Server.until("the second has completed them", Effect.sync(() => completedBy(second).length === 10))
        const tasks = TaskFile.read(directory)
        assert.sameMembers(tasks.map(({ id }) => id), [...ids])
        for (const task of tasks) {
          assert.deepInclude(task, { state: "completed", claims: 2, crashes: 1, failures: 0 })
          assert.strictEqual(task.settledClaim, task.claim)
          assert.isBelow(task.history[0]!.claim, task.claim)
        }
        assert.deepStrictEqual(completedBy(first), [])
        assert.strictEqual((yield* second.stats).totals.crashed, 10)
      })
  )
})

/** Stops a process, but not in the middle of a write, where it would keep others from writing. */
const standStill = Effect.fnUntraced(function*(process: Server.Server, directory: string) {
  yield* Effect.gen(function*() {
    yield* process.signal("SIGSTOP")
    if (!TaskFile.isLocked(directory)) return undefined
    yield* process.signal("SIGCONT")
    return yield* Effect.fail("it is writing")
  }).pipe(Effect.retry(patiently()))
})

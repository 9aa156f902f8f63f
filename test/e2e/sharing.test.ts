/** Two server processes on one file. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Server from "./Server.ts"
import * as TaskFile from "./TaskFile.ts"

/** The ids of the tasks that a server has completed, by its log. */
const completedBy = ({ log }: Server.Server) =>
  log.filter(({ msg }) => msg.endsWith(" completed")).map((record) => String(record["job_id"]))

describe("two processes on one file", () => {
  it.live("share the work, and each task runs once", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const environment = { TASKFORGE_POLL_INTERVAL: "50ms" }
      const [first, second] = yield* Effect.all(
        [Server.start(directory, environment), Server.start(directory, environment)],
        { concurrency: 2 }
      )
      const tasks = Array.from({ length: 300 }, () => ({ type: "sleep", payload: { duration: "50ms" } }))
      const ids = yield* first.post(tasks)
      const done = () => [...completedBy(first), ...completedBy(second)]
      yield* Server.until("all tasks are completed", Effect.sync(() => done().length >= ids.length))
      assert.deepStrictEqual(done().toSorted(), ids.toSorted())
      assert.isAbove(completedBy(first).length, 50)
      assert.isAbove(completedBy(second).length, 50)
      for (const server of [first, second]) {
        const { by_status, totals } = yield* server.stats
        assert.strictEqual(by_status.completed, 300)
        assert.strictEqual(totals.completed, 300)
      }
      for (const task of TaskFile.read(directory)) assert.strictEqual(task.claims, 1)
    }))

  it.live(
    "stand in for each other: a killed one's tasks run again within 20 seconds, with the default lease",
    () =>
      Effect.gen(function*() {
        const directory = yield* Server.directory
        const first = yield* Server.start(directory)
        yield* first.post(Array.from({ length: 5 }, () => ({ type: "sleep", payload: { duration: "10m" } })))
        yield* Server.until("they run", Effect.map(first.stats, (stats) => stats.workers_active === 5))
        const second = yield* Server.start(directory)
        yield* first.signal("SIGKILL")
        assert.deepStrictEqual(yield* first.ended, { code: null, signal: "SIGKILL" })
        const killedAt = performance.now()
        yield* Server.until(
          "they run again",
          Effect.map(second.stats, (stats) => stats.workers_active === 5),
          20
        )
        const seconds = (performance.now() - killedAt) / 1000
        assert.isAbove(seconds, 5, "taken over before the lease had run out")
        for (const task of TaskFile.read(directory)) {
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
        const environment = { TASKFORGE_LEASE: "2s" }
        const sleepMs = 2500
        const first = yield* Server.start(directory, environment)
        const second = yield* Server.start(directory, { ...environment, TASKFORGE_POLL_INTERVAL: "1m" })
        const tasks = Array.from({ length: 10 }, () => ({ type: "sleep", payload: { duration: `${sleepMs}ms` } }))
        const ids = yield* first.post(tasks)
        yield* Server.until("the first runs them", Effect.map(first.stats, (stats) => stats.workers_active === 10))
        const startedAt = performance.now()
        yield* standStill(first, second)
        yield* Server.until("the second runs them", Effect.map(second.stats, (stats) => stats.workers_active === 10))
        // by now the first's own attempts are over, and it will say so as soon as it can
        yield* Server.until("they would have ended", Effect.sync(() => performance.now() - startedAt > sleepMs))
        yield* first.signal("SIGCONT")
        yield* Server.until("the first works again", Effect.map(first.stats, (stats) => stats.workers_active === 0))
        yield* Server.until(
          "the second has completed them",
          Effect.sync(() => ofThese(completedBy(second)).length === 10)
        )
        for (const task of TaskFile.read(directory).filter(({ id }) => ids.includes(id))) {
          assert.deepInclude(task, { state: "completed", claims: 2, crashes: 1, failures: 0 })
          assert.strictEqual(task.settledClaim, task.claim)
          assert.isBelow(task.history[0]!.claim, task.claim)
        }
        assert.deepStrictEqual(ofThese(completedBy(first)), [])
        assert.strictEqual((yield* second.stats).totals.crashed, 10)

        function ofThese(done: ReadonlyArray<string>) {
          return done.filter((id) => ids.includes(id))
        }
      })
  )
})

/** Stops a process for a while, but not in the middle of a write, where it would hold everybody up. */
const standStill = Effect.fnUntraced(function*(process: Server.Server, other: Server.Server) {
  yield* Effect.gen(function*() {
    yield* process.signal("SIGSTOP")
    yield* Effect.onError(Effect.timeout(other.post([{ type: "echo" }]), "1 second"), () => process.signal("SIGCONT"))
  }).pipe(Effect.retry({ times: 5 }))
})

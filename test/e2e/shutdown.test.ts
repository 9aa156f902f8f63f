/** SIGINT and SIGTERM, as real processes live them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import sharp from "sharp"
import * as Gate from "./Gate.ts"
import * as Server from "./Server.ts"
import * as TaskFile from "./TaskFile.ts"

const sleeps = (count: number, duration: string) =>
  Array.from({ length: count }, () => ({ type: "sleep", payload: { duration } }))

const running = (server: Server.Server, count: number) =>
  Server.until(`${count} tasks run`, Effect.map(server.stats, (stats) => stats.workers_active === count))

const isShuttingDown = (server: Server.Server) => server.log.some(({ msg }) => msg.startsWith("shutting down"))

/** Nothing was held against a task. */
const assertUnharmed = (tasks: ReadonlyArray<TaskFile.StoredTask>) => {
  for (const task of tasks) {
    assert.strictEqual(task.failures, 0, task.id)
    assert.strictEqual(task.crashes, 0, task.id)
  }
}

/** Starts a server on the folder that completes all its tasks. */
const assertCompletes = Effect.fnUntraced(function*(
  directory: string,
  count: number,
  environment: Server.Environment = {}
) {
  const server = yield* Server.start(directory, { TASKFORGE_LEASE: "2s", WORKER_NUM_WORKERS: "50", ...environment })
  yield* Server.until(
    `all ${count} tasks are completed`,
    Effect.map(server.stats, (stats) => stats.by_status.completed === count)
  )
})

describe("the first signal", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(`${signal} lets running tasks end, starts no others, and exits 0`, () =>
      Effect.gen(function*() {
        const directory = yield* Server.directory
        const gate = yield* Gate.make
        const server = yield* Server.start(directory, gate.environment)
        yield* server.post(gate.tasks(200))
        yield* Server.until("ten tasks run", Effect.sync(() => gate.arrived() === 10))
        yield* server.signal(signal)
        yield* Server.until("it shuts down", Effect.sync(() => isShuttingDown(server)))
        assert.strictEqual(gate.arrived(), 10)
        // Others may start until the HTTP server has closed, which is first
        yield* Effect.forkScoped(Effect.repeat(gate.release, Schedule.spaced("500 millis")))
        yield* Server.endsInOrder(server)
        assert.strictEqual(server.log.at(-1)?.msg, "stopped")
        const tasks = TaskFile.read(directory)
        assertUnharmed(tasks)
        const byState = Object.groupBy(tasks, (task) => task.state)
        assert.deepStrictEqual(Object.keys(byState).toSorted(), ["completed", "pending"])
        assert.lengthOf(byState["completed"]!, gate.arrived())
        for (const task of byState["completed"]!) assert.strictEqual(task.claims, 1)
        for (const { history } of byState["pending"]!) {
          assert.isEmpty(history.filter(({ outcome }) => outcome !== "released"))
        }
        yield* gate.open
        yield* assertCompletes(directory, 200, gate.environment)
      }))
  }

  it.live("releases tasks that outlast the grace period, and they run again at once", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const server = yield* Server.start(directory, { TASKFORGE_SHUTDOWN: "2s" })
      yield* server.post(sleeps(10, "10m"))
      yield* running(server, 10)
      yield* Server.stop(server)
      const tasks = TaskFile.read(directory)
      assertUnharmed(tasks)
      for (const task of tasks) {
        assert.strictEqual(task.state, "pending")
        assert.strictEqual(task.claims, 1)
        assert.deepStrictEqual(task.history.map(({ outcome }) => outcome), ["released"])
      }
      const second = yield* Server.start(directory)
      yield* running(second, 10)
    }))

  it.live("loses nothing that was accepted while it came", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const server = yield* Server.start(directory, { TASKFORGE_SHUTDOWN: "4s", WORKER_NUM_WORKERS: "50" })
      const accepted: Array<string> = []
      const submit = server.post([{ type: "echo" }, ...sleeps(1, "20ms")]).pipe(
        Effect.tap((ids) => Effect.sync(() => accepted.push(...ids))),
        Effect.forever,
        Effect.ignore
      )
      const clients = yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.forkChild(submit))
      yield* Server.until("200 tasks are accepted", Effect.sync(() => accepted.length >= 200))
      yield* Server.stop(server)
      yield* Fiber.awaitAll(clients)
      const tasks = TaskFile.read(directory)
      assertUnharmed(tasks)
      const stored = new Set(tasks.map((task) => task.id))
      assert.deepStrictEqual(accepted.filter((id) => !stored.has(id)), [])
      assert.isEmpty(tasks.filter((task) => task.state === "running"))
      yield* assertCompletes(directory, tasks.length)
    }))

  it.live("comes through although a client holds its connection open", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const server = yield* Server.start(directory)
      yield* server.post([{ type: "echo" }])
      yield* Server.stop(server)
    }))
})

describe("a second signal", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(
      `${signal} after a second ends it at once, and the tasks run again when their leases end`,
      () =>
        Effect.gen(function*() {
          const directory = yield* Server.directory
          const server = yield* Server.start(directory, { TASKFORGE_LEASE: "2s" })
          yield* server.post(sleeps(5, "10m"))
          yield* running(server, 5)
          yield* server.signal("SIGTERM")
          yield* Server.until("it shuts down", Effect.sync(() => isShuttingDown(server)))
          yield* Effect.sleep("1100 millis")
          assert.isFalse(server.isEnded())
          yield* server.signal(signal)
          // An orderly end would be exit code 0
          assert.deepStrictEqual(yield* server.ended, { code: null, signal })
          for (const task of TaskFile.read(directory)) assert.strictEqual(task.state, "running")
          const second = yield* Server.start(directory, { TASKFORGE_LEASE: "2s" })
          yield* running(second, 5)
          for (const task of TaskFile.read(directory)) {
            assert.strictEqual(task.failures, 0)
            assert.strictEqual(task.claims, 2)
          }
        })
    )
  }
})

describe("an image that is being encoded, in native code that hears nothing", () => {
  /** Minutes of work for the encoder. */
  const encoding = Effect.fnUntraced(function*(settings: Server.Environment) {
    const directory = yield* Server.directory
    const files = join(directory, "files")
    mkdirSync(files)
    const noise = { type: "gaussian", mean: 128, sigma: 50 } as const
    yield* Effect.promise(() =>
      sharp({ create: { width: 1000, height: 1000, channels: 3, background: "white", noise } })
        .jpeg({ quality: 95 }).toFile(join(files, "large.jpg"))
    )
    const server = yield* Server.start(directory, {
      TASKFORGE_FOLDERS: "files",
      TASKFORGE_LEASE: "5s",
      TASKFORGE_THREAD_MEMORY: "8192",
      ...settings
    })
    yield* server.post([{
      type: "image_resize",
      payload: { file: "large.jpg", width: 9900, fit: "inside", format: "avif", quality: 100, output: "larger.avif" }
    }])
    yield* running(server, 1)
    // Into the encoder itself
    yield* Effect.sleep("1 second")
    return { directory, server }
  })

  it.live("does not make a stop miss its deadline", () =>
    Effect.gen(function*() {
      const { directory, server } = yield* encoding({ TASKFORGE_SHUTDOWN: "2s" })
      yield* Server.stop(server)
      const tasks = TaskFile.read(directory)
      assertUnharmed(tasks)
      // A stop that waited for the encoder would find it completed
      assert.deepStrictEqual(tasks.map(({ state }) => state), ["pending"])
    }))

  it.live("does not hold up a second signal", () =>
    Effect.gen(function*() {
      const { server } = yield* encoding({})
      yield* server.signal("SIGINT")
      yield* Effect.sleep("1100 millis")
      yield* server.signal("SIGINT")
      assert.deepStrictEqual(yield* server.ended, { code: null, signal: "SIGINT" })
    }))
})

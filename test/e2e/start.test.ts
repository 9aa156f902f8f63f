/** What a process does at its start, and what it says when it cannot start. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { isAbsolute, join } from "node:path"
import * as Server from "./Server.ts"

/** A process that must not start: how it ended and what it said. */
const refused = Effect.fnUntraced(function*(directory: string, environment: Server.Environment) {
  const process = yield* Server.launch(directory, environment)
  const { code } = yield* process.ended
  assert.deepStrictEqual(process.log, [])
  assert.notInclude(process.stderr(), "    at ")
  return { code, lines: process.stderr().trimEnd().split("\n") }
})

describe("a server", () => {
  it.live("says where it listens, which store it uses and how many slots it has", () =>
    Effect.gen(function*() {
      const server = yield* Server.start(yield* Server.directory, { WORKER_COUNT: "3", TASKFORGE_LEESE: "1s" })
      const [warning, record] = server.log
      assert.strictEqual(warning?.msg, "TASKFORGE_LEESE is not a setting; did you mean TASKFORGE_LEASE?")
      assert.strictEqual(record?.msg, `taskforge listens on ${server.url}`)
      assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
      assert.strictEqual(record?.["store"], "sqlite:tasks.db")
      assert.strictEqual(record?.["slots"], 3)
      assert.isTrue(isAbsolute(String(record?.["file"])))
      assert.match(String(record?.["access"]), /^from this machine only, because no API key is asked for/)
    }))

  it.live("warns that a store in memory loses every task", () =>
    Effect.gen(function*() {
      const server = yield* Server.start(yield* Server.directory, { STORE_URL: "memory:" })
      const { level, msg } = server.log[0]!
      assert.deepStrictEqual({ level, msg }, {
        level: "warn",
        msg: "Tasks are kept in memory only: the end of this process loses every task"
      })
    }))

  it.live("logs each attempt as a line of JSON", () =>
    Effect.gen(function*() {
      const server = yield* Server.start(yield* Server.directory, { STORE_URL: "memory:" })
      const [echo] = yield* server.post([{ type: "echo" }])
      const [fail] = yield* server.post([{ type: "fail", max_retries: 0 }])
      yield* Server.until(
        "both have ended",
        Effect.sync(() => server.log.filter((one) => "job_id" in one).length === 2)
      )
      const completed = server.log.find((record) => record["job_id"] === echo)!
      assert.strictEqual(completed.level, "info")
      assert.strictEqual(completed.msg, "task echo completed")
      assert.isNumber(completed["duration"])
      assert.match(String(completed["worker_id"]), /^[^/]+\/\d+$/)
      assert.isString(completed["time"])
      const failed = server.log.find((record) => record["job_id"] === fail)!
      assert.strictEqual(failed.level, "error")
      assert.strictEqual(failed.msg, "task fail failed for good: FailedOnPurpose: This task always fails")
    }))

  for (const store of ["memory:", "sqlite:tasks.db"]) {
    it.live(`works on ${store} with no limit of time at all`, () =>
      Effect.gen(function*() {
        const server = yield* Server.start(yield* Server.directory, {
          STORE_URL: store,
          WORKER_JOB_TIMEOUT: "infinity",
          TASKFORGE_HEAD_START: "infinity",
          TASKFORGE_KEEP_FINISHED: "infinity",
          TASKFORGE_KEEP_FAILED: "infinity",
          WORKER_RETRY_ATTEMPTS: "0"
        })
        yield* server.post([{ type: "sleep", payload: { duration: "1500ms" } }, { type: "fail" }])
        yield* Server.until(
          "both have ended",
          Effect.map(server.stats, ({ by_status }) => by_status.completed === 1 && by_status.failed === 1)
        )
        yield* Server.stop(server)
        assert.deepStrictEqual(server.log.filter(({ level }) => level === "error").map(({ msg }) => msg), [
          "task fail failed for good: FailedOnPurpose: This task always fails"
        ])
      }))
  }

  it.live("goes on when whoever reads its log goes away", () =>
    Effect.gen(function*() {
      const server = yield* Server.start(yield* Server.directory)
      server.child.stdout!.destroy()
      for (let count = 1; count <= 5; count++) {
        yield* server.post([{ type: "echo" }])
        yield* Server.until(
          "the task is completed",
          Effect.map(server.stats, (stats) => stats.totals.completed === count)
        )
      }
      yield* Server.stop(server)
    }))
})

describe("a process that cannot start says why in a line", () => {
  it.live("when its configuration is bad: every variable, exit code 78", () =>
    Effect.gen(function*() {
      const environment = { SERVER_PORT: "high", LOG_LEVEL: "loud", WORKER_COUNT: "1000" }
      const { code, lines } = yield* refused(yield* Server.directory, environment)
      assert.strictEqual(code, 78)
      assert.deepStrictEqual(lines, [
        "taskforge: The configuration has 3 problems:",
        "  - SERVER_PORT=high: expected a port from 0 to 65535",
        "  - LOG_LEVEL=loud: expected trace, debug, info, warn, error, fatal or none",
        "  - WORKER_COUNT=1000: expected at most WORKER_MAX_CONCURRENCY, which is 100"
      ])
    }))

  it.live("when tasks could destroy its store", () =>
    Effect.gen(function*() {
      const environment = { TASKFORGE_FOLDERS: "files,.", STORE_URL: "sqlite:tasks.db" }
      const { code, lines } = yield* refused(yield* Server.directory, environment)
      assert.strictEqual(code, 78)
      assert.deepStrictEqual(lines, [
        "taskforge: The configuration has a problem:",
        "  - TASKFORGE_FOLDERS=files,.: tasks could destroy the store, tasks.db, which lies in .; name folders without it, " +
        "or another file in STORE_URL"
      ])
    }))

  it.live("when its port is in use", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      const { port } = new URL((yield* Server.start(directory)).url)
      const { code, lines } = yield* refused(directory, { SERVER_PORT: port })
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(lines, [
        `taskforge: the server cannot listen: listen EADDRINUSE: address already in use 127.0.0.1:${port}; ` +
        "choose another SERVER_PORT or SERVER_HOST"
      ])
    }))

  it.live("when its tasks cannot be stored there", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      writeFileSync(join(directory, "file"), "no database")
      mkdirSync(join(directory, "locked"))
      chmodSync(join(directory, "locked"), 0o555)
      const urls = ["sqlite:file", "sqlite:file/tasks.db", "sqlite:."]
      // root may write anywhere
      if (process.getuid?.() !== 0) urls.push("sqlite:locked/tasks.db")
      for (const url of urls) {
        const { code, lines } = yield* refused(directory, { STORE_URL: url })
        assert.strictEqual(code, 1)
        assert.strictEqual(lines.length, 1, lines.join("\n"))
        assert.include(lines[0], url.slice("sqlite:".length))
      }
    }))

  it.live("when the file was made with another head start", () =>
    Effect.gen(function*() {
      const directory = yield* Server.directory
      yield* Effect.scoped(Server.start(directory))
      const { code, lines } = yield* refused(directory, { TASKFORGE_HEAD_START: "infinity" })
      assert.strictEqual(code, 1)
      assert.match(lines.join("\n"), /^taskforge: tasks\.db was created with a head start of 5m/)
    }))
})

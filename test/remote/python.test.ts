/** The worker in Python of the examples, next to a real server: run, killed in the middle, stopped. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { bundled } from "../cli/Program.ts"
import * as WorkServer from "../cli/WorkServer.ts"
import { until } from "../e2e/Server.ts"
import * as Program from "../servers/Program.ts"
import { withServer } from "../servers/withServer.ts"

const file = fileURLToPath(new URL("../../examples/worker.py", import.meta.url))

const installed: Effect.Effect<string, Program.ServerMissing> = Effect.suspend(() => {
  const binary = Program.findBinary(["python3"])
  return binary === undefined
    ? new Program.ServerMissing({ reason: "There is no Python: install it (apt-get install python3)" })
    : Effect.succeed(binary)
})

await withServer("Python", installed, (python) => {
  const program = bundled()

  const worker = (url: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(python, [file], {
          env: { PATH: process.env["PATH"], TASKFORGE_URL: url, TASKFORGE_LEASE: "3s" },
          stdio: ["ignore", "pipe", "pipe"]
        })
        let text = ""
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding("utf8").on("data", (more: string) => {
            text += more
          })
        }
        const ended = Deferred.makeUnsafe<number | null>()
        child.once("close", (code) => Deferred.doneUnsafe(ended, Effect.succeed(code)))
        return { child, text: () => text, ended: Deferred.await(ended) }
      }),
      ({ child, ended }) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), ended)
    )

  const started = (url: string) =>
    Effect.tap(worker(url), (one) => until("it works", Effect.sync(() => one.text().includes("working on"))))

  describe("the worker in Python", () => {
    it.live("runs tasks, and another one has those of a worker that is killed", () =>
      Effect.gen(function*() {
        const { ask, become, enqueue, task, url } = yield* WorkServer.start(program)
        const first = yield* started(url)
        const id = yield* enqueue("count_words", { text: "to be or not to be" })
        yield* become(id, "completed")
        assert.deepInclude(yield* task(id), { result: { words: 6 }, attempts: 1 })
        const logs = yield* ask(`/api/v1/tasks/${id}/logs`)
        assert.include(JSON.stringify(logs), "attempt 1: 6 words")
        const long = yield* enqueue("count_words", { text: "a b", seconds: 300 })
        yield* until("it is on its way", Effect.map(task(long), ({ progress }) => (progress ?? 0) > 0))
        // It renews what it holds
        assert.deepInclude(yield* task(long), { status: "running", crashes: 0 })
        first.child.kill("SIGKILL")
        yield* first.ended
        const second = yield* started(url)
        yield* until("another one has it", Effect.map(task(long), ({ attempts }) => attempts === 2))
        assert.deepInclude(yield* task(long), { crashes: 1, failures: 0 })
        yield* ask(`/api/v1/tasks/${long}/cancel`, "POST")
        yield* become(long, "cancelled")
        const last = yield* enqueue("count_words", { text: "x", seconds: 5 })
        // Running by the server is not enough: the answer may be on its way, and a worker that ends gives back what comes then
        yield* until("the worker has it", Effect.map(task(last), ({ progress }) => (progress ?? 0) > 0))
        second.child.kill("SIGTERM")
        assert.strictEqual(yield* second.ended, 0, second.text())
        assert.deepInclude(yield* task(last), { status: "completed", crashes: 0 })
      }))
  })
})

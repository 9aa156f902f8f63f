/** What only a process shows: signals, pipes that break, the bundle, a server and its clients. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { directory, until } from "../e2e/Server.ts"
import { bundled } from "./Program.ts"

const program = bundled()

const run = (...parameters: Parameters<typeof program>) =>
  Effect.scoped(Effect.flatMap(program(...parameters), ({ ended }) => ended))

/** A server of the program on a free port and a file of its own. */
const served = Effect.fnUntraced(function*(args: ReadonlyArray<string> = []) {
  const store = `sqlite:${join(yield* directory, "tasks.db")}`
  const server = yield* program(["serve", ...args], {
    environment: { STORE_URL: store, SERVER_PORT: "0", LOG_FORMAT: "json" }
  })
  const url = () => /"url":"([^"]+)"/.exec(server.stdout())?.[1]
  yield* until("the server listens", Effect.sync(() => url() !== undefined || server.child.exitCode !== null))
  return { ...server, store, url: url()! }
})

describe("taskforge serve", () => {
  for (const args of [[], ["--log-level", "info"]]) {
    it.live(
      `serves, with ${args.length === 0 ? "nothing else said" : "flags"}, until a signal stops it in order`,
      () =>
        Effect.gen(function*() {
          const { child, ended, store, url } = yield* served(args)
          const onServer = { environment: { TASKFORGE_URL: url } }
          const { code, stdout } = yield* run(["enqueue", "echo", `"hi"`, "--wait", "--json"], onServer)
          assert.strictEqual(code, 0)
          const { id, result } = JSON.parse(stdout)
          assert.strictEqual(result, "hi")
          const listed = yield* run(["list", "--json", "--store", store])
          assert.deepStrictEqual([listed.code, listed.stderr, JSON.parse(listed.stdout).id], [0, "", id])
          child.kill("SIGTERM")
          const { stderr, ...end } = yield* ended
          assert.deepStrictEqual({ code: end.code, stderr }, { code: 0, stderr: "" })
          assert.include(end.stdout, "stopped")
        })
    )
  }

  it.live(
    "takes flags for settings, before the environment, and names what it cannot use",
    () =>
      Effect.gen(function*() {
        const environment = { SERVER_PORT: "1", PORT: "2", WORKER_COUNT: "1000" }
        const { code, stderr } = yield* run(["serve", "--port", "high", "--store", "memory:"], { environment })
        assert.strictEqual(code, 78)
        assert.include(stderr, "--port high: expected a port")
        assert.include(stderr, "WORKER_COUNT=1000")
        assert.strictEqual((yield* run(["serve", "--prot", "1"])).code, 64)
      })
  )
})

describe("taskforge work", () => {
  it.live("runs the tasks of a store until a signal stops it in order", () =>
    Effect.gen(function*() {
      const store = `sqlite:${join(yield* directory, "tasks.db")}`
      assert.strictEqual((yield* run(["migrate", "--store", store])).code, 0)
      const { stdout } = yield* run(["enqueue", "echo", "1", "--json", "--store", store])
      const worker = yield* program(["work", "--store", store, "--workers", "2", "--log-format", "json"])
      yield* until("the task has run", Effect.sync(() => worker.stdout().includes(JSON.parse(stdout).id)))
      assert.include(worker.stdout(), `"msg":"taskforge works on ${store}"`)
      const done = yield* run(["get", JSON.parse(stdout).id, "--wait", "--json", "--store", store])
      assert.deepStrictEqual([done.code, JSON.parse(done.stdout).result], [0, 1])
      worker.child.kill("SIGTERM")
      const { code, stderr } = yield* worker.ended
      assert.deepStrictEqual([code, stderr], [0, ""])
    }))

  it.live("does not start on a store that nobody else can reach", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* run(["work", "--store", "memory:"])
      assert.strictEqual(code, 78)
      assert.include(stderr, "name a store that is shared")
    }))

  it.live("does not start where tasks could destroy its store", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      const environment = { TASKFORGE_FOLDERS: folder }
      const { code, stderr } = yield* run(["work", "--store", `sqlite:${join(folder, "tasks.db")}`], { environment })
      assert.strictEqual(code, 78)
      assert.include(stderr, `TASKFORGE_FOLDERS=${folder}: tasks could destroy the store`)
    }))
})

describe("the program", () => {
  it.live("ends quietly when nobody reads on", () =>
    Effect.gen(function*() {
      const { url } = yield* served()
      const stdin = Array.from({ length: 10_000 }, (_, n) => JSON.stringify({ n, text: "x".repeat(200) })).join("\n")
      const onServer = { environment: { TASKFORGE_URL: url }, stdin }
      const { code, stderr, stdout } = yield* run(["enqueue", "echo", "--lines", "-", "--delay", "1h"], onServer)
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.include(stdout, "Enqueued 10,000 tasks")
      const list = yield* program(["list", "--all", "--json"], { environment: { TASKFORGE_URL: url } })
      yield* until("it writes", Effect.sync(() => list.stdout() !== ""))
      list.child.stdout!.destroy()
      const end = yield* list.ended
      assert.deepStrictEqual([end.code, end.signal, end.stderr], [0, null, ""])
    }))

  it.live("exits as a signal would have ended it", () =>
    Effect.gen(function*() {
      const { url } = yield* served()
      const environment = { TASKFORGE_URL: url }
      for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
        const waiting = yield* program(["enqueue", "sleep", `{"duration":"1h"}`, "--wait"], { environment })
        yield* until(
          "the task runs",
          Effect.map(run(["list", "--status", "running", "--json"], { environment }), ({ stdout }) => stdout !== "")
        )
        waiting.child.kill(signal)
        const end = yield* waiting.ended
        assert.deepStrictEqual([end.code, end.signal, end.stderr], [code, null, ""])
        yield* run(["cancel", "--status", "running"], { environment })
        yield* until(
          "it is stopped",
          Effect.map(run(["list", "--status", "running", "--json"], { environment }), ({ stdout }) => stdout === "")
        )
      }
    }))

  it.live("shows colours only to those who want them", () =>
    Effect.gen(function*() {
      const { url } = yield* served()
      const list = (environment: Record<string, string>) =>
        Effect.map(run(["list", "--server", url], { environment }), ({ stdout }) => stdout.includes("\u001b["))
      assert.isFalse(yield* list({}))
      assert.isTrue(yield* list({ FORCE_COLOR: "1" }))
      assert.isFalse(yield* list({ FORCE_COLOR: "1", NO_COLOR: "1" }))
      assert.isFalse(yield* list({ FORCE_COLOR: "1", TERM: "dumb" }))
    }))

  it.live("shows its key to a server that asks for one", () =>
    Effect.gen(function*() {
      const { store, url } = yield* served()
      const made = yield* run(["keys", "create", "reader", "--role", "read", "--json", "--store", store])
      const key = String(JSON.parse(made.stdout).secret)
      yield* until(
        "the server asks for keys",
        Effect.map(run(["list", "--server", url]), ({ code }) => code === 77)
      )
      const without = yield* run(["list", "--server", url])
      assert.include(without.stderr, "TASKFORGE_API_KEY")
      assert.strictEqual((yield* run(["list", "--server", url, "--api-key", key])).code, 0)
      const environment = { TASKFORGE_API_KEY: key, TASKFORGE_URL: url }
      assert.strictEqual((yield* run(["stats"], { environment })).code, 0)
      const enqueue = yield* run(["enqueue", "echo"], { environment })
      assert.strictEqual(enqueue.code, 77)
      assert.notInclude(enqueue.stderr, key)
      assert.strictEqual((yield* run(["enqueue", "echo", "--store", store])).code, 0)
    }))

  it.live("tells failures to programs", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* run(["list", "--json", "--server", "http://127.0.0.1:1"])
      assert.deepStrictEqual([code, stdout], [69, ""])
      assert.strictEqual(JSON.parse(stderr).error.code, "unreachable")
    }))
})

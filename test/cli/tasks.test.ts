/** What people and programs do with tasks on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CliOutput } from "effect/cli"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { Count, Echo, layer as serverLayer, Tick } from "../http/TestServer.ts"
import { failing, jsonOf, onServer, succeeding, taskforge } from "./CommandLine.ts"

const idle = serverLayer()
const working = serverLayer({
  handlers: Layer.mergeAll(
    Echo.toLayer(Effect.succeed),
    Count.toLayer(({ n }) => n < 0 ? Effect.die(new Error("\u001b[31mNegative\n")) : Effect.void),
    Tick.toLayer(() => Effect.void)
  )
})

const idIn = (text: string) => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(text)![0]

describe("taskforge reschedule", () => {
  it.live("changes a task that waits, and says so", () =>
    Effect.gen(function*() {
      const args = ["enqueue", "count", `{"n": 1}`, "--delay", "1h", "--json"]
      const [{ id }] = jsonOf(yield* succeeding(onServer(args)))
      const change = ["--payload", `{"n": 2}`, "--priority", "7", "--at", "2099-01-01T00:00:00Z"]
      const { lines } = yield* succeeding(onServer(["reschedule", id, ...change]))
      assert.include(lines[0], `Rescheduled count ${id}: priority 7, due at 2099-01-01T00:00:00.000Z`)
      const [task] = jsonOf(yield* succeeding(onServer(["reschedule", id, "--delay", "0s", "--json"])))
      assert.deepInclude(task, { id, status: "pending", priority: 7, payload: { n: 2 } })
      yield* succeeding(onServer(["cancel", id]))
      const stderr = yield* failing(1, onServer(["reschedule", id, "--delay", "1s"]))
      assert.include(stderr, `Cannot reschedule task ${id}: it is cancelled`)
      assert.include(yield* failing(64, onServer(["reschedule", id])), "What is to be changed?")
    }).pipe(Effect.provide(idle)))
})

describe("a task that should start within a time", () => {
  it.live("is put in, shown, explained and changed", () =>
    Effect.gen(function*() {
      const args = ["enqueue", "count", `{"n": 1}`, "--start-within", "90s", "--json"]
      const [{ due_at, id, start_by }] = jsonOf(yield* succeeding(onServer(args)))
      assert.strictEqual(Date.parse(start_by) - Date.parse(due_at), 90_000)
      assert.match((yield* succeeding(onServer(["get", id]))).stdout, /Start by {2,}\S/)
      assert.match((yield* succeeding(onServer(["explain", id]))).stdout, /It should start within \S+, by \S+Z\./)
      const changed = yield* succeeding(onServer(["reschedule", id, "--start-within", "1ms", "--json"]))
      assert.strictEqual(Date.parse(jsonOf(changed)[0].start_by) - Date.parse(due_at), 1)
      yield* Effect.sleep(5)
      assert.match((yield* succeeding(onServer(["explain", id]))).stdout, /and is \S+ late\./)
      assert.match((yield* succeeding(onServer(["get", id]))).stdout, /Start by .*, late/)
      assert.include((yield* succeeding(onServer(["explain"]))).stdout, "Starts are late")
      assert.include(
        yield* failing(65, onServer(["enqueue", "count", `{"n": 1}`, "--start-within", "soon"])),
        "--start-within"
      )
      assert.include(yield* failing(65, onServer(["reschedule", id, "--start-within", "0s"])), "--start-within")
      assert.include(
        yield* failing(65, onServer(["enqueue", "count", `{"n": 1}`, "--expires-in", "soon"])),
        "--expires-in"
      )
    }).pipe(Effect.provide(idle)))
})

describe("taskforge enqueue", () => {
  it.live("makes tasks unique for a while, and says what has become of them", () =>
    Effect.gen(function*() {
      const args = ["--unique", "k", "--postpone", "10s", "--max-delay", "1m"]
      const id = idIn((yield* succeeding(onServer(["enqueue", "count", `{"n": 1}`, ...args]))).stdout)
      const { lines } = yield* succeeding(onServer(["enqueue", "count", `{"n": 2}`, ...args]))
      assert.strictEqual(lines[0], `= This count task exists already and was postponed: ${id}, scheduled`)
      const refused = ["enqueue", "count", `{"n": 3}`, "--unique", "k", "--on-conflict", "refuse"]
      assert.include(yield* failing(1, onServer(refused)), "is held by task")
      const soon = ["enqueue", "count", `{"n": 3}`, "--unique", "k", "--window", "soon"]
      assert.match(yield* failing(65, onServer(soon)), /--window(?!\w)/)
    }).pipe(Effect.provide(idle)))

  it.live("puts a task in and says how to follow it", () =>
    Effect.gen(function*() {
      const { lines } = yield* succeeding(onServer(["enqueue", "echo", `{"hello": "world"}`]))
      const id = idIn(lines[0]!)
      assert.deepStrictEqual(lines, [`○ Enqueued echo as ${id}`, `  Follow it with: taskforge watch ${id}`])
      const [task] = jsonOf(yield* succeeding(onServer(["get", id, "--json"])))
      assert.deepInclude(task, { id, type: "echo", status: "pending" })
      assert.deepStrictEqual(task.payload, { hello: "world" })
    }).pipe(Effect.provide(idle)))

  it.live("takes the payload from a file or from stdin, and every option", () =>
    Effect.gen(function*() {
      const file = join(mkdtempSync(join(tmpdir(), "taskforge-")), "payload.json")
      writeFileSync(file, `{"n": 7}`)
      const args = ["--priority", "high", "--delay", "1h", "--queue", "q", "--retries", "-1", "--timeout", "90s"]
      const [task] = jsonOf(yield* succeeding(onServer(["enqueue", "count", "--file", file, "--json", ...args])))
      assert.deepInclude(task, { priority: 2, status: "scheduled", queue: "q", max_retries: -1, timeout_ms: 90_000 })
      assert.deepStrictEqual(task.payload, { n: 7 })
      const piped = yield* succeeding(onServer(["enqueue", "count", "-", "--json"], { stdin: `{"n": 8}` }))
      assert.deepStrictEqual(jsonOf(piped)[0].payload, { n: 8 })
      const at = ["--at", "2099-01-01T00:00:00Z", "--id", "mine", "--key", "k", "-p", "7"]
      const [later] = jsonOf(yield* succeeding(onServer(["enqueue", "echo", "null", "--json", ...at])))
      assert.deepInclude(later, {
        id: "mine",
        key: "k",
        due_at: "2099-01-01T00:00:00.000Z",
        priority: 7,
        payload: null
      })
    }).pipe(Effect.provide(idle)))

  it.live("says when the task existed already", () =>
    Effect.gen(function*() {
      const args = ["enqueue", "echo", "1", "--key", "k"]
      const id = idIn((yield* succeeding(onServer(args))).stdout)
      const { lines } = yield* succeeding(onServer(args))
      assert.strictEqual(lines[0], `= This echo task exists already: ${id}, pending`)
      assert.isTrue(jsonOf(yield* onServer([...args, "--json"]))[0].duplicate)
      const stderr = yield* failing(1, onServer(["enqueue", "echo", "2", "--key", "k"]))
      assert.include(stderr, `taskforge get ${id}`)
    }).pipe(Effect.provide(idle)))

  it.live("waits for the result, and fails when the task does", () =>
    Effect.gen(function*() {
      const good = yield* succeeding(onServer(["enqueue", "echo", "[1]", "--wait"]))
      assert.include(good.stdout, "✓ completed  echo")
      assert.match(good.stdout, /Result +\[1\]/)
      const [task] = jsonOf(yield* succeeding(onServer(["enqueue", "echo", "[1]", "--wait", "--json"])))
      assert.deepStrictEqual(task.result, [1])
      const bad = yield* onServer(["enqueue", "count", `{"n": -1}`, "--retries", "0", "--wait"])
      assert.strictEqual(bad.code, 1)
      assert.include(bad.stdout, "✗ failed  count")
      assert.match(bad.stderr, /^✗ Task \S+ failed: .*Negative/)
      assert.notInclude(bad.stdout + bad.stderr, "\u001b")
    }).pipe(Effect.provide(working)))

  it.live("tells a person the id while it waits", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* onServer(["enqueue", "echo", "--id", "mine", "--wait"], { terminal: true })
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "Enqueued echo as mine; waiting for its end …\n" })
    }).pipe(Effect.provide(working)))

  it.live("shows all of the payload and of the result, however narrow the terminal is", () =>
    Effect.gen(function*() {
      const payload = { text: "long ".repeat(100), list: [1, 2], escape: "\u001b[31m\u202e" }
      const args = ["enqueue", "echo", JSON.stringify(payload), "--id", "large", "--wait"]
      for (const shown of [args, ["get", "large"]]) {
        const { stdout } = yield* onServer(shown, { terminal: true })
        const [, , below = ""] = stdout.split(/^ {2}(?:Payload|Result)$/m)
        const whole = below.slice(0, below.indexOf("\n    }") + "\n    }".length)
        assert.deepStrictEqual(JSON.parse(whole), payload)
        for (const character of ["\u001b", "\u202e", "…"]) assert.notInclude(stdout, character)
      }
    }).pipe(Effect.provide(working)))

  it.live("names what is wrong with the input, by the words that were used", () =>
    Effect.gen(function*() {
      const refused = (...args: ReadonlyArray<string>) => failing(65, onServer(["enqueue", ...args]))
      assert.include(yield* refused("nope"), `Unknown task type "nope"; known types: count, echo, tick`)
      assert.include(yield* refused("count", `{"n": "x"}`), `does not fit task type "count"`)
      assert.include(yield* refused("count", "{n: 1}"), "the payload is no JSON")
      assert.include(yield* refused("echo", "-p", "urgnt"), `"urgent" at --priority`)
      assert.include(yield* refused("echo", "--delay", "soon"), "--delay")
      for (const at of ["tomorrow", "1", "task 7", "2030-02-31T00:00:00Z", "01/06/2030", "2030-01-01T00:00:00"]) {
        assert.match(yield* refused("echo", "--at", at), /RFC 3339 such as 2026-01-31T12:00:00Z, got .* at --at/)
      }
      assert.include(yield* refused("echo", "--retries", "2147483648"), "--retries")
      assert.include(yield* refused("echo", "--delay", "99999d"), "from 0 to 3650 days at --delay")
      assert.include(yield* refused("echo", "--id", ".."), "--id")
      assert.include(yield* refused("echo", `{"a": [{"id": 9007199254740993}]}`), "9007199254740993 at a.0.id")
      const stdin = [`{"type": "echo", "id": "a\\u0000b"}`, `{"type": "echo", "payload": 9007199254740993}`]
      for (const line of stdin) {
        yield* failing(65, onServer(["enqueue", "--lines", "-"], { stdin: line }))
      }
      assert.include(yield* refused("echo", "--retries", "-2"), "--retries")
      assert.include(yield* failing(66, onServer(["enqueue", "echo", "-f", "/nowhere"])), "There is no file /nowhere")
      assert.include(yield* failing(64, onServer(["enqueue"])), "Which type of task?")
      assert.include(yield* failing(64, onServer(["enqueue", "echo", "1", "-f", "x"])), "given twice")
      assert.include(yield* failing(64, onServer(["enqueue", "echo", "--lines", "-", "--key", "k"])), "--key cannot")
      const error = JSON.parse(yield* failing(65, onServer(["enqueue", "nope", "--json"])))
      assert.strictEqual(error.error.code, "unknown_task_type")
    }).pipe(Effect.provide(idle)))

  it.live("fails with 75 when the queue is full, or waits for room", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "echo", "--id", "a"]))
      assert.include(yield* failing(75, onServer(["enqueue", "echo"])), "--when-full wait")
      const [waited] = yield* Effect.all([
        succeeding(onServer(["enqueue", "echo", "--when-full", "wait"])),
        Effect.delay(onServer(["cancel", "a"]), 50)
      ], { concurrency: 2 })
      assert.include(waited.stdout, "Enqueued echo")
    }).pipe(Effect.provide(serverLayer({ store: MemoryStore.layer({ capacity: 1 }) }))))
})

describe("taskforge enqueue --lines", () => {
  const many = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join("\n")
  const roomy = serverLayer({ store: MemoryStore.layer({ capacity: 20_000 }) })

  it.live("takes 10,000 tasks from stdin", () =>
    Effect.gen(function*() {
      const stdin = many(10_000, (n) => `{"type": "count", "payload": {"n": ${n}}, "id": "task-${n}"}`)
      const done = yield* succeeding(onServer(["enqueue", "--lines", "-"], { stdin }))
      assert.match(done.stdout, /^✓ Enqueued 10,000 tasks in \S+ \([\d,]+\/s\)\n$/)
      const [last] = jsonOf(yield* succeeding(onServer(["get", "task-9999", "--json"])))
      assert.deepStrictEqual(last.payload, { n: 9999 })
      const again = yield* succeeding(onServer(["enqueue", "--lines", "-", "--json"], { stdin }))
      assert.deepStrictEqual(jsonOf(again), [{ accepted: 10_000, created: 0, duplicates: 10_000 }])
    }).pipe(Effect.provide(roomy)))

  it.live("takes payloads of one type, with options for all", () =>
    Effect.gen(function*() {
      const stdin = `{"n": 1}\n\n  \n{"n": 2}\r\n{"n": 3}`
      yield* succeeding(onServer(["enqueue", "count", "-l", "-", "-p", "9"], { stdin }))
      const tasks = jsonOf(yield* succeeding(onServer(["list", "--json"])))
      assert.deepStrictEqual(tasks.map(({ payload, priority }) => [payload.n, priority]), [[3, 9], [2, 9], [1, 9]])
    }).pipe(Effect.provide(roomy)))

  it.live("shows a person how far it is, and clears that away", () =>
    Effect.gen(function*() {
      const stdin = many(3000, (n) => String(n))
      const done = yield* onServer(["enqueue", "echo", "-l", "-"], { stdin, terminal: true })
      assert.strictEqual(done.code, 0)
      assert.match(done.stderr, /Enqueueing .*█.* 1,000/)
      assert.isTrue(done.stderr.endsWith("\r\u001b[2K"))
    }).pipe(Effect.provide(roomy)))

  it.live("stops at a line that is none, keeps those before it and says where to go on", () =>
    Effect.gen(function*() {
      const lines = (bad: string) => `${many(5, (n) => `{"type": "echo", "payload": ${n}}`)}\n${bad}\n{"type": "echo"}`
      const stopped = (bad: string) => failing(65, onServer(["enqueue", "-l", "-"], { stdin: lines(bad) }))
      const stderr = yield* stopped(`{"type": "ec`)
      assert.include(stderr, "line 6 is no JSON")
      assert.include(stderr, "Everything up to line 5 has been enqueued; go on with: tail -n +6")
      assert.include(yield* stopped(`{"typ": "echo"}`), "line 6: ")
      assert.include(yield* stopped(`{"type": "echo", "priority": 11}`), "line 6: ")
      assert.include(yield* stopped("7"), "line 6: ")
      assert.strictEqual(jsonOf(yield* onServer(["list", "--all", "--json"])).length, 20)
      assert.include(yield* stopped(`{"type": "nope"}`), "Nothing has been enqueued")
      const none = yield* failing(65, onServer(["enqueue", "-l", "-"], { stdin: "[" }))
      assert.include(none, "Nothing has been enqueued")
      // the lines before are refused, which is said once
      const before = `{"type": "echo", "key": "a", "payload": 1}\n{"type": "echo", "key": "a", "payload": 2}\n[`
      const refused = yield* failing(1, onServer(["enqueue", "-l", "-"], { stdin: before }))
      assert.match(refused, /The key "a" .*\n +Nothing has been enqueued\.\n +See it with/)
    }).pipe(Effect.provide(roomy)))

  it.live("says so when there is nothing to do", () =>
    Effect.gen(function*() {
      const { stdout } = yield* succeeding(onServer(["enqueue", "-l", "-"]))
      assert.strictEqual(stdout, "There were no lines, so nothing was enqueued.\n")
    }).pipe(Effect.provide(roomy)))
})

describe("taskforge list", () => {
  it.live("says what to do when there are no tasks", () =>
    Effect.gen(function*() {
      assert.include((yield* succeeding(onServer(["list"]))).stdout, "taskforge enqueue echo")
      assert.include((yield* succeeding(onServer(["list", "--status", "failed"]))).stdout, "No task matches")
      assert.strictEqual((yield* succeeding(onServer(["list", "--json"]))).stdout, "")
    }).pipe(Effect.provide(idle)))

  it.effect("shows a table that fits the terminal", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "echo", JSON.stringify("long ".repeat(50)), "--wait"]))
      const bad = yield* onServer(["enqueue", "count", `{"n": -1}`, "--retries", "0", "--wait"])
      const id = idIn(bad.stdout)
      const { lines } = yield* succeeding(onServer(["ls"], { terminal: true }))
      assert.match(lines[0]!, /^ID +TYPE +STATUS +WHEN +DETAIL$/)
      assert.match(lines[1]!, new RegExp(`^${id}  count  ✗ failed +now +Negative$`))
      assert.match(lines[2]!, /echo {3}✓ completed +now +"long .*…$/)
      for (const line of lines) assert.isAtMost(line.length, 80)
      assert.notInclude(lines.join(""), "\u001b")
      const { stdout } = yield* succeeding(onServer(["ls"], { terminal: true, colours: true }))
      assert.include(stdout, "\u001b[31m✗ failed\u001b[0m")
    }).pipe(Effect.provide(working)))

  it.live("filters, limits, and goes through all pages", () =>
    Effect.gen(function*() {
      const stdin = Array.from({ length: 1500 }, (_, n) =>
        n % 3 === 0 ? `{"type":"tick"}` : `{"type":"echo","payload":${n}}`)
      yield* succeeding(onServer(["enqueue", "-l", "-"], { stdin: stdin.join("\n") }))
      const count = (...args: ReadonlyArray<string>) =>
        Effect.map(succeeding(onServer(["list", "--json", ...args])), (done) =>
          jsonOf(done).length)
      assert.strictEqual(yield* count(), 20)
      assert.strictEqual(yield* count("--all"), 1500)
      assert.strictEqual(yield* count("--all", "--type", "tick"), 500)
      assert.strictEqual(yield* count("--all", "--type", "tick", "--type", "echo"), 1500)
      assert.strictEqual(yield* count("-n", "1200"), 1200)
      assert.strictEqual(yield* count("--all", "--status", "failed"), 0)
      assert.strictEqual(yield* count("--all", "--queue", "default"), 1500)
      assert.strictEqual((yield* succeeding(onServer(["list", "--all"]))).stdout.match(/STATUS/g)?.length, 1)
      const { lines } = yield* succeeding(onServer(["list", "-n", "2"]))
      assert.strictEqual(lines[3], "The latest 2; more with --limit or --all")
      assert.include(yield* failing(64, onServer(["list", "-n", "0"])), "at least 1")
    }).pipe(Effect.provide(serverLayer({ store: MemoryStore.layer({ capacity: 2000 }) }))))
})

describe("taskforge get", () => {
  it.live("shows several tasks, and fails on one that is not there", () =>
    Effect.gen(function*() {
      yield* onServer(["enqueue", "echo", "1", "--id", "a"])
      yield* onServer(["enqueue", "echo", "2", "--id", "b"])
      const { stdout } = yield* succeeding(onServer(["get", "a", "b"]))
      assert.strictEqual(stdout.match(/○ pending {2}echo/g)?.length, 2)
      assert.include(yield* failing(66, onServer(["get", "nobody"])), "No task has the id nobody")
      assert.include(yield* failing(66, onServer(["get", "nobody", "--wait"])), "No task has the id nobody")
      assert.include(yield* failing(64, onServer(["get"])), "Missing required argument: id")
    }).pipe(Effect.provide(idle)))
})

describe("a target", () => {
  it.live("that does not answer is named, with what to do", () =>
    Effect.gen(function*() {
      const stderr = yield* failing(69, taskforge(["enqueue", "echo", "--server", "http://127.0.0.1:1"]))
      assert.match(stderr, /^✗ http:\/\/127\.0\.0\.1:1 cannot be reached: /)
      assert.include(stderr, "taskforge serve")
    }))

  it.live("keeps the secrets in its URL to itself", () =>
    Effect.gen(function*() {
      for (
        const server of ["http://ada:hunter2@127.0.0.1:1", "http://127.0.0.1:1/?token=hunter2", "http://[ada:hunter2@x"]
      ) {
        for (const environment of [{}, { TASKFORGE_URL: server }]) {
          const named = "TASKFORGE_URL" in environment ? [] : ["--server", server]
          const stderr = yield* failing(64, taskforge(["list", ...named], { environment }))
          assert.notInclude(stderr, "hunter2")
          assert.include(stderr, "***")
        }
      }
    }))

  it.live("has to make sense", () =>
    Effect.gen(function*() {
      const list = (...args: ReadonlyArray<string>) => taskforge(["list", ...args])
      assert.include(yield* failing(64, list("--server", "nonsense")), "not the URL of a server")
      assert.include(yield* failing(64, list("--server", "http://a", "--store", "sqlite:b")), "exclude each other")
      assert.include(yield* failing(64, list("--store", "file.db")), "not the URL of a store")
      assert.include(yield* failing(64, list("--store", "memory:")), "lives in one process")
      assert.include(yield* failing(66, list("--store", "sqlite:/nowhere.db")), "taskforge migrate")
    }))
})

describe("a command line that is wrong", () => {
  it.live("is told what is wrong and where to read on", () =>
    Effect.gen(function*() {
      const unknown = yield* failing(64, taskforge(["lst"]))
      assert.include(unknown, `Unknown subcommand "lst"`)
      assert.include(unknown, "list")
      assert.include(yield* failing(64, taskforge(["list", "--lmit", "3"])), "taskforge list --help")
      assert.include(yield* failing(64, taskforge(["list", "--status", "done"])), "--status")
    }))

  it.live("is helped on request", () =>
    Effect.gen(function*() {
      for (const args of [[], ["--help"], ["list", "--help"]]) {
        assert.include((yield* succeeding(taskforge(args))).stdout, "USAGE")
      }
      for (const command of ["enqueue", "serve", "demo"]) {
        const { lines } = yield* succeeding(taskforge([command, "--help"], { terminal: true, colours: true }))
        for (const line of lines) assert.isAtMost(CliOutput.displayWidth(line), 80)
      }
      assert.match((yield* succeeding(taskforge(["--version"]))).stdout, /^taskforge \d+\.\d+\.\d+\n$/)
      for (const shell of ["bash", "zsh", "fish"]) {
        assert.include((yield* succeeding(taskforge(["--completions", shell]))).stdout, "enqueue")
      }
    }))
})

/** Any program as a worker: what it is given, what its output and its exit code mean, and how it is stopped. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { directory, until } from "../e2e/Server.ts"
import { bundled } from "./Program.ts"
import * as WorkServer from "./WorkServer.ts"

const program = bundled()

const served = WorkServer.start(program)

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    // One that has ended and that nobody has asked about is a zombie
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

describe.skipIf(process.platform === "win32")("taskforge work TYPE -- COMMAND", () => {
  it.live("gives the payload to a program, and keeps its output as the result", () =>
    Effect.gen(function*() {
      const { become, enqueue, shell, task, work } = yield* served
      const shout = yield* work("shout", ["--workers", "2"], "tr", "a-z", "A-Z")
      yield* until("it works", Effect.sync(() => shout.stderr().includes("takes any JSON")))
      const texts = yield* Effect.forEach(["one", "two"], (text) => enqueue("shout", text))
      for (const id of texts) yield* become(id, "completed")
      assert.deepStrictEqual(yield* Effect.forEach(texts, (id) => Effect.map(task(id), ({ result }) => result)), [
        "ONE",
        "TWO"
      ])
      yield* shell("plain", "cat > /dev/null; printf 'id %s attempt %s' \"$TASKFORGE_TASK_ID\" \"$TASKFORGE_ATTEMPT\"")
      yield* until("it is defined", Effect.map(Effect.exit(enqueue("plain", {})), ({ _tag }) => _tag === "Success"))
      const id = yield* enqueue("plain", {})
      yield* become(id, "completed")
      assert.strictEqual((yield* task(id)).result, `id ${id} attempt 1`)
    }))

  it.live("goes by exit codes, and keeps the log and the progress", () =>
    Effect.gen(function*() {
      const { ask, become, define, enqueue, shell, task } = yield* served
      yield* define("codes", { retry: { times: 1, delay: "10ms" } })
      yield* shell(
        "codes",
        "read code; echo \"got $code\" >&2; echo 25% >&3; exit $code",
        "--later",
        "1h"
      )
      const bad = yield* enqueue("codes", 65)
      yield* become(bad, "failed")
      assert.deepInclude(yield* task(bad), { failures: 1, attempts: 1, progress: 0.25 })
      assert.deepInclude((yield* task(bad)).error, { tag: "Exit65", message: "The program exited with 65: got 65" })
      const { attempts } = yield* ask<
        { readonly attempts: ReadonlyArray<{ readonly lines: ReadonlyArray<{ readonly text: string }> }> }
      >(
        `/api/v1/tasks/${bad}/logs`
      )
      assert.deepStrictEqual(attempts[0]!.lines.map(({ text }) => text), ["got 65"])
      const twice = yield* enqueue("codes", 3)
      yield* become(twice, "failed")
      assert.deepInclude(yield* task(twice), { failures: 2, attempts: 2 })
      const later = yield* enqueue("codes", 75)
      yield* become(later, "scheduled")
      assert.deepInclude(yield* task(later), { failures: 0, attempts: 1 })
      yield* define("silent")
      // Reads nothing of a large payload, and writes more than is kept
      yield* shell("silent", "exec 0<&-; head -c 2000000 /dev/zero | tr '\\0' x")
      const large = yield* enqueue("silent", "x".repeat(500_000))
      yield* become(large, "failed")
      assert.deepInclude((yield* task(large)).error, { tag: "OutputTooLarge" })
    }))

  it.live("ends a program and all that it has started when its task is cancelled or out of time", () =>
    Effect.gen(function*() {
      const { ask, become, define, enqueue, shell, task } = yield* served
      const path = yield* directory
      yield* define("sleepy", { retry: { times: 0 } })
      // The child of the program ignores TERM
      const script =
        `read name; (trap '' TERM; echo $(exec sh -c 'echo $PPID') > ${path}/pid-$(echo "$name" | tr -d '"'); sleep 300) & wait`
      yield* shell("sleepy", script, "--workers", "2", "--kill-after", "200ms", "--lease", "3s")
      const pidOf = (name: string) => () =>
        existsSync(join(path, `pid-${name}`)) ? Number(readFileSync(join(path, `pid-${name}`), "utf8")) : NaN
      const cancelled = yield* enqueue("sleepy", "a")
      yield* until("it runs", Effect.sync(() => pidOf("a")() > 0))
      assert.isTrue(isAlive(pidOf("a")()))
      yield* ask(`/api/v1/tasks/${cancelled}/cancel`, "POST")
      yield* become(cancelled, "cancelled")
      yield* until("all of it is gone", Effect.sync(() => !isAlive(pidOf("a")())))
      const late = yield* enqueue("sleepy", "b", { timeout: "300ms" })
      yield* become(late, "failed")
      assert.deepInclude((yield* task(late)).error, { tag: "Timeout" })
      yield* until("all of it is gone", Effect.sync(() => !isAlive(pidOf("b")())))
    }))

  it.live("finishes what ends in time when it is stopped", () =>
    Effect.gen(function*() {
      const { become, define, enqueue, shell, task } = yield* served
      const go = join(yield* directory, "go")
      yield* define("slow")
      const worker = yield* shell("slow", `until [ -e ${go} ]; do sleep 0.1; done; echo done`, "--grace", "2m")
      const id = yield* enqueue("slow", 1)
      yield* become(id, "running")
      worker.child.kill("SIGTERM")
      yield* until("it stops", Effect.sync(() => worker.stderr().includes("stopping")))
      const other = yield* enqueue("slow", 2)
      writeFileSync(go, "")
      const { code, stderr } = yield* worker.ended
      assert.strictEqual(code, 0, stderr)
      assert.deepInclude(yield* task(id), { status: "completed", result: "done" })
      assert.deepInclude(yield* task(other), { status: "pending", attempts: 0 })
    }))

  it.live("gives back what does not end in time when it is stopped", () =>
    Effect.gen(function*() {
      const { become, define, enqueue, shell, task } = yield* served
      yield* define("slow")
      const worker = yield* shell("slow", "sleep 300", "--workers", "2", "--grace", "100ms")
      const ids = [yield* enqueue("slow", 1), yield* enqueue("slow", 2)]
      for (const id of ids) yield* become(id, "running")
      worker.child.kill("SIGTERM")
      const { code, stderr } = yield* worker.ended
      assert.strictEqual(code, 0, stderr)
      for (const id of ids) assert.deepInclude(yield* task(id), { status: "pending", failures: 0, crashes: 0 })
    }))

  it.live("loses no task when it is killed", () =>
    Effect.gen(function*() {
      const { become, define, enqueue, shell, task } = yield* served
      yield* define("fragile")
      const first = yield* shell("fragile", "sleep 300", "--lease", "1s")
      const id = yield* enqueue("fragile", 1)
      yield* become(id, "running")
      first.child.kill("SIGKILL")
      yield* shell("fragile", "echo 2")
      yield* become(id, "completed")
      assert.deepInclude(yield* task(id), { result: 2, crashes: 1, attempts: 2, failures: 0 })
    }))

  it.live("says what is wrong with a command line, and gives a task back that it cannot start", () =>
    Effect.gen(function*() {
      const { become, define, enqueue, work } = yield* served
      const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [["work", "x"], /Nothing says what runs/],
        [["work", "x", "--workers", "0", "--", "true"], /from 1 to 1000/],
        [["work", "x", "--store", "memory:", "--", "true"], /--store is of no use/],
        [["work", "--grace", "1s"], /for a type whose tasks a program runs/]
      ]
      for (const [args, expected] of wrong) {
        const { code, stderr } = yield* Effect.flatMap(program(args), ({ ended }) => ended)
        assert.strictEqual(code, 64, stderr)
        assert.match(stderr, expected)
      }
      yield* define("missing")
      const worker = yield* work("missing", [], "/nowhere/to/be-found")
      const id = yield* enqueue("missing", 1)
      const { code, stderr } = yield* worker.ended
      assert.strictEqual(code, 69, stderr)
      assert.include(stderr, "cannot be started")
      yield* become(id, "pending")
    }))
})

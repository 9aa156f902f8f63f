/** What people and programs learn of the system on the command line, and do to it. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Schema } from "effect"
import { HttpServer as Listener } from "effect/http"
import { TestClock } from "effect/testing"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { failureOf } from "../../src/cli/Failure.ts"
import * as MonotonicClock from "../../src/domain/MonotonicClock.ts"
import { InvalidRequest } from "../../src/http/api/RequestCheck.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"
import { until } from "../e2e/Server.ts"
import { Count, Echo, layer as serverLayer, Tick } from "../http/TestServer.ts"
import { failing, jsonOf, onServer, type Options, succeeding, taskforge } from "./CommandLine.ts"

const Chatty = Task.make("chatty", { payload: { lines: Schema.Int } })

const idle = serverLayer()
const working = serverLayer({
  definitions: [Echo, Count, Tick, Chatty],
  handlers: Layer.mergeAll(
    Echo.toLayer(Effect.succeed),
    Count.toLayer(({ n }) => n < 0 ? Effect.die(new Error("Negative")) : Effect.sleep(n)),
    Tick.toLayer(() => Effect.andThen(Effect.logInfo("tick"), Effect.never)),
    Chatty.toLayer(({ lines }) =>
      Effect.gen(function*() {
        for (let line = 1; line <= lines; line++) yield* Effect.logInfo(`line ${line}`)
        yield* Effect.logWarning("two\nlines \u202e", Cause.fail("why")).pipe(Effect.annotateLogs("tenant", "acme"))
      })
    )
  )
})

/** A store of its own, that is not there yet. */
const newStore = () => `sqlite:${join(mkdtempSync(join(tmpdir(), "taskforge-")), "tasks.db")}`

const repeated = (line: string, count: number) => Array.from({ length: count }, () => line).join("\n")

describe("taskforge cancel, retry and remove", () => {
  it.live("take tasks by their ids, and go on after one that is not there", () =>
    Effect.gen(function*() {
      for (const id of ["a", "b"]) yield* onServer(["enqueue", "echo", "--id", id])
      const { code, stderr, stdout } = yield* onServer(["cancel", "a", "nobody", "b"])
      assert.strictEqual(code, 1)
      assert.match(stdout, /^a {2}Cancelled; it will not start\nnobody {2}No task has the id nobody.*\nb {2}Cancelled/)
      assert.include(stderr, "1 of 3 tasks failed")
      assert.include((yield* succeeding(onServer(["cancel", "a"]))).stdout, "Finished already")
      assert.deepStrictEqual(jsonOf(yield* succeeding(onServer(["rerun", "a", "--json"]))), [{
        id: "a",
        status: "rerun"
      }])
      assert.include(yield* failing(1, onServer(["rerun", "a"])), "Cannot rerun task a: it is pending")
      assert.include(yield* failing(1, onServer(["remove", "a"])), "taskforge cancel a")
      assert.include((yield* succeeding(onServer(["rm", "b"]))).stdout, "Removed")
      assert.include(yield* failing(66, onServer(["get", "b"])), "No task has the id b")
    }).pipe(Effect.provide(idle)))

  it.live("take a task with all that depend on it, or are connected", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "echo", "--id", "a"]))
      yield* succeeding(onServer(["enqueue", "echo", "--id", "b", "--after", "a"]))
      yield* succeeding(onServer(["enqueue", "echo", "--id", "c", "--after", "b", "--on-failure", "run"]))
      // What waits without an end says no time
      yield* succeeding(onServer(["batches", "create", "--id", "open"]))
      const { stdout: listed } = yield* succeeding(onServer(["list"]))
      assert.match(listed, /^b .*scheduled .* waits for 1 task$/m)
      assert.match(listed, /^open .*scheduled .* waits, however long that takes$/m)
      const { stdout: shown } = yield* succeeding(onServer(["get", "open"]))
      assert.include(shown, "waits, however long that takes: taskforge explain open")
      assert.notInclude(listed + shown, "364")
      const cancelled = yield* succeeding(onServer(["cancel", "b", "--scope", "branch"]))
      assert.strictEqual(cancelled.stdout, "b  2 tasks, 2 cancelled\n")
      assert.deepInclude(jsonOf(yield* succeeding(onServer(["cancel", "c", "--scope", "graph", "--json"])))[0], {
        id: "c",
        members: 3,
        cancelled: 1,
        finished: 2
      })
      const blocked = yield* succeeding(onServer(["rerun", "b", "--scope", "branch"]))
      assert.strictEqual(
        blocked.stdout,
        "b  2 tasks, 1 rerun, 1 blocked\n  blocked by a: run these again first\n"
      )
      const again = yield* succeeding(onServer(["rerun", "b", "--scope", "graph", "--completed"]))
      assert.strictEqual(again.stdout, "b  3 tasks, 2 rerun, 1 waiting\n")
      assert.include(yield* failing(66, onServer(["cancel", "none", "--scope", "graph"])), "No task has the id none")
      assert.include(yield* failing(64, onServer(["cancel", "--scope", "graph", "--status", "pending"])), "--scope")
    }).pipe(Effect.provide(idle)))

  it("name what was typed where a server refuses what was made of it", () => {
    const refused = (path: ReadonlyArray<string | number>) =>
      failureOf(new InvalidRequest({ issues: [{ path, message: "Too long" }] }), "a server").problem
    assert.strictEqual(refused(["query", "key"]), "Too long at --key")
    assert.strictEqual(refused(["query", "key", 1]), "Too long at --key")
    assert.strictEqual(refused(["path", "name"]), "Too long at NAME")
    assert.strictEqual(refused(["body", "payload", "to"]), "Too long at body.payload.to")
  })

  it.live("name a flag as it was typed where the server refuses it", () =>
    Effect.gen(function*() {
      const problem = yield* failing(65, onServer(["limits", "set", "any", "--max", "1", "--key", "k".repeat(256)]))
      assert.include(problem, "at --key")
      assert.notInclude(problem, "query.")
    }).pipe(Effect.provide(idle)))

  it.live("refuse what no URL can end with", () =>
    Effect.gen(function*() {
      for (
        const [named, args] of [
          ["ID", ["get", ".."]],
          ["ID", ["explain", "."]],
          ["QUEUE", ["explain", "--queue", ".."]],
          ["ID", ["logs", ".."]],
          ["ID", ["cancel", ".."]],
          ["ID", ["rerun", ".."]],
          ["ID", ["remove", "."]],
          ["ID", ["reschedule", "..", "--priority", "1"]],
          ["ID", ["watch", ".."]],
          ["QUEUE", ["queues", ".."]],
          ["QUEUE", ["pause", ".."]],
          ["TYPE", ["pause", "--type", "."]],
          ["NAME", ["limits", "show", ".."]],
          ["ID", ["instances", "drain", ".."]],
          ["NAME", ["schedules", "show", ".."]],
          ["NAME", ["schedules", "run", "."]],
          ["NAME", ["schedules", "set", "..", "echo", "--every", "5m"]]
        ] as const
      ) assert.include(yield* failing(65, onServer(args)), `neither "." nor ".." at ${named}`, args.join(" "))
    }).pipe(Effect.provide(idle)))

  it.live("take all tasks that match", () =>
    Effect.gen(function*() {
      yield* onServer(["enqueue", "-l", "-"], { stdin: repeated(`{"type":"echo"}`, 1010) })
      yield* onServer(["enqueue", "-l", "-"], { stdin: repeated(`{"type":"tick","queue":"other"}`, 30) })
      const cancel = yield* succeeding(onServer(["cancel", "--status", "pending", "--type", "echo"]))
      assert.strictEqual(cancel.stdout, "1,010 tasks: 1,010 cancelled\n")
      const other = (...args: ReadonlyArray<string>) => succeeding(onServer([...args, "-q", "other"]))
      assert.strictEqual((yield* other("cancel", "--status", "pending")).stdout, "30 tasks: 30 cancelled\n")
      assert.deepStrictEqual(jsonOf(yield* other("rerun", "--status", "cancelled", "--status", "failed", "--json")), [
        { matched: 30, rerun: 30 }
      ])
      yield* other("cancel", "--status", "pending")
      assert.strictEqual((yield* other("remove", "--status", "cancelled")).stdout, "30 tasks: 30 removed\n")
      assert.strictEqual((yield* other("remove", "--status", "cancelled")).stdout, "No task matches.\n")
      assert.include(yield* failing(64, onServer(["cancel"])), "Which tasks?")
      assert.include(yield* failing(64, onServer(["cancel", "a", "--status", "pending"])), "not by both")
      assert.include(yield* failing(64, onServer(["cancel", "--type", "echo"])), "Which tasks?")
      assert.include(yield* failing(64, onServer(["rerun", "--status", "running"])), "--status")
    }).pipe(Effect.provide(serverLayer({ store: MemoryStore.layer({ capacity: 2000 }) }))))

  it.live("stop a running task", () =>
    Effect.gen(function*() {
      yield* onServer(["enqueue", "tick", "--id", "t"])
      const waiting = yield* Effect.forkChild(onServer(["get", "t", "--wait"]))
      yield* until(
        "it runs",
        Effect.map(onServer(["get", "t", "--json"]), (done) => jsonOf(done)[0].status === "running")
      )
      assert.include((yield* succeeding(onServer(["cancel", "t"]))).stdout, "Running; it is being stopped")
      const { code, stderr } = yield* Fiber.join(waiting)
      assert.strictEqual(code, 1)
      assert.include(stderr, "Task t was cancelled")
    }).pipe(Effect.provide(working)))
})

describe("taskforge dead-letters", () => {
  it.live("counts failed tasks by reason, searches them, runs them again and discards them", () =>
    Effect.gen(function*() {
      const lines = repeated(`{"type":"count","payload":{"n":-1},"max_retries":0}`, 7)
      yield* succeeding(onServer(["enqueue", "-l", "-"], { stdin: lines }))
      yield* succeeding(onServer(["enqueue", "count", `{"n":-2}`, "--retries", "0", "--id", "a"]))
      yield* onServer(["get", "a", "--wait"])
      const { stdout } = yield* succeeding(onServer(["dead-letters", "list"]))
      assert.match(stdout, /^TASKS {2}TYPE .*\n +8 {2}count {2}Error .* Negative\n$/)
      const [groups] = jsonOf(yield* succeeding(onServer(["dead-letters", "list", "--type", "count", "--json"])))
      assert.deepInclude(groups, { looked: 8, complete: true, more_groups: 0 })
      const none = yield* succeeding(onServer(["dead-letters", "list", "--older-than", "1d"]))
      assert.strictEqual(none.stdout, "No task that has failed matches.\n")
      const found = jsonOf(yield* succeeding(onServer(["dead-letters", "tasks", "--text", "NEGA", "--all", "--json"])))
      assert.lengthOf(found, 8)
      const slow = yield* MonotonicClock.now
      const answer = yield* succeeding(
        onServer(["dead-letters", "rerun", "--error-tag", "Error", "--rate", "2", "--max", "4"])
      )
      assert.strictEqual(answer.stdout, "4 tasks: 4 rerun\n")
      assert.isAtLeast((yield* MonotonicClock.now) - slow, 900)
      const all = yield* onServer(["dead-letters", "discard", "--all", "--rate", "1000", "--json"])
      assert.strictEqual(all.code, 0)
      for (const wrong of [[], ["--all", "--error-tag", "Error"], ["--all", "--rate", "0"]]) {
        assert.strictEqual((yield* onServer(["dead-letters", "discard", ...wrong])).code, 64)
      }
      assert.strictEqual((yield* onServer(["dead-letters", "list", "--text", "x".repeat(201)])).code, 64)
    }).pipe(Effect.provide(working)))
})

describe("taskforge logs", () => {
  it.live("shows what a task has logged, attempt by attempt", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "chatty", `{"lines":2}`, "--id", "a"]))
      yield* succeeding(onServer(["logs", "a", "--follow"]))
      const { stdout } = yield* succeeding(onServer(["logs", "a"]))
      assert.match(
        stdout,
        /^attempt 1 on \S+\n\S+Z {2}info {3}line 1\n\S+Z {2}info {3}line 2\n\S+Z {2}warn {3}two tenant=acme\n {4}lines \ufffd\n/
      )
      assert.include(stdout, "why")
      const lines = jsonOf(yield* succeeding(onServer(["logs", "a", "--json", "--level", "warn"])))
      assert.lengthOf(lines, 1)
      assert.deepInclude(lines[0], { id: "a", attempt: 1, line: 3, level: "warn", cut: false })
      const none = yield* onServer(["logs", "a", "--attempt", "2"])
      assert.deepStrictEqual([none.stdout, none.stderr], ["", "Nothing was logged.\n"])
      assert.strictEqual((yield* onServer(["logs", "nobody"])).code, 66)
      assert.strictEqual((yield* onServer(["logs", "a", "--attempt", "0"])).code, 64)
      assert.strictEqual((yield* onServer(["logs", "a", "--level", "loud"])).code, 64)
    }).pipe(Effect.provide(working)))

  it.live("says how many lines are not kept", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "chatty", `{"lines":2000}`, "--id", "a"]))
      yield* succeeding(onServer(["get", "a", "--wait"]))
      yield* succeeding(onServer(["logs", "a", "--follow"]))
      const { stdout } = yield* succeeding(onServer(["logs", "a"]))
      assert.match(stdout, /^attempt 1 on \S+, without 1,501 lines that are not kept\n/)
      assert.include(stdout, "line 100\n")
      assert.notInclude(stdout, "line 101\n")
      // Where they are missing, too
      assert.match(stdout, /line 100\n… 1,501 lines are not kept\n[^\n]*\d{4}\n/)
      assert.include(stdout, "line 2000\n")
    }).pipe(Effect.provide(working)))
})

describe("taskforge pause and resume", () => {
  it.live("stop and go on with queues", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "echo", "--queue", "mail", "--delay", "1h"]))
      const { code, stderr, stdout } = yield* onServer(["pause", "mail", "default"])
      assert.deepStrictEqual(
        { code, stderr },
        { code: 0, stderr: "! No task is in the queue default; there are tasks in mail\n" }
      )
      assert.match(stdout, /mail is paused(?: by \S+)?; go on with: taskforge resume mail\n/)
      assert.match((yield* succeeding(onServer(["stats"]))).stdout, /\ndefault is paused.*\nmail is paused/)
      yield* onServer(["enqueue", "echo", "1", "--id", "a"])
      assert.deepInclude(jsonOf(yield* succeeding(onServer(["get", "a", "--json"])))[0], { status: "pending" })
      assert.deepStrictEqual(jsonOf(yield* succeeding(onServer(["resume", "default", "--json"]))), [
        { queue: "default", pause: null }
      ])
      yield* succeeding(onServer(["get", "a", "--wait"]))
    }).pipe(Effect.provide(working)))

  it.live("are explained to who asks for a task", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "echo", "--queue", "mail", "--id", "a", "--delay", "1h"]))
      yield* succeeding(onServer(["pause", "mail", "--by", "ada"]))
      const { stdout } = yield* succeeding(onServer(["explain", "a"]))
      assert.match(
        stdout,
        /^◷ a is scheduled\n {2}It is due in .*not_due\n {2}Its queue "mail" is paused by ada .*queue_paused\n/
      )
      const [json] = jsonOf(yield* succeeding(onServer(["explain", "a", "--json"])))
      assert.deepInclude(json, { id: "a", status: "scheduled", may_start_at: null })
      assert.strictEqual((yield* onServer(["explain", "nobody"])).code, 66)
      yield* succeeding(onServer(["enqueue", "echo", "--queue", "mail", "--id", "b"]))
      const all = yield* succeeding(onServer(["explain"]))
      assert.match(
        all.stdout,
        /^1 task waits; none runs, and 1 is due later\. The queue "mail" is paused by ada .*\n {2}1 task {2}The queue .*queue_paused\n {10}Resume it: taskforge resume mail\n$/
      )
      const [verdict] = jsonOf(yield* succeeding(onServer(["explain", "--queue", "mail", "--json"])))
      assert.deepInclude(verdict, { queue: "mail", pending: 1, scheduled: 1 })
      assert.strictEqual((yield* onServer(["explain", "a", "--queue", "mail"])).code, 64)
    }).pipe(Effect.provide(working)))

  it.live("say who paused a queue, why, and for how long", () =>
    Effect.gen(function*() {
      yield* succeeding(onServer(["enqueue", "echo", "--queue", "mail", "--delay", "1h"]))
      const said = "mail is paused for 2h more by ada: The mail server is being moved"
      const pause = ["pause", "mail", "--for", "2h", "--by", "ada", "--reason", "The mail server is being moved"]
      assert.include((yield* succeeding(onServer(pause))).stdout, said)
      assert.include((yield* succeeding(onServer(["queues", "mail"]))).stdout, said)
      assert.include((yield* succeeding(onServer(["stats"]))).stdout, said)
      const soon = yield* onServer(["pause", "mail", "--for", "soon"])
      assert.deepStrictEqual([soon.code, soon.stderr.includes("at --for")], [65, true])
      const both = yield* onServer(["pause", "mail", "--for", "1h", "--until", "2030-01-01T00:00:00Z"])
      assert.include(both.stderr, "either for or until, not both")
      const [{ pause: kept }] = jsonOf(yield* succeeding(onServer(["queues", "--json"])))
      assert.deepInclude(kept, { by: "ada", reason: "The mail server is being moved" })
    }).pipe(Effect.provide(working)))
})

describe("taskforge queues and types", () => {
  const tasks = [
    ...Array.from({ length: 3 }, () => ({ type: "echo", queue: "mail" })),
    { type: "tick", queue: "mail", delay: "1h" },
    { type: "count", payload: { n: 1 }, queue: "mail" },
    { type: "echo", queue: "a queue with a long name that does not fit in a terminal of eighty cells" },
    { type: "echo" }
  ].map((task) => JSON.stringify(task)).join("\n")

  it.live("say what waits, and where", () =>
    Effect.gen(function*() {
      assert.include((yield* succeeding(onServer(["queues"]))).stdout, "There are no tasks yet. Enqueue one:")
      assert.include((yield* succeeding(onServer(["types"]))).stdout, "There are no tasks yet. Enqueue one:")
      assert.deepStrictEqual(jsonOf(yield* succeeding(onServer(["queues", "--json"]))), [])
      yield* succeeding(onServer(["enqueue", "-l", "-"], { stdin: tasks }))
      yield* succeeding(onServer(["pause", "mail"]))
      assert.match(
        (yield* onServer(["pause", "later"])).stderr,
        /^! No task is in the queue later; there are tasks in /
      )

      const queues = yield* succeeding(onServer(["queues"], { terminal: true }))
      assert.match(queues.stdout, /^QUEUE +PENDING +SCHEDULED +RUNNING +WAITING +TYPES\n/)
      assert.match(queues.stdout, /\na queue with\S* .*… +1 +0 +0 +\d+s +echo\n/)
      assert.match(queues.stdout, /\ndefault +1 +0 +0 +\d+s +echo\n/)
      assert.match(queues.stdout, /\nlater ‖ paused +0 +0 +0\n/)
      assert.match(queues.stdout, /\nmail ‖ paused +4 +1 +0 +\d+s +count, \S+/)
      for (const line of queues.lines) assert.isAtMost(line.length, 80)

      const mail = yield* succeeding(onServer(["queues", "mail"]))
      assert.match(
        mail.stdout,
        /^‖ mail is paused(?: by \S+)?; go on with: taskforge resume mail\nTYPE +PENDING +SCHEDULED +RUNNING +WAITING\ncount +1 +0 .*\necho +3 +0 .*\ntick +0 +1 +0\n$/
      )
      assert.match(
        (yield* succeeding(onServer(["queues", "later"]))).stdout,
        /^‖ later is paused.*; .*\nNo task is in the queue later\./
      )
      assert.match((yield* succeeding(onServer(["queues", "default"]))).stdout, /^TYPE /)
      assert.lengthOf(jsonOf(yield* succeeding(onServer(["queues", "mail", "--json"]))), 3)
      const types = yield* succeeding(onServer(["types"]))
      assert.match(types.stdout, /\ncount +1 +0 .*\necho +5 +0 .*\ntick +0 +1 +0\n$/)
      assert.include(
        (yield* succeeding(onServer(["queues", "nobody"]))).stdout,
        "No task is in the queue nobody. taskforge queues shows them all."
      )

      const json = jsonOf(yield* succeeding(onServer(["queues", "--json"])))
      assert.deepStrictEqual(
        json.map(({ pause, pending, queue }) => ({ queue, paused: pause !== null, pending })).slice(1),
        [
          { queue: "default", paused: false, pending: 1 },
          { queue: "later", paused: true, pending: 0 },
          { queue: "mail", paused: true, pending: 4 }
        ]
      )
      assert.deepInclude(jsonOf(yield* succeeding(onServer(["types", "--json"])))[1], { type: "echo", pending: 5 })
    }).pipe(Effect.provide(idle)))

  it.live("show so many, and every one when asked", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 1010 }, (_, n) => JSON.stringify({ type: "echo", queue: `q${n}` })).join("\n")
      yield* succeeding(onServer(["enqueue", "-l", "-"], { stdin: many }))
      const first = yield* succeeding(onServer(["queues", "--limit", "2"]))
      assert.match(first.stdout, /\nq0 .*\nq1 .*\nThe first 2 by name; more with --limit or --all\n$/)
      const all = yield* succeeding(onServer(["queues", "--all", "--json"]))
      assert.strictEqual(new Set(jsonOf(all).map(({ queue }) => queue)).size, 1010)
      // Pages with longer names keep the place of the columns
      const table = yield* succeeding(onServer(["queues", "--all"]))
      assert.strictEqual(table.stdout.match(/QUEUE/g)?.length, 1)
      assert.lengthOf(table.stdout.trimEnd().split("\n"), 1011)
      assert.include(yield* failing(64, onServer(["queues", "--limit", "0"])), "Expected at least 1")
    }).pipe(Effect.provide(serverLayer({ store: MemoryStore.layer({ capacity: 2000 }) }))))
})

describe("a command that a person is told to type", () => {
  it.live("has names that clients chose in quotes, and none that rules the terminal", () =>
    Effect.gen(function*() {
      const name = "a; rm -rf ~"
      const command = "taskforge resume 'a; rm -rf ~'"
      assert.include((yield* onServer(["pause", name])).stdout, command)
      assert.include((yield* succeeding(onServer(["queues", name]))).stdout, command)
      assert.include((yield* succeeding(onServer(["stats"]))).stdout, command)
      const id = "x\u001b[2J$(id)"
      const { stdout } = yield* succeeding(onServer(["enqueue", "echo", "--id", id]))
      assert.include(stdout, "taskforge watch 'x$(id)'")
      assert.notInclude(stdout, "\u001b")
    }).pipe(Effect.provide(idle)))
})

describe("taskforge stats and instances", () => {
  it.live("say how many there are, and who does what", () =>
    Effect.gen(function*() {
      yield* onServer(["enqueue", "tick", "--id", "t"])
      yield* onServer(["enqueue", "echo", "1", "--wait"])
      const stats = yield* succeeding(onServer(["stats"], { terminal: true }))
      assert.match(stats.stdout, /◐ running +1 +█+ +failed +0/)
      assert.match(stats.stdout, /✓ completed +1 /)
      assert.include(stats.stdout, "1 of 1,000 places taken")
      for (const line of stats.lines) assert.isAtMost(line.length, 80)
      assert.deepInclude(jsonOf(yield* succeeding(onServer(["stats", "--json"])))[0].by_status, { running: 1 })
      const instances = yield* succeeding(onServer(["instances"], { terminal: true }))
      assert.match(instances.stdout, /^INSTANCE +HOST +BUSY +SLOTS +UP +SEEN +CHORES\nw +\S+ +1\/2 /)
      assert.match(instances.stdout, /\nt +tick +\S+ +w\/\d\n$/)
      for (const line of instances.lines) assert.isAtMost(line.length, 80)
    }).pipe(Effect.provide(working)))

  it.effect("tell an instance how many slots to have, to drain, and to go on", () =>
    Effect.gen(function*() {
      const given = yield* succeeding(onServer(["instances", "slots", "w", "5"]))
      assert.strictEqual(given.stdout, "✓ w gets 5 slots, within a third of a lease\n")
      assert.deepStrictEqual(jsonOf(yield* succeeding(onServer(["instances", "slots", "w", "1", "--json"]))), [
        { instance: "w", slots: 1 }
      ])
      const own = yield* succeeding(onServer(["instances", "slots", "w", "auto"]))
      assert.include(own.stdout, "w decides by itself")
      const drained = yield* succeeding(onServer(["instances", "drain", "w"]))
      assert.include(drained.stdout, "taskforge instances resume w")
      yield* TestClock.adjust("5 seconds")
      let shown = ""
      for (let look = 0; look < 100 && !shown.includes("draining"); look++) {
        shown = (yield* onServer(["instances"], { terminal: true })).stdout
      }
      assert.match(shown, /\nw +\S+ +0\/2 +draining /)
      assert.include((yield* succeeding(onServer(["instances", "resume", "w"]))).stdout, "w takes tasks again")
      assert.deepStrictEqual(jsonOf(yield* succeeding(onServer(["instances", "drain", "w", "--json"]))), [
        { instance: "w", draining: true }
      ])
      for (const slots of ["0", "-1", "many", "1.5", "1e3", ""]) {
        assert.include(yield* failing(64, onServer(["instances", "slots", "--", "w", slots])), "whole number")
      }
      assert.include(yield* failing(65, onServer(["instances", "slots", "w", "101"])), "from 1 to 100")
      assert.include(yield* failing(66, onServer(["instances", "drain", "nobody"])), "taskforge instances shows")
      assert.include(yield* failing(66, onServer(["instances", "slots", "nobody", "3"])), "No living instance")
    }).pipe(Effect.provide(working)))

  it.effect("tell how many slots are needed", () =>
    Effect.gen(function*() {
      const nothing = yield* succeeding(onServer(["scaling"]))
      assert.strictEqual(
        nothing.stdout,
        "0 slots wanted; there are 2, of which 0 are busy.\nNo task waits.\nNothing ran in the last minute.\n"
      )
      for (let task = 0; task < 5; task++) yield* onServer(["enqueue", "tick"])
      yield* TestClock.adjust("10 seconds")
      const busy = yield* succeeding(onServer(["scaling", "--within", "10s"]))
      assert.match(
        busy.stdout,
        /slots wanted; there are 2, of which 2 are busy\.\n3 tasks wait, the first for 10s; these slots need/
      )
      const [json] = jsonOf(yield* succeeding(onServer(["scaling", "--queue", "default", "--json"])))
      assert.deepInclude(json, { slots: 2, slots_active: 2, waiting: 3 })
      assert.include(yield* failing(64, onServer(["scaling", "--within", "soon"])), "--within")
    }).pipe(Effect.provide(working)))

  it.effect("tell what happened in a time", () =>
    Effect.gen(function*() {
      const nothing = yield* succeeding(onServer(["statistics"]))
      assert.match(nothing.stdout, /^enqueued +0 +0\.00\/s/m)
      yield* TestClock.adjust("1 second")
      for (let task = 0; task < 3; task++) yield* onServer(["enqueue", "tick"])
      yield* TestClock.adjust("19 seconds")
      const { stdout } = yield* succeeding(onServer(["statistics", "--last", "20s"]))
      assert.match(stdout, /^enqueued +3 +0\.15\/s  █·$/m)
      assert.match(stdout, /^default +tick +3 /m)
      const [json] = jsonOf(yield* succeeding(onServer(["statistics", "--last", "20s", "--json"])))
      assert.deepInclude(json, { step_ms: 10_000 })
      assert.include(yield* failing(64, onServer(["statistics", "--last", "soon"])), "--last")
      assert.include(yield* failing(65, onServer(["statistics", "--from", "2099-01-31T12:00:00Z"])), "--from")
    }).pipe(Effect.provide(working)))

  it.live("say what to do when nobody runs tasks", () =>
    Effect.gen(function*() {
      yield* onServer(["enqueue", "echo"])
      const { stdout } = yield* succeeding(onServer(["instances"]))
      assert.include(stdout, "No instance runs tasks. Start one:")
      assert.include(stdout, "1 task waits.")
    }).pipe(Effect.provide(idle)))
})

/** Watches on the test's clock: the interval passes whenever something has been written. */
const watching = Effect.fnUntraced(function*(args: ReadonlyArray<string>, options: Options = {}) {
  let written = 0
  const watch = yield* Effect.forkChild(
    onServer(["watch", "--interval", "100ms", "--for", "2s", ...args], { ...options, onWrite: () => void written++ })
  )
  for (let seen = 0; watch.pollUnsafe() === undefined;) {
    yield* TestClock.withLive(Effect.sleep("5 millis"))
    if (written === seen) continue
    seen = written
    yield* TestClock.adjust("100 millis")
  }
  return yield* Fiber.join(watch)
})

describe("taskforge watch", () => {
  it.live("follows tasks until they have finished", () =>
    Effect.gen(function*() {
      yield* onServer(["enqueue", "count", `{"n": 300}`, "--id", "good"])
      yield* onServer(["enqueue", "count", `{"n": -1}`, "--id", "bad", "--retries", "0", "--delay", "200ms"])
      const { code, lines, stderr } = yield* onServer(["watch", "good", "bad"])
      assert.strictEqual(code, 1)
      assert.match(lines[0]!, /^ *\+\S+ {2}good {2}\S \w+ +count/)
      assert.match(lines[1]!, /^ *\+\S+ {2}bad {2}\S \w+ +count/)
      assert.isTrue(lines.some((line) => /good {2}✓ completed +count/.test(line)))
      assert.isTrue(lines.some((line) => /bad {2}✗ failed +count +Negative/.test(line)))
      assert.include(stderr, "1 of 2 tasks did not complete")
      const json = jsonOf(yield* succeeding(onServer(["watch", "good", "--json"])))
      assert.deepStrictEqual(json.map(({ status }) => status), ["completed"])
    }).pipe(Effect.provide(working)))

  it.effect("shows the system in a frame that fits the terminal, and leaves no trace", () =>
    Effect.gen(function*() {
      yield* onServer(["enqueue", "-l", "-"], { stdin: repeated(`{"type":"tick"}`, 50) })
      const { stderr, stdout } = yield* watching([], { terminal: true, columns: 80 })
      assert.strictEqual(stderr, "")
      assert.isTrue(stdout.startsWith("\u001b[?1049h\u001b[?25l") && stdout.endsWith("\u001b[?25h\u001b[?1049l"))
      const frames = stdout.split("\u001b[H").slice(1)
      assert.isAtLeast(frames.length, 10)
      for (const frame of frames) {
        const lines = frame.split("\u001b[J")[0]!.replaceAll("\u001b[K", "").split("\r\n")
        assert.isAtMost(lines.length, 24)
        for (const line of lines) assert.isAtMost(line.length, 80)
        assert.include(frame, "2 of 2 slots busy, 50 of 1,000 places taken")
        assert.include(frame, "RUNNING 2")
        assert.include(frame, "Ctrl-C ends this")
      }
    }).pipe(Effect.provide(working)))

  it.effect("writes a line per look to a pipe", () =>
    Effect.gen(function*() {
      const { lines } = yield* succeeding(watching([]))
      assert.isAtLeast(lines.length, 10)
      assert.match(lines[0]!, /^\d{4}-\S+Z {2}scheduled 0 {2}pending 0 /)
      const json = jsonOf(yield* succeeding(watching(["--json"])))
      assert.isAtLeast(json.length, 10)
      assert.strictEqual(json[0].queue_size, 0)
      assert.include(yield* failing(64, onServer(["watch", "--interval", "soon"])), "--interval")
    }).pipe(Effect.provide(working)))
})

describe("taskforge demo", () => {
  it.live("asks for what a server does not have, by its name", () =>
    Effect.gen(function*() {
      assert.include(yield* failing(65, onServer(["demo", "--rate", "200", "--for", "1s"])), "Unknown task type")
      assert.include(yield* failing(64, onServer(["demo", "--rate", "0"])), "--rate")
    }).pipe(Effect.provide(idle)))

  it.live("loads a server and tells how long it took", () =>
    Effect.gen(function*() {
      const args = ["demo", "--load", "--rate", "500", "--for", "1s"]
      const { lines } = yield* succeeding(onServer(args))
      assert.match(lines[0]!, /^✓ Sent 500 tasks in \S+, \d+ per second$/)
      assert.match(lines[1]!, /end to end$/)
      assert.match(lines[2]!, /^ {2}From enqueue to end +p50 \S+, p95 \S+, p99 \S+, max \S+$/)
      const [json] = jsonOf(yield* succeeding(onServer([...args, "--json"])))
      assert.deepInclude(json, { sent: 500, cancelled: 0 })
      assert.hasAllKeys(json!["task_ms"] as object, ["p50", "p95", "p99", "max"])
    }).pipe(Effect.provide(working)))
})

describe("taskforge demo --load without a rate", () => {
  it.live("sends as much as the server completes, for the time that was given", () =>
    Effect.gen(function*() {
      const [json] = jsonOf(yield* succeeding(onServer(["demo", "--load", "--for", "1s", "--json"])))
      // Eight clients have sent a batch of 50 each at least once
      assert.isAtLeast(Number(json!["sent"]), 400)
      assert.strictEqual(Number(json!["sent"]) % 50, 0)
      const [counts] = jsonOf(yield* succeeding(onServer(["stats", "--json"])))
      assert.strictEqual((counts!["by_status"] as Record<string, number>)["completed"], json!["sent"])
    }).pipe(Effect.provide(working)))
})

describe("a command line with a mistake", () => {
  it.live("is answered with one complaint, and with what was meant", () =>
    Effect.gen(function*() {
      const complaint = (args: ReadonlyArray<string>) =>
        Effect.map(failing(64, onServer(args)), (text) => text.split("\n").slice(0, 2))
      assert.deepStrictEqual(
        (yield* complaint(["stat"]))[0],
        `✗ Unknown subcommand "stat" for "taskforge"; did you mean stats?`
      )
      assert.deepStrictEqual(
        (yield* complaint(["list", "--statsu", "failed"]))[0],
        "✗ Unrecognized flag: --statsu; did you mean --status?"
      )
      assert.match(
        (yield* complaint(["list", "--status", "fail"]))[0]!,
        /^✗ --status fail: expected .*; did you mean failed\?$/
      )
      assert.strictEqual(
        (yield* complaint(["watch", "--interval", "5q"]))[0],
        `✗ Invalid value for flag --interval: "5q". Expected a duration such as 250ms, 5m, 1h30m or "5 minutes"`
      )
      assert.deepStrictEqual(yield* complaint(["--server", "localhost:1", "list"]), [
        "✗ Unrecognized flag: --server in command taskforge",
        "  --server comes after the command: taskforge list --server …"
      ])
      assert.include(yield* failing(65, onServer(["enqueue", "ecko"])), "Did you mean echo?")
      assert.include(yield* failing(65, onServer(["enqueue", "echo", "--priority", "hgih"])), "Did you mean high?")
    }).pipe(Effect.provide(idle)))
})

describe("the server of a command", () => {
  it.live("needs no scheme", () =>
    Effect.gen(function*() {
      const { address } = yield* Listener.HttpServer
      const { host } = new URL(Listener.formatAddress(address))
      yield* succeeding(taskforge(["list", "--server", host]))
      yield* succeeding(taskforge(["list"], { environment: { TASKFORGE_URL: host } }))
      assert.include(
        yield* failing(64, taskforge(["list", "--server", "sqlite:tasks.db"])),
        "is not the URL of a server"
      )
    }).pipe(Effect.provide(idle)))
})

describe("a store without a server", () => {
  it.live("is created, filled, read and kept by the same commands", () =>
    Effect.gen(function*() {
      const store = ["--store", newStore()]
      assert.include((yield* succeeding(taskforge(["migrate", ...store]))).stdout, "is ready for this version")
      yield* succeeding(taskforge(["enqueue", "echo", "1", "--id", "a", ...store]))
      yield* succeeding(taskforge(["enqueue", "echo", "--lines", "-", ...store], { stdin: "1\n2\n3" }))
      assert.include(yield* failing(65, taskforge(["enqueue", "nope", ...store])), "Unknown task type")
      assert.strictEqual(jsonOf(yield* succeeding(taskforge(["list", "--json", ...store]))).length, 4)
      assert.include((yield* succeeding(taskforge(["cancel", "a", ...store]))).stdout, "Cancelled")
      assert.include((yield* succeeding(taskforge(["stats", ...store]))).stdout, "3 of 100,000 places taken")
      assert.include((yield* succeeding(taskforge(["instances", ...store]))).stdout, "No instance runs tasks")
      const { code, stderr } = yield* taskforge(["pause", "mail", ...store])
      assert.deepStrictEqual(
        { code, stderr },
        { code: 0, stderr: "! No task is in the queue mail; there are tasks in default\n" }
      )
      assert.include((yield* succeeding(taskforge(["stats", ...store]))).stdout, "mail is paused")
    }))

  it.live("can be that of the environment for the commands that need one", () =>
    Effect.gen(function*() {
      const environment = { STORE_URL: newStore() }
      assert.deepInclude(jsonOf(yield* succeeding(taskforge(["migrate", "--json"], { environment })))[0], {
        ready: true
      })
      assert.include(yield* failing(64, taskforge(["migrate", "--store", "memory:"])), "lives in one process")
      for (const command of [["migrate"], ["keys", "list"]]) {
        const problem = yield* failing(64, taskforge([...command, "--store", "foo://x"]))
        assert.include(problem, "--store foo://x is not the URL of a store")
        assert.notInclude(problem, "STORE_URL")
      }
      const elsewhere = { environment: { STORE_URL: "file.db" } }
      assert.include(yield* failing(78, taskforge(["migrate"], elsewhere)), "STORE_URL=file.db")
      assert.include(
        yield* failing(69, taskforge(["migrate", "--store", "sqlite:/dev/null/tasks.db"])),
        "cannot be opened"
      )
    }))
})

describe("taskforge keys", () => {
  it.effect("makes, shows and takes back keys, whose secrets are shown once", () =>
    Effect.gen(function*() {
      const environment = { STORE_URL: newStore() }
      const keys = (...args: ReadonlyArray<string>) => taskforge(["keys", ...args], { environment })
      assert.include(yield* failing(66, keys("list")), "There is no store")
      const made = yield* succeeding(keys("create", "ci", "--role", "read"))
      const secret = /tf_[0-9a-f]{12}_[\w-]{43}/.exec(made.stdout)![0]
      const id = secret.split("_")[1]!
      assert.include(made.stdout, `Made the key ${id} for ci, who may read`)
      yield* TestClock.adjust("10 millis")
      const [other] = jsonOf(yield* succeeding(keys("create", "app", "--json")))
      assert.deepInclude(other, { name: "app", role: "write" })
      const listed = yield* succeeding(keys("list"))
      assert.match(
        listed.stdout,
        new RegExp(`^ID +NAME +ROLE +MADE\n${id} +ci +read +now\n${other.id} +app +write +now\n$`)
      )
      assert.notInclude(listed.stdout, secret)
      assert.deepStrictEqual(jsonOf(yield* succeeding(keys("list", "--json"))).map(({ name }) => name), ["ci", "app"])
      assert.include((yield* succeeding(keys("revoke", id))).stdout, "is taken no more")
      assert.include(yield* failing(66, keys("revoke", id)), "taskforge keys list")
      yield* succeeding(keys("revoke", other.id, "--json"))
      assert.include((yield* succeeding(keys("list"))).stdout, "There are no keys")
      assert.include(yield* failing(65, keys("create", "\n")), "needs a name")
      assert.include(yield* failing(64, keys("create", "x", "--role", "god")), "--role")
    }))
})

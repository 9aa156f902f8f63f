/** Operations on many tasks over HTTP, by a remote `TaskQueue`, and on the command line. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Logger, Redacted, References, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { FetchHttpClient, HttpServer as Listener } from "effect/http"
import * as ApiKeys from "../../src/access/ApiKeys.ts"
import { OperationJson, OperationPreviewJson } from "../../src/http/api/OperationsApi.ts"
import { HttpTaskQueue } from "../../src/http/index.ts"
import * as Resumer from "../../src/maintenance/Resumer.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { failing, jsonOf, onServer, succeeding, taskforge } from "../cli/CommandLine.ts"
import { until } from "../e2e/Server.ts"
import { file } from "../store/sqlite/fixtures.ts"
import { decoded, expecting, get, layer, page, postedAll, refused, send, task } from "./TestServer.ts"

const Letter = Task.make("letter", { payload: { user: Schema.Struct({ id: Schema.Int }) } })
const Broken = Task.make("broken", { retry: { times: 0 } })

const handlers = Layer.mergeAll(Letter.toLayer(() => Effect.void), Broken.toLayer(() => Effect.die("Broken <b>")))
const log: Array<Record<string, unknown>> = []
const recording = Logger.layer([Logger.make(({ fiber }) => {
  const annotations = fiber.getRef(References.CurrentLogAnnotations)
  if (annotations["audit"] === true) log.push({ ...annotations })
})])
const working = Layer.merge(layer({ definitions: [Letter, Broken], handlers }), SecureRandom.layerWebCrypto).pipe(
  Layer.provide([recording, Layer.succeed(Resumer.Interval, Duration.millis(20))])
)

const path = "/api/v1/operations"
const letters = (count: number, user = 1) =>
  Array.from({ length: count }, () => ({ type: "letter", payload: { user: { id: user } }, delay: "1h" }))
const cancelLetters = { action: "cancel", filter: { type: ["letter"] }, why: "A test" }
const start = (body: unknown, headers = {}) => decoded(OperationJson, send("POST", path, body, headers), 202)
const rested = (id: string) =>
  Effect.gen(function*() {
    const read = decoded(OperationJson, get(`${path}/${id}`))
    yield* until("it rests", Effect.map(read, ({ status }) => status !== "running" && status !== "undoing"))
    return yield* read
  })

describe("operations over HTTP", () => {
  it.live("are previewed, begun, watched and taken back", () =>
    Effect.gen(function*() {
      const [first] = yield* postedAll([...letters(12), ...letters(3, 42)])
      const wanted = { action: "cancel", filter: { type: ["letter"], payload: { "user.id": "42" } } }
      const preview = yield* decoded(OperationPreviewJson, send("POST", `${path}/preview`, wanted))
      assert.deepInclude(preview, { count: 3, complete: true, looked: 15, can_undo: true })
      assert.lengthOf(preview.sample, 3)
      const begun = yield* start({
        ...wanted,
        why: "Account <script>42</script> closed",
        by: "ada",
        name: "42",
        rate: 1000
      })
      assert.deepInclude(begun, {
        status: "running",
        by: "ada",
        expected: 3,
        why: "Account <script>42</script> closed"
      })
      const done = yield* rested(begun.id)
      assert.deepInclude(done, { status: "completed", matched: 3, done: 3 })
      assert.deepInclude(done.undo, { tasks: 3 })
      assert.strictEqual((yield* task(first!.id)).status, "scheduled")
      yield* expecting(200, send("POST", `${path}/${begun.id}/undo`, { by: "bob" }))
      assert.deepInclude(yield* rested(begun.id), { status: "undone", restored: 3, undo: null })
      const listed = (yield* expecting(200, get(path))).json as { operations: ReadonlyArray<object>; next: null }
      assert.strictEqual(listed.operations.length, 1)
      assert.deepInclude((listed.operations[0] as { undone: object }).undone, { by: "bob" })
      const again = yield* refused(409, "operation_refused", send("POST", `${path}/${begun.id}/undo`, {}))
      assert.deepInclude(again, { reason: "undone" })
      const { newId } = yield* TaskQueue
      const id = yield* newId
      const slow = yield* start({ ...cancelLetters, rate: 1, id })
      assert.deepInclude(yield* start({ ...cancelLetters, rate: 1, id }), { id: slow.id, created_at: slow.created_at })
      yield* expecting(200, send("POST", `${path}/${slow.id}/abort`, {}))
      const aborted = yield* rested(slow.id)
      assert.strictEqual(aborted.status, "aborted")
      assert.isBelow(aborted.done, 15)
      const at = "2099-01-31T12:00:00.000Z"
      const moved = yield* start({
        ...cancelLetters,
        action: "reschedule",
        change: { priority: "high", run_at: at },
        max: 1
      })
      assert.deepInclude(yield* rested(moved.id), { run_at: at, priority: 2, done: 1, undo: null })
    }).pipe(Effect.provide(working)))

  it.live("mean what a list shows: by errors, fields of payloads, keys and times", () =>
    Effect.gen(function*() {
      yield* postedAll([
        ...letters(3),
        { type: "letter", payload: { user: { id: 42 } }, delay: "1h", key: "a=b", id: "one" },
        { type: "broken", id: "dead" }
      ])
      yield* until(
        "it has failed",
        Effect.map(get("/api/v1/tasks?kind=defect,timeout"), ({ json }) => JSON.stringify(json).includes("dead"))
      )
      const idsOf = (query: string) => Effect.map(page(query), ({ tasks }) => tasks.map(({ id }) => id))
      assert.deepStrictEqual(yield* idsOf("?payload=user.id%3D42"), ["one"])
      assert.deepStrictEqual(yield* idsOf("?key=a%3Db&type=letter"), ["one"])
      assert.deepStrictEqual(yield* idsOf("?kind=defect&text=BROKEN&instance=w&ended_since=2020-01-31T12:00:00Z"), [
        "dead"
      ])
      assert.deepStrictEqual(yield* idsOf("?created_before=2020-01-31T12:00:00Z"), [])
      const first = yield* page("?created_since=2020-01-31T12:00:00Z&limit=2")
      assert.lengthOf(first.tasks, 2)
      const second = yield* page(`?created_since=2020-01-31T12:00:00Z&limit=3&cursor=${first.next}`)
      assert.lengthOf(second.tasks, 3)
      yield* refused(
        400,
        "invalid_request",
        get(`/api/v1/tasks?created_since=2021-01-31T12:00:00Z&cursor=${first.next}`)
      )
      yield* refused(400, "invalid_request", get("/api/v1/tasks?payload=user"))
      yield* refused(400, "invalid_request", get("/api/v1/tasks?kind=sad"))
    }).pipe(Effect.provide(working)))

  it.live("refuse a range that ends before it begins, and name both ends", () =>
    Effect.gen(function*() {
      const [early, late] = ["2026-01-31T12:00:00.000Z", "2026-02-01T12:00:00.000Z"]
      const crossed = (name: string) => ({ [`${name}_since`]: late, [`${name}_before`]: early })
      const asQuery = (range: Record<string, string>) => new URLSearchParams(range).toString()
      const message = (name: string) =>
        `The option ${name}since is ${late}; expected no later time than ${name}before, which is ${early}`
      for (const name of ["created", "ended"]) {
        const filter = crossed(name)
        for (
          const answering of [
            send("POST", path, { ...cancelLetters, filter }),
            send("POST", `${path}/preview`, { action: "cancel", filter }),
            get(`/api/v1/tasks?${asQuery(filter)}`)
          ]
        ) {
          const { issues } = yield* refused(400, "invalid_request", answering)
          assert.strictEqual(issues![0]!.message, message(`${name}_`))
          assert.strictEqual(issues![0]!.path.at(-1), `${name}_since`)
        }
      }
      const range = { since: late, before: early }
      for (const list of ["dead-letters", "dead-letters/tasks"]) {
        const { issues } = yield* refused(400, "invalid_request", get(`/api/v1/${list}?${asQuery(range)}`))
        assert.strictEqual(issues![0]!.message, message(""))
      }
      yield* refused(400, "invalid_request", send("POST", "/api/v1/dead-letters/discard", range))
      yield* expecting(200, get(`/api/v1/tasks?${asQuery({ created_since: early, created_before: early })}`))
    }).pipe(Effect.provide(working)))

  it.live("are refused with what helps, and change nothing then", () =>
    Effect.gen(function*() {
      const [one] = yield* postedAll(letters(1))
      const issueOf = (body: object) =>
        Effect.map(refused(400, "invalid_request", send("POST", path, { ...cancelLetters, ...body })), ({ issues }) =>
          issues![0]!.path.join("."))
      assert.strictEqual(yield* issueOf({ filter: {} }), "body.filter")
      assert.strictEqual(yield* issueOf({ filter: { type: [] } }), "body.filter.type")
      assert.strictEqual(yield* issueOf({ filter: { status: ["completed"] } }), "body.filter.status")
      assert.strictEqual(yield* issueOf({ filter: { status: ["lost"] } }), "body.filter.status.0")
      assert.strictEqual(yield* issueOf({ filter: { colour: "red" } }), "body.filter.colour")
      assert.strictEqual(yield* issueOf({ filter: { payload: {} } }), "body.filter.payload")
      assert.strictEqual(yield* issueOf({ filter: { text: "x".repeat(201) } }), "body.filter.text")
      assert.strictEqual(
        yield* issueOf({
          filter: {
            id: Array.from({ length: 1001 }, () =>
              "x")
          }
        }),
        "body.filter.id"
      )
      assert.strictEqual(
        yield* issueOf({ filter: { id: Array.from({ length: 1000 }, () => "x".repeat(200)) } }),
        "body.filter"
      )
      assert.strictEqual(yield* issueOf({ action: "explode" }), "body.action")
      assert.strictEqual(yield* issueOf({ why: "" }), "body.why")
      assert.strictEqual(yield* issueOf({ why: undefined }), "body.why")
      assert.strictEqual(yield* issueOf({ rate: 0 }), "body.rate")
      for (const id of ["mine", "01a20f46-60fe-479b-a926-cef2c43ec95c", "01000000-0000-779b-a926-cef2c43ec95c"]) {
        assert.strictEqual(yield* issueOf({ id }), "body.id")
      }
      assert.strictEqual(yield* issueOf({ change: { priority: 1 } }), "body.change")
      assert.strictEqual(
        yield* issueOf({ action: "reschedule", change: { delay: "1s", run_at: "2099-01-31T12:00:00Z" } }),
        "body.change.delay"
      )
      assert.strictEqual(yield* issueOf({ filter: { type: ["\u0000"] }, extra: 1 }), "body.extra")
      for (const rest of ["", "/abort", "/undo"]) {
        const method = rest === "" ? "GET" : "POST"
        for (const id of ["00000000-0000-7000-8000-000000000000", "x", "%00"]) {
          yield* refused(
            404,
            "operation_not_found",
            send(method, `${path}/${id}${rest}`, method === "GET" ? undefined : {})
          )
        }
      }
      assert.strictEqual((yield* task(one!.id)).status, "scheduled")
      assert.deepStrictEqual((yield* get(path)).json, { operations: [], next: null })
    }).pipe(Effect.provide(working)))

  it.live("are begun by those who may write, whose names are kept, and looked at by all", () =>
    Effect.gen(function*() {
      const keyed = (role: "read" | "write") =>
        Effect.map(Effect.orDie(ApiKeys.create({ name: `a ${role}`, role })), ({ secret }) => ({
          authorization: `Bearer ${Redacted.value(secret)}`
        }))
      const [read, write] = [yield* keyed("read"), yield* keyed("write")]
      yield* until("the keys are known", Effect.map(send("GET", path, undefined, read), ({ status }) => status === 200))
      yield* until(
        "the keys are known",
        Effect.map(send("GET", path, undefined, write), ({ status }) => status === 200)
      )
      yield* expecting(201, send("POST", "/api/v1/tasks", letters(2), write))
      for (const [suffix, body] of [["", cancelLetters], ["/x/abort", {}], ["/x/undo", {}]] as const) {
        yield* refused(403, "forbidden", send("POST", `${path}${suffix}`, body, read))
      }
      const { filter, action } = cancelLetters
      yield* expecting(200, send("POST", `${path}/preview`, { action, filter }, read))
      const begun = yield* start({ ...cancelLetters, by: "somebody else" }, write)
      assert.strictEqual(begun.by, "a write")
      assert.deepInclude(log.findLast(({ action }) => action === "start_operation"), {
        operation: "cancel",
        why: "A test",
        key_name: "a write",
        outcome: "running",
        filter: JSON.stringify({ types: ["letter"] })
      })
    }).pipe(Effect.provide(working)))
})

describe("a program whose queue is a server's", () => {
  it.live("previews, begins, watches and takes back operations", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const { operations } = yield* TaskQueue
        yield* Letter.enqueue({ user: { id: 1 } }, { delay: "1 hour" })
        const createdBefore = DateTime.makeUnsafe("2099-01-31T12:00:00Z")
        const filter = { types: ["letter"], states: ["scheduled"] as const, createdBefore, payload: { "user.id": "1" } }
        const listed = yield* TaskQueue.use(({ list }) => list(filter))
        assert.lengthOf(listed.tasks, 1)
        const preview = yield* operations.preview({ action: "cancel", filter })
        assert.deepInclude(preview, { count: 1, isComplete: true, canUndo: true })
        assert.strictEqual(preview.sample[0]?.type, "letter")
        const { id } = yield* operations.start({ action: "cancel", filter, why: "A test", rate: 1000 })
        const over = Effect.map(operations.get(id), ({ state }) => state !== "running" && state !== "undoing")
        yield* until("it has ended", over)
        const view = yield* operations.get(id)
        assert.deepInclude(view, { state: "completed", done: 1 })
        assert.deepStrictEqual(view.filter.createdBefore, createdBefore.epochMilliseconds)
        yield* operations.undo(id)
        yield* until("it is undone", over)
        assert.deepStrictEqual((yield* operations.list({ limit: 1 })).operations, [yield* operations.get(id)])
        assert.deepInclude(yield* Effect.flip(operations.abort(id)), { _tag: "OperationRefused", reason: "ended" })
        assert.deepInclude(yield* Effect.flip(operations.get("..")), { _tag: "OperationNotFound" })
        assert.deepInclude(yield* Effect.flip(operations.preview({ action: "cancel", filter: {} })), {
          option: "filter"
        })
        assert.strictEqual(yield* operations.goOn, Infinity)
        const moved = yield* operations.start({
          action: "reschedule",
          filter,
          change: { priority: "low", delay: "2 hours" },
          why: "Later"
        })
        assert.strictEqual(moved.priority, 0)
      })
      const { address } = yield* Listener.HttpServer
      yield* Effect.provide(
        program,
        HttpTaskQueue.layerHttpClient({ url: Listener.formatAddress(address) }).pipe(
          Layer.provide(FetchHttpClient.layer)
        )
      )
    }).pipe(Effect.provide(working)))
})

describe("taskforge ops", () => {
  it.live("shows what it would do, does it with --yes, and takes it back", () =>
    Effect.gen(function*() {
      yield* postedAll(letters(12))
      const shown = yield* succeeding(onServer(["ops", "cancel", "--type", "letter"]))
      assert.include(shown.stdout, "12 tasks would be cancelled. This can be taken back for a day.")
      assert.include(shown.stdout, "The newest 10.")
      const [preview] = jsonOf(yield* succeeding(onServer(["ops", "cancel", "--payload", "user.id=1", "--json"])))
      assert.deepInclude(preview, { count: 12, complete: true })
      const listed = yield* succeeding(
        onServer(["list", "--payload", "user.id=1", "--newer-than", "1d", "--limit", "3", "--json"])
      )
      assert.lengthOf(listed.lines, 3)
      assert.include((yield* succeeding(onServer(["list", "--payload", "user.id=2"]))).stdout, "No task matches.")
      yield* failing(64, onServer(["list", "--text", "x".repeat(201)]))
      const args = ["ops", "cancel", "--type", "letter", "--yes", "--why", "A \u001b[31mtest", "--rate", "1000"]
      const done = yield* succeeding(onServer(args))
      assert.include(done.stdout, "12 tasks: 12 cancelled")
      assert.include(done.stdout, "A test")
      assert.notInclude(done.stdout, "\u001b")
      const [{ id }] = jsonOf(yield* succeeding(onServer(["ops", "list", "--json"])))
      assert.include((yield* succeeding(onServer(["ops", "list"]))).stdout, "completed, can be undone")
      assert.include((yield* succeeding(onServer(["ops", "undo", id]))).stdout, "undone: 12 tasks as before")
      assert.include((yield* succeeding(onServer(["ops", "show", id]))).stdout, "as before")
      const moved = yield* succeeding(
        onServer(["ops", "reschedule", "--type", "letter", "--priority", "high", "--yes", "--why", "Late", "--json"])
      )
      assert.deepInclude(jsonOf(moved)[0], { done: 12, priority: 2 })
      const detached = yield* succeeding(
        onServer(["ops", "cancel", "--type", "letter", "--yes", "--why", "Slow", "--rate", "1", "--detach", "--json"])
      )
      yield* succeeding(onServer(["ops", "abort", jsonOf(detached)[0].id]))
      yield* failing(64, onServer(["ops", "cancel"]))
      yield* failing(64, onServer(["ops", "cancel", "--type", "letter", "--yes"]))
      yield* failing(64, onServer(["ops", "reschedule", "--type", "letter"]))
      yield* failing(64, onServer(["ops", "cancel", "--status", "completed"]))
      yield* failing(64, onServer(["ops", "cancel", "--type", "letter", "--text", "x".repeat(201)]))
      assert.include(yield* failing(1, onServer(["ops", "undo", id])), "has been taken back already")
      yield* failing(66, onServer(["ops", "show", "nothing"]))
    }).pipe(Effect.provide(working)))

  it.live("refuses a field without a value, and ages that leave nothing between them", () =>
    Effect.gen(function*() {
      for (const field of ["user", "=1"]) {
        const said = yield* failing(64, onServer(["ops", "cancel", "--payload", field]))
        assert.include(said, `Expected a path, an equals sign and a value, got ${field}`)
      }
      const crossed = ["--older-than", "2h", "--newer-than", "1h"]
      for (const command of [["ops", "cancel"], ["list"], ["dead-letters", "list"], ["dead-letters", "discard"]]) {
        const said = yield* failing(64, onServer([...command, ...crossed]))
        assert.include(said, "No task fits both --newer-than 1h and --older-than 2h.")
      }
      yield* failing(64, onServer(["list", "--ended-before", "2h", "--ended-since", "1h"]))
      yield* succeeding(onServer(["list", "--older-than", "1h", "--newer-than", "2h"]))
    }).pipe(Effect.provide(working)))

  it.live("goes on with an operation itself, on a store without a server", () =>
    Effect.gen(function*() {
      const store = `sqlite:${yield* file}`
      const run = (...args: ReadonlyArray<string>) => succeeding(taskforge([...args, "--store", store]))
      yield* run("migrate")
      for (let count = 0; count < 3; count++) yield* run("enqueue", "echo", "{}", "--delay", "1h")
      const done = yield* run("ops", "cancel", "--type", "echo", "--yes", "--why", "A test", "--json")
      assert.deepInclude(jsonOf(done)[0], { status: "completed", done: 3 })
      const undone = yield* run("ops", "undo", jsonOf(done)[0].id, "--json")
      assert.deepInclude(jsonOf(undone)[0], { status: "undone", restored: 3 })
    }))
})

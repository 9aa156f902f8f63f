/** Tasks that wait for others, over HTTP. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { GraphJson } from "../../src/http/api/DependenciesApi.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"
import { decoded, expecting, get, layer, posted, postedAll, refused, send } from "./TestServer.ts"

const Work = Task.make("work")
const idle = layer({ definitions: [Work] })

const work = (id: string, ...after: ReadonlyArray<string>) => ({
  type: "work",
  id,
  ...after.length === 0 ? {} : { after }
})
const dependencies = (id: string, query = "") =>
  Effect.map(expecting(200, get(`/api/v1/tasks/${id}/dependencies${query}`)), ({ json }) => json)
const dependents = (id: string, query = "") =>
  Effect.map(
    expecting(200, get(`/api/v1/tasks/${id}/dependents${query}`)),
    ({ json }) =>
      json as {
        readonly tasks: ReadonlyArray<{ readonly id: string }>
        readonly complete: boolean
        readonly next: string | null
      }
  )

describe("tasks that wait for others, over HTTP", () => {
  it.live("say for how many they wait, and are stored with those of the same request", () =>
    Effect.gen(function*() {
      const [a, sum, other] = yield* postedAll([
        work("a"),
        { ...work("sum", "a", "b"), on_failure: "run" },
        work("b")
      ])
      assert.isUndefined(a!.waits_for)
      assert.deepInclude(sum, { status: "scheduled", waits_for: 2, on_failure: "run" })
      assert.strictEqual(other!.id, "b")
      assert.deepInclude(yield* posted(work("later", "sum")), { status: "scheduled", waits_for: 1, on_failure: "fail" })
      yield* expecting(200, send("POST", "/api/v1/tasks/a/cancel"))
      const { json } = yield* get("/api/v1/tasks/sum")
      assert.deepInclude(json, { status: "scheduled", waits_for: 1 })
    }).pipe(Effect.provide(idle)))

  it.live("are refused where what they wait for is not there, or they wait for themselves", () =>
    Effect.gen(function*() {
      const unknown = yield* refused(
        400,
        "unknown_dependency",
        send("POST", "/api/v1/tasks", [work("a"), work("b", "a", "nothing")])
      )
      assert.deepInclude(unknown, { id: "nothing", index: 1 })
      const circle = yield* refused(
        400,
        "dependency_cycle",
        send("POST", "/api/v1/tasks", [work("a", "b"), work("b", "a")])
      )
      assert.sameMembers(circle["ids"] as Array<string>, ["a", "b"])
      yield* refused(400, "dependency_cycle", send("POST", "/api/v1/tasks", work("own", "own")))
      const { json } = yield* get("/api/v1/tasks")
      assert.deepInclude(json, { tasks: [] })
    }).pipe(Effect.provide(idle)))

  for (
    const [title, fields] of [
      ["a text", { after: "a" }],
      ["a number in it", { after: [1] }],
      ["an empty id", { after: [""] }],
      ["an id of too many characters", { after: ["x".repeat(256)] }],
      ["more ids than may be", { after: Array.from({ length: 100_001 }, () => "a") }],
      ["another spelling", { After: ["a"] }],
      ["a field of programs", { dependsOn: ["a"] }],
      ["no policy", { after: ["a"], on_failure: "ignore" }],
      ["the policy's name in programs", { after: ["a"], onFailure: "run" }],
      ["what only answers have", { waits_for: 1 }]
    ] as const
  ) {
    it.live(`are refused with ${title}`, () =>
      Effect.gen(function*() {
        yield* posted(work("a"))
        const { issues } = yield* refused(
          400,
          "invalid_request",
          send("POST", "/api/v1/tasks", { type: "work", ...fields })
        )
        assert.isNotEmpty(issues as Array<object>)
      }).pipe(Effect.provide(idle)))
  }

  it.live("list what they wait for, in pages, with states", () =>
    Effect.gen(function*() {
      yield* postedAll([work("a"), work("b"), work("c"), work("sum", "c", "a", "b")])
      yield* expecting(200, send("POST", "/api/v1/tasks/a/cancel"))
      const [c, a] = [
        { id: "c", type: "work", status: "pending", waits_for: 0 },
        { id: "a", type: "work", status: "cancelled", waits_for: 0 }
      ]
      const first = yield* dependencies("sum", "?limit=2")
      assert.deepInclude(first, { id: "sum", on_failure: "fail", waits_for: 0, total: 3, tasks: [c, a] })
      const { next } = first as { readonly next: string }
      const second = yield* dependencies("sum", `?limit=2&cursor=${next}`)
      assert.deepInclude(second, { tasks: [{ ...c, id: "b" }], next: null })
      assert.deepStrictEqual(yield* dependencies("a"), {
        id: "a",
        on_failure: null,
        waits_for: 0,
        total: 0,
        tasks: [],
        next: null
      })
    }).pipe(Effect.provide(idle)))

  it.live("are listed with what they wait for", () =>
    Effect.gen(function*() {
      yield* postedAll([work("a"), work("b", "a"), work("c", "a", "b")])
      const all = yield* dependents("a")
      assert.sameDeepMembers([...all.tasks], [
        { id: "b", type: "work", status: "scheduled", waits_for: 1 },
        { id: "c", type: "work", status: "scheduled", waits_for: 2 }
      ] as never)
      assert.isTrue(all.complete)
      const some = yield* dependents("a", "?limit=1")
      assert.lengthOf(some.tasks, 1)
      assert.isFalse(some.complete)
      const rest = yield* dependents("a", `?limit=1&cursor=${some.next}`)
      assert.sameMembers([...some.tasks, ...rest.tasks].map(({ id }) => id), ["b", "c"])
      assert.deepInclude(rest, { complete: true, next: null })
      assert.deepStrictEqual(yield* dependents("c"), { id: "c", tasks: [], complete: true, next: null } as never)
      for (const path of ["dependencies", "dependents"]) {
        yield* refused(404, "task_not_found", get(`/api/v1/tasks/nothing/${path}`))
        yield* refused(404, "task_not_found", get(`/api/v1/tasks/%00/${path}`))
        yield* refused(400, "invalid_request", get(`/api/v1/tasks/a/${path}?limit=none`))
      }
      yield* refused(400, "invalid_request", get("/api/v1/tasks/a/dependencies?cursor=1"))
      yield* refused(400, "invalid_request", get("/api/v1/tasks/a/dependents?cursor=1"))
    }).pipe(Effect.provide(idle)))

  it.live("are cancelled and run again with all that depend on them, or are connected", () =>
    Effect.gen(function*() {
      yield* postedAll([
        work("a"),
        work("b", "a"),
        { ...work("c", "b"), on_failure: "run" },
        work("other", "b", "alone"),
        work("alone")
      ])
      const branch = (method: "GET" | "POST", path: string) =>
        Effect.map(expecting(200, send(method, `/api/v1/tasks/${path}`)), ({ json }) => json)
      assert.deepStrictEqual(yield* branch("GET", "b/branch"), { members: 3, own: 0, complete: true })
      assert.deepStrictEqual(yield* branch("GET", "b/branch?scope=graph"), { members: 5, own: 0, complete: true })
      assert.deepStrictEqual(yield* branch("POST", "b/branch/cancel"), {
        members: 3,
        cancelled: 3,
        requested: 0,
        finished: 0,
        unknown: 0,
        own: 0
      })
      const { json: a } = yield* get("/api/v1/tasks/a")
      assert.deepInclude(a, { status: "pending" })
      assert.deepInclude(yield* branch("POST", "a/branch/cancel?scope=graph"), { cancelled: 2, finished: 3 })
      assert.deepInclude(yield* branch("POST", "b/branch/rerun"), { rerun: 1, blocked: 2, blocked_by: ["a", "b"] })
      assert.deepInclude(yield* branch("POST", "a/branch/rerun?scope=graph&completed=true"), {
        members: 5,
        rerun: 4,
        waiting: 1,
        blocked: 0
      })
      const { json: c } = yield* get("/api/v1/tasks/c")
      assert.deepInclude(c, { status: "scheduled", waits_for: 1 })
      yield* branch("POST", "a/branch/cancel?scope=graph")
      const before = "2020-01-01T00:00:00Z"
      assert.deepInclude(yield* branch("POST", `a/branch/rerun?ended_before=${before}`), { rerun: 0, recent: 4 })
      for (const path of ["branch/cancel", "branch/rerun"]) {
        yield* refused(404, "task_not_found", send("POST", `/api/v1/tasks/nothing/${path}`))
        yield* refused(404, "task_not_found", send("POST", `/api/v1/tasks/%00/${path}`))
        yield* refused(400, "invalid_request", send("POST", `/api/v1/tasks/a/${path}?scope=all`))
      }
      yield* refused(400, "invalid_request", send("POST", "/api/v1/tasks/a/branch/rerun?completed=1"))
      yield* refused(400, "invalid_request", send("POST", "/api/v1/tasks/a/branch/rerun?ended_before=now"))
    }).pipe(Effect.provide(idle)))

  it.live("tell the graph of all that are connected, the nearest first where they are many", () =>
    Effect.gen(function*() {
      yield* postedAll([work("a"), work("b", "a"), work("c", "a"), work("d", "b", "c"), work("alone")])
      const graphOf = (id: string) => decoded(GraphJson, get(`/api/v1/tasks/${id}/graph`))
      for (const id of ["a", "c", "d"]) {
        const { complete, edges, tasks } = yield* graphOf(id)
        assert.isTrue(complete)
        assert.strictEqual(tasks[0]!.id, id)
        assert.deepStrictEqual(
          edges.map(([from, to]) => `${tasks[from]!.id}-${tasks[to]!.id}`).toSorted(),
          ["a-b", "a-c", "b-d", "c-d"],
          id
        )
      }
      assert.deepInclude((yield* graphOf("d")).tasks[0], { type: "work", status: "scheduled", waits_for: 2 })
      assert.deepStrictEqual(yield* graphOf("alone"), {
        id: "alone",
        tasks: [{ id: "alone", type: "work", status: "pending", waits_for: 0 }],
        edges: [],
        complete: true
      })
      yield* refused(404, "task_not_found", get("/api/v1/tasks/nothing/graph"))
      yield* postedAll([
        work("top"),
        ...Array.from({ length: 600 }, (_, index) => work(`first-${index}`, "top")),
        ...Array.from({ length: 600 }, (_, index) => work(`second-${index}`, `first-${index}`))
      ])
      const { complete, edges, tasks } = yield* graphOf("top")
      assert.isFalse(complete)
      assert.strictEqual(tasks.length, 1000)
      assert.strictEqual(tasks.filter(({ id }) => id.startsWith("first-")).length, 600)
      assert.strictEqual(edges.length, 999)
      assert.isTrue(edges.flat().every((place) => tasks[place] !== undefined))
    }).pipe(Effect.provide(layer({ definitions: [Work], store: MemoryStore.layer({ capacity: 2000 }) }))))
})

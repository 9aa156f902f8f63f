import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { ExplanationJson } from "../../src/http/api/ExplanationJson.ts"
import { TaskJson, type TaskPageJson } from "../../src/http/api/TaskJson.ts"
import { VerdictJson } from "../../src/http/api/VerdictJson.ts"
import * as Task from "../../src/Task.ts"
import {
  Count,
  decoded,
  expecting,
  get,
  layer,
  page,
  pathOf,
  posted,
  postedAll,
  refused,
  send,
  task,
  Tick
} from "./TestServer.ts"

const idsOf = (query: string) => Effect.map(page(query), ({ tasks }) => tasks.map(({ id }) => id))

class Refused extends Schema.TaggedError<Refused>()("Refused", { by: Schema.String }) {}

const Fickle = Task.make("echo", { payload: Schema.Json, success: Schema.Json, error: Refused })

/** Echoes, fails for `"fail"`, throws for `"throw"`, never ends for `"hang"`. */
const handlers = Layer.mergeAll(
  Fickle.toLayer((payload) =>
    payload === "fail"
      ? Effect.fail(new Refused({ by: "nobody" }))
      : payload === "leak"
      ? Effect.fail(new Refused({ by: "https://ada:hunter2@example.org/?page=2&token=hunter2" }))
      : payload === "throw"
      ? Effect.die(new TypeError("x is not a function"))
      : payload === "hang"
      ? Effect.never
      : Effect.succeed(payload)
  ),
  Count.toLayer(() => Effect.void),
  Tick.toLayer(() => Effect.void)
)

/** The task once it has this status. */
const reaches = Effect.fnUntraced(function*({ id }: TaskJson, status: TaskJson["status"]) {
  for (let reads = 0; reads < 500; reads++) {
    const found = yield* task(id)
    if (found.status === status) return found
  }
  return assert.fail(`Task ${id} never became ${status}`)
})

const cancel = ({ id }: TaskJson) => Effect.map(expecting(200, send("POST", pathOf(id, "/cancel"))), ({ json }) => json)

describe("GET /api/v1/tasks", () => {
  it.effect("filters by status, type and queue, with commas or repeated", () =>
    Effect.gen(function*() {
      yield* postedAll([
        { type: "echo", id: "a" },
        { type: "count", id: "b", payload: { n: 1 } },
        { type: "tick", id: "c", delay: "1h" },
        { type: "echo", id: "d", queue: "slow" }
      ])
      assert.deepStrictEqual(yield* idsOf(""), ["d", "c", "b", "a"])
      assert.deepStrictEqual(yield* idsOf("?status=scheduled"), ["c"])
      assert.deepStrictEqual(yield* idsOf("?status=scheduled,pending&type=tick,count"), ["c", "b"])
      assert.deepStrictEqual(yield* idsOf("?type=tick&type=count"), ["c", "b"])
      assert.deepStrictEqual(yield* idsOf("?queue=slow,numbers"), ["d", "b"])
      assert.deepStrictEqual(yield* idsOf("?status=failed"), [])
    }).pipe(Effect.provide(layer())))

  it.effect("finds names that have commas, quotes and spaces", () =>
    Effect.gen(function*() {
      const names = ["a,b", "a", "b", `say "hi"`, ` x `, `"`, `"a","b"`, ","]
      yield* postedAll(names.map((queue, index) => ({ type: "echo", id: `t${index}`, queue })))
      const find = (...queries: ReadonlyArray<string>) =>
        idsOf(`?${queries.map((query) => `queue=${encodeURIComponent(query)}`).join("&")}`)
      assert.deepStrictEqual(yield* find("a,b"), ["t2", "t1"])
      assert.deepStrictEqual(yield* find(`"a,b"`), ["t0"])
      assert.deepStrictEqual(yield* find(`"a,b", b`), ["t2", "t0"])
      assert.deepStrictEqual(yield* find("b", ` "a,b" `), ["t2", "t0"])
      assert.deepStrictEqual(yield* find(`"say ""hi"""," x "`), ["t4", "t3"])
      assert.deepStrictEqual(yield* find(`say "hi"`, `"`), ["t5", "t3"])
      assert.deepStrictEqual(yield* find(`"""a"",""b"""`, `","`), ["t7", "t6"])
      // a quote that is never closed keeps nothing together
      assert.deepStrictEqual(yield* find(`",a`), ["t5", "t1"])
    }).pipe(Effect.provide(layer())))

  it.effect("leaves long payloads out of a brief list, and says so", () =>
    Effect.gen(function*() {
      yield* postedAll([{ type: "echo", id: "long", payload: "w".repeat(2000) }, {
        type: "echo",
        id: "short",
        payload: 7
      }])
      const [short, long] = (yield* page("?brief=true")).tasks
      assert.deepInclude(short, { id: "short", payload: 7 })
      assert.notProperty(short, "left_out")
      assert.deepInclude(long, { id: "long", payload: null, left_out: ["payload"] })
      const [, whole] = (yield* page("?brief=false")).tasks
      assert.deepInclude(whole, { payload: "w".repeat(2000) })
      assert.notProperty(whole, "left_out")
    }).pipe(Effect.provide(layer())))

  it.effect("goes through all tasks by pages", () =>
    Effect.gen(function*() {
      yield* postedAll(Array.from({ length: 7 }, (_, n) => ({ type: "echo", id: `t${n}` })))
      const seen: Array<string> = []
      let next: string | null = ""
      while (next !== null) {
        const found: typeof TaskPageJson.Type = yield* page(`?limit=3${next === "" ? "" : `&cursor=${next}`}`)
        assert.isAtMost(found.tasks.length, 3)
        seen.push(...found.tasks.map(({ id }) => id))
        next = found.next
      }
      assert.deepStrictEqual(seen, ["t6", "t5", "t4", "t3", "t2", "t1", "t0"])
      assert.isNull((yield* page("?limit=7")).next)
      assert.isNull((yield* page()).next)
    }).pipe(Effect.provide(layer())))

  it.effect("refuses a cursor that was made up, or comes from a page with another filter", () =>
    Effect.gen(function*() {
      yield* postedAll(Array.from({ length: 4 }, (_, n) => ({ type: n % 2 === 0 ? "echo" : "tick", id: `t${n}` })))
      const next = (yield* page("?limit=1&type=echo,tick&status=pending,scheduled")).next!
      const same = `&type=tick&type=echo&type=tick&status=scheduled,pending`
      assert.deepStrictEqual(yield* idsOf(`?limit=2&cursor=${next}${same}`), ["t2", "t1"])
      const [seq, checksum] = next.split(".")
      for (
        const [cursor, filter] of [
          [next, ""],
          [next, "&type=echo,tick"],
          [next, `${same}&queue=default`],
          [`${Number.parseInt(seq!, 36) + 1}.${checksum}`, same],
          [`${seq}.0`, same],
          [seq!, same]
        ] as const
      ) {
        const error = yield* refused(400, "invalid_request", get(`/api/v1/tasks?cursor=${cursor}${filter}`))
        assert.deepStrictEqual(error.issues?.[0]?.path, ["query", "cursor"])
      }
    }).pipe(Effect.provide(layer())))

  it.effect.each<[query: string, name: string]>([
    ["?cursor=%21%21", "cursor"],
    ["?cursor=", "cursor"],
    ["?limit=0", "limit"],
    ["?limit=1001", "limit"],
    ["?limit=ten", "limit"],
    ["?status=done", "status"],
    ["?state=failed", "state"]
  ])("refuses %s", ([query, name]) =>
    Effect.gen(function*() {
      const error = yield* refused(400, "invalid_request", get(`/api/v1/tasks${query}`))
      assert.deepStrictEqual(error.issues?.[0]?.path.slice(0, 2), ["query", name])
    }).pipe(Effect.provide(layer())))
})

describe("one task", () => {
  it.effect("is unknown to every route that takes an id", () =>
    Effect.gen(function*() {
      for (
        const [method, action] of [["GET", ""], ["DELETE", ""], ["POST", "/cancel"], ["POST", "/rerun"]] as const
      ) {
        const error = yield* refused(404, "task_not_found", send(method, pathOf("unknown", action)))
        assert.strictEqual(error["id"], "unknown")
      }
    }).pipe(Effect.provide(layer())))

  it.effect("shows its result, attempt and instance once it ran", () =>
    Effect.gen(function*() {
      const done = yield* reaches(yield* posted({ type: "echo", payload: { deep: [1] } }), "completed")
      assert.deepInclude(done, { result: { deep: [1] }, attempts: 1, instance: "w", error: null })
      assert.isString(done.started_at)
      assert.isString(done.completed_at)
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("shows a declared error with its details, and a defect without its stack", () =>
    Effect.gen(function*() {
      const failed = yield* reaches(yield* posted({ type: "echo", payload: "fail", max_retries: 0 }), "failed")
      assert.deepInclude(failed.error, { kind: "error", tag: "Refused", details: { _tag: "Refused", by: "nobody" } })
      const threw = yield* reaches(yield* posted({ type: "echo", payload: "throw", max_retries: 0 }), "failed")
      assert.deepStrictEqual(threw.error, { kind: "defect", tag: "TypeError", message: "x is not a function" })
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("shows the details of a declared error without secrets in URLs", () =>
    Effect.gen(function*() {
      const { error } = yield* reaches(yield* posted({ type: "echo", payload: "leak", max_retries: 0 }), "failed")
      assert.deepStrictEqual(error?.details, { _tag: "Refused", by: "https://***@example.org/?page=2&token=***" })
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("shows its earlier attempts", () =>
    Effect.gen(function*() {
      const created = yield* posted({ type: "echo", payload: "fail" })
      const retried = yield* reaches(created, "scheduled")
      assert.deepInclude(retried, { failures: 1, retry_count: 1, attempts: 1 })
      assert.deepInclude(retried.history[0], { claim: 1, instance: "w", outcome: "failed" })
      assert.strictEqual(retried.history[0]?.error?.tag, "Refused")
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("can be cancelled while it waits and while it runs", () =>
    Effect.gen(function*() {
      const waiting = yield* posted({ type: "echo", delay: "1h" })
      assert.deepStrictEqual(yield* cancel(waiting), { status: "cancelled" })
      assert.deepStrictEqual(yield* cancel(waiting), { status: "finished" })
      const running = yield* reaches(yield* posted({ type: "echo", payload: "hang" }), "running")
      assert.deepStrictEqual(yield* cancel(running), { status: "requested" })
      yield* reaches(running, "cancelled")
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("is cancelled by DELETE while unfinished, and removed once finished", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo", delay: "1h" })
      const removing = expecting(204, send("DELETE", pathOf(id)))
      assert.strictEqual((yield* removing).text, "")
      assert.strictEqual((yield* task(id)).status, "cancelled")
      yield* removing
      yield* refused(404, "task_not_found", get(pathOf(id)))
    }).pipe(Effect.provide(layer())))

  it.effect("can be run again once it failed or was cancelled, not before", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo", delay: "1h" })
      const retrying = send("POST", pathOf(id, "/rerun"))
      const error = yield* refused(409, "state_conflict", retrying)
      assert.deepInclude(error, { id, operation: "rerun", status: "scheduled" })
      yield* expecting(204, send("DELETE", pathOf(id)))
      assert.deepInclude(yield* decoded(TaskJson, retrying), { id, status: "pending" })
    }).pipe(Effect.provide(layer())))
})

describe("PATCH /api/v1/tasks/{id}", () => {
  const patch = (id: string, change: unknown) => send("PATCH", pathOf(id), change)

  it.effect("changes a task that waits, and answers it", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "count", payload: { n: 1 }, delay: "1h" })
      const changed = yield* decoded(TaskJson, patch(id, { payload: { n: 2 }, priority: "high", delay: "5s" }))
      assert.deepStrictEqual([changed.payload, changed.priority, changed.status], [{ n: 2 }, 2, "scheduled"])
      assert.deepStrictEqual(yield* task(id), changed)
      const now = yield* decoded(TaskJson, patch(id, { run_at: "1970-01-01T00:00:00Z" }))
      assert.strictEqual(now.status, "pending")
    }).pipe(Effect.provide(layer())))

  it.effect("refuses what does not fit, and leaves a finished task as it is", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "count", payload: { n: 1 } })
      const before = yield* task(id)
      for (
        const change of [{}, { payload: { n: "x" } }, { priority: 10 }, { delay: "1s", run_at: "2000-01-01T00:00:00Z" }]
      ) {
        yield* refused(400, "payload" in change ? "invalid_payload" : "invalid_request", patch(id, change))
      }
      yield* refused(404, "task_not_found", patch("none", { delay: "1s" }))
      assert.deepStrictEqual(yield* task(id), before)
      yield* cancel(before)
      const error = yield* refused(409, "state_conflict", patch(id, { delay: "1s" }))
      assert.deepInclude(error, { id, operation: "reschedule", status: "cancelled" })
    }).pipe(Effect.provide(layer())))
})

describe("start_within over HTTP", () => {
  it.effect("is taken with a task and changed with it, and answered as start_by", () =>
    Effect.gen(function*() {
      const plain = yield* posted({ type: "count", payload: { n: 1 } })
      assert.isNull(plain.start_by)
      const timed = yield* posted({ type: "count", payload: { n: 1 }, delay: "1h", start_within: "90s" })
      const leftMs = ({ due_at, start_by }: TaskJson) => Date.parse(start_by!) - Date.parse(due_at)
      assert.strictEqual(leftMs(timed), 90_000)
      assert.deepStrictEqual(yield* task(timed.id), timed)
      const change = (given: object) => decoded(TaskJson, send("PATCH", pathOf(timed.id), given))
      assert.strictEqual(leftMs(yield* change({ start_within: 500 })), 500)
      const now = yield* change({ delay: "0s", start_within: "1m" })
      assert.deepStrictEqual([leftMs(now), now.status], [60_000, "pending"])
      const { deadline } = yield* decoded(ExplanationJson, get(`${pathOf(timed.id)}/explain`))
      assert.strictEqual(deadline?.start_by, now.start_by)
      assert.isBelow(deadline!.late_ms, 0)
      assert.match(deadline!.text, /^It should start within /)
      assert.deepStrictEqual((yield* decoded(VerdictJson, get("/api/v1/explain"))).starts, {
        timed: 1,
        late: 0,
        max_late_ms: 0
      })
    }).pipe(Effect.provide(layer())))

  it.effect("is counted at /metrics when its task starts", () =>
    Effect.gen(function*() {
      yield* reaches(yield* posted({ type: "echo", start_within: "1h" }), "completed")
      yield* reaches(yield* posted({ type: "echo" }), "completed")
      const past = { type: "echo", run_at: "1969-01-01T00:00:00Z", start_within: "1h" }
      yield* reaches(yield* posted(past), "completed")
      const { text } = yield* expecting(200, get("/metrics"))
      const lines = text.split("\n").filter((line) => line.startsWith("taskforge_task_starts_total{"))
      for (const outcome of ["in_time", "late"]) {
        const found = lines.filter((line) => line.includes(`queue="default"`) && line.includes(`outcome="${outcome}"`))
        assert.strictEqual(found.length, 1)
        assert.match(found[0]!, /type="echo".* 1$/)
      }
    }).pipe(Effect.provide(layer({ handlers }))))

  it.effect("is refused where it says no time", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "count", payload: { n: 1 } })
      for (const start_within of [0, "0s", -1, "soon", "3651 days", "Infinity", null, true, {}, 1e300]) {
        const given = { type: "count", payload: { n: 1 }, start_within }
        const error = yield* refused(400, "invalid_request", send("POST", "/api/v1/tasks", given))
        assert.include(JSON.stringify(error), "start_within")
        yield* refused(400, "invalid_request", send("PATCH", pathOf(id), { start_within }))
      }
      const typo = { type: "count", payload: { n: 1 }, startWithin: "1s" }
      yield* refused(400, "invalid_request", send("POST", "/api/v1/tasks", typo))
      assert.isNull((yield* task(id)).start_by)
    }).pipe(Effect.provide(layer())))
})

describe("unique tasks over HTTP", () => {
  it.effect("are answered as they are stored, and say what has become of them", () =>
    Effect.gen(function*() {
      const unique = { key: "k", postpone: { by: "10s", max_delay: "1m" } }
      const first = yield* posted({ type: "count", payload: { n: 1 }, unique })
      assert.strictEqual(first.status, "scheduled")
      const { json } = yield* expecting(
        200,
        send("POST", "/api/v1/tasks", { type: "count", payload: { n: 2 }, unique })
      )
      assert.deepInclude(json, { id: first.id, duplicate: true, merge: "postponed", payload: { n: 2 } })
      const refusing = { key: "k", window: "waiting", on_conflict: "refuse" }
      const error = yield* refused(
        409,
        "key_conflict",
        send("POST", "/api/v1/tasks", { type: "count", payload: { n: 3 }, unique: refusing })
      )
      assert.deepInclude(error, { key: "k", id: first.id, status: "scheduled" })
      for (const wrong of [{ ...unique, window: "always" }, { key: "k", on_conflict: "postpone" }, { window: "1m" }]) {
        yield* refused(
          400,
          "invalid_request",
          send("POST", "/api/v1/tasks", { type: "count", payload: { n: 4 }, unique: wrong })
        )
      }
    }).pipe(Effect.provide(layer())))

  it.effect("cannot run again once a later one has their key", () =>
    Effect.gen(function*() {
      const first = yield* posted({ type: "echo", unique: { key: "k" } })
      yield* cancel(first)
      yield* posted({ type: "echo", unique: { key: "k" } })
      yield* refused(409, "task_superseded", send("POST", pathOf(first.id, "/rerun")))
      const { json } = yield* expecting(200, send("POST", "/api/v1/rerun", { ids: [first.id] }))
      assert.deepStrictEqual(json, { results: [{ id: first.id, status: "superseded" }] })
    }).pipe(Effect.provide(layer())))
})

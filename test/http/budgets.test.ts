/** What is stored and answered has a bound in bytes: a server with a small heap survives each request. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import type { TaskJson, TaskPageJson, TaskResultJson } from "../../src/http/api/TaskJson.ts"
import * as Server from "../e2e/Server.ts"
import { patiently } from "../Patience.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"

/** The payload that one task of these tests has: nearly what a body may have. */
const large = "x".repeat(1_000_000)

/** The answers' budget, and one task beyond it. */
const maxAnswerBytes = 8 * 1024 * 1024 + 2_100_000

const start = (environment: Server.Environment = {}) =>
  Effect.flatMap(Server.directory, (directory) =>
    Server.start(directory, {
      TASKFORGE_REQUEST_LOG: "0",
      // Far less than what is stored
      NODE_OPTIONS: "--max-old-space-size=160",
      ...environment
    }))

/** An answer as text, which has to come in time. */
const answered = (url: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(30_000),
      ...(body === undefined
        ? {}
        : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
    })
    const text = await response.text()
    assert.isBelow(response.status, 300, text.slice(0, 500))
    return { text, status: response.status }
  })

const parsed = <A>(text: string): A => JSON.parse(text) as A

/** A server that has stored and run 60 large tasks, and their ids. */
class Large extends Context.Service<Large, {
  readonly server: Server.Server
  readonly ids: ReadonlyArray<string>
}>()("taskforge/test/Large") {
  static readonly layer = Layer.effect(
    Large,
    Effect.gen(function*() {
      const server = yield* start()
      const ids: Array<string> = []
      for (let index = 0; index < 60; index++) {
        const [id] = yield* server.post([{ type: "echo", payload: large }])
        ids.push(id!)
      }
      yield* Server.until(
        "all are completed",
        Effect.map(server.stats, ({ totals }) => totals.completed === ids.length)
      )
      return { server, ids }
    })
  )
}

layer(Large.layer, { excludeTestServices: true })("a server whose tasks are larger than its memory", (it) => {
  it.effect("lists them by pages that fit, each of them once", () =>
    Effect.gen(function*() {
      const { ids, server } = yield* Large
      for (const filter of ["", "&type=echo", "&status=completed"]) {
        const found: Array<string> = []
        let cursor = ""
        do {
          const { text } = yield* answered(`${server.url}/api/v1/tasks?limit=1000${filter}${cursor}`)
          assert.isBelow(text.length, maxAnswerBytes)
          const { next, tasks } = parsed<typeof TaskPageJson.Type>(text)
          assert.isAbove(tasks.length, 0)
          for (const task of tasks) assert.strictEqual((task.result as string).length, large.length)
          found.push(...tasks.map(({ id }) => id))
          cursor = next === null ? "" : `&cursor=${next}`
        } while (cursor !== "")
        assert.deepStrictEqual(found, ids.toReversed())
      }
    }))

  it.effect("answers the results that fit, says which do not, and answers an id once", () =>
    Effect.gen(function*() {
      const { ids, server } = yield* Large
      const repeated = yield* answered(`${server.url}/api/v1/results`, { ids: Array(1000).fill(ids[0]) })
      const { results } = parsed<{ readonly results: ReadonlyArray<TaskResultJson> }>(repeated.text)
      assert.deepStrictEqual(results.map(({ id }) => id), [ids[0]])

      const found: Array<string> = []
      let left: ReadonlyArray<string> = ids
      while (left.length > 0) {
        const { text } = yield* answered(`${server.url}/api/v1/results`, { ids: left })
        assert.isBelow(text.length, maxAnswerBytes)
        const answer = parsed<{
          readonly results: ReadonlyArray<TaskResultJson>
          readonly left_out?: ReadonlyArray<string>
        }>(text)
        assert.isAbove(answer.results.length, 0)
        found.push(...answer.results.map(({ id }) => id))
        left = answer.left_out ?? []
      }
      assert.deepStrictEqual(found, ids)
    }))

  it.effect("answers a batch whose tasks all exist already", () =>
    Effect.gen(function*() {
      const { ids, server } = yield* Large
      const tasks = ids.slice(0, 30).map((id) => ({ type: "echo", id }))
      const again = Array.from({ length: 200 }, () => tasks).flat()
      const { status, text } = yield* answered(`${server.url}/api/v1/tasks`, again)
      assert.strictEqual(status, 200)
      assert.isBelow(text.length, maxAnswerBytes)
      const created = parsed<ReadonlyArray<Partial<TaskJson> & { readonly duplicate?: true }>>(text)
      assert.deepStrictEqual(created.map(({ id }) => id), again.map(({ id }) => id))
      assert.isTrue(created.every(({ duplicate }) => duplicate === true))
    }))
})

/** Bodies that are wrong everywhere, or in one large place. */
const wrong: ReadonlyArray<readonly [path: string, body: string]> = [
  ["/api/v1/tasks", `[${Array(300_000).fill("{}").join(",")}]`],
  [
    "/api/v1/tasks",
    `[${Array(10_000).fill(`{"type":5,"priority":"x","key":7,"id":8,"queue":9,"a":1,"b":2}`).join(",")}]`
  ],
  ["/api/v1/tasks", `{"type":"echo",${Array.from({ length: 80_000 }, (_, n) => `"k${n}":0`).join(",")}}`],
  ["/api/v1/tasks", `{"type":"email","payload":{${Array.from({ length: 80_000 }, (_, n) => `"k${n}":0`).join(",")}}}`],
  ["/api/v1/tasks", `{"type":"email","payload":{"to":[${Array(300_000).fill("1").join(",")}]}}`],
  ["/api/v1/results", `{"ids":[${Array(300_000).fill("1").join(",")}]}`],
  ["/submit", `{"id":[${Array(300_000).fill("1").join(",")}]}`],
  ...["type", "key", "id", "queue", "priority", "delay", "run_at", "timeout", "f".repeat(100_000)].map((field) =>
    ["/api/v1/tasks", JSON.stringify({ type: "echo", [field]: large.slice(100_000) })] as const
  ),
  ["/api/v1/tasks", `{"type":"sleep","payload":{"duration":"${large.slice(100_000)}"}}`],
  ["/api/v1/tasks", `{"type":"${large.slice(100_000)}" x`]
]

describe("a server that is sent what is wrong everywhere", () => {
  it.live("answers each with few issues, and sends nothing large back", () =>
    Effect.gen(function*() {
      const server = yield* start()
      for (const [path, body] of wrong) {
        const what = `${path} ${body.slice(0, 60)}`
        const { status, text } = yield* Effect.promise(async () => {
          const response = await fetch(`${server.url}${path}`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body,
            signal: AbortSignal.timeout(20_000)
          })
          return { status: response.status, text: await response.text() }
        })
        assert.strictEqual(status, 400, what)
        assert.isBelow(text.length, 5000, what)
      }
      assert.strictEqual((yield* server.stats).totals.created, 0)
      yield* Server.stop(server)
    }).pipe(Effect.scoped))

  it.live("ignores small messages of a WebSocket and closes one that sends a large one", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const code = yield* Effect.promise(() =>
        new Promise<number>((resolve) => {
          const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`)
          socket.addEventListener("open", () => {
            socket.send("x".repeat(1000))
            socket.send("x".repeat(5000))
          })
          socket.addEventListener("close", (event) => resolve(event.code))
        })
      )
      assert.strictEqual(code, 1009)
      yield* Server.stop(server)
    }).pipe(Effect.scoped))
})

/** A POST or a DELETE, and what was answered, whatever that is. */
const sent = (url: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(30_000),
      ...(body === undefined
        ? { method: "DELETE" }
        : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
    })
    const { status } = response
    const text = await response.text()
    return { status, retryAfter: response.headers.get("retry-after"), body: text === "" ? undefined : JSON.parse(text) }
  })

/** The setting `TASKFORGE_QUEUE_MAX_SIZE` on each store: two of these tasks fit, and no third one. */
const bounded = (name: string, settings: Effect.Effect<Server.Environment, unknown, Scope.Scope>): void => {
  describe(`a server on ${name} whose tasks may have 2 MiB together`, () => {
    it.live("refuses what does not fit, and accepts it when a task is removed", () =>
      Effect.gen(function*() {
        const server = yield* start({ TASKFORGE_QUEUE_MAX_SIZE: "2", ...(yield* settings) })
        const tasks = `${server.url}/api/v1/tasks`
        const task = (id: string, size: number) => ({ type: "echo", id, delay: "1h", payload: "x".repeat(size) })
        for (const id of ["a", "b"]) assert.strictEqual((yield* sent(tasks, task(id, 750_000))).status, 201)

        const full = yield* sent(tasks, [task("c", 10), task("d", 750_000)])
        assert.deepStrictEqual([full.status, full.retryAfter], [503, "1"])
        assert.deepInclude(full.body.error, { code: "queue_full", unfinished: 2, offered: 2 })
        assert.deepInclude(full.body.error.size, { max_bytes: 2 * 1024 * 1024, offered_bytes: 750_014 })
        assert.isAtLeast(full.body.error.size.stored_bytes, 1_500_000)
        assert.strictEqual((yield* server.stats).totals.created, 2)
        assert.strictEqual((yield* sent(tasks, task("c", 10))).status, 201)

        yield* Server.request(`${tasks}/a/cancel`, {})
        assert.strictEqual((yield* sent(`${tasks}/a`)).status, 204)
        const again = yield* Effect.repeat(sent(tasks, task("d", 750_000)), {
          until: ({ status }) => status !== 503,
          schedule: patiently()
        })
        assert.strictEqual(again.status, 201)
        yield* Server.stop(server)
      }).pipe(Effect.scoped))
  })
}

bounded("SQLite", Effect.succeed({}))

bounded("memory", Effect.succeed({ STORE_URL: "memory:" }))

await withServer(
  "PostgreSQL",
  Postgres.find,
  (server) => bounded("PostgreSQL", Effect.map(Postgres.scratchDatabase(server), (STORE_URL) => ({ STORE_URL })))
)

await withServer("Redis", Redis.find, (server) =>
  bounded(
    "Redis",
    Effect.map(Redis.scratchPrefix(server), (prefix) => ({ STORE_URL: server.url, TASKFORGE_NAMESPACE: prefix }))
  ))

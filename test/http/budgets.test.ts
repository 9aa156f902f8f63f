/** Answers have a bound in bytes, whatever is asked for: a server with a small heap survives each request. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TaskJson, TaskPageJson, TaskResultJson } from "../../src/http/api/TaskJson.ts"
import * as Server from "../e2e/Server.ts"

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

const completed = (server: Server.Server, count: number) =>
  Server.until(`${count} are completed`, Effect.map(server.stats, ({ totals }) => totals.completed === count))

describe("a server whose tasks are larger than its memory", () => {
  it.live("lists them by pages that fit, each of them once", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const ids: Array<string> = []
      for (let index = 0; index < 60; index++) {
        const [id] = yield* server.post([{ type: "echo", payload: large }])
        ids.push(id!)
      }
      yield* completed(server, ids.length)
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
      yield* Server.stop(server)
    }).pipe(Effect.scoped), 120_000)

  it.live("answers the results that fit, says which do not, and answers an id once", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const ids: Array<string> = []
      for (let index = 0; index < 60; index++) {
        const [id] = yield* server.post([{ type: "echo", payload: large }])
        ids.push(id!)
      }
      yield* completed(server, ids.length)

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
      yield* Server.stop(server)
    }).pipe(Effect.scoped), 120_000)

  it.live("answers a batch whose tasks all exist already", () =>
    Effect.gen(function*() {
      const server = yield* start()
      const tasks: Array<{ readonly type: string; readonly id: string }> = []
      for (let index = 0; index < 30; index++) {
        const [id] = yield* server.post([{ type: "echo", payload: large }])
        tasks.push({ type: "echo", id: id! })
      }
      yield* completed(server, tasks.length)
      const again = Array.from({ length: 200 }, () => tasks).flat()
      const { status, text } = yield* answered(`${server.url}/api/v1/tasks`, again)
      assert.strictEqual(status, 200)
      assert.isBelow(text.length, maxAnswerBytes)
      const created = parsed<ReadonlyArray<Partial<TaskJson> & { readonly duplicate?: true }>>(text)
      assert.deepStrictEqual(created.map(({ id }) => id), again.map(({ id }) => id))
      assert.isTrue(created.every(({ duplicate }) => duplicate === true))
      yield* Server.stop(server)
    }).pipe(Effect.scoped), 120_000)
})

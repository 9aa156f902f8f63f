import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Bounds from "../../src/domain/Bounds.ts"
import * as Cursor from "../../src/domain/Cursor.ts"
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import { QueueDetailJson, QueuePageJson, TypePageJson } from "../../src/http/api/QueuesApi.ts"
import { StatsJson } from "../../src/http/api/SystemApi.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { add } from "../store/conformance/fixtures.ts"
import { decoded, expecting, get, layer, refused, send } from "./TestServer.ts"

const roomy = layer({ store: MemoryStore.layer({ capacity: 10_000 }) })
const queuesPath = "/api/v1/queues"
const pathOf = (queue: string, action = "") => `${queuesPath}/${encodeURIComponent(queue)}${action}`
const page = (query = "") => decoded(QueuePageJson, get(`${queuesPath}${query}`))
const detail = (queue: string, query = "") => decoded(QueueDetailJson, get(`${pathOf(queue)}${query}`))
const types = (query = "") => decoded(TypePageJson, get(`/api/v1/types${query}`))
const many = (count: number) => Array.from({ length: count }, (_, index) => index)

describe("GET /api/v1/queues", () => {
  it.effect("has every queue, however it is named, and each is found by its name", () =>
    Effect.gen(function*() {
      const names = [
        "!",
        "%",
        "%2F",
        "%2f..",
        "&limit=1",
        "+",
        "...",
        "//",
        ":queue",
        "?cursor=x",
        "PAUSE",
        "__proto__",
        "a b",
        "a/b/../c",
        "constructor",
        "pause",
        "x".repeat(255),
        "ä",
        "\ufffd",
        "\u{1F600}"
      ]
      yield* add(
        ...names.map((queue, index): Partial<NewTask> => ({ queue, type: names[index]!, delayMs: index * 1000 }))
      )
      yield* Effect.forEach(names.slice(3, 9), (name) => expecting(204, send("POST", pathOf(name, "/pause"))))
      const { next, paused, queues, timestamp } = yield* page()
      assert.deepStrictEqual(queues.map(({ queue }) => queue), names)
      assert.isNull(next)
      assert.sameMembers(paused.map(({ queue }) => queue), names.slice(3, 9))
      assert.match(timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
      for (const listed of queues) {
        assert.deepInclude(yield* detail(listed.queue), { ...listed, next: null })
        const { queues: [behind] } = yield* page(`?limit=1&cursor=${yield* cursorAt(listed.queue)}`)
        assert.strictEqual(behind?.queue, names[names.indexOf(listed.queue) + 1])
      }
      assert.deepStrictEqual((yield* types()).types.map(({ type }) => type), names)
      const { by_status } = yield* decoded(StatsJson, get("/api/v1/stats"))
      const sum = (all: ReadonlyArray<{ readonly scheduled: number }>) =>
        all.reduce((total, { scheduled }) => total + scheduled, 0)
      assert.deepStrictEqual([sum(queues), sum((yield* types()).types)], [by_status.scheduled, by_status.scheduled])
      assert.strictEqual(by_status.scheduled, names.length - 1)
    }).pipe(Effect.provide(layer())))

  /** The cursor that a page ending with a queue gives. */
  const cursorAt = Effect.fnUntraced(function*(name: string) {
    const { queues } = yield* page()
    const limit = queues.findIndex(({ queue }) => queue === name) + 1
    return encodeURIComponent((yield* page(`?limit=${limit}`)).next ?? Cursor.encodeName("queue", "\u{10ffff}"))
  })

  it.effect("has zeros for a queue that nobody has heard of, and does not list it", () =>
    Effect.gen(function*() {
      const { timestamp: _, ...none } = yield* detail("unheard of")
      assert.deepStrictEqual(none, {
        queue: "unheard of",
        pause: null,
        scheduled: 0,
        pending: 0,
        running: 0,
        waiting_since: null,
        type_count: 0,
        types: [],
        next: null
      })
      assert.deepStrictEqual((yield* page()).queues, [])
      yield* refused(400, "invalid_request", get(pathOf("x".repeat(256))))
      yield* refused(400, "invalid_request", get(pathOf("a\u0000")))
      yield* refused(400, "invalid_request", get(`${queuesPath}/`))
      yield* expecting(404, get(`${queuesPath}/a/b`))
      yield* expecting(404, get("/api/v1/Queues"))
    }).pipe(Effect.provide(layer())))

  it.effect("is answered to HEAD without a body, and to no other method", () =>
    Effect.gen(function*() {
      for (const path of [queuesPath, pathOf("default"), "/api/v1/types"]) {
        const { headers, text } = yield* expecting(200, send("HEAD", path))
        assert.strictEqual(text, "")
        assert.strictEqual(headers["content-type"], "application/json")
        for (const method of ["POST", "PUT", "DELETE"] as const) {
          const { headers } = yield* expecting(405, send(method, path, {}))
          assert.include(headers["allow"], "GET")
        }
      }
    }).pipe(Effect.provide(layer())))

  it.effect.each<[query: string, name: string]>([
    ["?limit=0", "limit"],
    ["?limit=-1", "limit"],
    ["?limit=1001", "limit"],
    ["?limit=1.5", "limit"],
    ["?limit=ten", "limit"],
    ["?limit=", "limit"],
    ["?cursor=", "cursor"],
    ["?cursor=1", "cursor"],
    ["?cursor=queue.", "cursor"],
    ["?cursor=queue.AA", "cursor"],
    ["?cursor=%00", "cursor"],
    [`?cursor=queue.${"YWFh".repeat(86)}`, "cursor"],
    ["?queue=a", "queue"],
    ["?paused=true", "paused"]
  ])("refuses %s", ([query, name]) =>
    Effect.gen(function*() {
      for (const path of [queuesPath, pathOf("default"), "/api/v1/types"]) {
        const error = yield* refused(400, "invalid_request", get(`${path}${query}`))
        assert.deepStrictEqual(error.issues?.[0]?.path.slice(0, 2), ["query", name])
      }
    }).pipe(Effect.provide(layer())))

  it.effect("refuses a cursor of types for queues, and of queues for types", () =>
    Effect.gen(function*() {
      yield* add({ queue: "a", type: "t" }, { queue: "b", type: "u" }, { queue: "a", type: "u" })
      const ofQueues = (yield* page("?limit=1")).next!
      const ofTypes = (yield* types("?limit=1")).next!
      assert.strictEqual((yield* page(`?cursor=${ofQueues}`)).queues[0]?.queue, "b")
      assert.strictEqual((yield* types(`?cursor=${ofTypes}`)).types[0]?.type, "u")
      assert.strictEqual((yield* detail("a", `?cursor=${ofTypes}`)).types[0]?.type, "u")
      yield* refused(400, "invalid_request", get(`${queuesPath}?cursor=${ofTypes}`))
      yield* refused(400, "invalid_request", get(`/api/v1/types?cursor=${ofQueues}`))
      yield* refused(400, "invalid_request", get(`${pathOf("a")}?cursor=${ofQueues}`))
    }).pipe(Effect.provide(layer())))

  it.effect("has at most as much on a page as every answer, whatever the names and however many", () =>
    Effect.gen(function*() {
      // each character takes six bytes in JSON
      const name = (index: number) => `${index}`.padStart(255, "\u0001")
      yield* add(...many(1500).map((index) => ({ queue: name(index), type: name(index) })))
      yield* add(...many(1500).map((index) => ({ queue: "wide", type: name(index) })))
      for (const path of [queuesPath, pathOf("wide"), "/api/v1/types"]) {
        const { text } = yield* expecting(200, get(`${path}?limit=1000`))
        assert.isAbove(Buffer.byteLength(text), 1_000_000)
        assert.isAtMost(Buffer.byteLength(text), Bounds.maxAnswerBytes)
      }
      const first = yield* page("?limit=1000")
      assert.isAtMost(first.queues.flatMap(({ types }) => types).length, 1000)
      const rest = yield* page(`?limit=1000&cursor=${first.next}`)
      assert.lengthOf([...first.queues, ...rest.queues], 1501)
      assert.deepInclude(rest.queues.at(-1), { queue: "wide", pending: 1500, type_count: 1500 })
      assert.isNull(rest.next)
    }).pipe(Effect.provide(roomy)))
})

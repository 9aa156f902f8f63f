import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { UnknownTaskType } from "../../src/domain/Errors.ts"
import { CreatedTaskJson } from "../../src/http/api/TaskJson.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { decoded, layer, page, post, posted, postedAll, refused, task } from "./TestServer.ts"

const countOf = Effect.map(page(), ({ tasks }) => tasks.length)

describe("POST /api/v1/tasks", () => {
  it.effect("answers the stored task", () =>
    Effect.gen(function*() {
      const created = yield* posted({ type: "echo", payload: { to: ["ada", null, 1.5, true] } })
      assert.deepInclude(created, {
        type: "echo",
        payload: { to: ["ada", null, 1.5, true] },
        priority: 1,
        status: "pending",
        started_at: null,
        completed_at: null,
        result: null,
        error: null,
        retry_count: 0,
        max_retries: 3,
        queue: "default",
        key: null,
        history: []
      })
      assert.deepStrictEqual(yield* task(created.id), created)
    }).pipe(Effect.provide(layer())))

  it.effect("takes everything that may be said about a task", () =>
    Effect.gen(function*() {
      const created = yield* posted({
        type: "count",
        payload: { n: 1 },
        priority: "urgent",
        max_retries: -1,
        delay: "1h30m",
        timeout: 2500,
        key: "k",
        id: "mine/or yours?",
        queue: "slow"
      })
      assert.deepInclude(created, {
        id: "mine/or yours?",
        priority: 3,
        status: "scheduled",
        max_retries: -1,
        created_at: "2026-01-01T00:00:00.000Z",
        due_at: "2026-01-01T01:30:00.000Z",
        timeout_ms: 2500,
        key: "k",
        queue: "slow"
      })
      assert.deepStrictEqual(yield* task("mine/or yours?"), created)
      const later = yield* posted({ type: "echo", run_at: "2026-02-01T00:00:00+01:00", priority: 9 })
      assert.deepInclude(later, { due_at: "2026-01-31T23:00:00.000Z", priority: 9 })
      assert.strictEqual((yield* posted({ type: "echo", delay: 1500 })).due_at, "2026-01-01T00:00:01.500Z")
    }).pipe(
      Effect.provide(layer()),
      // Before the server starts: what it does every few seconds would be done for all these years
      (posting) => Effect.andThen(TestClock.setTime(Date.UTC(2026, 0, 1)), posting)
    ))

  it.effect("takes ids of any characters, up to 255", () =>
    Effect.gen(function*() {
      for (const id of ["x".repeat(255), "€".repeat(255), "a b/c?d#e%f", "...", "ünïcode"]) {
        yield* posted({ type: "echo", id })
        assert.strictEqual((yield* task(id)).id, id)
      }
    }).pipe(Effect.provide(layer())))

  it.effect("fills in the defaults of the type, and an empty payload", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* posted({ type: "count", payload: { n: 1 } }), { queue: "numbers", priority: 2 })
      assert.deepStrictEqual((yield* posted({ type: "echo" })).payload, {})
      assert.isNull((yield* posted({ type: "tick" })).payload)
      yield* refused(400, "invalid_payload", post({ type: "count" }))
    }).pipe(Effect.provide(layer())))

  it.effect("stores all tasks of an array, in its order", () =>
    Effect.gen(function*() {
      const created = yield* postedAll([1, 2, 3].map((n) => ({ type: "count", payload: { n } })))
      assert.deepStrictEqual(created.map(({ payload }) => payload), [{ n: 1 }, { n: 2 }, { n: 3 }])
      assert.deepStrictEqual((yield* page()).tasks, created.toReversed())
    }).pipe(Effect.provide(layer())))

  it.effect("stores none of an array with a bad task, and names its index", () =>
    Effect.gen(function*() {
      const good = { type: "echo" }
      const indexOf = (status: number, code: string, body: unknown) =>
        Effect.map(refused(status, code, post(body)), ({ index }) => index)
      assert.strictEqual(yield* indexOf(400, "unknown_task_type", [good, { type: "nope" }]), 1)
      const misfit = { type: "count", payload: { n: 1.5 } }
      assert.strictEqual(yield* indexOf(400, "invalid_payload", [good, good, misfit]), 2)
      const malformed = yield* refused(400, "invalid_request", post([good, { ...good, colour: "red", priority: 10 }]))
      assert.deepStrictEqual(malformed.issues?.map(({ path }) => path), [
        ["body", 1, "colour"],
        ["body", 1, "priority"]
      ])
      yield* posted({ type: "echo", key: "k", payload: 1 })
      assert.strictEqual(yield* indexOf(409, "key_conflict", [good, { type: "echo", key: "k", payload: 2 }]), 1)
      yield* refused(400, "invalid_request", post([]))
      assert.strictEqual(yield* countOf, 1)
    }).pipe(Effect.provide(layer())))

  it.effect("answers a known id or key with 200 and the task stored before", () =>
    Effect.gen(function*() {
      const keyed = { type: "echo", payload: { n: 1 }, key: "k" }
      const named = { type: "echo", id: "mine" }
      const first = { ...(yield* posted(keyed)), duplicate: true as const }
      assert.deepStrictEqual(yield* decoded(CreatedTaskJson, post(keyed)), first)
      const mine = { ...(yield* posted(named)), duplicate: true as const }
      assert.deepStrictEqual(yield* decoded(CreatedTaskJson, post({ ...named, payload: "another" })), mine)
      assert.deepStrictEqual(yield* decoded(Schema.Array(CreatedTaskJson), post([named, keyed])), [mine, first])
      const mixed = yield* decoded(Schema.Array(CreatedTaskJson), post([named, { type: "echo" }]), 201)
      assert.deepStrictEqual(mixed.map(({ duplicate }) => duplicate), [true, undefined])
      assert.strictEqual(yield* countOf, 3)
    }).pipe(Effect.provide(layer())))

  it.effect("keeps null as the payload that it is", () =>
    Effect.gen(function*() {
      assert.isNull((yield* posted({ type: "echo", payload: null })).payload)
      assert.deepStrictEqual((yield* posted({ type: "echo" })).payload, {})
    }).pipe(Effect.provide(layer())))

  it.effect("refuses another payload under a known key", () =>
    Effect.gen(function*() {
      const { id } = yield* posted({ type: "echo", payload: 1, key: "k" })
      const error = yield* refused(409, "key_conflict", post({ type: "echo", payload: 2, key: "k" }))
      assert.deepInclude(error, { type: "echo", key: "k", id, index: 0 })
    }).pipe(Effect.provide(layer())))

  it.effect("names the known types when it refuses an unknown one", () =>
    Effect.gen(function*() {
      const error = yield* refused(400, "unknown_task_type", post({ type: "nope" }))
      assert.deepInclude(error, { type: "nope", known: ["count", "echo", "tick"] })
    }).pipe(Effect.provide(layer())))

  it("says how many more there are where a program knows hundreds", () => {
    const known = Array.from({ length: 300 }, (_, index) => `type-${index}`)
    const { message } = new UnknownTaskType({ type: "nope", known, index: 0 })
    assert.isTrue(message.endsWith("type-18, type-19 and 280 more"), message)
  })

  it.effect("says where and how a payload does not fit", () =>
    Effect.gen(function*() {
      const error = yield* refused(400, "invalid_payload", post({ type: "count", payload: { n: "one" } }))
      assert.deepInclude(error, { type: "count", index: 0 })
      assert.match(String(error["issue"]), /\["n"\]/)
    }).pipe(Effect.provide(layer())))

  it.effect("refuses fields that the type does not know, and names each of them", () =>
    Effect.gen(function*() {
      const payload = { n: 1, dryrun: true, "dry run": true }
      const error = yield* refused(
        400,
        "invalid_payload",
        post([{ type: "echo", payload }, { type: "count", payload }])
      )
      assert.deepInclude(error, { type: "count", index: 1 })
      for (const name of ["dryrun", "dry run"]) {
        assert.include(String(error["issue"]), `Unknown field\n  at ["${name}"]`)
      }
      assert.deepStrictEqual((yield* page()).tasks, [])
    }).pipe(Effect.provide(layer())))

  it.effect("bounds what it says about a payload with thousands of them", () =>
    Effect.gen(function*() {
      const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`field ${index}`, index]))
      const error = yield* refused(400, "invalid_payload", post({ type: "count", payload: { n: 1, ...many } }))
      assert.isAtMost(JSON.stringify(error).length, 10_000)
    }).pipe(Effect.provide(layer())))

  it.effect("refuses what does not fit into the queue, and says when to try again", () =>
    Effect.gen(function*() {
      yield* posted({ type: "echo" })
      const answer = yield* post([{ type: "echo" }, { type: "echo" }])
      assert.strictEqual(answer.headers["retry-after"], "1")
      const error = yield* refused(503, "queue_full", Effect.succeed(answer))
      assert.deepInclude(error, { capacity: 2, unfinished: 1, offered: 2 })
      yield* posted({ type: "echo" })
    }).pipe(Effect.provide(layer({ store: MemoryStore.layer({ capacity: 2 }) }))))

  it.effect("refuses for good what can never fit into the queue", () =>
    Effect.gen(function*() {
      const answer = yield* post([{ type: "echo" }, { type: "echo" }, { type: "echo" }])
      assert.isUndefined(answer.headers["retry-after"])
      const error = yield* refused(413, "batch_too_large", Effect.succeed(answer))
      assert.deepInclude(error, { capacity: 2, unfinished: 0, offered: 3 })
      yield* postedAll([{ type: "echo" }, { type: "echo" }])
    }).pipe(Effect.provide(layer({ store: MemoryStore.layer({ capacity: 2 }) }))))

  it.effect("says the same of bytes, and how many there are", () =>
    Effect.gen(function*() {
      yield* posted({ type: "echo", payload: "x".repeat(598) })
      const later = yield* post([{ type: "echo", payload: 1 }, { type: "echo", payload: "x".repeat(498) }])
      assert.strictEqual(later.headers["retry-after"], "1")
      const full = yield* refused(503, "queue_full", Effect.succeed(later))
      assert.deepInclude(full, { size: { max_bytes: 1000, stored_bytes: 600, offered_bytes: 501 } })
      const never = yield* post({ type: "echo", payload: "x".repeat(1000) })
      assert.isUndefined(never.headers["retry-after"])
      const error = yield* refused(413, "batch_too_large", Effect.succeed(never))
      assert.deepInclude(error, { size: { max_bytes: 1000, stored_bytes: 600, offered_bytes: 1002 } })
      assert.strictEqual(yield* countOf, 1)
    }).pipe(Effect.provide(layer({ store: MemoryStore.layer({ maxBytes: 1000 }) }))))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpApiClient } from "effect/http-api"
import {
  InvalidPayload,
  KeyConflict,
  QueueFull,
  StateConflict,
  TaskNotFound,
  UnknownTaskType
} from "../../src/domain/Errors.ts"
import { BodyTooLarge } from "../../src/http/api/RequestCheck.ts"
import { Api } from "../../src/http/index.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { layer } from "./TestServer.ts"

const roomForTwo = layer({ store: MemoryStore.layer({ capacity: 2 }) })

describe("a client made from the definitions", () => {
  it.effect("creates, reads and ends tasks", () =>
    Effect.gen(function*() {
      const { system, tasks } = yield* HttpApiClient.make(Api)
      const created = yield* tasks.create({ payload: { type: "echo", payload: 1, key: "k", id: "a" } })
      assert.deepInclude(created, { id: "a", payload: 1, status: "pending" })
      assert.deepStrictEqual<unknown>(yield* tasks.get({ params: { id: "a" } }), created)
      const { next, tasks: found } = yield* tasks.list({ query: { status: ["pending", "running"], limit: 5 } })
      assert.deepStrictEqual<unknown>([found, next], [[created], null])
      assert.deepStrictEqual(yield* tasks.cancel({ params: { id: "a" } }), { status: "cancelled" })
      assert.strictEqual((yield* tasks.rerun({ params: { id: "a" } })).status, "pending")
      yield* tasks.remove({ params: { id: "a" }, query: {} })
      assert.deepInclude(yield* system.health(), { status: "healthy" })
      assert.strictEqual((yield* system.stats()).by_status.cancelled, 1)
      assert.isFalse((yield* system.workers()).running)
    }).pipe(Effect.provide(roomForTwo)))

  it.effect("fails with the engine's own errors", () =>
    Effect.gen(function*() {
      const { tasks } = yield* HttpApiClient.make(Api)
      const create = (payload: Parameters<typeof tasks.create>[0]["payload"]) => Effect.flip(tasks.create({ payload }))
      yield* tasks.create({ payload: { type: "echo", payload: 1, key: "k", id: "a" } })
      assert.instanceOf(yield* Effect.flip(tasks.get({ params: { id: "b" } })), TaskNotFound)
      assert.instanceOf(yield* Effect.flip(tasks.rerun({ params: { id: "a" } })), StateConflict)
      assert.instanceOf(yield* create({ type: "nope" }), UnknownTaskType)
      assert.instanceOf(yield* create({ type: "count", payload: {} }), InvalidPayload)
      assert.instanceOf(yield* create({ type: "echo", payload: 2, key: "k" }), KeyConflict)
      assert.instanceOf(yield* create({ type: "echo", payload: "x".repeat(1024 * 1024) }), BodyTooLarge)
      const full = yield* create([{ type: "echo" }, { type: "echo" }])
      assert.instanceOf(full, QueueFull)
      assert.deepInclude(full, { capacity: 2, unfinished: 1, offered: 2 })
    }).pipe(Effect.provide(roomForTwo)))

  it.effect("is told of the bytes that are full, and whether waiting helps", () =>
    Effect.gen(function*() {
      const { tasks } = yield* HttpApiClient.make(Api)
      const create = (size: number) =>
        Effect.flip(tasks.create({ payload: { type: "echo", payload: "x".repeat(size - 2) } }))
      yield* tasks.create({ payload: { type: "echo", payload: "x".repeat(598) } })
      for (const [offeredBytes, mayFitLater] of [[500, true], [1001, false]] as const) {
        const full = yield* create(offeredBytes)
        if (!(full instanceof QueueFull)) return assert.fail(String(full))
        assert.deepStrictEqual(full.size, { maxBytes: 1000, storedBytes: 600, offeredBytes })
        assert.strictEqual(full.mayFitLater, mayFitLater)
      }
    }).pipe(Effect.provide(layer({ store: MemoryStore.layer({ maxBytes: 1000 }) }))))
})

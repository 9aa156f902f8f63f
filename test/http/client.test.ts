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
import { BodyTooLarge } from "../../src/http/api/RequestErrors.ts"
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
})

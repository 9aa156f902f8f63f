/** The protocol on every store, with two servers on one: a worker may ask any of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import type { Notifier } from "../../src/store/Notifier.ts"
import * as PostgresStore from "../../src/store/postgres/PostgresStore.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import * as RedisStore from "../../src/store/redis/RedisStore.ts"
import * as SqliteStore from "../../src/store/sqlite/SqliteStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import { expecting, layer, post, posted, refused, send, task } from "../http/TestServer.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as Redis from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { claim, extend, log, progress, settle } from "./Worker.ts"

type Store = Layer.Layer<TaskStore | RecordStore | Notifier | InstanceStore, unknown>

/** Two servers that share a store. */
const servers = Effect.fnUntraced(function*(store: Store) {
  const given = Layer.succeedContext(yield* Layer.build(store))
  const server = Effect.map(
    Layer.build(Layer.fresh(layer({ store: given }))),
    (context) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideContext(effect, context)
  )
  return [yield* server, yield* server] as const
})

const onStore = (name: string, store: Effect.Effect<Store, never, Scope.Scope>) =>
  describe(`claims over HTTP on ${name}`, () => {
    it.live("go on at another server, and no two workers hold one task", () =>
      Effect.gen(function*() {
        const [a, b] = yield* servers(yield* store)
        const { id } = yield* a(posted({ type: "echo", payload: "x" }))
        const [one] = yield* b(claim(["echo"], { wait: "5s" }))
        assert.strictEqual(one!.task.id, id)
        assert.deepStrictEqual(yield* a(claim(["echo"], {}, "py-2")), [])
        assert.deepStrictEqual(yield* a(extend([one!.token])), ["held"])
        assert.deepStrictEqual(yield* a(progress({ token: one!.token, progress: 0.25 })), [{ state: "noted" }])
        yield* b(log({ token: one!.token, lines: [{ text: "of b" }] }))
        yield* a(log({ token: one!.token, lines: [{ text: "of a" }] }))
        const { json } = yield* a(expecting(200, send("GET", `/api/v1/tasks/${id}/logs`)))
        assert.match(JSON.stringify(json), /of b.*of a/)
        const done = { token: one!.token, end: "complete", result: [1] }
        assert.deepInclude((yield* a(settle(done)))[0], { state: "applied" })
        assert.deepInclude((yield* b(settle(done)))[0], { state: "already" })
        assert.deepInclude(yield* b(task(id)), { status: "completed", result: [1] })
        // A crowd at both servers
        const ids = yield* Effect.forEach(
          Array.from({ length: 40 }),
          () => Effect.map(a(posted({ type: "echo" })), (one) => one.id)
        )
        const claimed = yield* Effect.forEach(
          Array.from({ length: 12 }, (_, n) => n),
          (n) => (n % 2 === 0 ? a : b)(claim(["echo"], { max: 5 }, `w-${n}`)),
          { concurrency: "unbounded" }
        )
        const got = claimed.flat().map(({ task }) => task.id)
        assert.deepStrictEqual(got.toSorted(), ids.toSorted())
      }))

    it.live("are of types that a worker defined at another server, with payloads checked by them", () =>
      Effect.gen(function*() {
        const [a, b] = yield* servers(yield* store)
        yield* b(refused(400, "unknown_task_type", post({ type: "transcribe", payload: { url: "u" } })))
        const definition = {
          payload: {
            type: "object",
            properties: { url: { type: "string" } },
            required: ["url"],
            additionalProperties: false
          },
          retry: { times: 1, delay: "10ms" },
          timeout: "1m",
          queue: "audio"
        }
        yield* a(expecting(204, send("PUT", "/api/v1/definitions/transcribe", definition)))
        // Known there as soon as it is asked for
        yield* b(refused(400, "invalid_payload", post({ type: "transcribe", payload: { url: 1 } })))
        yield* b(refused(400, "invalid_payload", post({ type: "transcribe", payload: { url: "u", more: 1 } })))
        const { id } = yield* b(posted({ type: "transcribe", payload: { url: "u" } }))
        assert.deepInclude(yield* a(task(id)), { queue: "audio", timeout_ms: 60_000, max_retries: 1 })
        const [one] = yield* a(claim(["transcribe"], { wait: "5s" }))
        assert.deepInclude(
          (yield* b(settle({ token: one!.token, end: "fail", error: { message: "m", details: { at: 3 } } })))[0],
          { outcome: "retry" }
        )
        const [two] = yield* b(claim(["transcribe"], { wait: "5s" }))
        assert.deepInclude(two!.task, { id, attempt: 2 })
        assert.deepInclude((yield* a(settle({ token: two!.token, end: "fail", error: { message: "m" } })))[0], {
          outcome: "failed"
        })
      }))
  })

onStore("memory", Effect.succeed(MemoryStore.layer()))

onStore(
  "SQLite",
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "taskforge-claims-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  ).pipe(Effect.map((path) => SqliteStore.layer({ path: join(path, "tasks.db") })))
)

await withServer("PostgreSQL", Postgres.find, (postgres) => {
  onStore(
    "PostgreSQL",
    Effect.map(Postgres.scratchSchema(postgres), (schema) => PostgresStore.layerUrl({ url: postgres.url, schema }))
  )
})

await withServer("Redis", Redis.find, (redis) => {
  onStore(
    "Redis",
    Effect.map(Redis.scratchPrefix(redis), (prefix) => RedisStore.layerUrl({ url: redis.url, prefix }))
  )
})

/** What is left in Redis of queues and types, and how a store of an earlier version is taken over. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, References } from "effect"
import { Redis as RedisClient } from "effect/persistence/Redis"
import type { StoredKey } from "../../../src/domain/ApiKey.ts"
import { ApiKeys } from "../../../src/index.ts"
import * as PausedQueues from "../../../src/store/PausedQueues.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { type ListRequest, TaskStore } from "../../../src/store/TaskStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  complete,
  everything,
  fail,
  idsOf,
  retention,
  settled,
  take,
  takeIds,
  takeOne,
  task,
  tasks
} from "../conformance/fixtures.ts"
import { connect } from "./fixtures.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { prefix, redis } = await connect(server)
  const everywhere = { queues: undefined, types: ["work", "other"] }

  const quiet = Layer.succeed(References.MinimumLogLevel, "Error")

  const storeOn = (name: string) =>
    RedisStore.layer({ prefix: name }).pipe(Layer.provide(Layer.succeed(RedisClient, redis)), Layer.fresh)

  /** The keys of a deployment that belong to queues and types, without its own name. */
  const keys = Effect.fnUntraced(function*(root: string) {
    const found = yield* redis.send<Array<string>>("KEYS", `${root}:*`)
    return found.map((key) => key.slice(root.length + 1)).filter((key) =>
      !/^(meta|tally|claims|claimed|gone)$/.test(key)
    )
  })

  /** Writes the lanes as earlier versions did: only the names of all that there ever were. */
  const asBefore = Effect.fnUntraced(function*(root: string) {
    const lanes = yield* redis.send<Array<string>>("HKEYS", `${root}:stored`)
    yield* redis.send("SADD", `${root}:lanes`, ...lanes, "[\"gone\",\"work\"]")
    const index = (yield* keys(root)).filter((key) => /^(stored|index|head|ready.*|types)$/.test(key))
    yield* redis.send("DEL", ...index.map((key) => `${root}:${key}`))
    return yield* redis.send("HSET", `${root}:meta`, "version", "2")
  })

  const fill = Effect.gen(function*() {
    const ids = yield* add(...tasks(3, { queue: "a" }), { queue: "b", type: "other" }, {
      queue: "c",
      delayMs: 3_600_000
    })
    yield* settled(complete(yield* takeOne(everywhere)))
    yield* settled(fail(yield* takeOne(everywhere)))
    yield* takeOne({ types: ["other"], queues: ["b"] })
    return ids
  })

  describe("API keys in Redis", () => {
    it.live("of an earlier version are taken over when the store is opened", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const root = `{${name}}`
        const old = { createdAt: 1000, id: "b", name: "zoë's \"key\" \\", role: "admin" as const, hash: "h1" }
        const key: StoredKey = { ...old, createdAt: DateTime.makeUnsafe(1000) }
        yield* redis.send("HSET", `${root}:meta`, "version", "3", "headStartMs", "300000")
        yield* redis.send("HSET", `${root}:apikey`, "b", JSON.stringify(old), "a", JSON.stringify({ ...old, id: "a" }))
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* ApiKeys.stored, [{ ...key, id: "a" }, key])
          yield* ApiKeys.revoke("b")
          assert.deepStrictEqual((yield* ApiKeys.list).map(({ id }) => id), ["a"])
        }).pipe(Effect.provide(storeOn(name)))
        assert.strictEqual(yield* redis.send("HGET", `${root}:meta`, "version"), "13")
        assert.notInclude(yield* keys(root), "apikey")
        yield* Effect.provide(ApiKeys.list, storeOn(name))
      }))
  })

  describe("paused queues in Redis", () => {
    it.live("of an earlier version are taken over when the store is opened", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const root = `{${name}}`
        yield* redis.send("HSET", `${root}:meta`, "version", "4", "headStartMs", "300000")
        yield* redis.send("SADD", `${root}:paused`, "slow", "a b")
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* PausedQueues.names, ["a b", "slow"])
          yield* PausedQueues.resume("slow")
          assert.deepStrictEqual(yield* PausedQueues.names, ["a b"])
        }).pipe(Effect.provide(storeOn(name)))
        assert.notInclude(yield* keys(root), "paused")
      }))
  })

  describe("keys in Redis", () => {
    it.live("that tasks of an earlier version have are kept, and pass to no task with a window", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const windowed = (onConflict: "return" | "refuse" | "replace", fields: Parameters<typeof task>[0]) =>
          task({ unique: { window: "unfinished", onConflict, byMs: 0, maxMs: null }, ...fields })
        const waiting = task({ key: "waiting", payload: "1" })
        const ended = task({ key: "ended", payload: "1" })
        yield* Effect.provide(
          TaskStore.use((store) => Effect.andThen(store.enqueue([[waiting, ended]]), store.cancel([ended.id]))),
          storeOn(name)
        )
        yield* redis.send("HSET", `{${name}}:meta`, "version", "6")
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          const offer = (given: ReturnType<typeof task>) => Effect.map(store.enqueue([[given]]), ([answer]) => answer!)
          const tasks = [{ id: waiting.id, duplicate: true }]
          assert.deepInclude(yield* offer(task({ key: "waiting", payload: "1" })), { tasks })
          assert.deepInclude(yield* offer(windowed("return", { key: "waiting", payload: "2" })), { tasks })
          assert.strictEqual((yield* offer(task({ key: "waiting", payload: "2" })))._tag, "Conflict")
          const replaced = [{ id: waiting.id, duplicate: true, merge: "replaced" as const }]
          assert.deepInclude(yield* offer(windowed("replace", { key: "waiting", payload: "3" })), { tasks: replaced })
          assert.strictEqual((yield* store.get(waiting.id))!.payload, "3")
          // such a key is kept as long as its task is stored
          const refused = yield* offer(windowed("refuse", { key: "ended" }))
          assert.deepInclude(refused, { _tag: "Conflict", state: "cancelled" })
          assert.deepStrictEqual(yield* store.remove([ended.id]), ["removed"])
          assert.strictEqual((yield* offer(windowed("refuse", { key: "ended" })))._tag, "Accepted")
        }).pipe(Effect.provide(storeOn(name)))
      }))
  })

  describe("Queues and types in Redis", () => {
    it.live("leave nothing behind when their last task goes", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          for (let index = 0; index < 150; index++) {
            yield* add({ queue: `q${index}`, type: "work" }, { queue: `q${index}`, type: "other" })
          }
          const claimed = yield* take({ ...everywhere, limit: 60 })
          yield* store.settle(claimed.map((one) => complete(one)))
          yield* store.cancel(idsOf(yield* everything))
          assert.strictEqual(yield* redis.send("HLEN", `{${name}}:stored`), 300)
          yield* store.remove(idsOf(yield* everything).slice(0, 30))
          for (let prune = 0; prune < 10; prune++) yield* store.prune(retention({ maxFinished: 0 }), 1000)
          assert.deepStrictEqual(yield* keys(`{${name}}`), [])
        }).pipe(Effect.provide(storeOn(name)))
      }))

    it.live("cost a list no more than its page, however many have tasks", () =>
      Effect.gen(function*() {
        const own = yield* Redis.start()
        const commands = Effect.map(
          Redis.command(own.url, "INFO", "commandstats"),
          (text) => [...String(text).matchAll(/:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
        )
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          for (let lane = 0; lane < 6000; lane += 500) {
            yield* add(...tasks(500).map((_, index) => ({ queue: `q${lane + index}` })))
          }
          const middle = (yield* store.list({ limit: 1, queues: ["q3000"], types: ["work"] })).tasks[0]!.seq
          const pages: ReadonlyArray<ListRequest> = [
            { limit: 50 },
            { limit: 50, before: middle },
            { limit: 50, states: ["failed"] },
            { limit: 50, queues: ["q7"] },
            { limit: 50, types: ["none"] },
            { limit: 1000 }
          ]
          for (const page of pages) {
            const before = yield* commands
            yield* store.list(page)
            // A page of 1,000 shows as many tasks, with ten commands each
            assert.isBelow((yield* commands) - before, 5000 + 15 * page.limit, JSON.stringify(page))
          }
        }).pipe(Effect.provide(Layer.provide(RedisStore.layerUrl({ url: own.url }), quiet)))
      }), 60_000)

    it.live("are listed also where an earlier version has stored tasks in between", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          const many = Array.from({ length: 300 }, (_, index) => ({ queue: `q${index}` }))
          const ids = [...yield* add(...many)]
          const listed = Effect.map(store.list({ limit: 1000 }), ({ tasks }) => idsOf(tasks).toReversed())
          assert.deepStrictEqual(yield* listed, ids)
          // It knows nothing of eras: what it stores is in none
          ids.push(...yield* add({ queue: "its own" }, { queue: "q7" }))
          yield* redis.send("HSET", `{${name}}:tally`, "eras", "300")
          yield* redis.send("DEL", `{${name}}:era:1000000003`)
          yield* redis.send("ZREM", `{${name}}:eras`, "1000000003")
          assert.deepStrictEqual(yield* listed, ids)
          ids.push(...yield* add({ queue: "ours" }))
          assert.deepStrictEqual(yield* listed, ids)
          assert.isTrue((yield* keys(`{${name}}`)).includes("old"))
          yield* store.cancel(ids)
          yield* store.remove(ids)
          for (let prune = 0; prune < 20; prune++) yield* store.prune(retention(), 1000)
          assert.deepStrictEqual(yield* keys(`{${name}}`), [])
        }).pipe(Effect.provide(storeOn(name)))
      }))

    it.live("of an earlier version are taken over when the store is opened", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const ids = yield* Effect.provide(fill, storeOn(name))
        yield* asBefore(`{${name}}`)
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          assert.strictEqual((yield* everything).length, 5)
          assert.deepInclude((yield* store.stranded([], 10))[0], { queue: "a", type: "work" })
          const stored = yield* redis.send("HGETALL", `{${name}}:stored`)
          assert.deepStrictEqual(stored, { "[\"a\",\"work\"]": "3", "[\"b\",\"other\"]": "1", "[\"c\",\"work\"]": "1" })
          assert.deepStrictEqual(yield* takeIds(everywhere), [ids[2]!])
        }).pipe(Effect.provide(storeOn(name)))
      }))

    const listed = Effect.map(
      TaskStore.use((store) => store.laneCounts({ limit: 100 })),
      ({ lanes }) => lanes.map(({ queue, type }) => `${queue}/${type}`)
    )

    it.live("without an index of their names are listed once the store was opened, or soon after", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        const all = ["a/work", "b/other", "c/work"]
        yield* Effect.provide(fill, storeOn(name))
        yield* redis.send("DEL", `{${name}}:index`)
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          assert.deepStrictEqual(yield* listed, all)
          // an older version has stored a task
          yield* redis.send("HSET", `{${name}}:stored`, "[\"new\",\"work\"]", "1")
          assert.deepStrictEqual(yield* listed, all)
          yield* store.prune(retention(), 1000)
          assert.deepStrictEqual(yield* listed, [...all, "new/work"])
          // and removed one
          yield* redis.send("HDEL", `{${name}}:stored`, "[\"new\",\"work\"]")
          assert.deepStrictEqual(yield* listed, all)
          yield* store.prune(retention(), 1000)
          assert.strictEqual(yield* redis.send("ZCARD", `{${name}}:index`), 3)
        }).pipe(Effect.provide(storeOn(name)))
      }))

    it.live("of an earlier version that still runs are taken over soon", () =>
      Effect.gen(function*() {
        const name = yield* prefix
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          const ids = yield* fill
          yield* asBefore(`{${name}}`)
          assert.deepStrictEqual(yield* takeIds(everywhere), [])
          yield* store.prune(retention(), 1000)
          assert.deepStrictEqual(yield* takeIds(everywhere), [ids[2]!])
        }).pipe(Effect.provide(storeOn(name)))
      }))
  })
})

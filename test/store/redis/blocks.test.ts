/**
 * What is left in Redis of tasks that were kept together, and ids that could be taken for something else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Redis as RedisClient } from "effect/persistence/Redis"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import { add, everything, idsOf, take, takeIds, tasks } from "../conformance/fixtures.ts"
import { connect } from "./fixtures.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { prefix, redis } = await connect(server)

  /** The keys of waiting work, without the deployment's own name. */
  const waiting = Effect.fnUntraced(function*(root: string) {
    const keys = yield* redis.send<Array<string>>("KEYS", `${root}:*`)
    return keys.map((key) => key.slice(root.length + 1)).filter((key) => /^(block|lane:|list:[PS]|scheduled)/.test(key))
  })

  const withStore = (
    name: string,
    body: (root: string) => Effect.Effect<void, unknown, TaskStore>
  ) =>
    it.live(name, () =>
      Effect.flatMap(
        prefix,
        (name) =>
          Effect.provide(
            body(`{${name}}`),
            RedisStore.layer({ prefix: name }).pipe(Layer.provide(Layer.succeed(RedisClient, redis)))
          )
      ))

  describe("Blocks in Redis", () => {
    withStore("hold a hundred tasks each, and leave nothing behind", (root) =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const ids = yield* add(...tasks(250))
        const blocks = (yield* waiting(root)).filter((key) => key.startsWith("block:"))
        const sizes = yield* Effect.forEach(blocks.toSorted(), (key) => redis.send<number>("LLEN", `${root}:${key}`))
        assert.deepStrictEqual(sizes, [100, 100, 50])
        yield* store.cancel(ids.slice(20, 120))
        yield* take({ limit: 50 })
        yield* store.cancel(ids.slice(200))
        yield* take()
        assert.deepStrictEqual(yield* waiting(root), [])
      }))

    withStore("are told apart from tasks, whatever these are called", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const names = ["", "\u00ff", "\n", "0", "100000000001", "block"]
        for (const id of names) yield* add({ id })
        yield* add(...names.map((id) => ({ id: `${id}!` })))
        const expected = [...names, ...names.map((id) => `${id}!`)]
        assert.deepStrictEqual(idsOf(yield* everything), expected.toReversed())
        assert.deepStrictEqual(yield* store.cancel(["", "!"]), ["cancelled", "cancelled"])
        assert.deepStrictEqual(yield* takeIds(), expected.filter((id) => id !== "" && id !== "!"))
      }))
  })
})

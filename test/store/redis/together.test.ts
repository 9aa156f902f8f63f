/** Tasks with gates that wait together: what they cost, when they get lines, and what earlier versions do to them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { Redis as RedisClient } from "effect/persistence/Redis"
import type * as Gate from "../../../src/domain/Gate.ts"
import { limitKind } from "../../../src/store/Gates.ts"
import type { RecordStore } from "../../../src/store/RecordStore.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  addAll,
  cancel,
  complete,
  everything,
  idsOf,
  record,
  request,
  setLimit,
  take,
  takeIds,
  tasks,
  through
} from "../conformance/fixtures.ts"
import { inconsistencies } from "./consistency.ts"
import { connect } from "./fixtures.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { prefix, redis } = await connect(server)
  const quiet = Layer.succeed(References.MinimumLogLevel, "Error")
  const storeOn = (name: string) =>
    RedisStore.layer({ prefix: name }).pipe(
      Layer.provide(Layer.succeed(RedisClient, redis)),
      Layer.provide(quiet),
      Layer.fresh
    )

  /** Runs a scenario in a store of its own, whose keys are consistent before and after. */
  const inStore = <E>(scenario: (root: string) => Effect.Effect<void, E, TaskStore | RecordStore>) =>
    Effect.gen(function*() {
      const name = yield* prefix
      yield* scenario(`{${name}}`).pipe(Effect.provide(storeOn(name)))
      assert.deepStrictEqual(yield* inconsistencies(redis, `{${name}}`), [])
    })

  const perKey = (count: number, keys = count) => tasks(count).map((_, index) => through(`tenant=${index % keys}`))

  const shared = "[\"default\",\"\\u0000work\",2]"

  /** How many tasks wait together, in blocks or alone. */
  const together = Effect.fnUntraced(function*(root: string) {
    const names = yield* redis.send<Array<string>>("ZRANGE", `${root}:blocks:${shared}`, "0", "-1")
    const alone = yield* redis.send<number>("ZCARD", `${root}:list:P:${shared}`)
    const sizes = yield* Effect.forEach(names, (name) => redis.send<number>("LLEN", `${root}:block:${name}`))
    return sizes.reduce((sum, size) => sum + size, alone)
  })

  describe("tasks with gates that wait together in Redis", () => {
    it.live(
      "cost an enqueue, a claim and an end a few commands more than tasks without gates, however many keys they have",
      () =>
        Effect.gen(function*() {
          const own = yield* Redis.start()
          const commands = Effect.map(
            Redis.command(own.url, "INFO", "commandstats"),
            (text) =>
              [...String(text).matchAll(/cmdstat_(?!info|ping|publish)[^:]*:calls=(\d+)/g)].reduce(
                (sum, [, calls]) => sum + Number(calls),
                0
              )
          )
          const counting = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
            const before = yield* commands
            yield* effect
            return (yield* commands) - before
          })
          const costs: Array<ReadonlyArray<number>> = []
          for (const fields of [tasks(1000), perKey(1000)]) {
            yield* Redis.command(own.url, "FLUSHALL")
            yield* Effect.gen(function*() {
              const store = yield* TaskStore
              yield* setLimit("tenant", { max: 2 })
              const stored = yield* counting(add(...fields))
              const claimed = yield* take({ limit: 100 })
              const again = yield* counting(take({ limit: 100 }))
              costs.push([stored, again, yield* counting(store.settle(claimed.map((one) => complete(one))))])
            }).pipe(Effect.provide(Layer.provide(Layer.fresh(RedisStore.layerUrl({ url: own.url })), quiet)))
          }
          const [plain, keyed] = costs
          for (const [index, cost] of keyed!.entries()) {
            assert.isAtMost(cost, plain![index]! + 12, JSON.stringify(costs))
          }
        }),
      60_000
    )

    it.live("are counted one by one where a claim or an end has several of a key, of several limits", () =>
      inStore(Effect.fnUntraced(function*(root) {
        const { settle } = yield* TaskStore
        const passes = ["tenant=1", "tenant=2", "other=1", "other=2"]
        const held = Effect.suspend(() => redis.send<Array<string | null>>("HMGET", `${root}:held`, ...passes))
        yield* setLimit("tenant", { max: 3 })
        yield* setLimit("other", { max: 1 })
        const first = ["tenant=1", "tenant=2", "tenant=1"]
        const second = ["tenant=2", "other=1", "tenant=1", "other=2"]
        const closed = ["other=1", "tenant=1"]
        const ids = yield* add(...[...first, ...second, ...closed].map((pass) => through(pass)))
        const claimed = yield* take({ limit: 3 })
        assert.deepStrictEqual(yield* held, ["2", "1", null, null])
        const more = yield* take({ limit: 100 })
        assert.deepStrictEqual(idsOf([...claimed, ...more]), ids.slice(0, 7))
        assert.deepStrictEqual(yield* held, ["3", "2", "1", "1"])
        yield* settle([...claimed, more[1]!].map((one) => complete(one)))
        assert.deepStrictEqual(yield* held, ["1", "1", null, "1"])
        const rest = yield* take({ limit: 100 })
        assert.deepStrictEqual(idsOf(rest), ids.slice(7))
        yield* settle([more[0]!, ...more.slice(2), ...rest].map((one) => complete(one)))
        assert.strictEqual(yield* redis.send("EXISTS", `${root}:held`), 0)
      })))

    it.live("are not counted where nothing runs any more, and are where an end does not count", () =>
      inStore(Effect.fnUntraced(function*(root) {
        const { settle } = yield* TaskStore
        const held = Effect.suspend(() =>
          redis.send<Array<string | null>>("HMGET", `${root}:held`, "tenant=1", "tenant=2", "other=1")
        )
        yield* setLimit("tenant", { max: 3 })
        yield* setLimit("other", { max: 3 })
        yield* add(through("tenant=1"), through("tenant=2", "other=1"), ...perKey(20, 2))
        const [first, second] = yield* take({ limit: 2 })
        yield* settle([complete(first!), complete({ ...second!, claim: second!.claim + 1 })])
        assert.deepStrictEqual(yield* held, [null, "1", "1"])
        yield* settle([complete(second!)])
        assert.strictEqual(yield* redis.send("EXISTS", `${root}:held`), 0)
        const claimed = yield* take({ limit: 3 })
        assert.strictEqual(claimed.length, 3)
        yield* settle(claimed.map((one) => complete(one)))
        assert.strictEqual(yield* redis.send("EXISTS", `${root}:held`), 0)
      })))

    it.live("are counted together where a claim takes those of several types with one limit", () =>
      inStore(Effect.fnUntraced(function*(root) {
        yield* setLimit("tenant", { max: 2 })
        const other = (pass: Gate.Pass) => ({ ...through(pass), type: "other" })
        const [a, b, , c, d] = yield* add(
          ...["tenant=1", "tenant=1", "tenant=1"].map((pass) => through(pass)),
          ...["tenant=2", "tenant=3", "tenant=1"].map(other)
        )
        assert.deepStrictEqual(yield* takeIds({ types: ["work", "other"], limit: 10 }), [a!, b!, c!, d!])
        assert.deepStrictEqual(
          yield* redis.send("HMGET", `${root}:held`, "tenant=1", "tenant=2", "tenant=3"),
          ["2", "1", "1"]
        )
        const [e, f] = yield* add(...["tenant=2", "tenant=3"].map((pass) => through(pass)))
        yield* add(other("tenant=3"))
        assert.deepStrictEqual(yield* takeIds({ types: ["work", "other"], limit: 10 }), [e!, f!])
      })))

    it.live("tell that there is work where an end lets others start, and only there", () =>
      inStore(Effect.fnUntraced(function*() {
        const { consequences, settle } = yield* TaskStore
        yield* setLimit("tenant", { max: 1 })
        yield* add(...perKey(6, 2))
        const isTold = Effect.fnUntraced(function*(...ended: Parameters<typeof settle>[0]) {
          consequences()
          yield* settle(ended)
          return consequences().released
        })
        const [one, two] = yield* take({ limit: 2 })
        // no claim has found a key full yet
        assert.isFalse(yield* isTold(complete(one!)))
        assert.isFalse(yield* isTold(complete(two!)))
        const [three, four] = yield* take({ limit: 3 })
        assert.isTrue(yield* isTold(complete(three!)))
        assert.isTrue(yield* isTold({ _tag: "Cancel", id: four!.id, claim: four!.claim }))
        // nothing waits for these
        const [five, six] = yield* take({ limit: 3 })
        assert.isFalse(yield* isTold(complete(five!), complete(six!)))
      })))

    it.live("stay so until a gate is closed, and then the tasks that it stops alone have lines", () =>
      inStore(Effect.fnUntraced(function*(root) {
        yield* setLimit("tenant", { max: 1 })
        const ids = yield* add(...perKey(30, 10))
        assert.strictEqual(yield* together(root), 30)
        assert.deepStrictEqual(yield* takeIds({ limit: 10 }), ids.slice(0, 10))
        assert.strictEqual(yield* together(root), 20)
        assert.strictEqual(yield* redis.send("EXISTS", `${root}:place`), 0)
        yield* setLimit("tenant=3", { max: 2 })
        assert.deepStrictEqual(yield* takeIds({ limit: 10 }), [ids[13]!])
        assert.strictEqual(yield* together(root), 0)
        // what comes now goes to the line that there is
        yield* add(through("tenant=4"), through("tenant=x"))
        assert.strictEqual(yield* together(root), 1)
      })))

    const needing: ReadonlyArray<readonly [string, Gate.Limit]> = [
      ["turns", { fair: 1 }],
      ["an order", { order: "block" }],
      ["a rate", { tokens: 1, perMs: 1000, burst: 1 }]
    ]
    for (const [what, limit] of needing) {
      it.live(`go to their lines when ${what} is put for one of their limits, and only then`, () =>
        inStore(Effect.fnUntraced(function*(root) {
          yield* add(...perKey(20, 4))
          yield* setLimit("other", limit)
          yield* takeIds({ limit: 1 })
          assert.strictEqual(yield* together(root), 19)
          yield* setLimit("tenant", limit)
          assert.strictEqual(yield* redis.send("SISMEMBER", `${root}:spread`, shared), 1)
          yield* takeIds({ limit: 1 })
          assert.strictEqual(yield* together(root), 0)
          assert.strictEqual(yield* redis.send("EXISTS", `${root}:spread`, `${root}:shared`), 0)
          // and new ones have lines from the start
          yield* add(...perKey(8))
          assert.strictEqual(yield* together(root), 0)
        })))
    }

    it.live(
      "go to their lines part by part where they are very many, and none starts before",
      () =>
        inStore(Effect.fnUntraced(function*(root) {
          for (let at = 0; at < 9000; at += 3000) yield* add(...perKey(3000, 3))
          yield* setLimit("tenant", { order: "continue" })
          const store = yield* TaskStore
          const first = yield* store.claim(request({ limit: 10 }))
          assert.deepStrictEqual([idsOf(first.tasks), first.nextDueAt], [[], first.now])
          assert.isBelow(yield* together(root), 6000)
          assert.strictEqual((yield* takeIds({ limit: 10 })).length, 3)
          assert.strictEqual(yield* together(root), 0)
        })),
      60_000
    )

    it.live(
      "are passed over part by part where very many gates are closed",
      () =>
        inStore(Effect.fnUntraced(function*() {
          yield* setLimit("tenant", { max: 0 })
          for (let at = 0; at < 9000; at += 3000) yield* add(...perKey(3000))
          const [id] = yield* addAll([through("open=")])
          const store = yield* TaskStore
          const first = yield* store.claim(request({ limit: 1 }))
          assert.deepStrictEqual([idsOf(first.tasks), first.nextDueAt], [[], first.now])
          assert.deepStrictEqual(yield* takeIds({ limit: 1 }), [id])
        })),
      60_000
    )

    it.live("start as their limits say where an earlier version has put another kind of limit", () =>
      inStore(Effect.fnUntraced(function*(root) {
        const ids = yield* addAll(perKey(6, 2))
        yield* setLimit("tenant", { order: "block" })
        yield* redis.send("DEL", `${root}:spread`)
        const store = yield* TaskStore
        const first = yield* store.claim(request({ limit: 10 }))
        assert.deepStrictEqual([idsOf(first.tasks), first.nextDueAt], [[], first.now])
        assert.deepStrictEqual(yield* takeIds({ limit: 10 }), ids.slice(0, 2))
        assert.strictEqual(yield* redis.send("HEXISTS", `${root}:record:${limitKind}`, "tenant"), 1)
      })))

    it.live("do not start where an earlier version has cancelled or removed them, which leaves them there", () =>
      inStore(Effect.fnUntraced(function*(root) {
        const ids = yield* addAll(perKey(6))
        const [alone] = yield* addAll([through("tenant=x")])
        // what is left of them where nothing is taken out of where they wait
        for (const id of [ids[1]!, ids[4]!, alone!]) {
          const one = (yield* record(id))!
          const state = ["X0", one.dueAt, one.seq, 0, 0, one.priority, 0, 0, 0, 0, one.dueAt, ""].join(";")
          const line = JSON.stringify(["default", "work", one.gate])
          yield* redis.send("HSET", `${root}:state`, id, `${state}\n${line}\n`)
        }
        for (const name of ["task", "state"]) yield* redis.send("HDEL", `${root}:${name}`, ids[4]!)
        assert.deepStrictEqual(yield* takeIds({ limit: 3 }), [ids[0], ids[2], ids[3]])
        assert.deepStrictEqual(yield* takeIds({ limit: 3 }), [ids[5]])
        assert.strictEqual(yield* together(root), 0)
        assert.strictEqual(yield* redis.send("EXISTS", `${root}:shared`), 0)
      })))

    it.live("can be cancelled at the front, in the middle and at the end, and the last one leaves nothing behind", () =>
      inStore(Effect.fnUntraced(function*(root) {
        const ids = [...yield* add(...perKey(9)), ...yield* addAll([through("tenant=x")])]
        for (const index of [4, 0, 8, 9]) {
          yield* cancel(ids[index]!)
          assert.deepStrictEqual(yield* inconsistencies(redis, root), [])
        }
        const left = [1, 2, 3, 5, 6, 7].map((index) => ids[index]!)
        assert.strictEqual(yield* together(root), 6)
        assert.deepStrictEqual(
          idsOf(yield* everything).filter((id) => left.includes(id)).toSorted(),
          left.toSorted()
        )
        assert.deepStrictEqual(yield* takeIds({ limit: 2 }), left.slice(0, 2))
        for (const id of left.slice(2)) yield* cancel(id)
        assert.strictEqual(yield* redis.send("EXISTS", `${root}:shared`, `${root}:ready`, `${root}:types`), 0)
      })))
  })
})

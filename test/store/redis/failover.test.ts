/**
 * The store when its keys are elsewhere: on another node of a cluster than the one in its address, or on another server
 * than the one that its address led to.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger } from "effect"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Proxy from "../../chaos/Proxy.ts"
import { patiently } from "../../Patience.ts"
import * as Redis from "../../servers/Redis.ts"
import * as RedisCluster from "../../servers/RedisCluster.ts"
import { withServer } from "../../servers/withServer.ts"
import { add, idsOf, takeIds, tasks } from "../conformance/fixtures.ts"

await withServer("Redis for clusters", Redis.installed, async () => {
  const started = Effect.gen(function*() {
    const cluster = yield* RedisCluster.start("{followed}")
    const services = yield* Layer.build(RedisStore.layerUrl({ url: cluster.others[0].url, prefix: "followed" }))
    return { cluster, store: Context.get(services, TaskStore) }
  })

  /** Until the store answers again; what is refused meanwhile is tried again, as the engine does. */
  const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.retry(effect, patiently("50 millis"))

  describe("The Redis store on a cluster of several nodes", () => {
    it.live("goes to the node that has its keys, and follows them to another", () =>
      Effect.gen(function*() {
        const { cluster, store } = yield* started
        const kept = yield* Effect.provideService(add(...tasks(3)), TaskStore, store)
        assert.isAbove(Number(yield* Redis.command(cluster.home.url, "DBSIZE")), 0)
        yield* cluster.moveTo(cluster.others[1])
        assert.strictEqual(Number(yield* Redis.command(cluster.home.url, "DBSIZE")), 0)
        const group = tasks(2)
        const [answer] = yield* eventually(store.enqueue([group]))
        assert.strictEqual(answer?._tag, "Accepted")
        assert.deepStrictEqual(yield* Effect.provideService(takeIds(), TaskStore, store), [...kept, ...idsOf(group)])
      }))

    it.live("goes on with the replica when that node dies", () =>
      Effect.gen(function*() {
        const { cluster, store } = yield* started
        const kept = yield* Effect.provideService(add(...tasks(3)), TaskStore, store)
        const replicated = Effect.filterOrFail(
          Redis.command(cluster.replica.url, "CLUSTER", "COUNTKEYSINSLOT", String(yield* slotOf(cluster))),
          (keys) => Number(keys) > 0
        )
        yield* eventually(replicated)
        yield* cluster.home.kill("SIGKILL")
        const group = tasks(2)
        const [answer] = yield* eventually(store.enqueue([group]))
        assert.strictEqual(answer?._tag, "Accepted")
        assert.deepStrictEqual(yield* Effect.provideService(takeIds(), TaskStore, store), [...kept, ...idsOf(group)])
      }))
  })

  describe("The Redis store behind a name", () => {
    const urlOf = ({ port }: Proxy.Proxy) => `redis://127.0.0.1:${port}`

    it.live(
      "leaves a server that has become a replica, and waits until the name leads to another",
      () =>
        Effect.gen(function*() {
          // A server that keeps nothing on disk is warned of
          const keeping = { appendonly: "yes" }
          const [first, second] = [yield* Redis.start(keeping), yield* Redis.start(keeping)]
          const name = yield* Proxy.make(first.port)
          const warnings: Array<unknown> = []
          const logger = Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn") warnings.push(message)
          })
          yield* Effect.gen(function*() {
            const store = yield* TaskStore
            yield* store.enqueue([tasks(1)])
            yield* Redis.command(first.url, "REPLICAOF", "127.0.0.1", String(second.port))
            for (let count = 0; count < 10; count++) {
              assert.isTrue(Exit.isFailure(yield* Effect.exit(store.enqueue([tasks(1)]))))
              yield* Effect.sleep("100 millis")
            }
            yield* name.leadTo(second.port)
            const [answer] = yield* eventually(store.enqueue([tasks(2)]))
            assert.strictEqual(answer?._tag, "Accepted")
            assert.deepInclude(yield* store.counts, { pending: 2 })
            assert.lengthOf(warnings, 1)
          }).pipe(Effect.provide(Layer.provide(RedisStore.layerUrl({ url: urlOf(name) }), Logger.layer([logger]))))
        })
    )

    it.live("does not begin on a replica", () =>
      Effect.gen(function*() {
        const [first, second] = [yield* Redis.start(), yield* Redis.start()]
        yield* Redis.command(first.url, "REPLICAOF", "127.0.0.1", String(second.port))
        const error = yield* Effect.flip(Effect.scoped(Layer.build(RedisStore.layerUrl({ url: first.url }))))
        assert.include(error.message, "the address has to lead to the primary")
      }))

    for (const command of ["HELLO", "EXISTS", "CLUSTER"]) {
      it.live(`comes back from a server that falls silent at ${command}`, () =>
        Effect.gen(function*() {
          const name = yield* Proxy.make((yield* Redis.start()).port)
          yield* Effect.gen(function*() {
            const store = yield* TaskStore
            yield* store.enqueue([tasks(1)])
            yield* name.forgetAfter(command)
            yield* name.reset
            yield* Effect.sleep("1 second")
            assert.isTrue(Exit.isFailure(yield* Effect.exit(store.counts)))
            yield* name.heal
            yield* eventually(store.enqueue([tasks(1)]))
            assert.deepInclude(yield* store.counts, { pending: 2 })
          }).pipe(Effect.provide(RedisStore.layerUrl({ url: urlOf(name), answerWithin: "2 seconds" })))
        }))
    }
  })

  const slotOf = ({ home }: RedisCluster.RedisCluster) => Redis.command(home.url, "CLUSTER", "KEYSLOT", "{followed}")
})

/**
 * The store on a Redis Cluster of several nodes, given the address of one that does not have its keys.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Schedule } from "effect"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
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
  const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.retry(effect, { times: 300, schedule: Schedule.spaced("50 millis") })

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
      }), 60_000)

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
      }), 60_000)
  })

  describe("The Redis store behind a name", () => {
    /**
     * Leads to a server, as a name or a proxy does; those who came before stay where they are. A connection on which
     * `silentAfter` is sent carries nothing any more.
     */
    const nameFor = Effect.fnUntraced(function*(first: Redis.OwnRedis) {
      let port = first.port
      const silentAfter = new Set<string>()
      const sockets = new Set<Socket>()
      const server = yield* Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const listening = createServer((client) => {
            const target = connect(port, "127.0.0.1")
            for (const socket of [client, target]) sockets.add(socket.on("error", () => {}))
            target.pipe(client)
            client.on("data", (data) => {
              for (const text of silentAfter) if (data.includes(text)) target.unpipe(client)
              target.write(data)
            })
            client.on("close", () => target.destroy())
            target.on("close", () => client.destroy())
          }).listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
        }),
        (server) =>
          Effect.sync(() => {
            server.close()
            for (const socket of sockets) socket.destroy()
          })
      )
      return {
        url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
        silentAfter,
        reset: () => {
          for (const socket of sockets) socket.destroy()
        },
        leadTo: (next: Redis.OwnRedis) => {
          port = next.port
        }
      }
    })

    it.live(
      "leaves a server that has become a replica, and waits until the name leads to another",
      () =>
        Effect.gen(function*() {
          const [first, second] = [yield* Redis.start(), yield* Redis.start()]
          const name = yield* nameFor(first)
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
            name.leadTo(second)
            const [answer] = yield* eventually(store.enqueue([tasks(2)]))
            assert.strictEqual(answer?._tag, "Accepted")
            assert.deepInclude(yield* store.counts, { pending: 2 })
            assert.lengthOf(warnings, 1)
          }).pipe(Effect.provide(Layer.provide(RedisStore.layerUrl({ url: name.url }), Logger.layer([logger]))))
        }),
      60_000
    )

    it.live("does not begin on a replica", () =>
      Effect.gen(function*() {
        const [first, second] = [yield* Redis.start(), yield* Redis.start()]
        yield* Redis.command(first.url, "REPLICAOF", "127.0.0.1", String(second.port))
        const error = yield* Effect.flip(Effect.scoped(Layer.build(RedisStore.layerUrl({ url: first.url }))))
        assert.include(error.message, "the address has to lead to the primary")
      }), 60_000)

    for (const command of ["HELLO", "EXISTS", "CLUSTER"]) {
      it.live(`comes back from a server that falls silent at ${command}`, () =>
        Effect.gen(function*() {
          const name = yield* nameFor(yield* Redis.start())
          yield* Effect.gen(function*() {
            const store = yield* TaskStore
            yield* store.enqueue([tasks(1)])
            name.silentAfter.add(command)
            name.reset()
            yield* Effect.sleep("1 second")
            assert.isTrue(Exit.isFailure(yield* Effect.exit(store.counts)))
            name.silentAfter.clear()
            yield* eventually(store.enqueue([tasks(1)]))
            assert.deepInclude(yield* store.counts, { pending: 2 })
          }).pipe(Effect.provide(RedisStore.layerUrl({ url: name.url, answerWithin: "500 millis" })))
        }), 60_000)
    }
  })

  const slotOf = ({ home }: RedisCluster.RedisCluster) => Redis.command(home.url, "CLUSTER", "KEYSLOT", "{followed}")
})

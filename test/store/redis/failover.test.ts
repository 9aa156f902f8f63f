/**
 * The store on a Redis Cluster of several nodes, given the address of one that does not have its keys.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
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
    /** Leads to a server, as a name or a proxy does; those who came before stay where they are. */
    const nameFor = Effect.fnUntraced(function*(first: Redis.OwnRedis) {
      let port = first.port
      const sockets = new Set<Socket>()
      const server = yield* Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const listening = createServer((client) => {
            const target = connect(port, "127.0.0.1")
            for (const socket of [client, target]) sockets.add(socket.on("error", () => {}))
            client.pipe(target)
            target.pipe(client)
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
        leadTo: (next: Redis.OwnRedis) => {
          port = next.port
        }
      }
    })

    it.live("leaves a server that has become a replica", () =>
      Effect.gen(function*() {
        const [first, second] = [yield* Redis.start(), yield* Redis.start()]
        const name = yield* nameFor(first)
        yield* Effect.gen(function*() {
          const store = yield* TaskStore
          yield* store.enqueue([tasks(1)])
          name.leadTo(second)
          yield* Redis.command(first.url, "REPLICAOF", "127.0.0.1", String(second.port))
          const [answer] = yield* eventually(store.enqueue([tasks(2)]))
          assert.strictEqual(answer?._tag, "Accepted")
          assert.deepInclude(yield* store.counts, { pending: 2 })
        }).pipe(Effect.provide(RedisStore.layerUrl({ url: name.url })))
      }), 60_000)
  })

  const slotOf = ({ home }: RedisCluster.RedisCluster) => Redis.command(home.url, "CLUSTER", "KEYSLOT", "{followed}")
})

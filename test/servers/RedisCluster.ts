/**
 * A Redis Cluster of the test's own: three nodes with a third of the slots each, and a replica of the one that has a
 * given key.
 */
import { Effect, type Scope } from "effect"
import { patiently } from "../Patience.ts"
import type { ServerMissing } from "./Program.ts"
import * as Redis from "./Redis.ts"

export interface RedisCluster {
  /** The node that has the key. */
  readonly home: Redis.OwnRedis
  /** Takes its place when it dies. */
  readonly replica: Redis.OwnRedis
  /** The nodes that don't have the key. */
  readonly others: readonly [Redis.OwnRedis, Redis.OwnRedis]
  /** Gives the slot of the key, with all that is in it, to another node. */
  readonly moveTo: (target: Redis.OwnRedis) => Effect.Effect<void>
}

const slots = 16_384
const settings = { "cluster-enabled": "yes", "cluster-node-timeout": "1000" }

const send = (server: Redis.RedisServer, ...args: ReadonlyArray<string>) => Redis.command(server.url, ...args)

/** Waits until a server's answer contains a text. */
const until = (server: Redis.RedisServer, command: ReadonlyArray<string>, text: string) =>
  Effect.retry(
    Effect.filterOrFail(send(server, ...command), (answer) => String(answer).includes(text)),
    patiently("50 millis")
  )

/** Starts the cluster; it ends with the scope. */
export const start = Effect.fnUntraced(function*(
  key: string
): Effect.fn.Return<RedisCluster, ServerMissing, Scope.Scope> {
  const nodes = yield* Effect.forEach([0, 1, 2, 3], () => Redis.start(settings), { concurrency: 4 })
  const [first, second, third, replica] = nodes as [Redis.OwnRedis, Redis.OwnRedis, Redis.OwnRedis, Redis.OwnRedis]
  return yield* Effect.orDie(Effect.gen(function*() {
    const masters = [first, second, third]
    const share = Math.ceil(slots / masters.length)
    yield* Effect.forEach(masters, (master, index) => {
      const from = index * share
      const own = Array.from({ length: Math.min(share, slots - from) }, (_, offset) => String(from + offset))
      return send(master, "CLUSTER", "ADDSLOTS", ...own)
    })
    for (const { port } of nodes.slice(1)) yield* send(first, "CLUSTER", "MEET", "127.0.0.1", String(port))
    for (const node of nodes) {
      yield* until(node, ["CLUSTER", "INFO"], "cluster_known_nodes:4")
      yield* until(node, ["CLUSTER", "INFO"], "cluster_state:ok")
    }
    const slot = Number(yield* send(first, "CLUSTER", "KEYSLOT", key))
    const home = masters[Math.floor(slot / share)]!
    const idOf = (node: Redis.OwnRedis) => Effect.map(send(node, "CLUSTER", "MYID"), String)
    yield* send(replica, "CLUSTER", "REPLICATE", yield* idOf(home))
    yield* until(replica, ["INFO", "replication"], "master_link_status:up")

    const moveTo = Effect.fnUntraced(function*(target: Redis.OwnRedis) {
      const [from, to] = [yield* idOf(home), yield* idOf(target)]
      yield* send(target, "CLUSTER", "SETSLOT", String(slot), "IMPORTING", from)
      yield* send(home, "CLUSTER", "SETSLOT", String(slot), "MIGRATING", to)
      for (;;) {
        const keys = (yield* send(home, "CLUSTER", "GETKEYSINSLOT", String(slot), "1000")) as ReadonlyArray<string>
        if (keys.length === 0) break
        yield* send(home, "MIGRATE", "127.0.0.1", String(target.port), "", "0", "5000", "KEYS", ...keys)
      }
      yield* send(target, "CLUSTER", "SETSLOT", String(slot), "NODE", to)
      yield* send(home, "CLUSTER", "SETSLOT", String(slot), "NODE", to)
    }, Effect.orDie)

    const others = masters.filter((master) => master !== home) as [Redis.OwnRedis, Redis.OwnRedis]
    return { home, replica, others, moveTo }
  }))
})

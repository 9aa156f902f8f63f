/** Faults of instances, of the network and of the server, while three instances share one Redis. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { readFileSync } from "node:fs"
import { command, installed, type OwnRedis, session, start as startRedis } from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import * as Bundle from "./Bundle.ts"
import * as Cluster from "./Cluster.ts"
import * as Page from "./Page.ts"
import * as Proxy from "./Proxy.ts"
import * as Scenario from "./Scenario.ts"

await withServer("a Redis of its own", installed, () => {
  describe("three instances on one Redis", () => {
    const scope = Scope.makeUnsafe()
    const rows: Array<Scenario.Row> = []
    let redis: OwnRedis
    let proxy: Proxy.Proxy
    let cluster: Cluster.Cluster

    beforeAll(() =>
      Effect.runPromise(Scope.provide(
        Effect.gen(function*() {
          redis = yield* startRedis({ appendonly: "yes", appendfsync: "always" })
          proxy = yield* Proxy.make(redis.port)
          cluster = yield* Cluster.start({
            file: yield* Bundle.build,
            size: 3,
            environment: { STORE_URL: `redis://127.0.0.1:${proxy.port}` }
          })
        }),
        scope
      ))
    )

    afterAll(async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      Scenario.save("Redis", rows)
    })

    const survives = (name: string, what: string, strike: () => Effect.Effect<void, unknown>, keeps?: number) =>
      it.live(`survive ${what}`, () =>
        Effect.gen(function*() {
          const fault = { name, what, strike: Effect.suspend(strike), ...(keeps === undefined ? {} : { keeps }) }
          rows.push(yield* Scenario.run("Redis", cluster, fault))
        }))

    const ask = (...words: ReadonlyArray<string>) => command(redis.url, ...words)

    survives(
      "kill",
      "SIGKILL of one instance after the other",
      () => Effect.forEach(cluster.members, cluster.kill, { discard: true })
    )

    survives(
      "freeze",
      "SIGSTOP of an instance for longer than its lease, then SIGCONT",
      () => cluster.freeze(cluster.members[0]!, Cluster.leaseMs * 1.75)
    )

    survives("restart", "SIGKILL of Redis and a start from its append-only file", () =>
      Effect.gen(function*() {
        yield* redis.kill("SIGKILL")
        yield* Effect.sleep("1 second")
        yield* redis.start
      }))

    survives("stall", "SIGSTOP of Redis for longer than a lease, then SIGCONT", () =>
      Effect.gen(function*() {
        yield* redis.signal("SIGSTOP")
        yield* Effect.sleep(Cluster.leaseMs * 1.5)
        yield* redis.signal("SIGCONT")
      }))

    survives("client-kill", "CLIENT KILL of every connection, three times", () =>
      Effect.repeat(
        Effect.gen(function*() {
          yield* ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
          yield* ask("CLIENT", "KILL", "TYPE", "pubsub")
          yield* Effect.sleep("400 millis")
        }),
        { times: 2 }
      ))

    survives(
      "reset",
      "connections that the network resets, three times",
      () => Effect.repeat(Effect.andThen(proxy.reset, Effect.sleep("400 millis")), { times: 2 })
    )

    survives(
      "half-open",
      "connections that die silently",
      () => Effect.andThen(proxy.forget, Effect.sleep("100 millis"))
    )

    survives("black-hole", "a network that loses everything for longer than a lease", () =>
      Effect.gen(function*() {
        yield* proxy.blackHole
        yield* Effect.sleep(Cluster.leaseMs * 1.5)
        yield* proxy.heal
      }))

    survives("slow", "a network with 100 ms more delay each way", () =>
      Effect.gen(function*() {
        yield* proxy.delay(100)
        yield* Effect.sleep("2 seconds")
        yield* proxy.heal
      }))

    survives("full", "a full Redis, which refuses writes", () =>
      Effect.gen(function*() {
        yield* ask("CONFIG", "SET", "maxmemory", "1mb")
        yield* Effect.sleep("1500 millis")
        yield* ask("CONFIG", "SET", "maxmemory", "0")
      }))

    survives("read-only", "a Redis that refuses writes because its replicas are gone", () =>
      Effect.gen(function*() {
        yield* ask("CONFIG", "SET", "min-replicas-to-write", "1")
        yield* Effect.sleep("1500 millis")
        yield* ask("CONFIG", "SET", "min-replicas-to-write", "0")
      }))

    survives(
      "no-connection",
      "no free connections: open ones are killed, and other clients hold the last ones",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const admin = yield* session(redis.url)
          yield* admin("CONFIG", "SET", "maxclients", "1")
          yield* admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
          yield* admin("CLIENT", "KILL", "TYPE", "pubsub")
          yield* Effect.sleep("1500 millis")
          yield* admin("CONFIG", "SET", "maxclients", "1000")
        }))
    )

    it("are told of on the page about it", () => {
      assert.lengthOf(rows, 12)
      if (process.env["CHAOS_PAGE"] === "write") return
      const page = readFileSync(Page.path, "utf8")
      assert.deepStrictEqual(rows.map(Page.beginningOf).filter((line) => !page.includes(line)), [])
    })
  })
})

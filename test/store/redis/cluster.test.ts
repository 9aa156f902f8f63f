/**
 * The store on a Redis Cluster. Its one node has the slots of the tests' prefixes and no others, and a cluster's node
 * refuses every script that touches a key of a slot that it does not have.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import type { Redis as Service } from "effect/persistence/Redis"
import { patiently } from "../../Patience.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import { suite } from "../conformance/suite.ts"
import { connect } from "./fixtures.ts"

const cluster = Redis.start({ "cluster-enabled": "yes", "cluster-require-full-coverage": "no" })

/** Gives the node the slot of a deployment. */
const serve = Effect.fnUntraced(function*(redis: Service["Service"], root: string) {
  const slot = yield* redis.send<number>("CLUSTER", "KEYSLOT", root)
  // two tests may meet in one
  yield* Effect.ignore(redis.send("CLUSTER", "ADDSLOTS", String(slot)))
  const isUp = Effect.filterOrFail(redis.send<string>("CLUSTER", "INFO"), (info) => info.includes("cluster_state:ok"))
  yield* Effect.retry(isUp, patiently("50 millis"))
}, Effect.orDie)

await withServer("a Redis Cluster of its own", cluster, async (server) => {
  const { advance, layer, redis } = await connect(server, serve)

  describe("A node of a Redis Cluster", () => {
    it.live("refuses scripts that touch another slot, so that the tests below mean something", () =>
      Effect.gen(function*() {
        yield* serve(redis, "{here}")
        const script = (key: string) =>
          Effect.exit(redis.send("EVAL", `return redis.call("EXISTS", "${key}")`, "1", "{here}"))
        assert.isTrue(Exit.isSuccess(yield* script("{here}:other")))
        assert.isTrue(Exit.isFailure(yield* script("{elsewhere}")))
      }))
  })

  suite("The Redis store on a cluster", { layer, advance, live: true })
})

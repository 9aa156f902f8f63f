/** What stores that open their own connections take as the address of a server. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { InvalidOption } from "../../../src/domain/Errors.ts"
import * as PostgresStore from "../../../src/store/postgres/PostgresStore.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { TaskStore } from "../../../src/store/TaskStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"

await withServer("Redis", Redis.find, (server) => {
  describe("the address of a Redis server", () => {
    it.live("may be redacted, as that of PostgreSQL may", () =>
      Effect.gen(function*() {
        const prefix = yield* Redis.scratchPrefix(server)
        const counts = TaskStore.use((store) => store.counts)
        const { totals } = yield* Effect.provide(
          counts,
          RedisStore.layerUrl({ url: Redacted.make(server.url), prefix })
        )
        assert.strictEqual(totals.created, 0)
      }))
  })
})

describe("the address of a server", () => {
  it("is refused where it is no text, at once and without showing a secret", () => {
    for (const layerUrl of [RedisStore.layerUrl, PostgresStore.layerUrl] as ReadonlyArray<(options: any) => unknown>) {
      for (const given of [undefined, null, 5, "", {}, Redacted.make(5), Layer.empty]) {
        try {
          layerUrl({ url: given })
        } catch (error) {
          assert.instanceOf(error, InvalidOption)
          assert.strictEqual(error.option, "url")
          continue
        }
        assert.fail(String(given))
      }
    }
  })
})

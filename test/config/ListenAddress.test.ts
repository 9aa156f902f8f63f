import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ListenAddress from "../../src/config/ListenAddress.ts"

const loopback = ["localhost", "127.0.0.1", "127.0.0.2", "::1"]
const others = ["0.0.0.0", "::", "192.168.1.5", "example.org"]

describe("other machines", () => {
  it.effect("are kept out when there are no keys to ask for", () =>
    Effect.gen(function*() {
      const nothing = { host: undefined, insecure: false }
      assert.deepStrictEqual(yield* ListenAddress.decide(nothing, false), { host: "127.0.0.1", requireKeys: false })
      for (const host of loopback) {
        assert.strictEqual((yield* ListenAddress.decide({ host, insecure: false }, false)).host, host)
      }
      for (const host of others) {
        const error = yield* Effect.flip(ListenAddress.decide({ host, insecure: false }, false))
        assert.include(error.message, `SERVER_HOST=${host}: `)
        assert.include(error.message, "set TASKFORGE_INSECURE=1")
      }
    }))

  it.effect("are let in once there are keys, which they need from the start", () =>
    Effect.gen(function*() {
      const nothing = { host: undefined, insecure: false }
      assert.deepStrictEqual(yield* ListenAddress.decide(nothing, true), { host: "0.0.0.0", requireKeys: true })
      for (const host of [...loopback, ...others]) {
        assert.deepStrictEqual(yield* ListenAddress.decide({ host, insecure: false }, true), {
          host,
          requireKeys: true
        })
      }
    }))

  it.effect("are let in without keys only when that is said", () =>
    Effect.gen(function*() {
      const nothing = { host: undefined, insecure: true }
      assert.deepStrictEqual(yield* ListenAddress.decide(nothing, false), { host: "0.0.0.0", requireKeys: false })
      assert.deepStrictEqual(yield* ListenAddress.decide(nothing, true), { host: "0.0.0.0", requireKeys: true })
    }))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as ListenAddress from "../../src/config/ListenAddress.ts"

const loopback = ["localhost", "127.0.0.1", "127.0.0.2", "::1"]
const others = ["0.0.0.0", "::", "192.168.1.5", "example.org"]

const nothing = { adminKey: undefined, host: undefined, insecure: false, requireKeys: false }
const withKey = { ...nothing, adminKey: Redacted.make("k".repeat(32)) }
const requiring = { ...nothing, requireKeys: true }
const insecure = { ...nothing, insecure: true }

describe("other machines", () => {
  it.effect("are kept out when there are no keys to ask for", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ListenAddress.decide(nothing, false), { host: "127.0.0.1", requireKeys: false })
      for (const host of loopback) {
        assert.strictEqual((yield* ListenAddress.decide({ ...nothing, host }, false)).host, host)
      }
      for (const host of others) {
        const error = yield* Effect.flip(ListenAddress.decide({ ...nothing, host }, false))
        assert.include(error.message, `SERVER_HOST=${host}: `)
        assert.include(error.message, "set TASKFORGE_INSECURE=1")
      }
    }))

  it.effect("are let in where the settings ask for keys", () =>
    Effect.gen(function*() {
      for (const settings of [withKey, requiring]) {
        for (const hasKeys of [false, true]) {
          assert.deepStrictEqual(yield* ListenAddress.decide(settings, hasKeys), { host: "0.0.0.0", requireKeys: true })
        }
        for (const host of [...loopback, ...others]) {
          assert.deepStrictEqual(yield* ListenAddress.decide({ ...settings, host }, false), { host, requireKeys: true })
        }
      }
    }))

  it.effect("are not let in because a key was made in the store, unless the address was set", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ListenAddress.decide(nothing, true), { host: "127.0.0.1", requireKeys: true })
      for (const host of [...loopback, ...others]) {
        assert.deepStrictEqual(yield* ListenAddress.decide({ ...nothing, host }, true), { host, requireKeys: true })
      }
    }))

  it.effect("are let in without keys only when that is said", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ListenAddress.decide(insecure, false), { host: "0.0.0.0", requireKeys: false })
      assert.deepStrictEqual(yield* ListenAddress.decide(insecure, true), { host: "0.0.0.0", requireKeys: true })
      for (const settings of [withKey, requiring]) {
        const error = yield* Effect.flip(ListenAddress.decide({ ...settings, insecure: true }, false))
        assert.include(error.message, "TASKFORGE_INSECURE=1: ")
      }
    }))
})

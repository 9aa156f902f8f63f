/** What every driver's `KeyStore` has to keep. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { NewKey } from "../../../src/domain/ApiKey.ts"
import { KeyStore } from "../../../src/store/KeyStore.ts"

const key = (id: string, fields: Partial<NewKey> = {}): NewKey => ({
  id,
  name: `key ${id}`,
  role: "read",
  hash: `hash of ${id}`,
  ...fields
})

/** Holds a driver to the contract of `KeyStore`. */
export const apiKeys = (name: string, layer: Layer.Layer<KeyStore, unknown>): void => {
  describe(`${name} keeps API keys`, () => {
    const claim = (title: string, body: (keys: KeyStore["Service"]) => Effect.Effect<void, unknown>) =>
      it.live(title, () => Effect.provide(KeyStore.use(body), layer))

    claim("and there are none at first", (keys) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* keys.list, [])
      }))

    claim("with their hashes, roles and times, the oldest first", (keys) =>
      Effect.gen(function*() {
        const first = yield* keys.create(key("b", { role: "admin" }))
        yield* Effect.sleep("5 millis")
        const second = yield* keys.create(key("a", { name: "zoë's \"key\"" }))
        assert.notProperty(first, "hash")
        assert.isAbove(second.createdAt, first.createdAt)
        assert.deepStrictEqual(yield* keys.list, [
          { ...key("b", { role: "admin" }), createdAt: first.createdAt },
          { ...key("a", { name: "zoë's \"key\"" }), createdAt: second.createdAt }
        ])
      }))

    claim("and creating one again changes nothing", (keys) =>
      Effect.gen(function*() {
        const first = yield* keys.create(key("a"))
        const again = yield* keys.create(key("a", { name: "other", role: "admin", hash: "other" }))
        assert.deepStrictEqual(again, first)
        assert.deepStrictEqual(yield* keys.list, [{ ...key("a"), createdAt: first.createdAt }])
      }))

    claim("until they are revoked", (keys) =>
      Effect.gen(function*() {
        yield* keys.create(key("a"))
        yield* keys.create(key("b"))
        assert.isTrue(yield* keys.revoke("a"))
        assert.isFalse(yield* keys.revoke("a"))
        assert.isFalse(yield* keys.revoke("c"))
        assert.deepStrictEqual((yield* keys.list).map(({ id }) => id), ["b"])
      }))
  })
}

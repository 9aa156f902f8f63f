import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import * as ApiKeys from "../../src/access/ApiKeys.ts"
import * as Secret from "../../src/access/Secret.ts"
import { allows } from "../../src/domain/ApiKey.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"

const services = Layer.merge(MemoryStore.layer(), SecureRandom.layerWebCrypto)

describe("an API key", () => {
  it.effect("shows its secret once; the store has only a hash of it", () =>
    Effect.gen(function*() {
      const { key, secret } = yield* ApiKeys.create({ name: "ci", role: "write" })
      const text = Redacted.value(secret)
      assert.strictEqual(Secret.idOf(text), key.id)
      const [stored] = yield* ApiKeys.stored
      assert.notInclude(JSON.stringify(stored), text.slice(-43))
      assert.isTrue(Secret.matches(text, stored!.hash))
      assert.deepStrictEqual(yield* ApiKeys.list, [key])
      assert.notInclude(String(secret), text)
    }).pipe(Effect.provide(services)))

  it.effect("has a secret of its own", () =>
    Effect.gen(function*() {
      const made = yield* Effect.forEach(Array.from({ length: 100 }), () => Secret.make)
      assert.strictEqual(new Set(made.map(({ text }) => text)).size, 100)
      for (const { text } of made) assert.match(text, /^tf_[0-9a-f]{12}_[\w-]{43}$/)
    }).pipe(Effect.provide(services)))

  it.effect("is not matched by any other text", () =>
    Effect.gen(function*() {
      const { text } = yield* Secret.make
      const hash = Secret.hashOf(text)
      for (const other of ["", "tf_", text.slice(1), `${text} `, text.toUpperCase(), `${text.slice(0, -1)}!`]) {
        assert.isFalse(Secret.matches(other, hash), other)
      }
      assert.isFalse(Secret.matches(text, "short"))
      for (const other of ["", "tf_abc_def", `${text}=`, text.replace("tf_", "xx_")]) {
        assert.isUndefined(Secret.idOf(other), other)
      }
    }).pipe(Effect.provide(services)))

  it.effect("needs a name that people can read", () =>
    Effect.gen(function*() {
      for (const name of ["", "  ", "a\nb", "x".repeat(101)]) {
        const error = yield* Effect.flip(ApiKeys.create({ name, role: "read" }))
        assert.strictEqual(error._tag, "InvalidKeyName")
      }
    }).pipe(Effect.provide(services)))

  it.effect("can be revoked once", () =>
    Effect.gen(function*() {
      const { key } = yield* ApiKeys.create({ name: "ci", role: "write" })
      yield* ApiKeys.revoke(key.id)
      const error = yield* Effect.flip(ApiKeys.revoke(key.id))
      assert.strictEqual(error._tag, "KeyNotFound")
      assert.deepStrictEqual(yield* ApiKeys.list, [])
    }).pipe(Effect.provide(services)))

  it("has a role that includes the lesser ones", () => {
    assert.isTrue(allows("admin", "read"))
    assert.isTrue(allows("write", "write"))
    assert.isFalse(allows("read", "write"))
    assert.isFalse(allows("write", "admin"))
  })
})

import { assert, describe, it } from "@effect/vitest"
import { LastClaims } from "../../../src/store/memory/Claim.ts"

describe("the last claims of workers", () => {
  it("are forgotten once they are old enough, each by its own time", () => {
    const claims = new LastClaims()
    claims.remember("ada", { nonce: 1, at: 1000, tasks: [] })
    claims.remember("grace", { nonce: 1, at: 2000, tasks: [] })
    claims.forget(999)
    assert.deepStrictEqual(claims.get("ada", 1), [])
    claims.forget(1000)
    assert.isUndefined(claims.get("ada", 1))
    assert.deepStrictEqual(claims.get("grace", 1), [])
  })

  it("give way to the next one", () => {
    const claims = new LastClaims()
    claims.remember("ada", { nonce: 1, at: 1000, tasks: [] })
    claims.remember("ada", { nonce: 2, at: 5000, tasks: [] })
    claims.forget(4000)
    assert.isUndefined(claims.get("ada", 1))
    assert.deepStrictEqual(claims.get("ada", 2), [])
  })
})

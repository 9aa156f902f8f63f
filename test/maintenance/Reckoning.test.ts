import { assert, describe, it } from "@effect/vitest"
import { Reckoning } from "../../src/maintenance/Reckoning.ts"

const lease = 15_000
const hour = 3_600_000

/** An answer that took a time, seen when it came. */
const answer = (receivedAt: number, now: number, tookMs = 0) => ({ now, sentAt: receivedAt - tookMs, receivedAt })

describe("what the store's clock can show", () => {
  it("is between what the answers of the last lease say", () => {
    const reckoning = new Reckoning(lease)
    assert.isUndefined(reckoning.at(0))
    reckoning.add(answer(1000, 500_000, 10))
    assert.deepStrictEqual(reckoning.at(3000), { earliest: 502_000, latest: 502_010 })
  })

  it("is also what it showed before it was set, for a lease from the first answer after that on", () => {
    const reckoning = new Reckoning(lease)
    reckoning.add(answer(0, 2 * hour))
    // it is set back just before the answer to a request that was slow
    const seenAt = lease + 2000
    reckoning.add(answer(seenAt, hour + seenAt, 2000))
    for (let at = seenAt; at < seenAt + lease; at += 1000) {
      assert.strictEqual(reckoning.at(at)!.latest, 2 * hour + at)
      reckoning.add(answer(at, hour + at))
    }
    reckoning.add(answer(seenAt + lease, hour + seenAt + lease))
    assert.strictEqual(reckoning.at(seenAt + lease)!.latest, hour + seenAt + lease)
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type AttemptRecord, historyOf, maxHistory, remember, retryCount } from "../../src/domain/TaskRecord.ts"

const attempt = (claim: number): AttemptRecord => ({
  claim,
  attempt: claim,
  instance: "w",
  startedAt: 0,
  endedAt: 0,
  outcome: "failed"
})

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 }))

describe("TaskRecord", () => {
  it("counts the retries spent, never more than the budget", () => {
    assert.strictEqual(retryCount({ failures: 0, maxRetries: 3 }), 0)
    assert.strictEqual(retryCount({ failures: 2, maxRetries: 3 }), 2)
    assert.strictEqual(retryCount({ failures: 4, maxRetries: 3 }), 3)
    assert.strictEqual(retryCount({ failures: 1, maxRetries: 0 }), 0)
    assert.strictEqual(retryCount({ failures: 40, maxRetries: -1 }), 40)
  })

  it.prop("remembers the last attempts in order, and never more than the limit", [count], ([attempts]) => {
    let history: ReadonlyArray<AttemptRecord> = []
    for (let claim = 1; claim <= attempts; claim++) history = remember(history, attempt(claim))
    const all = Array.from({ length: attempts }, (_, index) => attempt(index + 1))
    assert.deepStrictEqual(history, all.slice(-maxHistory))
    assert.strictEqual(maxHistory, 20)
  })

  it("reads what older versions stored: the instance as worker, and no numbers of attempts", () => {
    const stored = [4, 7].map((claim) => {
      const { attempt: _, instance, ...rest } = attempt(claim)
      return { ...rest, worker: instance } as unknown as AttemptRecord
    })
    const numbered = (claim: number, claims: number) => historyOf(stored, { claim, claims })
    assert.deepStrictEqual(numbered(7, 5), [{ ...attempt(4), attempt: 4 }, { ...attempt(7), attempt: 5 }], "waits")
    assert.deepStrictEqual(numbered(9, 6), [{ ...attempt(4), attempt: 4 }, { ...attempt(7), attempt: 5 }], "runs")
    assert.deepStrictEqual(historyOf([attempt(4)], { claim: 9, claims: 9 }), [attempt(4)], "stored with its number")
  })

  it("does not change the history it is given", () => {
    const history = [attempt(1)]
    remember(history, attempt(2))
    assert.deepStrictEqual(history, [attempt(1)])
  })
})

/** A checker that finds nothing proves nothing: each flaw is planted here once. */
import { assert, describe, it } from "@effect/vitest"
import { type Evidence, flawsOf, type StoredTask } from "./Checker.ts"
import type { Line } from "./Ledger.ts"

const task = (fields: Partial<StoredTask> = {}): StoredTask => ({
  id: "a",
  status: "completed",
  result: { claim: 7 },
  attempts: 2,
  crashes: 1,
  failures: 0,
  completed_at: "2030-01-01T00:00:00.000Z",
  history: [{ claim: 5, outcome: "crashed" }],
  ...fields
})

const line = (event: Line["event"], claim: number, id = "a"): Line => ({ at: 0, event, id, claim })

const sound: Evidence = {
  accepted: new Set(["a"]),
  ledger: [line("start", 5), line("start", 7), line("end", 7), line("end", 5)],
  tasks: [task()],
  before: [task()]
}

describe("the checker of the chaos suite", () => {
  it("finds nothing in a crash, a second attempt, and a late end of the first one", () => {
    assert.deepStrictEqual(flawsOf(sound), [])
  })

  const planted: ReadonlyArray<readonly [what: string, evidence: Partial<Evidence>, flaw: RegExp]> = [
    ["a task that is gone", { accepted: new Set(["a", "b"]) }, /^b was accepted and is gone$/],
    ["a task that did not complete", { tasks: [task({ status: "failed" })] }, /^a was accepted and is failed$/],
    [
      "a settlement by a claim that was not the last",
      { tasks: [task({ result: { claim: 5 }, history: [], attempts: 1, crashes: 0 })] },
      /^a was settled by claim 5 after claim 7 was given$/
    ],
    [
      "a settlement whose handler never ended",
      { ledger: [line("start", 5), line("start", 7)] },
      /^a was settled by claim 7, whose handler never ended$/
    ],
    [
      "a claim that was given twice",
      { ledger: [...sound.ledger, line("start", 7, "b")] },
      /^claim 7 was given for a and for b$/
    ],
    [
      "claims that do not grow",
      { tasks: [task({ history: [{ claim: 8, outcome: "crashed" }] })] },
      /^the claims of a do not grow: 8, 7$/
    ],
    [
      "an end that came twice",
      { before: [task({ completed_at: "2029-01-01T00:00:00.000Z" })] },
      /^a had ended and ended again$/
    ],
    ["an end that is gone", { before: [task({ id: "z" })] }, /^z had ended and is gone$/],
    ["a crash that counts as a failure", { tasks: [task({ failures: 1 })] }, /^a counts 1 failures/],
    ["a crash that nobody wrote down", { tasks: [task({ history: [] })] }, /^a counts 1 crashes, its history shows 0$/],
    ["a claim that nobody accounts for", { tasks: [task({ attempts: 3 })] }, /^a was claimed 3 times/]
  ]
  for (const [what, evidence, flaw] of planted) {
    it(`finds ${what}`, () => {
      assert.isTrue(
        flawsOf({ ...sound, ...evidence }).some((sentence) => flaw.test(sentence)),
        flawsOf({ ...sound, ...evidence }).join("\n")
      )
    })
  }
})

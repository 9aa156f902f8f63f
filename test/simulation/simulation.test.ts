/** The engine in a simulated cluster: seeds that are always the same, and those that once failed. */
import { assert, describe, it } from "@effect/vitest"
import { mutants } from "./mutants.ts"
import { regressions } from "./regressions.ts"
import { run } from "./Run.ts"
import { fromSeed, olderFromSeed } from "./Scenario.ts"
import { search } from "./searcher.ts"
import { partsOf, shrink, without } from "./shrink.ts"

const keeps = (from: number, count: number, small = false): void => {
  const { failures } = search({ from, count, small })
  assert.deepStrictEqual(failures, [], `npm run simulate --${small ? " --small" : ""} --seed ${failures[0]?.seed}`)
}

describe("a simulated cluster keeps every invariant", () => {
  it(
    "under 40 seeds that are always the same, every tenth run twice with the same digest",
    () => keeps(0, 40)
  )

  it("under 120 seeds most of whose scenarios are small", () => keeps(0, 120, true))

  it.each(regressions.map(({ reason, seed }) => [seed, reason]))(
    "under seed %i, where once %s",
    (seed) => assert.deepStrictEqual(run(olderFromSeed(seed)).violations, [])
  )
})

describe("a failing seed", () => {
  it("is shrunk to what is needed for its failure", () => {
    const mutant = mutants.find(({ name }) => name.startsWith("nonce ignored"))!
    let seed = mutant.noticedAt ?? 0
    while (run(fromSeed(seed), mutant).violations.length === 0) seed++
    const scenario = fromSeed(seed)
    const { parts, verdict } = shrink(scenario, mutant)
    assert.isAbove(verdict.violations.length, 0)
    const left = partsOf(scenario).filter((part) => !parts.has(part))
    assert.isBelow(left.length, partsOf(scenario).length / 2)
    assert.deepStrictEqual(run(without(scenario, parts), mutant).digest, verdict.digest)
  })
})

/** Broken engines, each of which the search has to notice. */
import { assert, describe, it } from "@effect/vitest"
import { mutants } from "./mutants.ts"
import { run } from "./Run.ts"
import { fromSeed } from "./Scenario.ts"

/** Seeds that may be tried, from the one on where a mutant was last noticed. */
const most = 1000

describe("an engine is found to be broken", () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s", (_, mutant) => {
    // Where it was noticed before comes first, so that this takes no longer than it must.
    const first = mutant.noticedAt ?? 0
    for (let tried = 0; tried < most; tried++) {
      const seed = first + tried
      // The first violation is enough: what comes after it would only take time
      if (run(fromSeed(seed), mutant, 1).violations.length === 0) continue
      if (tried > 10) console.warn(`${mutant.name}: it took ${tried} seeds, set noticedAt to ${seed}`)
      return
    }
    assert.fail(`It survives ${most} seeds`)
  })

  it("and the real one is not, under the same seeds", () => {
    // Many mutants share a seed, and each seed runs the real one the same way
    const seeds = new Set(mutants.map(({ noticedAt = 0 }) => noticedAt))
    for (const seed of seeds) assert.deepStrictEqual(run(fromSeed(seed)).violations, [])
  }, 120_000)
})

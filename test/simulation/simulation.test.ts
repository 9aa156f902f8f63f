/** The engine in a simulated cluster. `npm run simulate` searches further. */
import { assert, describe, it } from "@effect/vitest"
import { run } from "./Run.ts"
import { fromSeed } from "./Scenario.ts"

describe("a simulated cluster keeps every invariant", () => {
  it("under a fixed set of seeds", () => {
    for (let seed = 0; seed < 100; seed++) assert.deepStrictEqual(run(fromSeed(seed)).violations, [], `seed ${seed}`)
  }, 60_000)
})

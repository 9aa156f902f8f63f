/** Makes a failing scenario smaller: what can be left out without the failure going away is left out. */
import type { Mutant } from "./Mutant.ts"
import { run, type Verdict } from "./Run.ts"
import type { Network, Scenario } from "./Scenario.ts"

/** The parts of the network's behaviour that can be left out. */
const networkParts: ReadonlyArray<keyof Network> = [
  "latencyMs",
  "lostRequest",
  "lostReply",
  "duplicated",
  "late",
  "lostHint"
]

/** The names of everything that can be left out: faults `f0`, `f1` …, steps `s0`, `s1` …, and parts of the network. */
export const partsOf = (scenario: Scenario): ReadonlyArray<string> => [
  ...scenario.faults.map((_, index) => `f${index}`),
  ...networkParts.filter((part) => scenario.network[part] > 0),
  ...scenario.steps.map((_, index) => `s${index}`)
]

/** A scenario without some of its parts. */
export const without = (scenario: Scenario, parts: ReadonlySet<string>): Scenario => {
  const network = { ...scenario.network }
  for (const part of networkParts) if (parts.has(part)) network[part] = 0
  return {
    ...scenario,
    network,
    faults: scenario.faults.filter((_, index) => !parts.has(`f${index}`)),
    steps: scenario.steps.filter((_, index) => !parts.has(`s${index}`))
  }
}

/** What a failing scenario was shrunk to. */
export interface Shrunk {
  /** What was left out. */
  readonly parts: ReadonlySet<string>
  readonly verdict: Verdict
  readonly runs: number
}

/** Leaves out as much of a failing scenario as possible; one of the invariants that failed has to fail still. */
export const shrink = (scenario: Scenario, mutant?: Mutant): Shrunk => {
  let parts: ReadonlySet<string> = new Set()
  let verdict = run(without(scenario, parts), mutant)
  let runs = 1
  const names = new Set(verdict.violations.map(({ invariant }) => invariant))

  const tryWithout = (more: ReadonlyArray<string>): boolean => {
    const candidate = new Set([...parts, ...more])
    const result = run(without(scenario, candidate), mutant)
    runs++
    if (!result.violations.some(({ invariant }) => names.has(invariant))) return false
    parts = candidate
    verdict = result
    return true
  }

  /** Leaves out pieces of so many parts; answers whether any could go. */
  const pass = (size: number): boolean => {
    const left = partsOf(scenario).filter((part) => !parts.has(part))
    let progress = false
    for (let start = 0; start < left.length; start += size) {
      if (tryWithout(left.slice(start, start + size))) progress = true
    }
    return progress
  }

  // Halves first, then smaller pieces, until no single part can go.
  const all = partsOf(scenario).length
  for (let size = Math.ceil(all / 2); size > 1; size = Math.ceil(size / 2)) pass(size)
  while (pass(1));
  return { parts, verdict, runs }
}

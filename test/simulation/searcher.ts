/** Runs the seeds that its parent sends it; every tenth one twice, and compares what they did. */
import { run, type Violation } from "./Run.ts"
import { fromSeed, smallFromSeed } from "./Scenario.ts"

/** Seeds to be run. */
export interface Batch {
  readonly from: number
  readonly count: number
  /** Whether most scenarios are to be small. */
  readonly small?: boolean
}

/** A seed that must not be passed over. */
export interface Failure {
  readonly seed: number
  readonly violations: ReadonlyArray<Violation>
}

/** What came of a batch. */
export interface Report {
  readonly runs: number
  readonly repeated: number
  readonly failures: ReadonlyArray<Failure>
}

/** Runs a batch. */
export const search = ({ count, from, small = false }: Batch): Report => {
  const scenarioOf = small ? smallFromSeed : fromSeed
  const failures: Array<Failure> = []
  let repeated = 0
  for (let seed = from; seed < from + count; seed++) {
    const { digest, violations } = run(scenarioOf(seed))
    if (violations.length > 0) failures.push({ seed, violations })
    if (seed % 10 !== 0) continue
    repeated++
    const again = run(scenarioOf(seed)).digest
    if (again !== digest) {
      const how = `two runs of one seed differ: ${digest} and ${again}`
      failures.push({ seed, violations: [{ invariant: "deterministic", at: 0, how }] })
    }
  }
  return { runs: count, repeated, failures }
}

if (process.send !== undefined && process.env["SIMULATION_SEARCHER"] === "yes") {
  // Thousands of expected errors are made; nobody reads their stacks.
  Error.stackTraceLimit = 0
  // Without its parent, which may have been ended in the meantime, there is nothing to report to
  process.on("message", (batch: Batch) => process.send!(search(batch), (error) => error && process.exit()))
  process.send({ runs: 0, repeated: 0, failures: [] } satisfies Report)
}

/** Prints the digest of a run, so that two processes can be compared. */
import { run } from "../simulation/Run.ts"
import { fromSeed } from "../simulation/Scenario.ts"

console.log(run(fromSeed(Number(process.argv[2]))).digest)

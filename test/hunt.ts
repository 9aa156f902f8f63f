/**
 * Searches for faults with random numbers that no run has had before, until the time is over or one is found: seeds of the
 * simulation, properties, and sequences of operations on the stores. `npm test` has the same numbers in each run.
 *
 * ```sh
 * npm run hunt                     # ten minutes
 * npm run hunt -- --seconds 3600
 * ```
 */
import { spawnSync } from "node:child_process"
import { randomInt } from "node:crypto"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values } = parseArgs({ options: { seconds: { type: "string", default: "600" } } })
const until = performance.now() + Number(values.seconds) * 1000
const left = (): number => until - performance.now()

/** The simulation gets a minute of each round, the properties and the stores take about as long. */
const simulateForMs = 60_000

const root = fileURLToPath(new URL("..", import.meta.url))
const testsWith = (pattern: RegExp): ReadonlyArray<string> =>
  globSync("test/**/*.test.ts", { cwd: root }).filter((path) => pattern.test(readFileSync(root + path, "utf8"))).sort()

const properties = testsWith(/\bit\.(effect\.)?prop\(/)
const stores = testsWith(/^\s*(model|differential|dependencyDifferential)\(/m)

/** Runs Node until it ends or the time is over; answers whether it failed. */
const fails = (args: ReadonlyArray<string>, seed: number): boolean => {
  if (left() <= 0) return false
  const env = { ...process.env, TEST_SEED: String(seed) }
  const timeout = Math.ceil(left())
  const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: "inherit", timeout })
  return status !== 0 && left() > 0
}

const vitest = ["node_modules/vitest/vitest.mjs", "run", "--reporter=default", "--silent=passed-only"]
const simulation = ["--conditions=source", "test/simulation/simulate.ts"]

let rounds = 0
while (left() > 0 && process.exitCode === undefined) {
  rounds++
  const seed = randomInt(2 ** 31)
  const tests = [[...vitest, ...properties], [...vitest, ...stores, "-t", "whatever"]]
  const seconds = String(Math.ceil(Math.min(simulateForMs, left()) / 1000))
  const found = fails([...simulation, "--seconds", seconds], seed)
  const failed = found ? undefined : tests.find((args) => fails(args, seed))
  if (failed !== undefined) console.log(`\nRepeat it:\n  TEST_SEED=${seed} node ${failed.join(" ")}`)
  if (found || failed !== undefined) process.exitCode = 1
}
if (process.exitCode === undefined) console.log(`\nNothing found in ${rounds} rounds`)

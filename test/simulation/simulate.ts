/**
 * Searches for a seed under which the engine breaks an invariant, on all cores.
 *
 * ```sh
 * npm run simulate -- --seeds 10000             # fresh seeds; --from 0 for the same ones as last time
 * npm run simulate -- --seconds 120             # as many as fit
 * npm run simulate -- --seed 42                 # one seed, with its trace
 * npm run simulate -- --seed 42 --without f0,s3 # the same with less in it
 * npm run simulate -- --small --seconds 120     # scenarios most of which are small; --seed 42 --small is one of them
 * ```
 */
import { type ChildProcess, fork } from "node:child_process"
import { randomInt } from "node:crypto"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { run, type Verdict } from "./Run.ts"
import { fromSeed, smallFromSeed } from "./Scenario.ts"
import type { Batch, Failure, Report } from "./searcher.ts"
import { shrink, without } from "./shrink.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string" },
    seconds: { type: "string" },
    workers: { type: "string" },
    seed: { type: "string" },
    without: { type: "string" },
    small: { type: "boolean", default: false }
  }
})

const scenarioOf = values.small ? smallFromSeed : fromSeed

/** Seeds that a worker is given at a time. */
const batchSize = 50

const replay = (seed: number, parts: ReadonlySet<string>): void => {
  const verdict = run(without(scenarioOf(seed), parts))
  console.log(verdict.trace.join("\n"))
  tell(verdict)
  process.exitCode = verdict.violations.length > 0 ? 1 : 0
}

const tell = ({ digest, seed, simulatedMs, steps, violations }: Verdict): void => {
  for (const { at, how, invariant } of violations) console.log(`✗ at ${at} ms, ${invariant}: ${how}`)
  const end = violations.length === 0 ? "keeps every invariant" : "fails"
  console.log(`seed ${seed} ${end}; ${simulatedMs} ms simulated in ${steps} steps, digest ${digest}`)
}

const explain = ({ seed, violations }: Failure): void => {
  console.log(`\nseed ${seed} fails:`)
  for (const { at, how, invariant } of violations) console.log(`  at ${at} ms, ${invariant}: ${how}`)
  if (violations.some(({ invariant }) => invariant === "deterministic")) return
  const { parts, runs, verdict } = shrink(scenarioOf(seed))
  console.log(`shrunk in ${runs} runs, ${parts.size} parts are left out; how it ends:`)
  console.log(verdict.trace.slice(-60).map((line) => `  ${line}`).join("\n"))
  const option = `${values.small ? " --small" : ""}${parts.size === 0 ? "" : ` --without ${[...parts].join(",")}`}`
  console.log(`\nReplay it with its whole trace:\n  npm run simulate -- --seed ${seed}${option}`)
}

/** Shares seeds among processes until all are run, the time is over, or one fails. */
const searchAll = (from: number, count: number, seconds: number, workers: number): Promise<void> =>
  new Promise((resolve) => {
    const begun = performance.now()
    const elapsed = () => (performance.now() - begun) / 1000
    let next = from
    let runs = 0
    let repeated = 0
    let failure: Failure | undefined
    let toldAt = 0

    const progress = () => {
      const rate = (runs + repeated) / elapsed()
      console.log(
        `${runs} seeds from ${from}, ${repeated} of them twice, ${elapsed().toFixed(0)} s, ${rate.toFixed(0)} runs/s`
      )
      toldAt = elapsed()
    }
    const program = fileURLToPath(new URL("searcher.ts", import.meta.url))
    const searchers = new Set<ChildProcess>()
    const done = () => {
      progress()
      if (failure === undefined) console.log("every seed kept every invariant")
      else explain(failure)
      process.exitCode = failure === undefined ? 0 : 1
      resolve()
    }
    for (let worker = 0; worker < workers; worker++) {
      const searcher = fork(program, {
        execArgv: ["--conditions=source"],
        env: { ...process.env, SIMULATION_SEARCHER: "yes" }
      })
      searchers.add(searcher)
      searcher.on("message", (report: Report) => {
        runs += report.runs
        repeated += report.repeated
        failure ??= report.failures[0]
        if (elapsed() - toldAt > 5) progress()
        const left = from + count - next
        if (failure !== undefined || left <= 0 || elapsed() > seconds) {
          searcher.disconnect()
          return
        }
        const batch: Batch = { from: next, count: Math.min(batchSize, left), small: values.small }
        next += batch.count
        searcher.send(batch)
      })
      searcher.on("exit", (code) => {
        searchers.delete(searcher)
        if (code !== 0) {
          failure ??= { seed: -1, violations: [{ invariant: "runs", at: 0, how: `a process exited: ${code}` }] }
        }
        if (searchers.size === 0) done()
      })
    }
  })

if (values.seed !== undefined) {
  replay(Number(values.seed), new Set(values.without?.split(",")))
} else {
  const seconds = values.seconds === undefined ? Infinity : Number(values.seconds)
  const count = values.seeds === undefined ? (Number.isFinite(seconds) ? Infinity : 1000) : Number(values.seeds)
  const from = values.from === undefined ? randomInt(1_000_000_000) : Number(values.from)
  await searchAll(from, count, seconds, Number(values.workers ?? availableParallelism()))
}

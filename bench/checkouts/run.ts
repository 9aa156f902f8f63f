/**
 * Compares checkouts of the project: one process for each, which stay warm and are asked in turns within a second of each
 * other, so that what disturbs the machine disturbs all of them. Prints the median of each figure's ratio to the first
 * checkout, round by round, and where the middle 70 % of the ratios lie. Above 1 is slower.
 *
 *     node --conditions=source bench/checkouts/run.ts sqlite 10 10000 20 ../before .
 */
import { fork } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { percentile } from "../statistics.ts"
import type { Figures, Round, StoreName } from "./Checkout.ts"

const [store, concurrency, count, rounds, ...directories] = process.argv.slice(2)
const round: Round = { store: store as StoreName, concurrency: Number(concurrency), count: Number(count) }
const program = fileURLToPath(new URL("Checkout.ts", import.meta.url))
const start = (directory: string): ChildProcess =>
  fork(program, [resolve(directory)], { execArgv: ["--conditions=source", "--expose-gc"] })

const ask = async (child: ChildProcess): Promise<Figures> => {
  child.send(round)
  const [figures] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => Promise.reject(new Error("a checkout has ended")))
  ])
  return figures
}

const children = directories.map(start)
for (let warm = 0; warm < 4; warm++) for (const child of children) await ask(child)
const answers: Array<ReadonlyArray<Figures>> = []
for (let done = 0; done < Number(rounds); done++) {
  // The order turns round, so that neither always comes first
  const figures: Array<Figures> = []
  const order = children.map((_, index) => (index + done) % children.length)
  for (const index of order) figures[index] = await ask(children[index]!)
  answers.push(figures)
}
for (const child of children) child.kill()

console.log(`${store} c=${concurrency}, ${count} tasks, ${rounds} rounds`)
for (const [index, directory] of directories.entries()) {
  const shown = (["processMs", "processCpuMs", "fillMs", "fillCpuMs"] as const).map((figure) => {
    const ratios = answers.map((figures) => figures[index]![figure] / figures[0]![figure])
    const perTask = percentile(answers.map((figures) => figures[index]![figure]), 0.5) * 1000 / round.count
    const at = (share: number) => percentile(ratios, share).toFixed(3)
    return `  ${figure.padEnd(13)} ${at(0.5)} (${at(0.15)} … ${at(0.85)})  ${perTask.toFixed(1)} µs per task`
  })
  console.log(`${directory}\n${shown.join("\n")}`)
}

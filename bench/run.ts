import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, DateTime, Duration, Effect, FileSystem, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Os from "node:os"
import { fileURLToPath } from "node:url"
import { guard } from "./guard.ts"
import type { Entry, Measure } from "./Measure.ts"
import { measures } from "./measures.ts"
import { type Machine, type Report, type RoundResult, summarizeChecks, summarizeEntries } from "./Report.ts"
import { contenderPath, runRound } from "./Round.ts"
import { formatNumber, renderReport } from "./table.ts"

interface Settings {
  readonly pairs: number
  readonly only: Option.Option<string>
  readonly count: Option.Option<number>
  readonly timeout: number
  readonly json: boolean
}

const bench = Command.make("bench", {
  measure: Argument.Literals("measure", [...measures.map(({ name }) => name), "all"]).pipe(
    Argument.withDescription("What to measure")
  ),
  pairs: Flag.Int("pairs").pipe(
    Flag.withDescription("Rounds of each contender, in turns"),
    Flag.withDefault(3)
  ),
  only: Flag.String("only").pipe(
    Flag.withDescription("Contenders to run, separated by commas"),
    Flag.optional
  ),
  count: Flag.Int("count").pipe(
    Flag.withDescription("Tasks, samples or claims of each round, instead of each entry's own"),
    Flag.optional
  ),
  timeout: Flag.Int("timeout").pipe(
    Flag.withDescription("Seconds after which a round is given up"),
    Flag.withDefault(120)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the report as JSON instead of a table"),
    Flag.withDefault(false)
  )
}, ({ measure, ...settings }) =>
  Effect.forEach(
    measures.filter(({ name }) => measure === "all" || measure === name),
    (selected) => runMeasure(selected, settings),
    { discard: true }
  ))

const runMeasure = Effect.fnUntraced(function*(measure: Measure, settings: Settings) {
  const chosen = measure.entries.filter(isChosen(settings.only)).map(withCount(settings.count))
  if (chosen.length === 0) return yield* Console.error(`${measure.name}: none of its contenders was chosen`)
  const present = chosen.flatMap((entry) => {
    const path = contenderPath(entry.contender)
    return path === null ? [] : [{ entry, path }]
  })
  const missing = chosen.filter(({ contender }) => contenderPath(contender) === null)
  const machine = describeMachine()
  const rounds = yield* runInTurns(present, settings)
  const report: Report = {
    measure: measure.name,
    title: measure.title,
    date: DateTime.formatIso(yield* DateTime.now),
    machine,
    pairs: settings.pairs,
    count: Option.getOrNull(settings.count),
    entries: summarizeEntries(present.map(({ entry }) => entry.id), rounds),
    checks: summarizeChecks(measure, rounds),
    missing: [...new Set(missing.map(({ contender }) => contender))],
    rounds
  }
  yield* save(report)
  yield* Console.log(settings.json ? JSON.stringify(report, null, 2) : `\n${renderReport(report)}\n`)
})

/** A B A B …: what disturbs the machine for a while disturbs both sides of a pair. */
const runInTurns = (
  entries: ReadonlyArray<{ readonly entry: Entry; readonly path: string }>,
  { pairs, timeout }: Settings
) =>
  Effect.forEach(
    Array.from({ length: pairs }, (_, index) => entries.map((present) => ({ ...present, round: index + 1 }))).flat(),
    Effect.fnUntraced(function*({ entry, path, round }) {
      const label = `round ${round} of ${pairs}  ${entry.id}`
      const result = yield* runRound(entry, path, Duration.seconds(timeout)).pipe(
        Effect.match({
          onSuccess: (metrics): RoundResult => ({ entry: entry.id, round, metrics, failure: null }),
          onFailure: ({ output, reason }): RoundResult => {
            process.exitCode = 1
            if (output !== "") process.stderr.write(`${output.trimEnd()}\n`)
            return { entry: entry.id, round, metrics: null, failure: reason }
          }
        })
      )
      yield* Console.error(`${label}  ${result.failure ?? describeMetrics(result)}`)
      return result
    })
  )

const describeMetrics = ({ metrics }: RoundResult): string =>
  Object.entries(metrics ?? {}).map(([name, value]) => `${name} ${formatNumber(value)}`).join("  ")

const isChosen = (only: Option.Option<string>) => {
  const names = Option.map(only, (list) => new Set(list.split(",").map((name) => name.trim())))
  return ({ contender, id }: Entry): boolean =>
    Option.match(names, { onNone: () => true, onSome: (names) => names.has(contender) || names.has(id) })
}

const withCount = (count: Option.Option<number>) => (entry: Entry): Entry =>
  entry._tag === "Queue" && Option.isSome(count) ? { ...entry, count: count.value } : entry

const describeMachine = (): Machine => ({
  cpu: Os.cpus()[0]?.model ?? "unknown",
  cores: Os.availableParallelism(),
  memoryGB: Math.round(Os.totalmem() / 2 ** 30),
  platform: `${Os.platform()} ${Os.arch()}`,
  node: process.versions.node,
  loadAverage: Number(Os.loadavg()[0]!.toFixed(2))
})

const save = Effect.fnUntraced(function*(report: Report) {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = fileURLToPath(new URL("./results/", import.meta.url))
  const name = `${report.measure}-${report.date.slice(0, 19).replaceAll(":", "")}.json`
  yield* fileSystem.makeDirectory(directory, { recursive: true })
  yield* fileSystem.writeFileString(`${directory}${name}`, `${JSON.stringify(report, null, 2)}\n`)
})

bench.pipe(
  Command.withSubcommands([guard]),
  Command.run({ version: "1.0.0" }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)

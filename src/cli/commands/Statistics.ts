import { Effect, Record } from "effect"
import { Command, Flag } from "effect/cli"
import { Rfc3339 } from "../../domain/Rfc3339.ts"
import type { ErrorsJson, StatisticsJson } from "../../http/api/StatisticsApi.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import * as Words from "../Words.ts"

const timeFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription(description),
    Flag.withSchema(Rfc3339),
    Flag.optional
  )

/** What time is asked about. */
const span = {
  last: Input.durationFlag("last", "How much of the time before now: 5m, 1h, 30d; 1h by default, 31d at most"),
  from: timeFlag("from", "Where it begins, instead of --last: 2026-01-31T12:00:00Z"),
  to: timeFlag("to", "Where it ends; now by default")
}

const asked = {
  ...span,
  step: Input.durationFlag("step", "The width of a point in --json: 10s, 1m, 10m, 1h")
}

/** Shows what has happened. */
export const command = Target.command("statistics", asked, (given) => statistics(given)).pipe(
  Command.withDescription(
    "Show what happened in a time: how many tasks came and ended, how long they waited and ran, by queue and type"
  ),
  Command.withShortDescription("Show what happened in a time"),
  Command.withExamples([
    { command: "taskforge statistics --last 1d", description: "The last day" },
    {
      command: "taskforge statistics --last 30d --json | jq '.counts.failed | add'",
      description: "How many tasks have failed in a month"
    }
  ])
)

type Statistics = typeof StatisticsJson.Type

const statistics = Effect.fnUntraced(function*({ from, json, last, step, to }: Target.Given<typeof asked>) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(
    api.statistics.read({ query: { ...Record.getSomes({ from, to }), ...Record.getSomes({ last, step }) } })
  )
  if (json) return yield* Screen.json(found)
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  for (const line of summary(found, paint)) yield* Screen.line(line)
  if (found.types.length === 0) return
  yield* Screen.line()
  const columns = yield* screen.columns
  for (const line of Table.format(heads, found.types.map(rowOf), columns, paint.dim)) yield* Screen.line(line)
})

/** Cells of a line of bars at most. */
const maxBars = 30

const summary = (found: Statistics, paint: Screen.Paint): ReadonlyArray<string> => {
  const { completed, enqueued, failed, retried, started } = found.counts
  const { depth, run_ms, step_ms, wait_ms } = found
  const seconds = (Date.parse(found.to) - Date.parse(found.from)) / 1000
  const rate = (name: string, counts: ReadonlyArray<number>) => {
    const total = sum(counts)
    const perSecond = (total / seconds).toFixed(total / seconds < 10 ? 2 : 0)
    return `${paint.dim(name.padEnd(10))} ${Words.count(total).padStart(11)}  ${`${perSecond}/s`.padStart(9)}  ${
      barsOf(counts.map((count) => count * 1000 / step_ms), maxBars)
    }`
  }
  const latest = depth.pending.findLast((count) => count !== null) ?? null
  return [
    paint.dim(`${found.from} to ${found.to}`),
    rate("enqueued", enqueued),
    rate("started", started),
    rate("completed", completed),
    rate("failed", failed.map((count, index) => count + retried[index]!)),
    `${paint.dim("waiting".padEnd(10))} ${(latest === null ? "–" : Words.count(Math.round(latest))).padStart(11)}  ${
      "".padStart(9)
    }  ${barsOf(depth.pending, maxBars)}`,
    `${paint.dim("waited".padEnd(10))} ${spread(wait_ms)}`,
    `${paint.dim("ran".padEnd(10))} ${spread(run_ms)}`
  ]
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

/** The highest of each, over the whole time: what a person looks for. */
const spread = (quantiles: Statistics["wait_ms"]): string =>
  (["p50", "p95", "p99"] as const).map((name) => {
    const known = quantiles[name].filter((ms) => ms !== null)
    return `${name} up to ${known.length === 0 ? "–" : Words.precise(Math.max(...known))}`
  }).join(", ")

const eighths = "▁▂▃▄▅▆▇█"

/**
 * A cell for each number, or for several of them where there are more than `max`: the highest counts. What is not zero is seen; what is not
 * known is a space.
 */
const barsOf = (numbers: ReadonlyArray<number | null>, max: number): string => {
  const each = Math.ceil(numbers.length / max)
  const highest = Array.from({ length: Math.ceil(numbers.length / each) }, (_, index) => {
    const known = numbers.slice(index * each, (index + 1) * each).filter((number) => number !== null)
    return known.length === 0 ? null : Math.max(...known)
  })
  const top = Math.max(...highest.map(Number))
  return highest.map((number) =>
    number === null ? " " : number === 0 ? "·" : eighths[Math.ceil(number / top * eighths.length) - 1]
  ).join("")
}

const heads: ReadonlyArray<Table.Column> = [
  { head: "QUEUE", shrinksTo: 8 },
  { head: "TYPE", shrinksTo: 8 },
  { head: "ENQUEUED", align: "right" },
  { head: "DONE", align: "right" },
  { head: "FAILED", align: "right" },
  { head: "WAIT P95", align: "right" },
  { head: "RUN P95", align: "right" },
  { head: "WAITING", align: "right" }
]

const rowOf = (one: Statistics["types"][number]): ReadonlyArray<string> => [
  Screen.plain(one.queue),
  Screen.plain(one.type),
  Words.count(one.enqueued),
  Words.count(one.completed),
  Words.count(one.failed + one.retried),
  one.wait_ms.p95 === null ? "–" : Words.precise(one.wait_ms.p95),
  one.run_ms.p95 === null ? "–" : Words.precise(one.run_ms.p95),
  one.pending === null ? "–" : Words.count(one.pending)
]

/** Shows which failures happened. */
export const errors = Target.command("errors", span, (given) => showErrors(given)).pipe(
  Command.withDescription(
    "Show which failures happened in a time, and how often: those whose messages differ in ids and numbers alone are one"
  ),
  Command.withShortDescription("Show which failures happened in a time"),
  Command.withExamples([
    { command: "taskforge errors --last 1d", description: "The last day" },
    {
      command: "taskforge errors --last 1d --json | jq '.groups[0]'",
      description: "The one that happened most, with when it happened first and last"
    }
  ])
)

const showErrors = Effect.fnUntraced(function*({ from, json, last, to }: Target.Given<typeof span>) {
  const { api, ask } = yield* Target.Target
  const found = yield* ask(
    api.statistics.errors({ query: { ...Record.getSomes({ from, to }), ...Record.getSomes({ last }) } })
  )
  if (json) return yield* Screen.json(found)
  const screen = yield* Screen.Screen
  const paint = Screen.paintOn(screen)
  yield* Screen.line(paint.dim(`${found.from} to ${found.to}`))
  if (found.groups.length === 0) return yield* Screen.line("No attempt failed")
  const rows = found.groups.map((group) => errorRow(group, Date.parse(found.timestamp)))
  for (const line of Table.format(errorHeads, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
  if (found.others > 0) yield* Screen.line(paint.dim(`and ${Words.count(found.others)} others`))
})

const errorHeads: ReadonlyArray<Table.Column> = [
  { head: "TYPE", shrinksTo: 8 },
  { head: "ERROR", shrinksTo: 8 },
  { head: "FAILED", align: "right" },
  { head: "RETRIED", align: "right" },
  { head: "TREND" },
  { head: "FIRST" },
  { head: "LAST" },
  { head: "MESSAGE", shrinksTo: 16 }
]

/** Cells of a trend. */
const trendBars = 15

const errorRow = (group: typeof ErrorsJson.Type["groups"][number], now: number): ReadonlyArray<string> => [
  Screen.plain(group.type),
  Screen.plain(group.tag),
  Words.count(group.failed),
  Words.count(group.retried),
  barsOf(group.by_column, trendBars),
  Words.relative(Date.parse(group.first_at), now),
  Words.relative(Date.parse(group.last_at), now),
  Screen.plain(group.message)
]

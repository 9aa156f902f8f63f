import { stripVTControlCharacters, styleText } from "node:util"
import type { CheckSummary, EntrySummary, Report, Verdict } from "./Report.ts"

/** Coloured where the output is a terminal that shows colours. */
export const renderReport = ({ checks, entries, machine, missing, pairs, title }: Report): string =>
  [
    styleText("bold", `${title}, median of ${pairs}`),
    styleText("dim", `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, load ${machine.loadAverage}`),
    "",
    renderEntries(entries),
    "",
    renderTable(["ours", "against", "metric", "min", "median", "max", "wanted", ""], checks.map(checkRow)),
    ...(missing.length === 0 ? [] : ["", `no contender file yet: ${missing.join(", ")}`])
  ].join("\n")

const renderEntries = (entries: ReadonlyArray<EntrySummary>): string => {
  const names = [...new Set(entries.flatMap(({ metrics }) => Object.keys(metrics)))]
  const rows = entries.map(({ entry, failures, metrics }) => [
    entry,
    ...names.map((name) => metrics[name] === undefined ? "–" : formatNumber(metrics[name].median)),
    failures.length === 0 ? "" : styleText("red", failures.join("; "))
  ])
  return renderTable(["contender", ...names, ""], rows)
}

const checkRow = ({ bound, metric, ours, peer, spread, verdict }: CheckSummary): ReadonlyArray<string> => [
  ours,
  peer ?? "the limit",
  metric,
  ...(spread === null ? ["–", "–", "–"] : [spread.min, spread.median, spread.max].map(formatNumber)),
  bound === null ? "–" : `${bound.kind === "atLeast" ? "≥" : "≤"} ${bound.value}`,
  styleText(colours[verdict], verdict)
]

const colours = { pass: "green", miss: "red", info: "dim", unmeasured: "yellow" } as const satisfies Record<
  Verdict,
  string
>

/** A table with as much room for each column as it needs. */
export const renderTable = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const all = [header.map((cell) => styleText("dim", cell)), ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => width(row[column]!))))
  return all.map((row) => row.map((cell, column) => pad(cell, widths[column]!)).join("  ").trimEnd()).join("\n")
}

const width = (cell: string): number => stripVTControlCharacters(cell).length

const isNumeric = (cell: string): boolean => /^[\d,.–]+$/.test(stripVTControlCharacters(cell))

const pad = (cell: string, target: number): string => {
  const padding = " ".repeat(target - width(cell))
  return isNumeric(cell) ? padding + cell : cell + padding
}

export const formatNumber = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)))

import type { Metrics } from "./Contender.ts"
import type { Bound, Check, Measure } from "./Measure.ts"
import { type Spread, spread } from "./statistics.ts"

export interface RoundResult {
  readonly entry: string
  readonly round: number
  readonly metrics: Metrics | null
  readonly failure: string | null
}

export interface Report {
  readonly measure: string
  readonly title: string
  readonly date: string
  readonly machine: Machine
  readonly pairs: number
  /** The given task count, or null where each entry used its own. */
  readonly count: number | null
  readonly entries: ReadonlyArray<EntrySummary>
  readonly checks: ReadonlyArray<CheckSummary>
  readonly missing: ReadonlyArray<string>
  readonly rounds: ReadonlyArray<RoundResult>
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGB: number
  readonly platform: string
  readonly node: string
  readonly loadAverage: number
}

export interface EntrySummary {
  readonly entry: string
  readonly metrics: Readonly<Record<string, Spread>>
  readonly failures: ReadonlyArray<string>
}

export interface CheckSummary {
  readonly metric: string
  readonly ours: string
  /** Null where the value itself is bounded instead of a ratio. */
  readonly peer: string | null
  readonly spread: Spread | null
  readonly bound: Bound | null
  readonly verdict: Verdict
}

/** `info` has no bound; `unmeasured` lacks a round of one side. The median decides. */
export type Verdict = "pass" | "miss" | "info" | "unmeasured"

export const summarizeEntries = (
  entries: ReadonlyArray<string>,
  rounds: ReadonlyArray<RoundResult>
): ReadonlyArray<EntrySummary> =>
  entries.map((entry) => {
    const own = rounds.filter((round) => round.entry === entry)
    const measured = own.flatMap((round) => round.metrics === null ? [] : [round.metrics])
    const names = Object.keys(measured[0] ?? {})
    return {
      entry,
      metrics: Object.fromEntries(names.map((name) => [name, spread(measured.map((metrics) => metrics[name]!))])),
      failures: own.flatMap((round) => round.failure === null ? [] : [round.failure])
    }
  })

export const summarizeChecks = (
  measure: Measure,
  rounds: ReadonlyArray<RoundResult>
): ReadonlyArray<CheckSummary> =>
  measure.checks.map((check) => {
    const values = valuesOf(check, rounds)
    const summary = values.length === 0 ? null : spread(values)
    const bound = check.bound ?? null
    return {
      metric: check.metric,
      ours: check.ours,
      peer: check._tag === "Ratio" ? check.peer : null,
      spread: summary,
      bound,
      verdict: verdictOf(summary, bound)
    }
  })

const valuesOf = (check: Check, rounds: ReadonlyArray<RoundResult>): ReadonlyArray<number> =>
  rounds.filter(({ entry }) => entry === check.ours).flatMap(({ metrics, round }) => {
    const ours = metrics?.[check.metric]
    if (ours === undefined) return []
    if (check._tag === "Limit") return [ours]
    const peer = rounds.find((other) => other.entry === check.peer && other.round === round)?.metrics?.[check.metric]
    return peer === undefined ? [] : [ours / peer]
  })

const verdictOf = (summary: Spread | null, bound: Bound | null): Verdict => {
  if (summary === null) return "unmeasured"
  if (bound === null) return "info"
  const holds = bound.kind === "atLeast" ? summary.median >= bound.value : summary.median <= bound.value
  return holds ? "pass" : "miss"
}

import type { Driver } from "./Contender.ts"

/** One measure: its entries run in turns, its checks compare what they yield. */
export interface Measure {
  readonly name: string
  readonly title: string
  readonly entries: ReadonlyArray<Entry>
  readonly checks: ReadonlyArray<Check>
}

export type Entry = QueueEntry | ServerEntry

interface EntryFields {
  /** Unique within the measure; shown in the table. */
  readonly id: string
  /** The file below `contenders/`, without its extension, `ts` or `cjs`. */
  readonly contender: string
}

export interface QueueEntry extends EntryFields {
  readonly _tag: "Queue"
  readonly driver: Driver
  /** How many tasks, samples or claims. */
  readonly count: number
  readonly concurrency: number
  readonly options: Readonly<Record<string, unknown>>
}

export interface ServerEntry extends EntryFields {
  readonly _tag: "Server"
  readonly probe: "load" | "idleMemory"
  /** Runs a bundle of the contender instead of its loose modules. */
  readonly bundle?: "esm" | "cjs"
  readonly options?: Readonly<Record<string, unknown>>
}

export type Check = RatioCheck | LimitCheck

/** `ours` divided by `peer`, round by round; without a bound it is for orientation only. */
export interface RatioCheck {
  readonly _tag: "Ratio"
  readonly metric: string
  readonly ours: string
  readonly peer: string
  readonly bound?: Bound
}

/** The metric of one entry, as it is. */
export interface LimitCheck {
  readonly _tag: "Limit"
  readonly metric: string
  readonly ours: string
  readonly bound: Bound
}

export interface Bound {
  readonly kind: "atLeast" | "atMost"
  readonly value: number
}

export const atLeast = (value: number): Bound => ({ kind: "atLeast", value })

export const atMost = (value: number): Bound => ({ kind: "atMost", value })

export const ratio = (metric: string, ours: string, peer: string, bound?: Bound): RatioCheck => ({
  _tag: "Ratio",
  metric,
  ours,
  peer,
  ...(bound === undefined ? {} : { bound })
})

export const limit = (metric: string, ours: string, bound: Bound): LimitCheck => ({
  _tag: "Limit",
  metric,
  ours,
  bound
})

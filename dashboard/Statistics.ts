/** What time is looked at, as the address says it, and the numbers of it as charts draw them. */
import { go, link, place } from "./Router.ts"
import type { Statistics } from "./Wire.ts"

/** A time that can be chosen. */
export interface Span {
  /** As the API takes it. */
  readonly last: string
  readonly name: string
}

/** The times that can be chosen. */
export const spans: ReadonlyArray<Span> = [
  { last: "5m", name: "5 min" },
  { last: "15m", name: "15 min" },
  { last: "1h", name: "1 h" },
  { last: "6h", name: "6 h" },
  { last: "1d", name: "1 d" },
  { last: "7d", name: "7 d" },
  { last: "30d", name: "30 d" }
]

const usual = "1h"

/** What is asked of the API, by the address of the page. */
export const asked = (): Readonly<Record<string, string | undefined>> => {
  const { from, instance, to } = place.value.query
  return from === undefined ? { last: chosen() ?? usual, instance } : { from, to, instance, last: undefined }
}

/** The time that is chosen; none where a part of it was marked in a chart. */
export const chosen = (): string | undefined => {
  const { from, last = usual } = place.value.query
  return from === undefined ? (spans.some((span) => span.last === last) ? last : usual) : undefined
}

/** The address of the page with another time, or another instance whose slots are shown. */
export const address = (change: Readonly<Record<string, string | undefined>>): string => {
  const { from, instance, last, to } = place.value.query
  return link(place.value.path, { from, instance, last, to, ...change })
}

/** Looks at a part of the time, in milliseconds since the epoch. */
export const look = (fromMs: number, toMs: number): void =>
  go(address({ last: undefined, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }))

/** How often the numbers are asked for, in milliseconds: as often as they change. */
export const polling = (): number => {
  const last = chosen()
  return last === "5m" || last === "15m" || last === "1h" ? 10_000 : 60_000
}

/** How finely instances write what they see, in milliseconds. */
const writtenEveryMs = 10_000

/** The start of each point, in milliseconds. The last one is left out where nothing of it can be known yet. */
export const timesOf = (found: Statistics): ReadonlyArray<number> => {
  const from = Date.parse(found.from)
  return found.counts.enqueued.map((_, index) => from + index * found.step_ms)
    .filter((at) => secondsOf(found, at) > 0)
}

/** How much of a point is known, in seconds. */
const secondsOf = ({ step_ms, timestamp }: Statistics, at: number): number => {
  const known = Math.floor((Date.parse(timestamp) - at) / writtenEveryMs) * writtenEveryMs
  return Math.min(step_ms, known) / 1000
}

/** Counts as what happened in a second. */
export const rates = (found: Statistics, counts: ReadonlyArray<number>): ReadonlyArray<number> =>
  timesOf(found).map((at, index) => counts[index]! / secondsOf(found, at))

/** Whether anything is known of the time. */
export const isEmpty = ({ counts, depth, types }: Statistics): boolean =>
  types.length === 0 && counts.cancelled.every((count) => count === 0) &&
  depth.pending.every((tasks) => tasks === null || tasks === 0)

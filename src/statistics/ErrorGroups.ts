/** Failures of attempts in a stretch of time, by what they have in common: those that happened most keep their names. */
import * as Fingerprint from "../domain/Fingerprint.ts"
import { type ErrorCount, maxErrors, others } from "../observability/ErrorTally.ts"

/** Failures that have a fingerprint in common, in a stretch of time. */
export interface ErrorGroup extends ErrorCount {
  /** When they were first and last seen, in milliseconds since the epoch. */
  firstMs: number
  lastMs: number
}

/** By the name of the fingerprint. */
export type ErrorGroups = Map<string, ErrorGroup>

/** How many failures there were. */
export const countOf = ({ failed, retried }: Pick<ErrorCount, "failed" | "retried">): number => failed + retried

/** What a process has counted, seen at a time. */
export const seenAt = (counts: ReadonlyArray<ErrorCount>, atMs: number): ErrorGroups => {
  const groups: ErrorGroups = new Map()
  for (const count of counts) add(groups, { ...count, firstMs: atMs, lastMs: atMs })
  return groups
}

/** Adds those of another stretch of time, or of another process: those that happened most first, so that they keep their names. */
export const addAll = (groups: ErrorGroups, other: ErrorGroups): void => {
  for (const group of byCount(other)) add(groups, group)
}

/** Those that happened most first. */
export const byCount = (groups: ErrorGroups): ReadonlyArray<ErrorGroup> =>
  [...groups.values()].sort((a, b) => countOf(b) - countOf(a))

/** The same, of which so many have names. */
export const narrowed = (groups: ErrorGroups, names: ReadonlySet<string>): ErrorGroups => {
  const narrow: ErrorGroups = new Map()
  for (const [name, group] of groups) add(narrow, names.has(name) ? group : { ...group, ...others })
  return narrow
}

/** Groups of a sum at most: some more than are kept, so that those that happen most are known before the others lose their names. */
const maxSummed = 10 * maxErrors

/** The same, of which those that happened most have names: {@link maxErrors} of them. */
export const bounded = (groups: ErrorGroups): ErrorGroups =>
  groups.size <= maxErrors
    ? groups
    : narrowed(groups, new Set(byCount(groups).slice(0, maxErrors).map(Fingerprint.nameOf)))

/** Adds one; where a sum has as many as it may have, to one for all others. */
export const add = (groups: ErrorGroups, group: ErrorGroup): void => {
  const name = Fingerprint.nameOf(group)
  const known = groups.get(name)
  if (known === undefined) {
    if (groups.size >= maxSummed && name !== nameOfOthers) return add(groups, { ...group, ...others })
    groups.set(name, { ...group })
    return
  }
  known.failed += group.failed
  known.retried += group.retried
  if (group.lastMs >= known.lastMs && group.latest !== "") known.latest = group.latest
  known.firstMs = Math.min(known.firstMs, group.firstMs)
  known.lastMs = Math.max(known.lastMs, group.lastMs)
}

/** The name of what stands for all that have none. */
export const nameOfOthers: string = Fingerprint.nameOf(others)

import type { Runnable } from "./TaskStore.ts"

/** Which queues of each type instances take tasks from: some, or all. */
export type Coverage = ReadonlyMap<string, ReadonlySet<string> | "all">

/** What several instances can run together. */
export const of = (runnable: ReadonlyArray<Runnable>): Coverage => {
  const coverage = new Map<string, Set<string> | "all">()
  for (const { queues, types } of runnable) {
    for (const type of types) {
      const known = coverage.get(type)
      if (queues === undefined || known === "all") coverage.set(type, "all")
      else coverage.set(type, new Set([...known ?? [], ...queues]))
    }
  }
  return coverage
}

/** Engines whose workflows are broken. Each is the real one with one read or write about executions made wrong. */
import { Effect } from "effect"
import type { RecordStore, StoredRecord } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import type { Document, End } from "./FlowLedger.ts"
import type { Mutant } from "./Mutant.ts"

type Store = TaskStore["Service"]
type Records = RecordStore["Service"]

/** A process that reads other ends of one activity than are kept. */
const readingEnds = (activity: string, ends: (end: End) => End | undefined) => (store: Records): Records => {
  const changed = (record: StoredRecord | undefined): StoredRecord | undefined => {
    if (record === undefined) return undefined
    const head = JSON.parse(record.document) as Document
    const steps = head.steps.flatMap((entry) => {
      const end = entry.name === activity ? ends(entry.end) : entry.end
      return end === undefined ? [] : [{ ...entry, end }]
    })
    return { ...record, document: JSON.stringify({ ...head, steps }) }
  }
  return {
    ...store,
    get: (kind, ids) =>
      kind === "step" ? Effect.map(store.get(kind, ids), (found) => found.map(changed)) : store.get(kind, ids)
  }
}

export const executionMutants: ReadonlyArray<Mutant> = [
  {
    name: "an activity that has ended is run again by a later attempt",
    noticedAt: 8,
    sends: readingEnds("a/1", () => undefined)
  },
  {
    name: "an activity gives something else in a later attempt",
    noticedAt: 8,
    sends: readingEnds("a/1", (end) => end._tag === "Value" ? { ...end, value: 0 } : end)
  },
  {
    name: "a compensation is done and not kept",
    noticedAt: 8,
    sends: (store) => ({
      ...store,
      put: (changes, nonce) =>
        store.put(
          changes.map((change) => {
            if (change.kind !== "step" || change.document === null) return change
            const head = JSON.parse(change.document) as Document
            const steps = head.steps.filter(({ name }) => name !== "undo a/1")
            return { ...change, document: JSON.stringify({ ...head, steps }) }
          }),
          nonce
        )
    })
  },
  {
    name: "what comes to an execution does not bring it forward",
    noticedAt: 8,
    engine: (store: Store): Store => ({
      ...store,
      reschedule: (requests) =>
        requests.some(({ type }) => type.startsWith("workflow:"))
          ? Effect.succeed(requests.map(() => ({ _tag: "rescheduled" })))
          : store.reschedule(requests)
    })
  }
]

/** Engines whose steps are broken. Each is the real one with one thing about steps, sleeps or signals made wrong. */
import { Effect } from "effect"
import type { RecordStore, StoredRecord } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import type { Document, End } from "./FlowLedger.ts"
import { steps } from "./Flows.ts"
import type { Mutant } from "./Mutant.ts"

type Records = RecordStore["Service"]
type Store = TaskStore["Service"]

/** A process that reads something else of a kind. */
const reading =
  (kind: string, change: (record: StoredRecord) => StoredRecord | undefined) => (store: Records): Records => ({
    ...store,
    get: (of, ids) =>
      of !== kind
        ? store.get(of, ids)
        : Effect.map(
          store.get(of, ids),
          (found) => found.map((record) => record === undefined ? record : change(record))
        )
  })

/** The record of steps with other ends. */
const withEnds = (record: StoredRecord, ends: (name: string, end: End) => End | undefined): StoredRecord => {
  const head = JSON.parse(record.document) as Document
  const entries = head.steps.flatMap((entry) => {
    const end = ends(entry.name, entry.end)
    return end === undefined ? [] : [{ ...entry, end }]
  })
  return { ...record, document: JSON.stringify({ ...head, steps: entries }) }
}

export const flowMutants: ReadonlyArray<Mutant> = [
  {
    name: "ends that are kept are ignored by later attempts",
    noticedAt: 7,
    sends: reading("step", (record) => withEnds(record, (name, end) => name === steps.second ? undefined : end))
  },
  {
    name: "a step gives something else in later attempts",
    noticedAt: 7,
    sends: reading(
      "step",
      (record) => withEnds(record, (name, end) => name === steps.first ? { _tag: "Value", value: { claim: 0 } } : end)
    )
  },
  {
    name: "a sleep is over for whoever comes back, however early",
    noticedAt: 7,
    sends: reading("step", (record) => withEnds(record, (_, end) => end._tag === "Sleep" ? { ...end, until: 0 } : end))
  },
  {
    name: "a sleep is counted anew by each attempt",
    noticedAt: 7,
    sends: reading("step", (record) => withEnds(record, (_, end) => end._tag === "Sleep" ? undefined : end))
  },
  {
    name: "tasks that sleep wake too early",
    noticedAt: 15,
    engine: (store: Store): Store => ({
      ...store,
      settle: (settlements) =>
        store.settle(
          settlements.map((one) => one._tag === "Snooze" ? { ...one, delayMs: Math.ceil(one.delayMs / 2) } : one)
        )
    })
  },
  {
    name: "wakes are lost: tasks sleep on although their signals have come",
    noticedAt: 15,
    engine: (store: Store): Store => ({
      ...store,
      reschedule: (requests) =>
        requests.some(({ type }) => type === "flow")
          ? Effect.succeed(requests.map(() => ({ _tag: "rescheduled" })))
          : store.reschedule(requests)
    })
  },
  {
    name: "the last one who completes a signal counts",
    noticedAt: 34,
    sends: reading("signal", (record) => {
      const document = JSON.parse(record.document)
      // Whoever waits is told by the first one
      return document.end?._tag === "Error"
        ? { ...record, document: JSON.stringify({ ...document, end: null }) }
        : record
    })
  }
]

/** Engines whose steps are broken. Each is the real one with one thing about steps, sleeps or signals made wrong. */
import { Effect } from "effect"
import { isDeepStrictEqual } from "node:util"
import type { Change, RecordStore, StoredRecord } from "../../src/store/RecordStore.ts"
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

/** What a put would make of the record of a task's steps. */
const stepsIn = (
  changes: ReadonlyArray<Change>
): { readonly change: Change; readonly document: Document } | undefined => {
  const change = changes.find(({ document, kind }) => kind === "step" && document !== null)
  return change === undefined ? undefined : { change, document: JSON.parse(change.document!) as Document }
}

/** A process that puts the claim of a later attempt only together with an end. */
const withoutTakeovers = (store: Records): Records => {
  const read = new Map<string, ReadonlyArray<unknown>>()
  return {
    ...store,
    get: (kind, ids) =>
      Effect.tap(store.get(kind, ids), (found) =>
        Effect.sync(() => {
          if (kind !== "step") return
          for (const [index, id] of ids.entries()) {
            const record = found[index]
            read.set(id, record === undefined ? [] : (JSON.parse(record.document) as Document).steps)
          }
        })),
    put: (changes, nonce) => {
      const put = stepsIn(changes)
      const before = read.get(put?.change.id ?? "")
      return put !== undefined && before !== undefined && changes.length === 1 &&
          isDeepStrictEqual(put.document.steps, before)
        ? Effect.succeed(put.change.expects)
        : store.put(changes, nonce)
    }
  }
}

/** A process that writes steps on, although a later attempt has written them since it did. */
const blindToLaterAttempts = (store: Records): Records => {
  const own = new Map<string, number>()
  return {
    ...store,
    get: (kind, ids) =>
      kind !== "step" ?
        store.get(kind, ids) :
        Effect.map(store.get(kind, ids), (found) =>
          found.map((record, index) => {
            const claim = own.get(ids[index]!)
            return record === undefined || claim === undefined
              ? record
              : { ...record, document: JSON.stringify({ ...JSON.parse(record.document), claim }) }
          })),
    put: (changes, nonce) =>
      Effect.suspend(() => {
        const put = stepsIn(changes)
        if (put !== undefined) own.set(put.change.id, put.document.claim)
        return store.put(changes, nonce)
      })
  }
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
  },
  {
    name: "a takeover without a fence: an attempt runs steps before the record has its claim",
    noticedAt: 585,
    sends: withoutTakeovers
  },
  {
    name: "an attempt keeps ends of steps that a later one has taken over",
    noticedAt: 297,
    sends: blindToLaterAttempts
  }
]

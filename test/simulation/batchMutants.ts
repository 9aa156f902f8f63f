/** Engines whose batches are broken. Each is the real one with one write about batches made wrong, or lost. */
import { Effect } from "effect"
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import type { Change, RecordStore } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import type { Mutant } from "./Mutant.ts"

type Store = TaskStore["Service"]
type Records = RecordStore["Service"]

/** A process that writes something else of what is about batches. */
const writing = (
  ofRecord: (batch: any, changes: ReadonlyArray<Change>) => unknown,
  ofTask: (task: NewTask) => NewTask = (task) => task
) =>
(store: Records): Records => ({
  ...store,
  atomically: (nonce, parts) =>
    store.atomically(nonce, {
      ...parts,
      changes: parts.changes?.map((change, _, changes) =>
        change.kind === "batch" && change.document !== null
          ? { ...change, document: JSON.stringify(ofRecord(JSON.parse(change.document), changes)) }
          : change
      ),
      tasks: parts.tasks?.map(ofTask)
    })
})

/** Whether a write counts a part. */
const isCount = (changes: ReadonlyArray<Change>): boolean =>
  changes.some(({ document, kind }) => kind === "batch-part" && (document === null || document.includes("isCounted")))

export const batchMutants: ReadonlyArray<Mutant> = [
  {
    name: "the end of a member is counted twice",
    noticedAt: 9,
    sends: writing((batch, changes) =>
      isCount(changes) && batch.ends.completed > 0
        ? { ...batch, ends: { ...batch.ends, completed: batch.ends.completed + 1 } }
        : batch
    )
  },
  {
    name: "a member that has failed counts as completed",
    noticedAt: 9,
    sends: writing((batch) => ({
      ...batch,
      ends: { ...batch.ends, completed: batch.ends.completed + batch.ends.failed, failed: 0 }
    }))
  },
  {
    name: "a batch finishes that was not sealed",
    noticedAt: 9,
    sends: writing((batch, changes) =>
      isCount(changes) && batch.openParts === 0 ? { ...batch, isFinished: true } : batch
    )
  },
  {
    name: "a batch finishes with the first of its parts",
    noticedAt: 31,
    sends: writing((batch, changes) => isCount(changes) && batch.isSealed ? { ...batch, isFinished: true } : batch)
  },
  {
    name: "a batch has finished, and nobody tells what waits for it",
    engine: (store: Store): Store => ({
      ...store,
      reschedule: (requests) =>
        requests.some(({ type }) => type === "taskforge.batch")
          ? Effect.succeed(requests.map(() => ({ _tag: "rescheduled" })))
          : store.reschedule(requests)
    })
  },
  {
    name: "what is to start when all have completed starts however they ended",
    noticedAt: 8,
    sends: writing(
      (batch) => batch,
      (task) => task.id.startsWith("onSuccess") ? { ...task, onFailure: "run" } : task
    )
  },
  {
    name: "the cancel of a batch leaves its members alone",
    engine: (store: Store): Store => ({
      ...store,
      // those of its parts alone, whose ids it reads to cancel them
      cancel: (ids) =>
        ids.length > 0 && ids.every((id) => typeof id === "string" && /^(m\d|b\d\/=)/.test(id))
          ? Effect.succeed(ids.map(() => "cancelled" as const))
          : store.cancel(ids)
    })
  }
]

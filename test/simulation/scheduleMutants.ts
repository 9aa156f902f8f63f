/** Engines whose schedules are broken. Each is the real one with one write of its ticks made wrong. */
import { Effect } from "effect"
import { absent, type Change, type RecordStore } from "../../src/store/RecordStore.ts"
import type { Mutant } from "./Mutant.ts"

type Records = RecordStore["Service"]

/** A process that writes something else of what is about schedules. */
const writing = (
  change: (
    store: Records,
    changes: ReadonlyArray<Change>,
    tasks: Parameters<Records["atomically"]>[1]["tasks"]
  ) => Effect.Effect<Parameters<Records["atomically"]>[1], never>
) =>
(store: Records): Records => ({
  ...store,
  atomically: (nonce, parts) =>
    parts.changes?.[0]?.kind !== "schedule"
      ? store.atomically(nonce, parts)
      : Effect.flatMap(change(store, parts.changes, parts.tasks), (other) => store.atomically(nonce, other))
})

/** A schedule as if its last tick had been another one. */
const movedBy = (everies: number) => (change: Change): Change => {
  if (change.document === null) return change
  const document = JSON.parse(change.document)
  const after = document.after + everies * document.timetable.every
  return { ...change, document: JSON.stringify({ ...document, after }) }
}

export const scheduleMutants: ReadonlyArray<Mutant> = [
  {
    name: "ticks without a fence: what another instance has made is made again",
    noticedAt: 31_451,
    sends: writing((store, changes, tasks) =>
      Effect.map(
        Effect.orDie(store.get("schedule", changes.map(({ id }) => id))),
        (found) => ({
          changes: changes.map((change, index) => ({ ...change, expects: found[index]?.version ?? absent })),
          tasks
        })
      )
    )
  },
  {
    name: "a schedule goes on without the task of its tick",
    noticedAt: 4,
    sends: writing((_, changes) => Effect.succeed({ changes }))
  },
  {
    name: "a task is made, and its schedule does not go on",
    noticedAt: 4,
    sends: writing((_, __, tasks) => Effect.succeed({ tasks }))
  },
  {
    name: "a tick is left out without a word",
    noticedAt: 4,
    sends: writing((_, changes, tasks) => Effect.succeed({ changes: changes.map(movedBy(1)), tasks }))
  },
  {
    name: "a tick is dealt with again",
    noticedAt: 4,
    sends: writing((_, changes, tasks) => Effect.succeed({ changes: changes.map(movedBy(-1)), tasks }))
  }
]

/** What is done for batches from time to time: what is kept of those that are gone is deleted, and what was ended by hand is mended. */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import * as RecordDriver from "../store/RecordDriver.ts"
import { RecordStore, removeUnchanged, type StoredRecord } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as BatchEnd from "./BatchEnd.ts"
import { cancelMembers } from "./BatchMembers.ts"
import * as BatchRecords from "./BatchRecords.ts"

type Tasks = TaskStore["Service"]

/** Batches that are looked at, and parts that are deleted, at a time. */
const sweepSize = 25

/** Deletes what is kept of a batch that is gone; the parts first, so that nothing is left that no record names. */
const forget = Effect.fnUntraced(function*(record: StoredRecord) {
  for (let more = true; more;) {
    const page = yield* BatchRecords.listParts(record.id)
    yield* removeUnchanged(BatchRecords.partKind, page.records)
    more = page.more
  }
  yield* removeUnchanged(BatchRecords.kind, [record])
})

/** Runs the engine's own tasks of open parts again that have been ended by hand: they count the members, and without them a batch never ends. */
const mend = Effect.fnUntraced(function*(tasks: Tasks, batch: string) {
  let after: string | undefined
  for (let more = true; more;) {
    const page = yield* BatchRecords.listParts(batch, after)
    let open = page.records.flatMap((record) =>
      BatchRecords.partOfRecord(record)?.isCounted === true ? [] : [record.id]
    )
    while (open.length > 0) {
      const outcomes = yield* tasks.results(open.slice(0, Bounds.maxIds), RecordDriver.maxPutBytes)
      const ended = open.filter((_, index) => outcomes[index] !== undefined && outcomes[index] !== null)
      if (ended.length > 0) yield* tasks.rerun(ended)
      open = open.slice(outcomes.length)
    }
    after = page.records.at(-1)?.id
    more = page.more
  }
})

/** Does for a batch that has not ended what a process that died has not done, or what an operator has ended by hand. */
const goOn = Effect.fnUntraced(function*(tasks: Tasks, record: StoredRecord) {
  const batch = BatchRecords.ofRecord(record)?.batch
  if (batch?.isFinished === true) return yield* BatchEnd.finish(tasks, record.id, batch)
  if (batch?.isCancelled === true) yield* Effect.provideService(cancelMembers(record.id), TaskStore, tasks)
  yield* mend(tasks, record.id)
})

/** Lets a batch be looked at again after a time. Not so where another process has written it, which says when itself. */
const postpone = (store: RecordStore["Service"], { document, id, version }: StoredRecord, dueInMs: number) =>
  store.put([{ kind: BatchRecords.kind, id, expects: version, document, dueInMs }]).pipe(
    Effect.catchTags({ InvalidOption: Effect.die, RecordConflict: () => Effect.void })
  )

/**
 * Looks at some records that are due: forgets the batches whose end task is gone, and lets those go on that have not ended. They are due
 * again after `againInMs`, and soon where this fails half-way. Answers how long nothing is due, in milliseconds; `Infinity` where no
 * record is left.
 */
export const sweep = Effect.fnUntraced(function*(
  tasks: Tasks,
  againInMs: number
): Effect.fn.Return<number, StoreError, RecordStore> {
  const store = yield* RecordStore
  const taken = yield* Effect.catchTag(
    store.take(BatchRecords.kind, sweepSize, BatchRecords.soonMs),
    "InvalidOption",
    Effect.die
  )
  let left = taken.records
  while (left.length > 0) {
    const outcomes = yield* tasks.results(left.map(({ id }) => id), RecordDriver.maxPutBytes)
    const gone = left.filter((_, index) => outcomes[index] === null)
    // what would start its callback waits for nothing any more
    if (gone.length > 0) yield* tasks.cancel(gone.map(({ id }) => BatchRecords.failureId(id)))
    yield* Effect.forEach(gone, forget, { discard: true })
    for (const [index, record] of left.entries()) {
      if (index >= outcomes.length || outcomes[index] === null) continue
      if (outcomes[index] === undefined) yield* goOn(tasks, record)
      yield* postpone(store, record, againInMs)
    }
    left = left.slice(outcomes.length)
  }
  return taken.nextDueAt === null ? Infinity : Math.max(0, taken.nextDueAt - taken.now)
})

/** How batches are: what their records have counted, and what has ended since in the parts that are open. */
import type { DateTime } from "effect"
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import { utc } from "../domain/StoredTime.ts"
import * as BatchRecords from "../flow/BatchRecords.ts"
import { maxRecords } from "../store/RecordDriver.ts"
import { RecordStore, type StoredRecord } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"

/** A batch. */
export interface BatchView extends BatchRecords.Ends {
  readonly id: string
  readonly name: string | null
  /**
   * - `open`: it takes members, and does not finish before it is sealed
   * - `sealed`: it finishes when its members have ended, and takes more until then
   * - `completed`, `failed`, `cancelled`: it has finished
   */
  readonly state: "open" | "sealed" | "completed" | "failed" | "cancelled"
  /** Members that have been added. */
  readonly total: number
  /** Members that have ended, in per cent, rounded down: 100 means all. Of a batch without members 0, and 100 once it has finished. */
  readonly percent: number
  /** The ids of its callbacks. */
  readonly callbacks: BatchRecords.Callbacks
  readonly createdAt: DateTime.Utc
  readonly finishedAt: DateTime.Utc | null
}

/** A page of batches. */
export interface BatchPage {
  readonly batches: ReadonlyArray<BatchView>
  /** Where the next page begins, `null` after the last. */
  readonly next: string | null
}

/** Open parts whose ended members are counted: those of others are counted when all of a part have ended. */
const maxLooked = 1000

/** Parts that are read at a time. */
const concurrency = 10

/** How often a batch is read again that others change in between. */
const maxReads = 5

/** Ends of members of a part that is open. */
const endsOfPart = Effect.fnUntraced(function*(record: StoredRecord) {
  const part = BatchRecords.partOfRecord(record)
  if (part === undefined || part.isCounted === true) return BatchRecords.noEnds
  const tasks = yield* TaskStore
  const counting = yield* tasks.get(record.id)
  // none has ended, as in most that have not been reached
  if (counting === undefined || counting.waitsFor >= part.members) return BatchRecords.noEnds
  const members = (yield* tasks.edges(record.id))?.after ?? []
  return (yield* BatchRecords.endsOf(tasks, members.map(({ id }) => id))).ends
})

const endsOfOpenParts = Effect.fnUntraced(function*(id: string) {
  let ends = BatchRecords.noEnds
  let looked = 0
  let after: string | undefined
  for (let more = true; more && looked < maxLooked;) {
    const page = yield* BatchRecords.listParts(id, after)
    const found = yield* Effect.forEach(page.records, endsOfPart, { concurrency })
    for (const one of found) ends = BatchRecords.plus(ends, one)
    looked += page.records.length
    after = page.records.at(-1)?.id
    more = page.more
  }
  return ends
})

/** A batch, if it is there. */
export const read = Effect.fnUntraced(function*(
  id: string
): Effect.fn.Return<BatchView | undefined, StoreError, RecordStore | TaskStore> {
  let known = yield* BatchRecords.read(id)
  if (known === undefined) return undefined
  let ends = BatchRecords.noEnds
  // a part that is counted in between would be missing, or be there twice
  for (let reads = 0; reads < maxReads && known.batch.openParts > 0; reads++) {
    ends = yield* endsOfOpenParts(id)
    const again: BatchRecords.Read | undefined = yield* BatchRecords.read(id)
    if (again === undefined) return undefined
    const isSame = again.version === known.version
    known = again
    if (isSame) break
    ends = BatchRecords.noEnds
  }
  return yield* viewOf(id, known.batch, BatchRecords.plus(known.batch.ends, ends))
})

const viewOf = Effect.fnUntraced(function*(
  id: string,
  { callbacks, createdAt, isFinished, isSealed, members: total, name }: BatchRecords.Batch,
  ends: BatchRecords.Ends
) {
  const end = yield* TaskStore.use((tasks) => tasks.get(id))
  const finishedAt = end?.completedAt ?? null
  const state = end?.state
  const percent = total === 0
    ? isFinished ? 100 : 0
    : Math.min(100, Math.floor(BatchRecords.countOf(ends) / total * 100))
  return {
    id,
    name,
    state: state === "completed" || state === "failed" || state === "cancelled"
      ? state
      : isSealed
      ? "sealed" as const
      : "open" as const,
    total,
    ...ends,
    percent,
    callbacks,
    createdAt: utc(createdAt),
    finishedAt: finishedAt === null ? null : utc(finishedAt)
  }
})

/** A page of batches behind an id, and the last id on it, `null` where none follow. */
export const list = Effect.fnUntraced(function*(
  after: string | undefined,
  limit: number
): Effect.fn.Return<
  { readonly batches: ReadonlyArray<BatchView>; readonly next: string | null },
  StoreError,
  RecordStore | TaskStore
> {
  const records = yield* RecordStore
  const page = yield* Effect.catchTag(
    records.list(BatchRecords.kind, { after, limit: Math.min(limit, maxRecords) }),
    "InvalidOption",
    Effect.die
  )
  const views = yield* Effect.forEach(page.records, ({ id }) => read(id), { concurrency })
  return {
    batches: views.filter((view) => view !== undefined),
    next: page.more ? page.records.at(-1)!.id : null
  }
})

/** What is done to all members of a batch that have not been counted: those of its open parts. */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as BatchRecords from "./BatchRecords.ts"

/** Cancels the members of a batch, part by part. */
export const cancelMembers = Effect.fnUntraced(function*(
  id: string
): Effect.fn.Return<void, StoreError, RecordStore | TaskStore> {
  const tasks = yield* TaskStore
  let after: string | undefined
  for (let more = true; more;) {
    const page = yield* BatchRecords.listParts(id, after)
    for (const record of page.records) {
      if (BatchRecords.partOfRecord(record)?.isCounted === true) continue
      const members = (yield* tasks.edges(record.id))?.after ?? []
      yield* tasks.cancel(members.map(({ id }) => id))
    }
    after = page.records.at(-1)?.id
    more = page.more
  }
})

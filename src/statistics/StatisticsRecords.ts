/** Where statistics are in the store: a record for each chunk, whose id begins with its level and its start. */
import { Effect } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { RecordStore, StoredRecord } from "../store/RecordStore.ts"

/** The kind of these records. None of them is ever due. */
export const kind = "statistics"

/** The id of the record that says how far the levels were added up. */
export const progressId = "progress"

/** Of chunks that instances write, each has a suffix of its own; of those that are added up there is one for each time. */
export const idOf = (level: number, startMs: number, suffix = ""): string => `${placeOf(level, startMs)}/${suffix}`

/** A text right before the ids of all chunks that begin at a time. */
const placeOf = (level: number, startMs: number): string => `${level}/${String(Math.max(0, startMs)).padStart(15, "0")}`

/** When the chunk of an id begins. */
export const startOf = (id: string): number => Number(id.split("/")[1])

/** Records that are read at a time. */
const pageSize = 100

/** The records of a level that begin from a time on and before another one, in their order. */
export const between = Effect.fnUntraced(function*(
  records: RecordStore["Service"],
  level: number,
  fromMs: number,
  untilMs: number
): Effect.fn.Return<ReadonlyArray<StoredRecord>, StoreError> {
  const found: Array<StoredRecord> = []
  let after = placeOf(level, fromMs)
  for (let more = fromMs < untilMs; more;) {
    const page = yield* Effect.catchTag(
      records.list(kind, { prefix: `${level}/`, after, limit: pageSize }),
      "InvalidOption",
      Effect.die
    )
    const inTime = page.records.filter(({ id }) => startOf(id) < untilMs)
    found.push(...inTime)
    more = page.more && inTime.length === page.records.length
    after = page.records.at(-1)?.id ?? after
  }
  return found
})

/** The first record of a level that begins from a time on. */
export const firstFrom = (
  records: RecordStore["Service"],
  level: number,
  fromMs: number
): Effect.Effect<StoredRecord | undefined, StoreError> =>
  records.list(kind, { prefix: `${level}/`, after: placeOf(level, fromMs), limit: 1 }).pipe(
    Effect.map((page) => page.records[0]),
    Effect.catchTag("InvalidOption", Effect.die)
  )

/** The store's clock. */
export const clock = (records: RecordStore["Service"]): Effect.Effect<number, StoreError> =>
  records.due(kind, 1).pipe(Effect.map(({ now }) => now), Effect.catchTag("InvalidOption", Effect.die))

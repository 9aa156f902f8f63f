/**
 * Puts the lines of a backup into an empty store. Until all of it is there and has been counted, the store is marked, see `Mark`; a
 * restore that was ended goes on when the same backup is restored once more.
 */
import { Effect, Schema, Stream } from "effect"
import type { StoreError } from "../domain/Errors.ts"
import type { Archive } from "../store/Archive.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import { kindsOf } from "./Backup.ts"
import * as Check from "./Check.ts"
import type * as Line from "./Line.ts"
import * as Mark from "./Mark.ts"
import { Tasks } from "./RestoredTasks.ts"

/** Why a backup is not restored. */
export class RestoreRefused extends Schema.TaggedError<RestoreRefused>()("RestoreRefused", {
  /** `not-empty`: there is something in the store. `under-way`: another restore works on it. `other`: it has a part of another backup. `counts`: something is missing in the end. */
  why: Schema.Literals(["not-empty", "under-way", "other", "counts"]),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** How far the claim numbers of the restored store are from those of the backup: later claims of the store it is of have these. */
const claimGap = 1_000_000

/** How often a restore says that it is under way, and how long it may be silent. */
const signMs = 5000
const silentMs = 30_000

/** What a batch of lines has at most. */
const batchLines = 250
const batchChars = 4 * 1024 * 1024

/** Restores a backup. `told` is told how many records and tasks have been written. */
export const run = Effect.fnUntraced(function*<E, R, E2, R2>(
  archive: Archive,
  texts: Stream.Stream<string, E, R>,
  told: (done: number) => Effect.Effect<void, E2, R2>
) {
  const reader = new Check.Reader()
  let version = 0
  let signedAt = 0
  let header: Line.Header | undefined
  const tasks = new Tasks(archive)
  const begin = Effect.fnUntraced(function*(found: Line.Header) {
    header = found
    version = yield* enter(archive, found)
    signedAt = yield* Mark.now
  })
  const sign = Effect.gen(function*() {
    const now = yield* Mark.now
    if (now - signedAt < signMs) return
    signedAt = now
    version = yield* marked(Mark.write({ state: "restoring", backup: header!.id }, { version }))
  })
  let batch: Array<Line.Line> = []
  let chars = 0
  const flush = Effect.gen(function*() {
    const records = batch.filter((line) => line.kind === "record")
    const lines = batch.filter((line) => line.kind === "task")
    batch = []
    chars = 0
    yield* putRecords(archive, records)
    yield* tasks.put(lines)
    yield* sign
    yield* told(reader.size)
  })
  const all = Effect.gen(function*() {
    yield* Stream.runForEachArray(
      texts,
      Effect.fnUntraced(function*(some) {
        for (const text of some) {
          const line = yield* reader.read(text)
          if (line.kind === "taskforge-backup") yield* begin(line)
          else if (line.kind !== "end") {
            batch.push(line)
            chars += text.length
            if (batch.length >= batchLines || chars >= batchChars) yield* flush
          }
        }
      })
    )
    const trailer = yield* reader.end
    yield* flush
    yield* tasks.end
    yield* archive.claimBeyond(trailer.claim + claimGap)
    yield* counted(trailer)
    yield* marked(Mark.write(null, { version }))
    return { header: header!, trailer }
  })
  // the next one need not wait until this one is silent
  return yield* Effect.onError(
    all,
    () => version === 0 ? Effect.void : Effect.ignore(archive.date(Mark.kind, [Mark.old]))
  )
})

/** Marks an empty store, or one that has a part of the same backup; answers the version of the mark. */
const enter = Effect.fnUntraced(function*(archive: Archive, { id }: Line.Header) {
  const found = yield* Mark.read
  if (found === undefined) {
    const tasks = yield* TaskStore
    const stored = yield* tasks.list({ limit: 1 })
    const kinds = yield* kindsOf(archive)
    if (stored.tasks.length > 0 || stored.next !== undefined || kinds.length > 0) {
      const what = stored.tasks.length > 0 ? "tasks" : `records of the kind ${kinds[0] ?? "task"}`
      return yield* new RestoreRefused({ why: "not-empty", reason: `has ${what} already` })
    }
    return yield* marked(Mark.write({ state: "restoring", backup: id }, undefined))
  }
  const { mark, writtenAt } = found
  const now = yield* Mark.now
  if (now - writtenAt < silentMs && now >= writtenAt) {
    return yield* new RestoreRefused({
      why: "under-way",
      reason: "gave a sign of another restore less than 30 seconds ago"
    })
  }
  if (mark.backup !== id) {
    return yield* new RestoreRefused({
      why: "other",
      reason: "has a part of another backup, which was not restored to its end"
    })
  }
  return yield* marked(Mark.write(mark, found))
})

const marked = <A, R>(effect: Effect.Effect<A, StoreError | Mark.MarkChanged, R>) =>
  Effect.catchTag(
    effect,
    "MarkChanged",
    () => Effect.fail(new RestoreRefused({ why: "under-way", reason: "is worked on by another restore" }))
  )

const counted = Effect.fnUntraced(function*({ tasks: expected }: Line.Trailer) {
  const counts = yield* Effect.flatMap(TaskStore, (store) => store.counts)
  const found = counts.scheduled + counts.pending + counts.running + counts.completed + counts.failed +
    counts.cancelled + counts.expired
  if (found !== expected) {
    const reason = `has ${found} tasks, and the backup ${expected}`
    return yield* new RestoreRefused({ why: "counts", reason })
  }
})

/** Bytes and number of the records of one put. */
const putRecordsAtOnce = 25

const putRecords = Effect.fnUntraced(function*(archive: Archive, lines: ReadonlyArray<Line.RecordLine>) {
  const records = yield* RecordStore
  for (let start = 0; start < lines.length;) {
    const kind = lines[start]!.of
    let end = start
    while (end < lines.length && end - start < putRecordsAtOnce && lines[end]!.of === kind) end++
    const some = lines.slice(start, end)
    start = end
    const known = yield* Effect.catchTag(records.get(kind, some.map(({ id }) => id)), "InvalidOption", Effect.die)
    yield* records.put(some.map(({ document, dueAt, id }, index) => ({
      kind,
      id,
      document,
      expects: known[index]?.version ?? 0,
      ...(dueAt === null ? {} : { dueAt })
    }))).pipe(
      Effect.catchTags({
        InvalidOption: (error) => Effect.fail(new Check.BackupInvalid({ line: null, reason: error.message })),
        RecordConflict: () => Effect.fail(new RestoreRefused({ why: "under-way", reason: "is written to by others" }))
      })
    )
    yield* archive.date(kind, some)
  }
})

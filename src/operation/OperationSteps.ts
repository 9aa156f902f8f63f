/**
 * Goes on with operations, a part at a time. An instance that takes an operation has it under a lease; what it is about to change is stored first.
 * So any instance goes on with it after a crash, at the operation's rate, and no task is changed twice: a part is changed as it was seen.
 */
import { Clock, Effect } from "effect"
import type { RecordConflict, StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { seenOf } from "../domain/Seen.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import { absent, type Change, RecordStore } from "../store/RecordStore.ts"
import { TaskStore } from "../store/TaskStore.ts"
import * as Changing from "./Changing.ts"
import * as Records from "./OperationRecords.ts"
import * as TaskFilter from "./TaskFilter.ts"

/** How long an instance has for a part. Another one goes on with it then. */
export const leaseMs = 15_000

/** Operations that are taken at a time. */
const maxTaken = 4

/** Tasks of a part at most, and bytes of their entries. */
export const maxPart = 500
const maxPartBytes = 128 * 1024

/** How often a store is asked for tasks of a part. */
const maxLooks = 10

/** Tasks of an operation that are kept to be taken back: of those behind them nothing is kept. */
const maxKept = 100_000

/** How long an operation may be taken back after it has ended, and how long it is listed. */
export const undoForMs: number = 24 * 60 * 60 * 1000
const listedForMs: number = 30 * 24 * 60 * 60 * 1000

type Stores = TaskStore | RecordStore

/** Goes on with what is due; answers how many milliseconds nothing more is. */
export const step: Effect.Effect<number, StoreError, Stores> = Effect.gen(function*() {
  const records = yield* RecordStore
  // To take is a write, and mostly there is nothing to take
  const { nextDueAt, now, records: found } = yield* Records.within(records.due(Records.kind, 1))
  if (found.length === 0) return nextDueAt === null ? Infinity : Math.max(1, nextDueAt - now)
  const taken = yield* Records.within(records.take(Records.kind, maxTaken, leaseMs))
  yield* Effect.forEach(
    taken.records,
    (record) => {
      const known = Records.ofRecord(record)
      return known === undefined ? Effect.void : goOn(known, taken.now)
    },
    { concurrency: maxTaken, discard: true }
  )
  return 0
})

/** What is next for an operation that was taken. Where another one has written it since, that one goes on. */
const goOn = (known: Records.Read, now: number): Effect.Effect<unknown, StoreError, Stores> => {
  const { part, state } = known.operation
  const next: Effect.Effect<unknown, StoreError | RecordConflict, Stores> = part !== null
    ? takeOver(known)
    : state === "running"
    ? changeNext(known)
    : state === "undoing"
    ? restoreNext(known)
    : forget(known, now)
  return Effect.catchTag(next, "RecordConflict", () => Effect.void)
}

/** Writes an operation as it was taken, with what belongs to it. */
const put = (
  { id, version }: Records.Read,
  operation: Records.Operation,
  dueInMs: number,
  changes: ReadonlyArray<Change> = []
): Effect.Effect<number, StoreError | RecordConflict, RecordStore> =>
  RecordStore.use((store) => Records.within(store.put([Records.changeOf(id, version, operation, dueInMs), ...changes])))

/** The tasks of the next part: as many as may be changed in a second, as far as their entries fit. */
const entriesOf = (operation: Records.Operation, found: ReadonlyArray<TaskRecord>): ReadonlyArray<Records.Entry> => {
  const entries: Array<Records.Entry> = []
  let bytes = 0
  for (const task of found) {
    const entry = Records.entryOf(operation.action, task, { id: task.id, seen: seenOf(task) })
    bytes += Buffer.byteLength(JSON.stringify(entry)) + 1
    if (entries.length > 0 && bytes > maxPartBytes) break
    entries.push(entry)
  }
  return entries
}

/** Looks for the next tasks, and changes them. */
const changeNext = Effect.fnUntraced(function*(
  known: Records.Read
): Effect.fn.Return<void, StoreError | RecordConflict, Stores> {
  const tasks = yield* TaskStore
  const { id, operation } = known
  const startedAt = MonotonicClock.millis(yield* Clock.Clock)
  const left = operation.max === null ? Infinity : operation.max - operation.matched
  const { found, looked, next } = yield* TaskFilter.select(tasks, operation.filter, {
    before: operation.position ?? undefined,
    limit: Math.min(maxPart, operation.rate, left),
    looks: maxLooks
  })
  const lookedAt = { ...operation, looked: operation.looked + looked }
  if (found.length === 0) {
    if (next === undefined) return void (yield* put(known, ended(lookedAt, yield* clockOf), undoForMs))
    return void (yield* put(known, { ...lookedAt, position: next }, 0))
  }
  const entries = entriesOf(operation, found)
  const isCut = entries.length < found.length
  const behind = isCut ? placeOf(operation, found[entries.length - 1]!, entries.length) : next ?? null
  const number = operation.parts
  const inHand: Records.Operation = {
    ...lookedAt,
    matched: operation.matched + entries.length,
    parts: number + 1,
    part: { number, count: entries.length, next: behind },
    hasParts: true
  }
  // Stored before anything is changed: a crash behind this leaves what was about to be done
  yield* put(known, inHand, leaseMs, [Records.partChange(id, number, absent, entries)])
  // It stood still: another instance has gone on with this part, and it may have been taken back since
  if (MonotonicClock.millis(yield* Clock.Clock) - startedAt >= leaseMs) return
  const done = yield* Changing.changePart(inHand, entries, tasks, yield* RecordStore)
  yield* conclude(id, number, done, startedAt)
})

/** Where to look on behind a task. */
const placeOf = ({ filter, position }: Records.Operation, task: TaskRecord, count: number): number =>
  filter.ids === undefined ? task.seq : (position ?? 0) + count

/** Goes on with a part that another instance has left in the middle. */
const takeOver = Effect.fnUntraced(function*(
  { id, operation }: Records.Read
): Effect.fn.Return<void, StoreError, Stores> {
  const startedAt = MonotonicClock.millis(yield* Clock.Clock)
  const { number } = operation.part!
  const part = yield* Records.readPart(id, number)
  const done = yield* Changing.changeRest(operation, part?.entries ?? [], yield* TaskStore, yield* RecordStore)
  yield* conclude(id, number, done, startedAt)
})

/** A time of the store's clock. */
const clockOf = RecordStore.use((store) => Effect.map(Records.within(store.due(Records.kind, 1)), ({ now }) => now))

const ended = (operation: Records.Operation, now: number): Records.Operation => ({
  ...operation,
  part: null,
  state: "completed",
  endedAt: now
})

/** Counts a part that was changed. The next one is due when the rate allows for it. */
const conclude = Effect.fnUntraced(function*(
  id: string,
  number: number,
  { done, unsure }: Changing.Changed,
  startedAt: number
): Effect.fn.Return<void, StoreError, Stores> {
  const clock = yield* Clock.Clock
  const stored = yield* Records.readPart(id, number)
  const now = yield* clockOf
  const counting = Records.update(id, (operation) => {
    const { part } = operation
    // another instance has counted it
    if (part?.number !== number) return Effect.undefined
    const keeps = Records.isUndoable(operation.action) && operation.kept + done.length + unsure.length <= maxKept
    const isLast = part.next === null || (operation.max !== null && operation.matched >= operation.max)
    const counted: Records.Operation = {
      ...operation,
      part: null,
      position: part.next,
      done: operation.done + done.length,
      unsure: operation.unsure + unsure.length,
      kept: operation.kept + (keeps ? done.length + unsure.length : 0)
    }
    const next = isLast && operation.state === "running" ? ended(counted, now) : counted
    const restMs = part.count / operation.rate * 1000 - (MonotonicClock.millis(clock) - startedAt)
    return Effect.succeed({
      operation: next,
      dueInMs: next.state === "running" ? Math.max(0, Math.ceil(restMs)) : next.state === "undoing" ? 0 : undoForMs,
      with: stored === undefined
        ? []
        : [Records.partChange(id, number, stored.version, keeps ? [...done, ...unsure] : [])]
    })
  })
  yield* Effect.catchTag(counting, "OperationRefused", Effect.die)
})

/** Takes the next part back: what is still as the operation left it waits as before. */
const restoreNext = Effect.fnUntraced(function*(
  known: Records.Read
): Effect.fn.Return<void, StoreError | RecordConflict, Stores> {
  const tasks = yield* TaskStore
  const { id, operation } = known
  const startedAt = MonotonicClock.millis(yield* Clock.Clock)
  if (operation.undoing >= operation.parts) {
    return void (yield* put(known, { ...operation, state: "undone", hasParts: false }, listedForMs))
  }
  const part = yield* Records.readPart(id, operation.undoing)
  const entries = part?.entries ?? []
  const answers = yield* tasks.rerun(entries.map(({ claim, id, state }) => ({
    id,
    restores: true,
    // What ran when it was asked to stop has ended some time later
    seen: { state: "cancelled", claim, at: state === "running" ? Number.MAX_SAFE_INTEGER : part!.writtenAt }
  })))
  const restored = answers.filter(({ _tag }) => _tag === "rerun").length
  const restMs = entries.length / operation.rate * 1000 - (MonotonicClock.millis(yield* Clock.Clock) - startedAt)
  yield* put(
    known,
    { ...operation, undoing: operation.undoing + 1, restored: operation.restored + restored },
    Math.max(0, Math.ceil(restMs)),
    part === undefined ? [] : [Records.partChange(id, operation.undoing, part.version, [])]
  )
})

/** Forgets what could be taken back, and later the operation. */
const forget = Effect.fnUntraced(function*(
  known: Records.Read,
  now: number
): Effect.fn.Return<void, StoreError | RecordConflict, RecordStore> {
  const { id, operation, version } = known
  if (operation.hasParts) {
    if (yield* Records.deleteParts(id)) return void (yield* put(known, operation, 0))
    return void (yield* put(known, { ...operation, hasParts: false }, listedForMs))
  }
  const records = yield* RecordStore
  yield* Records.within(records.put([{ kind: Records.kind, id: Records.turned(id), expects: version, document: null }]))
  yield* Effect.logDebug(`the operation ${id} was forgotten ${now - (operation.endedAt ?? now)} ms after it had ended`)
})

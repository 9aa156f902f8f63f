/**
 * What is kept of operations on many tasks: a record of the kind `operation` for each, and one of the kind `operation-part` for each part
 * of its tasks that is being changed, or was changed and may be taken back.
 *
 * ```text
 * running ──► completed ──┐
 *    └──────► aborted ────┴──► undoing ──► undone
 * ```
 *
 * The record of an operation is due when something has to be done for it. A part names its tasks as they were seen, and is stored before
 * any of them is changed: an instance that goes on after a crash changes those that are still so, and no task twice.
 */
import { Effect, Exit, Schema } from "effect"
import type { InvalidOption, RecordConflict, StoreError } from "../domain/Errors.ts"
import { Action, type OperationRefused, OperationState } from "../domain/Operation.ts"
import type { SeenTask } from "../domain/Seen.ts"
import type { TaskRecord } from "../domain/TaskRecord.ts"
import { FinishedState, type TaskState } from "../domain/TaskState.ts"
import { repeated } from "../flow/BatchRecords.ts"
import { type Change, RecordStore, type StoredRecord } from "../store/RecordStore.ts"
import { isKnown, StoredFilter } from "./TaskFilter.ts"

/** The kind of the records of operations. */
export const kind = "operation"

/** The kind of the records of parts. */
const partKind = "operation-part"

/** In which states tasks have to be. */
export const statesOf: Record<Action, ReadonlyArray<TaskState>> = {
  cancel: ["scheduled", "pending", "running"],
  rerun: ["failed", "cancelled", "expired"],
  discard: ["completed", "failed", "cancelled", "expired"],
  reschedule: ["scheduled", "pending"]
}

/** Whether it can be taken back. */
export const isUndoable = (action: Action): boolean => action === "cancel"

/** Who did something, and when. */
const Deed = Schema.Struct({ by: Schema.NullOr(Schema.String), at: Schema.Int })

const Operation = Schema.Struct({
  name: Schema.NullOr(Schema.String),
  action: Action,
  /** What a reschedule makes of its tasks. */
  change: Schema.NullOr(
    Schema.Struct({ priority: Schema.optionalKey(Schema.Int), runAt: Schema.optionalKey(Schema.Int) })
  ),
  filter: StoredFilter,
  why: Schema.String,
  by: Schema.NullOr(Schema.String),
  /** Tasks in a second at most. */
  rate: Schema.Int,
  /** Tasks at most. */
  max: Schema.NullOr(Schema.Int),
  /** How many tasks were meant when it began, as far as a bounded look went. */
  expected: Schema.Struct({ count: Schema.Int, isComplete: Schema.Boolean }),
  state: OperationState,
  createdAt: Schema.Int,
  endedAt: Schema.NullOr(Schema.Int),
  aborted: Schema.NullOr(Deed),
  undone: Schema.NullOr(Deed),
  /** Where to look on: `null` before the first look. */
  position: Schema.NullOr(Schema.Int),
  looked: Schema.Int,
  matched: Schema.Int,
  done: Schema.Int,
  /** Tasks of parts that were left in the middle that were changed by it, or by others at that time. */
  unsure: Schema.Int,
  /** Parts that it has had. */
  parts: Schema.Int,
  /** The part that is being changed, how many tasks it has, and where to look on behind it: `null` behind the last. */
  part: Schema.NullOr(Schema.Struct({ number: Schema.Int, count: Schema.Int, next: Schema.NullOr(Schema.Int) })),
  /** Tasks that can be taken back, and the part that the undoing is at, from the first. */
  kept: Schema.Int,
  undoing: Schema.Int,
  /** Tasks that were taken back. */
  restored: Schema.Int,
  /** Whether parts may still be stored. */
  hasParts: Schema.Boolean
})

/** What the record of an operation says. */
export type Operation = typeof Operation.Type

/** A task of a part: its id, how it was seen, and where it is to be rescheduled its type, queue and version. */
const Entry = Schema.Struct({
  id: Schema.String,
  state: Schema.Union([Schema.Literals(["waiting", "running"]), FinishedState]),
  claim: Schema.Int,
  at: Schema.Int,
  of: Schema.optionalKey(Schema.Struct({
    type: Schema.String,
    queue: Schema.String,
    version: Schema.optionalKey(Schema.Int)
  }))
})

/** See {@link Entry}. */
export type Entry = typeof Entry.Type

const Part = Schema.Array(Entry)

/** The task of an entry, as it was seen. */
export const refOf = ({ at, claim, id, state }: Entry): SeenTask => ({ id, seen: { state, claim, at } })

/** The entry of a task as it is seen now. */
export const entryOf = (action: Action, { queue, type, version }: TaskRecord, { id, seen }: SeenTask): Entry => ({
  id,
  ...seen,
  ...(action === "reschedule" ? { of: { type, queue, ...(version === undefined ? {} : { version }) } } : {})
})

const decodeOperation = Schema.decodeUnknownExit(Schema.fromJsonString(Operation))

/** A filter with what this version does not know of it, which a decoded one has lost. */
const decodeFilter = Schema.decodeUnknownExit(
  Schema.fromJsonString(Schema.Struct({ filter: Schema.Record(Schema.String, Schema.Unknown) }))
)
const decodePart = Schema.decodeUnknownExit(Schema.fromJsonString(Part))

/** An operation as it was read. */
export interface Read {
  readonly id: string
  readonly version: number
  readonly operation: Operation
}

/**
 * The id of an operation's record, which is the operation's with each digit turned round: ids grow with time, and lists begin with the
 * operation that was begun last. The same function leads back.
 */
export const turned = (id: string): string =>
  id.replace(/[\da-f]/g, (digit) => (15 - Number.parseInt(digit, 16)).toString(16))

/** The operation of a record; nothing where a later version has written it. */
export const ofRecord = ({ document, id, version }: StoredRecord): Read | undefined => {
  const operation = decodeOperation(document)
  if (Exit.isFailure(operation)) return undefined
  const said = decodeFilter(document)
  return Exit.isSuccess(said) && isKnown(said.value.filter)
    ? { id: turned(id), version, operation: operation.value }
    : undefined
}

/** Whether a text may be the id of an operation. */
export const isId = (text: string): boolean => /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(text)

/** An operation, if it is there. */
export const read = (id: string): Effect.Effect<Read | undefined, StoreError, RecordStore> =>
  isId(id)
    ? RecordStore.use((store) =>
      Effect.map(within(store.get(kind, [turned(id)])), ([record]) => record && ofRecord(record))
    )
    : Effect.undefined

/** What a write makes of an operation. */
export const changeOf = (
  id: string,
  expects: number,
  operation: Operation,
  dueInMs?: number
): Change => ({
  kind,
  id: turned(id),
  expects,
  document: JSON.stringify(operation),
  ...(dueInMs === undefined ? {} : { dueInMs })
})

const partId = (id: string, number: number): string => `${id}/${String(number).padStart(8, "0")}`

/** A part as it was read. `writtenAt` is a time of the store's clock. */
export interface ReadPart {
  readonly version: number
  readonly writtenAt: number
  readonly entries: ReadonlyArray<Entry>
}

/** A part, if it is there. */
export const readPart = (id: string, number: number): Effect.Effect<ReadPart | undefined, StoreError, RecordStore> =>
  RecordStore.use((store) =>
    Effect.map(within(store.get(partKind, [partId(id, number)])), ([record]) => {
      if (record === undefined) return undefined
      const entries = decodePart(record.document)
      const { version, writtenAt } = record
      return { version, writtenAt, entries: Exit.isSuccess(entries) ? entries.value : [] }
    })
  )

/** What a write makes of a part; it is deleted where no tasks are left of it. */
export const partChange = (id: string, number: number, expects: number, entries: ReadonlyArray<Entry>): Change => ({
  kind: partKind,
  id: partId(id, number),
  expects,
  document: entries.length === 0 ? null : JSON.stringify(entries)
})

/** Deletes parts of an operation, as many as one look finds; answers whether there may be more. */
export const deleteParts = Effect.fnUntraced(function*(id: string): Effect.fn.Return<boolean, StoreError, RecordStore> {
  const store = yield* RecordStore
  const { more, records } = yield* within(store.list(partKind, { prefix: `${id}/` }))
  if (records.length === 0) return false
  const deletions = records.map((record) => ({
    kind: partKind,
    id: record.id,
    expects: record.version,
    document: null
  }))
  // with a conflict, another one was faster
  const isDone = yield* Effect.match(within(store.put(deletions)), {
    onFailure: (error) => error._tag === "StoreError" ? error : true,
    onSuccess: () => more
  })
  return typeof isDone === "boolean" ? isDone : yield* isDone
})

/** The bounds of records are kept. */
export const within = <A, E extends { readonly _tag: string }>(
  effect: Effect.Effect<A, E | InvalidOption>
): Effect.Effect<A, Exclude<E, InvalidOption>> =>
  Effect.catchIf(
    effect,
    (error): error is InvalidOption => error._tag === "InvalidOption",
    Effect.die
  ) as Effect.Effect<A, Exclude<E, InvalidOption>>

/** What a change makes of an operation. */
export interface Next {
  readonly operation: Operation
  readonly dueInMs?: number | undefined
  /** What is written together with it. */
  readonly with?: ReadonlyArray<Change> | undefined
}

/**
 * Changes an operation as it is then, again where another one was faster; answers what it is now, `undefined` where it is gone. Where
 * `change` gives nothing it stays as it is.
 */
export const update = (
  id: string,
  change: (operation: Operation) => Effect.Effect<Next | undefined, OperationRefused>
): Effect.Effect<Read | undefined, OperationRefused | StoreError, RecordStore> =>
  repeated(Effect.gen(function*(): Effect.fn.Return<
    Read | undefined,
    OperationRefused | StoreError | RecordConflict,
    RecordStore
  > {
    const store = yield* RecordStore
    const known = yield* read(id)
    const next = known && (yield* change(known.operation))
    if (known === undefined || next === undefined) return known
    const written = changeOf(id, known.version, next.operation, next.dueInMs)
    const version = yield* within(store.put([written, ...next.with ?? []]))
    return { id, version, operation: next.operation }
  }))

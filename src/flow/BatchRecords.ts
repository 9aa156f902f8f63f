/**
 * What is kept of batches: a record of the kind `batch` for each, and one of the kind `batch-part` for each part of it whose members have
 * not all ended. The rest are tasks, of one type of the engine's own, and dependencies between tasks:
 *
 * ```text
 * members of a part ──► part: counts them, and finishes the batch after the last one   ┐
 *                   ├─► watch: is cancelled by the first that does not complete        │ only with onFailure
 *                   │     └─► alarm: runs then, and makes the failure task due         ┘
 * end, scheduled until the batch has finished ──► onSuccess, onFinished
 * failure, scheduled until a member fails     ──► onFailure
 * ```
 *
 * Members are added in parts, each in one write with its own tasks and the new version of the batch's record. So a batch is added to or
 * finished, never both, and what the callbacks wait for ends once.
 */
import { Effect, Exit, Schedule, Schema } from "effect"
import { BatchFailed } from "../domain/BatchErrors.ts"
import * as Bounds from "../domain/Bounds.ts"
import type { StoreError } from "../domain/Errors.ts"
import * as StoredType from "../domain/StoredType.ts"
import * as TaskDefinition from "../domain/TaskDefinition.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import { type Change, RecordStore, type StoredRecord } from "../store/RecordStore.ts"
import type { TaskStore } from "../store/TaskStore.ts"

/** The kind of the records of batches. One is due when it has to be looked whether the batch is still there. */
export const kind = "batch"

/** The kind of the records of parts. */
export const partKind = "batch-part"

/** The type of the tasks that batches have besides their members and callbacks. */
export const type = StoredType.ownBatch

/** Members of a part at most: they come in one write. */
export const maxPart = 1000

/** Characters of a batch's id: its own tasks have longer ones. */
const maxIdLength = 160

/** Characters of the name of an addition. */
const maxAdditionLength = 64

/** The id of a batch. */
export const id: Bounds.Bound<string> = {
  expected: `a text of at most ${maxIdLength} characters, without "/", that may be the id of a task`,
  accepts: (text) => Bounds.id.accepts(text) && text.length <= maxIdLength && !text.includes("/")
}

/** The name of an addition. */
export const addition: Bounds.Bound<string> = {
  expected: `a text of 1 to ${maxAdditionLength} characters, without "/"`,
  accepts: (text) => Bounds.name.accepts(text) && text.length <= maxAdditionLength && !text.includes("/")
}

/** When it is looked again whether the batch is still there, in milliseconds. */
const checkInMs = 60 * 60 * 1000

/** The same where something else has to follow, which a crash would leave undone. */
export const soonMs = 60 * 1000

/** The payload of such a task. */
export const Input = Schema.Struct({
  batch: Schema.String,
  role: Schema.Literals(["end", "failure", "part", "watch", "alarm", "cancel"]),
  /** The key of a part, for those that belong to one. */
  part: Schema.optionalKey(Schema.String)
})

/** See {@link Input}. */
export type Input = typeof Input.Type

/** How many members of a batch have ended, and how. */
export const Ends = Schema.Struct({
  completed: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int,
  expired: Schema.Int
})

/** See {@link Ends}. */
export type Ends = typeof Ends.Type

/** None has ended. */
export const noEnds: Ends = { completed: 0, failed: 0, cancelled: 0, expired: 0 }

/** The sum of two. */
export const plus = (one: Ends, other: Ends): Ends => ({
  completed: one.completed + other.completed,
  failed: one.failed + other.failed,
  cancelled: one.cancelled + other.cancelled,
  expired: one.expired + other.expired
})

/** How many they are. */
export const countOf = ({ cancelled, completed, expired, failed }: Ends): number =>
  completed + failed + cancelled + expired

/** What a batch ends with. */
export const Summary = Schema.Struct({ batch: Schema.String, total: Schema.Int, ...Ends.fields })

/** See {@link Summary}. */
export type Summary = typeof Summary.Type

/** The type of the engine's own tasks. What a store does not take at the moment is tried again until it does. */
export const definition = TaskDefinition.make(type, {
  payload: Input,
  success: Schema.NullOr(Summary),
  error: BatchFailed,
  priority: 9,
  retry: {
    times: Bounds.unlimitedRetries,
    schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]),
    byTag: { BatchFailed: false }
  },
  description: "Counts the members of batches, and starts their callbacks"
})

/** Time limit of such a task: cancelling many members takes long. */
const timeoutMs = 60 * 60 * 1000

const Callbacks = Schema.Struct({
  onSuccess: Schema.NullOr(Schema.String),
  onFailure: Schema.NullOr(Schema.String),
  onFinished: Schema.NullOr(Schema.String)
})

/** The tasks that a batch starts. */
export type Callbacks = typeof Callbacks.Type

const Batch = Schema.Struct({
  name: Schema.NullOr(Schema.String),
  /** Where the engine's own tasks of it wait. */
  queue: Schema.String,
  createdAt: Schema.Int,
  /** Parts that it has had, and those whose members have not all ended. */
  parts: Schema.Int,
  openParts: Schema.Int,
  /** Members of all parts. */
  members: Schema.Int,
  /** Ends of members of parts that have been counted. */
  ends: Ends,
  isSealed: Schema.Boolean,
  isCancelled: Schema.Boolean,
  isFinished: Schema.Boolean,
  callbacks: Callbacks
})

/** What the record of a batch says. */
export type Batch = typeof Batch.Type

const Part = Schema.Struct({
  members: Schema.Int,
  /** Of an addition that has a name: all have ended, and it stays to be known. */
  isCounted: Schema.optionalKey(Schema.Literal(true))
})

/** What the record of a part says. */
export type Part = typeof Part.Type

const decodeBatch = Schema.decodeUnknownExit(Schema.fromJsonString(Batch))
const decodePart = Schema.decodeUnknownExit(Schema.fromJsonString(Part))

/** The id of the task that makes the failure task's callback start. */
export const failureId = (batch: string): string => `${batch}/failure`

/** The id of the record and of the task of a part. */
export const partId = (batch: string, part: string): string => `${batch}/${part}`

/** The id of the task that is cancelled by the first member of a part that does not complete. */
export const watchId = (batch: string, part: string): string => `${batch}/${part}/watch`

/** The id of the task that runs then. */
const alarmId = (batch: string, part: string): string => `${batch}/${part}/alarm`

/** The batch of one of its own tasks. */
export const batchOf = (id: string): string => id.split("/", 1)[0]!

/** A batch as it was read. */
export interface Read {
  readonly version: number
  readonly batch: Batch
}

/** The batch of a record; nothing where a later version has written it. */
export const ofRecord = ({ document, version }: StoredRecord): Read | undefined => {
  const batch = decodeBatch(document)
  return Exit.isSuccess(batch) ? { version, batch: batch.value } : undefined
}

/** The part of a record. */
export const partOfRecord = ({ document }: StoredRecord): Part | undefined => {
  const part = decodePart(document)
  return Exit.isSuccess(part) ? part.value : undefined
}

const recordOf = (kind: string, id: string): Effect.Effect<StoredRecord | undefined, StoreError, RecordStore> =>
  RecordStore.use((store) =>
    Effect.map(Effect.catchTag(store.get(kind, [id]), "InvalidOption", () => Effect.succeed([])), ([record]) => record)
  )

/** A batch, if it is there. */
export const read = (batch: string): Effect.Effect<Read | undefined, StoreError, RecordStore> =>
  id.accepts(batch)
    ? Effect.map(recordOf(kind, batch), (record) => record && ofRecord(record))
    : Effect.undefined

/** A part of it, if it is there. */
export const readPart = (
  batch: string,
  part: string
): Effect.Effect<{ readonly version: number; readonly part: Part } | undefined, StoreError, RecordStore> =>
  Effect.map(recordOf(partKind, partId(batch, part)), (record) => {
    const part = record && partOfRecord(record)
    return part && { version: record.version, part }
  })

/** A page of the records of parts of a batch. */
export const listParts = (batch: string, after?: string) =>
  RecordStore.use((store) =>
    Effect.catchTag(store.list(partKind, { prefix: `${batch}/`, after }), "InvalidOption", Effect.die)
  )

/** The change that writes a batch. */
export const changeOf = (id: string, expects: number, batch: Batch, dueInMs = checkInMs): Change => ({
  kind,
  id,
  expects,
  document: JSON.stringify(batch),
  dueInMs
})

/** The change that writes a part. */
export const partChange = (batch: string, part: string, expects: number, document: Part): Change => ({
  kind: partKind,
  id: partId(batch, part),
  expects,
  document: JSON.stringify(document)
})

/** One of the engine's own tasks of a batch. */
export const ownTask = (
  queue: string,
  id: string,
  input: Input,
  more: Partial<Pick<NewTask, "delayMs" | "after" | "onFailure">> = {}
): NewTask => ({
  id,
  type,
  queue,
  payload: JSON.stringify(input),
  priority: definition.priority,
  key: null,
  maxRetries: Bounds.unlimitedRetries,
  timeoutMs,
  delayMs: 0,
  runAt: null,
  expiresInMs: null,
  startWithinMs: null,
  gate: null,
  costs: null,
  ...more
})

/** The engine's own tasks of a part, which wait for its members. */
export const tasksOfPart = (
  batch: string,
  part: string,
  { callbacks, queue }: Batch,
  members: ReadonlyArray<string>
): ReadonlyArray<NewTask> => {
  const counts = ownTask(queue, partId(batch, part), { batch, role: "part", part }, {
    after: members,
    onFailure: "run"
  })
  if (callbacks.onFailure === null || members.length === 0) return [counts]
  const watch = watchId(batch, part)
  return [
    counts,
    ownTask(queue, watch, { batch, role: "watch", part }, { after: members, onFailure: "cancel" }),
    ownTask(queue, alarmId(batch, part), { batch, role: "alarm", part }, { after: [watch], onFailure: "run" })
  ]
}

/** Does something again that others were faster with; each time one of them has got on. */
export const repeated = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict", times: 3 }),
    Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict", schedule: conflictBackoff }),
    Effect.catchIf(
      (error): error is Extract<E, { readonly _tag: "RecordConflict" }> => error._tag === "RecordConflict",
      Effect.die
    )
  )

const conflictBackoff = Schedule.jittered(
  Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("100 millis")])
)

/** Ends of tasks, by their ids, and those of them that have not ended. Their results are not kept. */
export const endsOf = Effect.fnUntraced(function*(
  tasks: Pick<TaskStore["Service"], "results">,
  ids: ReadonlyArray<string>
): Effect.fn.Return<{ readonly ends: Ends; readonly unfinished: ReadonlyArray<string> }, StoreError> {
  const ends = { ...noEnds }
  const unfinished: Array<string> = []
  for (let read = 0; read < ids.length;) {
    const outcomes = yield* tasks.results(ids.slice(read, read + Bounds.maxIds), Bounds.maxAnswerBytes)
    outcomes.forEach((outcome, index) => {
      if (outcome === undefined) unfinished.push(ids[read + index]!)
      // those that others wait for are kept
      else if (outcome !== null) ends[outcome.state as keyof Ends]++
    })
    read += outcomes.length
  }
  return { ends, unfinished }
})

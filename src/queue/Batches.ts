/**
 * Batches: many tasks of any types, and tasks that start once these have ended or one of them has not completed. How they are kept
 * says `flow/BatchRecords`; what runs their own tasks is `BatchTasks`.
 */
import { Context, Effect } from "effect"
import { BatchFinished, BatchNotFound } from "../domain/BatchErrors.ts"
import * as Bounds from "../domain/Bounds.ts"
import * as Cursor from "../domain/Cursor.ts"
import type { DependencyCycle, UnknownDependency } from "../domain/DependencyErrors.ts"
import {
  InvalidOption,
  type InvalidPayload,
  type KeyConflict,
  type QueueFull,
  type RecordConflict,
  type StoreError,
  type UnknownTaskType
} from "../domain/Errors.ts"
import type { NewTask } from "../domain/TaskRecord.ts"
import * as BatchEnd from "../flow/BatchEnd.ts"
import { cancelMembers } from "../flow/BatchMembers.ts"
import * as BatchRecords from "../flow/BatchRecords.ts"
import * as StepRecords from "../flow/StepRecords.ts"
import { absent, RecordStore, type Together, type Written } from "../store/RecordStore.ts"
import { type Accepted, TaskStore } from "../store/TaskStore.ts"
import * as BatchViews from "./BatchViews.ts"
import type { Intake, WhenFull } from "./Intake.ts"
import { checkPage, type PageOptions, sizeOf } from "./Queues.ts"
import type { Submission } from "./Submission.ts"

/** A new batch. */
export interface NewBatch {
  /** Your own id: a batch that has it already is that batch. Without `/`, at most 160 characters. */
  readonly id?: string | undefined
  /** For people. */
  readonly name?: string | undefined
  /** Where the engine's own tasks of it wait. Default: the queue of the first of its callbacks, or `default`. */
  readonly queue?: string | undefined
  /** Starts once, when all members have ended, if all have completed. It is cancelled otherwise. */
  readonly onSuccess?: Submission | undefined
  /** Starts once, when the first member fails, is cancelled or expires. It is cancelled if none does. */
  readonly onFailure?: Submission | undefined
  /** Starts once, when all members have ended, however they did. */
  readonly onFinished?: Submission | undefined
}

/** How members are added. */
export interface AddOptions {
  /**
   * The name of this addition: when it is repeated, nothing changes, and the members that have no ids of their own have the ids
   * that they had. At most 64 characters, without `/`.
   */
  readonly addition?: string | undefined
  /** Default `fail`. */
  readonly whenFull?: WhenFull | undefined
}

/** Why members are not added. Only a remote queue fails with `UnknownTaskType` or `InvalidPayload`: its server may have other definitions. */
export type AddError =
  | BatchNotFound
  | BatchFinished
  | QueueFull
  | KeyConflict
  | UnknownDependency
  | DependencyCycle
  | InvalidOption
  | InvalidPayload
  | UnknownTaskType
  | StoreError

/** What operations on a batch may fail with. */
export type BatchError = BatchNotFound | StoreError

/** The batches of a store. */
export interface Batches {
  /** Makes a batch without members, which takes some until it has finished. It does not finish before it is sealed. */
  readonly create: (
    batch: NewBatch
  ) => Effect.Effect<
    { readonly id: string; readonly duplicate: boolean },
    Exclude<AddError, BatchNotFound | BatchFinished>
  >
  /** Adds members, up to 1,000 in each write, until the batch has finished. Where a write fails, those before it stay. */
  readonly add: (
    id: string,
    members: ReadonlyArray<Submission>,
    options?: AddOptions
  ) => Effect.Effect<ReadonlyArray<Accepted>, AddError>
  /** Lets the batch finish when its members have ended. Until then more may be added. */
  readonly seal: (id: string) => Effect.Effect<void, BatchError>
  /**
   * Cancels the members that have not ended, bit by bit, and the batch with them. It takes no more members. In a full queue it has cancelled
   * them when it returns.
   */
  readonly cancel: (id: string) => Effect.Effect<void, BatchError>
  readonly get: (id: string) => Effect.Effect<BatchViews.BatchView, BatchError>
  /** A page of all batches, by id: those with ids of the engine's in the order in which they were made. */
  readonly list: (options?: PageOptions) => Effect.Effect<BatchViews.BatchPage, InvalidOption | StoreError>
}

const names: Bounds.Names<NewBatch> = { id: 1, name: 1, queue: 1, onSuccess: 1, onFailure: 1, onFinished: 1 }
const addNames: Bounds.Names<AddOptions> = { addition: 1, whenFull: 1 }

/** Fails with the first option of a new batch that is unknown or outside of its bound. */
export const check = (batch: NewBatch): Effect.Effect<void, InvalidOption> => {
  const { id, name, queue } = batch
  const invalid = Bounds.refuseUnknown(batch, names) ?? Bounds.refuse("id", BatchRecords.id, id) ??
    Bounds.refuse("name", Bounds.name, name) ?? Bounds.refuse("queue", Bounds.name, queue) ??
    callbacksOf(batch).map(([name, { options }]) => refuseCallback(name, options)).find((one) => one !== undefined)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

/** The same of an addition. */
export const checkAddition = (options: AddOptions): Effect.Effect<void, InvalidOption> => {
  const invalid = Bounds.refuseUnknown(options, addNames) ??
    Bounds.refuse("addition", BatchRecords.addition, options.addition)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}

type Callback = keyof BatchRecords.Callbacks

const callbacksOf = (batch: NewBatch): ReadonlyArray<readonly [Callback, Submission]> =>
  (["onSuccess", "onFailure", "onFinished"] as const).flatMap((name) => {
    const callback = batch[name]
    return callback === undefined ? [] : [[name, callback] as const]
  })

/** The batch says what its callbacks wait for, and each is a task of its own. */
const refuseCallback = (name: Callback, options: Submission["options"]): InvalidOption | undefined => {
  const option = (["onFailure", "key", "unique"] as const).find((option) => options[option] !== undefined)
  return option === undefined
    ? undefined
    : new InvalidOption({
      option: `${name}.${option}`,
      found: "given",
      expected: "none, of what a batch starts",
      index: 0
    })
}

/** These operations on a store. */
export const make = (
  stores: { readonly tasks: TaskStore["Service"]; readonly records: RecordStore["Service"] },
  newId: Effect.Effect<string>,
  intake: Intake
): Batches => {
  const { records, tasks } = stores
  const on = Effect.provideContext(Context.make(RecordStore, records).pipe(Context.add(TaskStore, tasks)))

  const together = (parts: Together): Effect.Effect<
    Written,
    RecordConflict | QueueFull | KeyConflict | UnknownDependency | DependencyCycle | StoreError
  > =>
    Effect.flatMap(newId, (nonce) => records.atomically(nonce, parts)).pipe(
      // The bounds of records are kept, and no attempt is ended
      Effect.catchTags({ InvalidOption: Effect.die, LeaseLost: Effect.die })
    )

  /** The same where all tasks are the engine's own. */
  const ownTogether = (parts: Together): Effect.Effect<Written, RecordConflict | QueueFull | StoreError> =>
    together(parts).pipe(Effect.catchTags({
      KeyConflict: Effect.die,
      UnknownDependency: Effect.die,
      DependencyCycle: Effect.die
    }))

  const find = Effect.fnUntraced(function*(id: string): Effect.fn.Return<BatchRecords.Read, BatchError> {
    return (yield* on(BatchRecords.read(id))) ?? (yield* new BatchNotFound({ batch: id }))
  })

  const clock = Effect.map(
    Effect.catchTag(records.due(StepRecords.clockKind, 1), "InvalidOption", Effect.die),
    ({ now }) => now
  )

  const create: Batches["create"] = Effect.fnUntraced(function*(batch) {
    yield* check(batch)
    const id = batch.id ?? (yield* newId)
    const given = callbacksOf(batch)
    const prepared = yield* intake.prepare(given.map(([, submission]) => submission))
    const queue = batch.queue ?? prepared[0]?.queue ?? "default"
    const idOfCallback = (name: Callback) => prepared[given.findIndex(([given]) => given === name)]?.id ?? null
    const callbacks = {
      onSuccess: idOfCallback("onSuccess"),
      onFailure: idOfCallback("onFailure"),
      onFinished: idOfCallback("onFinished")
    }
    const own = (task: string, role: "end" | "failure") =>
      BatchRecords.ownTask(queue, task, { batch: id, role }, { delayMs: StepRecords.forEverMs })
    const failure = BatchRecords.failureId(id)
    const waiting = prepared.map((task, index): NewTask => {
      const [name] = given[index]!
      const after = [name === "onFailure" ? failure : id, ...task.after ?? []]
      return { ...task, after, onFailure: name === "onFinished" ? "run" : "cancel" }
    })
    const document: BatchRecords.Batch = {
      name: batch.name ?? null,
      queue,
      createdAt: yield* clock,
      parts: 0,
      openParts: 0,
      members: 0,
      ends: BatchRecords.noEnds,
      isSealed: false,
      isCancelled: false,
      isFinished: false,
      callbacks
    }
    const written = yield* Effect.result(together({
      changes: [BatchRecords.changeOf(id, absent, document)],
      tasks: [own(id, "end"), ...callbacks.onFailure === null ? [] : [own(failure, "failure")], ...waiting]
    }))
    if (written._tag === "Success") {
      intake.count(waiting, written.success.tasks.slice(-waiting.length))
      return { id, duplicate: false }
    }
    const { failure: error } = written
    // the id is known: it is that batch
    if (error._tag === "RecordConflict") return { id, duplicate: true }
    return yield* error
  })

  /** Adds the members of one part. */
  const addPart = (id: string, members: ReadonlyArray<NewTask>, name: string | undefined) =>
    Effect.gen(function*(): Effect.fn.Return<ReadonlyArray<Accepted>, AddError | RecordConflict> {
      const { batch, version } = yield* find(id)
      const named = name === undefined ? undefined : `=${name}`
      const known = named === undefined ? undefined : yield* on(BatchRecords.readPart(id, named))
      if (known !== undefined) return members.map((task) => ({ id: task.id, duplicate: true }))
      if (batch.isCancelled) return yield* new BatchFinished({ batch: id, reason: "cancelled" })
      // Its end may have been cancelled by hand, and its callbacks have started then
      const [end] = batch.isFinished ? [null] : yield* tasks.results([id])
      if (end !== undefined) return yield* new BatchFinished({ batch: id, reason: "finished" })
      const part = named ?? String(batch.parts + 1)
      const next = {
        ...batch,
        parts: batch.parts + 1,
        openParts: batch.openParts + 1,
        members: batch.members + members.length
      }
      const { tasks: accepted } = yield* together({
        changes: [
          BatchRecords.changeOf(id, version, next),
          BatchRecords.partChange(id, part, absent, { members: members.length })
        ],
        tasks: [...members, ...BatchRecords.tasksOfPart(id, part, batch, members.map(({ id }) => id))]
      })
      const answers = accepted.slice(0, members.length)
      intake.count(members, answers)
      return answers
    })

  const add: Batches["add"] = Effect.fnUntraced(function*(id, members, options = {}) {
    yield* checkAddition(options)
    const { addition, whenFull } = options
    const named = addition === undefined
      ? members
      : members.map((member, index) =>
        member.options.id === undefined
          ? { ...member, options: { ...member.options, id: `${id}/=${addition}/m${index}` } }
          : member
      )
    const prepared = yield* intake.prepare(named, whenFull)
    const accepted: Array<Accepted> = []
    for (let start = 0; start < prepared.length; start += BatchRecords.maxPart) {
      const part = prepared.slice(start, start + BatchRecords.maxPart)
      const name = addition === undefined || start === 0 ? addition : `${addition}/${start / BatchRecords.maxPart}`
      const added = BatchRecords.repeated(addPart(id, part, name))
      accepted.push(...yield* intake.whenRoom(added, whenFull))
    }
    // what is added to must be there, also where nothing is added
    if (prepared.length === 0) yield* find(id)
    return accepted
  })

  /**
   * Writes the next version of a batch of which nothing is open, and starts what waits for its end. No task is stored for it: it works in a
   * full queue, too.
   */
  const finish = Effect.fnUntraced(function*(id: string, version: number, batch: BatchRecords.Batch) {
    const finished = { ...batch, isFinished: true }
    yield* ownTogether({ changes: [BatchRecords.changeOf(id, version, finished, BatchRecords.soonMs)], tasks: [] })
    yield* BatchEnd.finish(tasks, id, finished)
  })

  /** Does something about a stored batch for which it stores no task: a full queue refuses nothing. */
  const changed = (change: Effect.Effect<void, BatchError | RecordConflict | QueueFull>) =>
    Effect.catchTag(BatchRecords.repeated(change), "QueueFull", Effect.die)

  const seal = (id: string) =>
    changed(Effect.gen(function*(): Effect.fn.Return<void, BatchError | RecordConflict | QueueFull> {
      const { batch, version } = yield* find(id)
      if (batch.isSealed) return
      const sealed = { ...batch, isSealed: true }
      if (batch.openParts === 0) return yield* finish(id, version, sealed)
      yield* ownTogether({ changes: [BatchRecords.changeOf(id, version, sealed)], tasks: [] })
    }))

  const cancel = (id: string) =>
    changed(Effect.gen(function*(): Effect.fn.Return<void, BatchError | RecordConflict | QueueFull> {
      const { batch, version } = yield* find(id)
      if (batch.isFinished || batch.isCancelled) return
      const cancelled = { ...batch, isSealed: true, isCancelled: true }
      if (batch.openParts === 0) return yield* finish(id, version, cancelled)
      const cancels = BatchRecords.ownTask(batch.queue, BatchRecords.partId(id, "cancel"), {
        batch: id,
        role: "cancel"
      })
      yield* ownTogether({ changes: [BatchRecords.changeOf(id, version, cancelled)], tasks: [cancels] }).pipe(
        // Nothing is left to a task where the queue takes none, perhaps because of these members
        Effect.catchTag("QueueFull", () =>
          Effect.andThen(
            ownTogether({
              changes: [BatchRecords.changeOf(id, version, cancelled, BatchRecords.soonMs)],
              tasks: []
            }),
            on(cancelMembers(id))
          ))
      )
    }))

  return {
    create,
    add,
    seal,
    cancel,
    get: Effect.fnUntraced(function*(id) {
      return (yield* on(BatchViews.read(id))) ?? (yield* new BatchNotFound({ batch: id }))
    }),
    list: Effect.fnUntraced(function*(options = {}) {
      yield* checkPage("batch", options)
      const after = options.cursor === undefined ? undefined : Cursor.decodeName("batch", options.cursor)
      const { batches, next } = yield* on(BatchViews.list(after, sizeOf(options)))
      return { batches, next: next === null ? null : Cursor.encodeName("batch", next) }
    })
  }
}

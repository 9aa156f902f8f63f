/**
 * Batches: many tasks of any types, with tasks that start once all of them have ended, all have completed, or the first one has not. A
 * batch has a progress, and takes more members while it runs.
 *
 * @example
 * ```ts
 * const program = Effect.gen(function*() {
 *   const batch = yield* Batch.enqueue(images.map((image) => Resize.draft({ image })), {
 *     name: "holiday",
 *     onSuccess: Publish.draft({ album: "holiday" }),
 *     onFailure: Alert.draft({ to: "ada@example.org" })
 *   })
 *   const { percent } = yield* batch.progress
 * })
 *
 * const Live = Engine.layer(Layer.mergeAll(ResizeLive, PublishLive, AlertLive, Batch.layer))
 * ```
 */
import { Effect, Exit, type Layer } from "effect"
import { type BatchFailed, BatchNotFound } from "./domain/BatchErrors.ts"
import * as Bounds from "./domain/Bounds.ts"
import type { InvalidOption, InvalidPayload, StoreError } from "./domain/Errors.ts"
import * as BatchRecords from "./flow/BatchRecords.ts"
import type { Supervisor } from "./observability/Supervisor.ts"
import type { AddError, AddOptions, BatchError, NewBatch } from "./queue/Batches.ts"
import type { BatchView } from "./queue/BatchViews.ts"
import type { WhenFull } from "./queue/Intake.ts"
import type { Submission } from "./queue/Submission.ts"
import { type AnyTaskDraft, type HandlesOf, submissionsOf } from "./queue/TaskDraft.ts"
import { Handle, resultOf, type Unsuccessful } from "./queue/TaskHandle.ts"
import { TaskQueue } from "./queue/TaskQueue.ts"
import type { RecordStore } from "./store/RecordStore.ts"
import type { TaskStore } from "./store/TaskStore.ts"
import * as BatchTasks from "./worker/BatchTasks.ts"
import type { HandlerRegistry } from "./worker/HandlerRegistry.ts"
import { TaskContext } from "./worker/TaskContext.ts"

/** What a batch is made with. */
export interface Options extends Pick<NewBatch, "id" | "name" | "queue"> {
  /** Starts once, when all members have ended, if all have completed. It is cancelled otherwise. */
  readonly onSuccess?: AnyTaskDraft | undefined
  /** Starts once, when the first member fails, is cancelled or expires: others may still run then. It is cancelled if none does. */
  readonly onFailure?: AnyTaskDraft | undefined
  /** Starts once, when all members have ended, however they did. */
  readonly onFinished?: AnyTaskDraft | undefined
}

/** How many members a batch had, and how they ended. */
export type Summary = BatchRecords.Summary

/** A batch that is stored. */
export interface Batch {
  readonly id: string
  /**
   * Adds members until the batch has finished: from a handler of a member, or from anywhere else. Up to 1,000 come in one write; where
   * there are more, what a member depends on comes before it.
   */
  readonly add: <const Drafts extends ReadonlyArray<AnyTaskDraft>>(
    drafts: Drafts,
    options?: AddOptions
  ) => Effect.Effect<HandlesOf<Drafts>, MakeError>
  /** Lets it finish when its members have ended. Until then more may be added. */
  readonly seal: Effect.Effect<void, BatchError>
  /** Cancels the members that have not ended, and the batch. */
  readonly cancel: Effect.Effect<void, BatchError>
  /** How many members have ended, and how. */
  readonly progress: Effect.Effect<BatchView, BatchError>
  /** Waits until it has finished. It fails with `BatchFailed` unless all members have completed. */
  readonly result: Effect.Effect<Summary, BatchFailed | Unsuccessful>
}

/** Why no batch is made, or no members are added. */
export type MakeError = AddError

/**
 * Runs what batches need besides their members: one of the layers that `Engine.layer` is given. Some instance has to have it, or no
 * batch finishes.
 */
export const layer: Layer.Layer<never, never, HandlerRegistry | Supervisor | TaskStore | RecordStore> = BatchTasks.layer

const names: Bounds.Names<Options> = { id: 1, name: 1, queue: 1, onSuccess: 1, onFailure: 1, onFinished: 1 }

const callbackNames = ["onSuccess", "onFailure", "onFinished"] as const

const newBatchOf = Effect.fnUntraced(function*(
  queue: TaskQueue["Service"],
  options: Options
): Effect.fn.Return<NewBatch, InvalidOption | InvalidPayload> {
  const unknown = Bounds.refuseUnknown(options, names)
  if (unknown !== undefined) return yield* unknown
  const { id, name, queue: where } = options
  const callbacks: Partial<Record<typeof callbackNames[number], Submission>> = {}
  for (const name of callbackNames) {
    const draft = options[name]
    if (draft !== undefined) callbacks[name] = (yield* submissionsOf([draft], queue.newId))[0]!
  }
  return { id, name, queue: where, ...callbacks }
})

const made = Effect.fnUntraced(function*(options: Options) {
  const queue = yield* TaskQueue
  const { duplicate, id } = yield* queue.batches.create(yield* newBatchOf(queue, options))
  return { batch: batchOf(queue, id), duplicate }
})

/**
 * Makes a batch without members, which is open: it does not finish before it is sealed. Making one with an id that is known gives that
 * batch.
 *
 * @example
 * ```ts
 * const batch = yield* Batch.make({ id: "import-42", onFinished: Report.draft() })
 * yield* batch.add(rows.map((row) => Import.draft(row)), { addition: "file-1" })
 * yield* batch.seal
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<Batch, MakeError, TaskQueue> =>
  Effect.map(made(options), ({ batch }) => batch)

/**
 * Makes a batch, adds members and seals it. With an `id` it may be repeated after a crash, whatever it had done: it goes on with the first
 * members that are missing.
 */
export const enqueue = Effect.fnUntraced(function*(
  drafts: ReadonlyArray<AnyTaskDraft>,
  { whenFull, ...options }: Options & { readonly whenFull?: WhenFull | undefined } = {}
): Effect.fn.Return<Batch, MakeError, TaskQueue> {
  const { batch, duplicate } = yield* made(options)
  // what was sealed has all of them
  if (duplicate && (yield* batch.progress).state !== "open") return batch
  yield* batch.add(drafts, { addition: "first", whenFull })
  yield* batch.seal
  return batch
})

/** A batch that was stored before. Whatever is asked of it fails with `BatchNotFound` if there is none. */
export const handle = (id: string): Effect.Effect<Batch, never, TaskQueue> =>
  Effect.map(TaskQueue, (queue) => batchOf(queue, id))

/** The batch that has started the task of the calling handler as its callback. */
export const current: Effect.Effect<Batch, BatchNotFound | StoreError, TaskContext | TaskQueue> = Effect.gen(
  function*() {
    const { earlier, id } = yield* TaskContext
    const own = (yield* earlier).find(({ type }) => type === BatchRecords.type)
    if (own === undefined) return yield* new BatchNotFound({ batch: id })
    return yield* handle(BatchRecords.batchOf(own.id))
  }
)

const batchOf = (queue: TaskQueue["Service"], id: string): Batch => ({
  id,
  add: Effect.fnUntraced(function*<const Drafts extends ReadonlyArray<AnyTaskDraft>>(
    drafts: Drafts,
    options?: AddOptions
  ): Effect.fn.Return<HandlesOf<Drafts>, MakeError> {
    const accepted = yield* queue.batches.add(id, yield* submissionsOf(drafts, queue.newId), options)
    return accepted.map((one, index) => new Handle(queue, drafts[index]!.definition, one)) as unknown as HandlesOf<
      Drafts
    >
  }),
  seal: Effect.suspend(() => queue.batches.seal(id)),
  cancel: Effect.suspend(() => queue.batches.cancel(id)),
  progress: Effect.suspend(() => queue.batches.get(id)),
  result: Effect.flatMap(Effect.suspend(() => queue.outcome(id)), (outcome) =>
    Exit.map(
      resultOf(BatchRecords.definition.codec, outcome),
      // only the end of a batch has its id
      (summary) => summary!
    ))
})

/**
 * What application code, the HTTP API and operators call: enqueue tasks, read them, cancel, rerun and remove them, and wait
 * for their results. Everything that runs tasks is on the other side of the store.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Bounds from "../domain/Bounds.ts"
import { type DependencyCycle, type UnknownDependency } from "../domain/DependencyErrors.ts"
import {
  type InvalidOption,
  type InvalidPayload,
  type KeyConflict,
  type QueueFull,
  type ResultInTransaction,
  type StateConflict,
  type StoreError,
  TaskNotFound,
  type TaskSuperseded,
  type UnknownTaskType
} from "../domain/Errors.ts"
import * as QueueLimits from "../domain/QueueLimits.ts"
import * as Explain from "../explain/Explain.ts"
import * as Verdict from "../explain/Verdict.ts"
import * as TaskLogs from "../logs/TaskLogs.ts"
import * as Metrics from "../observability/Metrics.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { removing } from "../operation/Changing.ts"
import type { Counts } from "../store/Counts.ts"
import { InstanceStore } from "../store/InstanceStore.ts"
import { Notifier } from "../store/Notifier.ts"
import { RecordStore } from "../store/RecordStore.ts"
import { type Accepted, type CancelAnswer, type RemoveAnswer, type RerunAnswer, TaskStore } from "../store/TaskStore.ts"
import * as Batches from "./Batches.ts"
import * as Branches from "./Branches.ts"
import * as DeadLetters from "./DeadLetters.ts"
import * as Instances from "./Instances.ts"
import * as Intake from "./Intake.ts"
import * as Limits from "./Limits.ts"
import { listOf, type ListOptions, type Page } from "./Listing.ts"
import * as LogLevels from "./LogLevels.ts"
import * as OneOrMany from "./OneOrMany.ts"
import * as Operations from "./Operations.ts"
import * as Queues from "./Queues.ts"
import * as Reschedule from "./Reschedule.ts"
import * as ResultWaiter from "./ResultWaiter.ts"
import * as Scaling from "./Scaling.ts"
import { fromOutcome, fromRecord, type StoredOutcome, type StoredTask } from "./StoredTask.ts"
import type { Submission } from "./Submission.ts"

/** How a queue works. Every field has a default. */
export interface Options {
  /** Retries of tasks whose definition and enqueue name none. Default 3. */
  readonly maxRetries?: number | undefined
  /** How often awaited results are looked up when no hint comes. Default 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /**
   * Limits of queues, shared by all their tasks: `{ mail: [Limit.concurrency({ max: 5 })] }`. They are in the gates of the tasks
   * that this process enqueues, so give them to all processes alike.
   */
  readonly limits?: QueueLimits.QueueLimits | undefined
}

export type { Created, WhenFull } from "./Intake.ts"

/** The retries of a task that names none. */
export const defaultMaxRetries = 3

/** Why submissions are refused. Only a remote queue fails with `UnknownTaskType` or `InvalidPayload`: its server may have other definitions. */
export type Refusal =
  | QueueFull
  | KeyConflict
  | UnknownDependency
  | DependencyCycle
  | InvalidOption
  | InvalidPayload
  | UnknownTaskType
  | StoreError

/** The producer's and operator's side of the engine. */
export class TaskQueue extends Context.Service<
  TaskQueue,
  & {
    /** Stores all submissions or none, and answers in their order. */
    readonly submit: (
      submissions: ReadonlyArray<Submission>,
      whenFull?: Intake.WhenFull
    ) => Effect.Effect<ReadonlyArray<Accepted>, Refusal>
    /** The same, answering the tasks as they are stored; those that were new without reading them back. */
    readonly create: (
      submissions: ReadonlyArray<Submission>,
      whenFull?: Intake.WhenFull
    ) => Effect.Effect<ReadonlyArray<Intake.Created>, Refusal>
    /** An id for a task that is to be enqueued: no other one has it. */
    readonly newId: Effect.Effect<string>
    /** Waits until a task has finished, in whichever process. */
    readonly outcome: (id: string) => Effect.Effect<StoredOutcome, TaskNotFound | ResultInTransaction>
    /** Waits until one of several tasks has finished, at the cost of one waiter. An id that is not stored fails it. */
    readonly firstOutcome: (
      ids: readonly [string, ...Array<string>]
    ) => Effect.Effect<StoredOutcome, TaskNotFound | ResultInTransaction>
    /**
     * The outcomes of those ids that have finished, `undefined` for those that have not, `null` for unknown ids, in the
     * order of the ids. With `maxBytes`, of the first ids only, if more results and failures do not fit: of at least one.
     */
    readonly results: (
      ids: ReadonlyArray<string>,
      maxBytes?: number
    ) => Effect.Effect<ReadonlyArray<StoredOutcome | undefined | null>, StoreError>
    readonly get: (id: string) => Effect.Effect<StoredTask, TaskNotFound | StoreError>
    /**
     * Why a task waits, and when it may start, in codes and in words.
     *
     * @example
     * ```ts
     * const why = TaskQueue.use((queue) => Effect.map(queue.explain("welcome-42"), ({ summary }) => summary))
     * // Its queue "mail" is paused by ada until 2026-01-31T13:30:00.000Z: The mail server is being moved.
     * ```
     */
    readonly explain: (id: string) => Effect.Effect<Explain.Explanation, TaskNotFound | StoreError>
    /** What its handler has logged, attempt by attempt, also while it runs: the first and the latest lines of each. */
    readonly logs: (id: string) => Effect.Effect<ReadonlyArray<TaskLogs.LoggedAttempt>, TaskNotFound | StoreError>
    /** Many tasks with what follows when they have ended: `Batch` has them with the types of their tasks. */
    readonly batches: Batches.Batches
    /** A task with all that depend on it, or all that are connected: cancelled or run again together. */
    readonly branches: Branches.Branches
    /** The tasks that have failed: by reason, searched, run again and discarded. */
    readonly deadLetters: DeadLetters.DeadLetters
    /** What is done to many tasks at once: previewed, at a bounded rate, in the background, and taken back. */
    readonly operations: Operations.Operations
    /** A page of tasks. A cursor that no page gave, or one of another filter, is refused. */
    readonly list: (options?: ListOptions) => Effect.Effect<Page, InvalidOption | StoreError>
    /**
     * Cancels one or many tasks: `cancelled` when it was waiting and will never start, `requested` when it runs and is
     * being interrupted, `finished` when there was nothing left to cancel.
     */
    readonly cancel: OneOrMany.OneOrMany<CancelAnswer, Exclude<CancelAnswer, "unknown">, TaskNotFound>
    /** Runs one or many failed or cancelled tasks again, with fresh budgets. */
    readonly rerun: OneOrMany.OneOrMany<RerunAnswer, void, TaskNotFound | StateConflict | TaskSuperseded>
    /**
     * Changes a task that waits, for its first start or a retry: its payload, its priority, or when it is due. A
     * `StateConflict` where it runs or has finished: what was changed is in the attempt that starts, or nothing was. A payload
     * comes with its definition, so change it by a task's `handle`.
     *
     * @example
     * ```ts
     * TaskQueue.use((queue) => queue.reschedule("welcome-42", { delay: "1 hour", priority: "low" }))
     * ```
     */
    readonly reschedule: (
      id: string,
      options: Reschedule.RescheduleSubmission
    ) => Effect.Effect<void, Reschedule.RescheduleError>
    /** Removes one or many finished tasks. */
    readonly remove: OneOrMany.OneOrMany<RemoveAnswer, void, TaskNotFound | StateConflict>
    readonly counts: Effect.Effect<Counts, StoreError>
  }
  & Queues.Queues
  & Limits.Limits
  & Instances.Instances
  & LogLevels.LogLevels
  & Scaling.Scales
  & Verdict.Verdicts
>()("taskforge/queue/TaskQueue") {
  /** The queue on whichever store is provided. */
  static readonly layer = (
    options: Options = {}
  ): Layer.Layer<
    TaskQueue,
    never,
    TaskStore | RecordStore | Notifier | InstanceStore | Supervisor | SecureRandom.SecureRandom
  > => Layer.effect(TaskQueue, make(options))
}

const make = Effect.fnUntraced(function*(options: Options) {
  const store = yield* TaskStore
  const records = yield* RecordStore
  const instances = yield* InstanceStore
  const notifier = yield* Notifier
  const random = yield* SecureRandom.SecureRandom
  const supervisor = yield* Supervisor
  const recorder = new Metrics.Recorder(yield* Effect.context<never>())
  Bounds.demand("queue.maxRetries", Bounds.retries, options.maxRetries)
  Bounds.demand("queue.pollInterval", Bounds.timeout, options.pollInterval)
  const limits = QueueLimits.rulesOf(options.limits)
  const defaults = { maxRetries: options.maxRetries ?? defaultMaxRetries, limits }
  const outcome = yield* ResultWaiter.make({
    store,
    notifier,
    supervisor,
    pollInterval: options.pollInterval ?? Duration.seconds(1)
  })
  const intake = Intake.make(store, random.uuidV7(), defaults, recorder)
  const { asStored, enqueue } = intake

  const recordOf = Effect.fnUntraced(function*(id: string) {
    const record = Bounds.isStorable(id) ? yield* store.get(id) : undefined
    return record ?? (yield* new TaskNotFound({ id }))
  })

  const get = (id: string) => Effect.map(recordOf(id), fromRecord)

  const remove = removing(store, records)

  return TaskQueue.of({
    submit: (submissions, whenFull) => Effect.map(enqueue(submissions, whenFull), ({ accepted }) => accepted),
    create: (submissions, whenFull) => Effect.flatMap(enqueue(submissions, whenFull), asStored),
    newId: random.uuidV7(),
    // No store is asked for a text that it cannot keep: one of them would fail, and with it the callers in the same batch
    outcome: (id) => Bounds.isStorable(id) ? outcome([id]) : Effect.fail(new TaskNotFound({ id })),
    firstOutcome: (ids) => {
      const id = ids.find((id) => !Bounds.isStorable(id))
      return id === undefined ? outcome(ids) : Effect.fail(new TaskNotFound({ id }))
    },
    results: (ids, maxBytes) => {
      const asked = [...new Set(ids)].filter(Bounds.isStorable)
      const read = Effect.map(
        store.results(asked, maxBytes),
        (outcomes) => outcomes.map((one) => one && fromOutcome(one))
      )
      if (asked.length === ids.length) return read
      return Effect.map(read, (outcomes) => {
        const byId = new Map(outcomes.map((outcome, index) => [asked[index]!, outcome]))
        const end = ids.findIndex((id) => Bounds.isStorable(id) && !byId.has(id))
        return ids.slice(0, end < 0 ? ids.length : end).map((id) => Bounds.isStorable(id) ? byId.get(id) : null)
      })
    },
    get,
    explain: (id) =>
      Bounds.isStorable(id)
        ? Explain.explain({ tasks: store, records, instances }, id)
        : Effect.fail(new TaskNotFound({ id })),
    logs: (id) =>
      Effect.flatMap(recordOf(id), (task) => Effect.provideService(TaskLogs.read(task), RecordStore, records)),
    batches: Batches.make({ tasks: store, records }, random.uuidV7(), intake),
    branches: Branches.make(store),
    deadLetters: DeadLetters.make(store, remove),
    operations: Operations.make(store, records, random.uuidV7()),
    list: listOf(store),
    cancel: OneOrMany.cancel(OneOrMany.each(Bounds.isStorable, "unknown", store.cancel)),
    rerun: OneOrMany.rerun(OneOrMany.each(Bounds.isStorable, { _tag: "unknown" }, store.rerun)),
    reschedule: Reschedule.make(store, limits),
    remove: OneOrMany.remove(
      OneOrMany.each(Bounds.isStorable, "unknown", remove),
      (id) => Effect.map(get(id), ({ state }) => state)
    ),
    ...Queues.make(store, records),
    ...Limits.make(store, records, instances),
    ...Instances.make(instances, records),
    ...LogLevels.make(instances, records),
    ...Scaling.make(store, records, instances),
    ...Verdict.make({ tasks: store, records, instances }),
    counts: store.counts
  })
})

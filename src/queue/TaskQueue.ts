/**
 * What application code, the HTTP API and operators call: enqueue tasks, read them, cancel, rerun and remove them, and wait
 * for their results. It is a list of operations and nothing more, so that a producer in a browser loads none of what does them:
 * `LocalTaskQueue` does on the store of this process, `HttpTaskQueue` on that of a server.
 */
import { Context, type Effect } from "effect"
import type { DependencyCycle, UnknownDependency } from "../domain/DependencyErrors.ts"
import type {
  InvalidOption,
  InvalidPayload,
  KeyConflict,
  QueueFull,
  ResultInTransaction,
  StateConflict,
  StoreError,
  TaskNotFound,
  TaskSuperseded,
  UnknownTaskType
} from "../domain/Errors.ts"
import type * as Explain from "../explain/Explain.ts"
import type * as Verdict from "../explain/Verdict.ts"
import type * as TaskLogs from "../logs/TaskLogs.ts"
import type { Counts } from "../store/Counts.ts"
import type { Accepted, CancelAnswer, RemoveAnswer, RerunAnswer } from "../store/TaskStore.ts"
import type * as Batches from "./Batches.ts"
import type * as Branches from "./Branches.ts"
import type * as DeadLetters from "./DeadLetters.ts"
import type * as Instances from "./Instances.ts"
import type * as Intake from "./Intake.ts"
import type * as Limits from "./Limits.ts"
import type { ListOptions, Page } from "./Listing.ts"
import type * as LogLevels from "./LogLevels.ts"
import type * as OneOrMany from "./OneOrMany.ts"
import type * as Operations from "./Operations.ts"
import type * as Queues from "./Queues.ts"
import type * as Reschedule from "./Reschedule.ts"
import type * as Scaling from "./Scaling.ts"
import type { StoredOutcome, StoredTask } from "./StoredTask.ts"
import type { Submission } from "./Submission.ts"

export type { Created, WhenFull } from "./Intake.ts"

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
>()("taskforge/queue/TaskQueue") {}

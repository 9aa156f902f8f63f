/** How submissions become stored tasks: each gets an id and its record, and a full queue is waited for. */
import { Effect, Schedule } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { isDependent } from "../domain/Dependencies.ts"
import type { DependencyCycle, UnknownDependency } from "../domain/DependencyErrors.ts"
import type { InvalidOption, KeyConflict, QueueFull, StoreError } from "../domain/Errors.ts"
import * as QueueLimits from "../domain/QueueLimits.ts"
import type { NewTask, TaskRecord } from "../domain/TaskRecord.ts"
import * as TaskRecords from "../domain/TaskRecord.ts"
import type { Merge } from "../domain/Uniqueness.ts"
import type * as Metrics from "../observability/Metrics.ts"
import * as Tracing from "../observability/Tracing.ts"
import { bytesOf, refusalOf } from "../store/Admission.ts"
import type { Accepted, EnqueueAnswer, TaskStore } from "../store/TaskStore.ts"
import { fromRecord, type StoredTask } from "./StoredTask.ts"
import { invalidOption, type Submission, toNewTask } from "./Submission.ts"

/** What to do when the queue is full: `fail` with `QueueFull`, or `wait` for room. */
export type WhenFull = "fail" | "wait"

/** A task that was asked for: a new one, or the one that had the id or key before. */
export interface Created {
  readonly id: string
  /** `null` for a duplicate that does not fit into {@link Bounds.maxAnswerBytes} with those before it: `get` reads it. */
  readonly task: StoredTask | null
  readonly duplicate: boolean
  /** What it has made of the task that holds its key. */
  readonly merge?: Merge
}

/** Submissions that the store has accepted: what was sent, and what became of each. */
interface Received {
  readonly tasks: ReadonlyArray<NewTask>
  readonly accepted: ReadonlyArray<Accepted>
  readonly now: number
}

/** Waits while a full queue has no room: doubling from 10 ms to 1 s. */
const roomBackoff = Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("1 second")])

/** The intake of a store. */
export const make = (
  store: TaskStore["Service"],
  newId: Effect.Effect<string>,
  defaults: { readonly maxRetries: number; readonly limits: QueueLimits.Rules },
  recorder: Metrics.Recorder
) => {
  const toTask = (submission: Submission, trace: string | undefined): Effect.Effect<NewTask> =>
    submission.options.id === undefined
      ? Effect.map(newId, (id) => traced(toNewTask(submission, id, defaults), trace))
      : Effect.succeed(traced(toNewTask(submission, submission.options.id, defaults), trace))

  /** Most come alone, and a loop of effects costs more than what it does for one. */
  const toNewTasks = (
    submissions: ReadonlyArray<Submission>,
    trace: string | undefined
  ): Effect.Effect<ReadonlyArray<NewTask>> =>
    submissions.length === 1
      ? Effect.map(toTask(submissions[0]!, trace), (task) => [task])
      : Effect.forEach(submissions, (submission) => toTask(submission, trace))

  const received = (
    tasks: ReadonlyArray<NewTask>,
    answer: EnqueueAnswer
  ): Effect.Effect<Received, QueueFull | KeyConflict | UnknownDependency | DependencyCycle> => {
    if (answer._tag !== "Accepted") return Effect.fail(refusalOf(tasks, answer))
    for (let index = 0; index < tasks.length; index++) {
      if (!answer.tasks[index]!.duplicate) recorder.created(tasks[index]!.type, 1)
    }
    return Effect.succeed({ tasks, accepted: answer.tasks, now: answer.now })
  }

  const trySubmit = (submissions: ReadonlyArray<Submission>) =>
    Tracing.enqueueing(submissions, (trace) =>
      Effect.flatMap(
        toNewTasks(submissions, trace),
        (tasks) => Effect.flatMap(store.enqueue([tasks]), ([answer]) => received(tasks, answer!))
      ))

  const enqueue = (
    submissions: ReadonlyArray<Submission>,
    whenFull: WhenFull = "fail"
  ): Effect.Effect<
    Received,
    QueueFull | KeyConflict | UnknownDependency | DependencyCycle | InvalidOption | StoreError
  > => {
    const invalid = invalidOption(submissions, whenFull) ?? QueueLimits.tooLarge(submissions, defaults.limits)
    if (invalid !== undefined) return Effect.fail(invalid)
    return whenFull === "fail"
      ? trySubmit(submissions)
      : Effect.retry(trySubmit(submissions), {
        schedule: roomBackoff,
        while: (error) => error._tag === "QueueFull" && error.mayFitLater
      })
  }

  /** The tasks as they are stored: only those that were known before have to be read. */
  const asStored = ({ accepted, now, tasks }: Received): Effect.Effect<ReadonlyArray<Created>, StoreError> => {
    const fresh = (index: number) => TaskRecords.created(tasks[index]!, now)
    if (!accepted.some(({ duplicate }) => duplicate) && !tasks.some(isDependent)) {
      return Effect.succeed(tasks.map(({ id }, index) => ({ id, task: fromRecord(fresh(index)), duplicate: false })))
    }
    let bytes = 0
    // a new one that others of the batch were merged into is not stored as it was sent
    const merged = new Set(accepted.flatMap(({ id, merge }) => merge === undefined ? [] : [id]))
    // and of one that depends on others, some may have ended
    for (const task of tasks) if (isDependent(task)) merged.add(task.id)
    return Effect.forEach(accepted, (one, index): Effect.Effect<Created, StoreError> => {
      const { duplicate, id } = one
      if (!duplicate && !merged.has(id)) return Effect.succeed({ ...one, task: fromRecord(fresh(index)) })
      if (duplicate && bytes > Bounds.maxAnswerBytes) return Effect.succeed({ ...one, task: null })
      return Effect.map(store.get(id), (known): Created => {
        const task: Omit<TaskRecord, "seq"> = known ?? fresh(index)
        const isFirst = bytes === 0
        bytes += bytesOf(task)
        return { ...one, task: isFirst || !duplicate || bytes <= Bounds.maxAnswerBytes ? fromRecord(task) : null }
      })
    })
  }

  return {
    enqueue,
    asStored,
    /** The tasks that submissions become, once they have been checked. */
    prepare: (
      submissions: ReadonlyArray<Submission>,
      whenFull: WhenFull = "fail"
    ): Effect.Effect<ReadonlyArray<NewTask>, InvalidOption> =>
      Effect.suspend(() => {
        const invalid = invalidOption(submissions, whenFull) ?? QueueLimits.tooLarge(submissions, defaults.limits)
        return invalid === undefined
          ? Tracing.enqueueing(submissions, (trace) => toNewTasks(submissions, trace))
          : Effect.fail(invalid)
      }),
    /** Counts tasks that something else has stored. */
    count: (tasks: ReadonlyArray<NewTask>, accepted: ReadonlyArray<Accepted>): void =>
      tasks.forEach(({ type }, index) => accepted[index]!.duplicate || recorder.created(type, 1)),
    /** Does something that stores tasks, where `whenFull` says so as soon as there is room. */
    whenRoom: <A, E extends { readonly _tag: string }, R>(
      stored: Effect.Effect<A, E | QueueFull, R>,
      whenFull: WhenFull = "fail"
    ): Effect.Effect<A, E | QueueFull, R> =>
      whenFull === "fail"
        ? stored
        : Effect.retry(stored, {
          schedule: roomBackoff,
          while: (error) => error._tag === "QueueFull" && (error as QueueFull).mayFitLater
        })
  }
}

const traced = (task: NewTask, trace: string | undefined): NewTask => trace === undefined ? task : { ...task, trace }

/** What a queue takes its tasks in with. */
export type Intake = ReturnType<typeof make>

/** A stored task, for callers that enqueued it or know its id. */
import { Effect, Exit, Option, type Schema } from "effect"
import { DependencyFailed } from "../domain/DependencyErrors.ts"
import {
  type ResultInTransaction,
  type StoreError,
  TaskCancelled,
  TaskDefect,
  TaskExpired,
  type TaskNotFound,
  TaskQuarantined,
  TaskTimedOut
} from "../domain/Errors.ts"
import type { AnyTaskDefinition, TaskCodec } from "../domain/TaskDefinition.ts"
import type { Merge } from "../domain/Uniqueness.ts"
import type { Accepted } from "../store/TaskStore.ts"
import type { RescheduleError, RescheduleOptions, RescheduleTimes } from "./Reschedule.ts"
import type { StoredFailure, StoredOutcome, StoredTask } from "./StoredTask.ts"
import { fromPayload } from "./Submission.ts"
import type { TaskQueue } from "./TaskQueue.ts"

/** Everything that awaiting a result can end with, besides success and the declared error. */
export type Unsuccessful =
  | TaskCancelled
  | TaskExpired
  | DependencyFailed
  | TaskTimedOut
  | TaskQuarantined
  | TaskDefect
  | TaskNotFound
  | ResultInTransaction

/** A stored task, from where it was enqueued or from anywhere else that knows its id. */
export interface TaskHandle<out Success, out Error, out Payload = unknown> {
  readonly id: string
  /** The id or the key was known: this is the task stored before. */
  readonly duplicate: boolean
  /** What the enqueue has made of that task: it was `replaced` by the new payload, or `postponed` with it. */
  readonly merge: Merge | undefined
  /** Waits for the end of the task, in whichever process it runs. */
  readonly result: Effect.Effect<Success, Error | Unsuccessful>
  /** Stops the task, waiting or running; see `TaskQueue`. */
  readonly cancel: Effect.Effect<"cancelled" | "requested" | "finished", TaskNotFound | StoreError>
  /**
   * Changes the task, if it waits: its payload, its priority, or when it is due; see `TaskQueue`.
   *
   * @example
   * ```ts
   * yield* handle.reschedule({ payload: { to: "ada@example.org", subject: "Later" }, delay: "1 hour" })
   * ```
   */
  reschedule(options: RescheduleOptions<Payload>): Effect.Effect<void, RescheduleError>
  /** The task as it is now. It is a `TaskDefect` when the definition cannot read it, such as a task of another type. */
  readonly task: Effect.Effect<StoredTask<Payload, Success, Error>, TaskNotFound | TaskDefect | StoreError>
}

/** What a handle knows of the type of its task. */
export interface Definition<Payload, Success, Error> extends AnyTaskDefinition {
  readonly codec: TaskCodec<Payload, Success, Error>
}

/** The handle of a task of a queue. It makes its effects when they are asked for: most are never awaited. */
export class Handle<Payload, Success, Error> implements TaskHandle<Success, Error, Payload> {
  readonly id: string
  readonly duplicate: boolean
  readonly merge: Merge | undefined
  private readonly queue: TaskQueue["Service"]
  private readonly definition: Definition<Payload, Success, Error>

  constructor(
    queue: TaskQueue["Service"],
    definition: Definition<Payload, Success, Error>,
    { duplicate, id, merge }: Accepted
  ) {
    this.queue = queue
    this.definition = definition
    this.id = id
    this.duplicate = duplicate
    this.merge = merge
  }

  get result(): TaskHandle<Success, Error>["result"] {
    return Effect.flatMap(this.queue.outcome(this.id), (outcome) => resultOf(this.definition.codec, outcome))
  }

  get cancel(): TaskHandle<Success, Error>["cancel"] {
    return this.queue.cancel(this.id)
  }

  reschedule(options: RescheduleOptions<Payload>): Effect.Effect<void, RescheduleError> {
    // without types there may be none, which the queue refuses
    const { payload, ...times } = options ?? {}
    if (payload === undefined) return this.queue.reschedule(this.id, options as RescheduleTimes)
    return Effect.flatMap(
      fromPayload(this.definition, payload, {}, 0),
      (submission) => this.queue.reschedule(this.id, { ...times, payload: submission })
    )
  }

  get task(): TaskHandle<Success, Error, Payload>["task"] {
    return Effect.flatMap(this.queue.get(this.id), (task) => typed(this.definition, task))
  }
}

/** The task as its definition reads it. */
const typed = Effect.fnUntraced(function*<Payload, Success, Error>(
  { codec, type }: Definition<Payload, Success, Error>,
  task: StoredTask
): Effect.fn.Return<StoredTask<Payload, Success, Error>, TaskDefect> {
  const { id } = task
  if (task.type !== type) {
    const message = `The task is of type ${JSON.stringify(task.type)}, not ${JSON.stringify(type)}`
    return yield* new TaskDefect({ id, failure: unfit(message) })
  }
  const failureOf = ({ error, ...failure }: StoredFailure): Exit.Exit<StoredFailure<Error>, TaskDefect> =>
    error === undefined
      ? Exit.succeed(failure)
      : Exit.map(orUnfit(id, codec.decodeError(error)), (error) => ({ ...failure, error }))
  return {
    ...task,
    payload: yield* orUnfit(id, codec.readPayload(task.payload, task.version)),
    result: Option.isNone(task.result)
      ? Option.none()
      : Option.some(yield* orUnfit(id, codec.readSuccess(task.result.value))),
    failure: task.failure && (yield* failureOf(task.failure)),
    history: yield* Effect.forEach(task.history, ({ failure, ...attempt }) =>
      failure === undefined
        ? Exit.succeed(attempt)
        : Exit.map(failureOf(failure), (failure) => ({ ...attempt, failure })))
  }
})

/** The typed end of a task. */
export const resultOf = <Payload, Success, Error>(
  codec: TaskCodec<Payload, Success, Error>,
  { failure, id, result, state }: StoredOutcome
): Exit.Exit<Success, Error | Unsuccessful> => {
  if (state === "cancelled") return Exit.fail(new TaskCancelled({ id }))
  if (state === "expired") return Exit.fail(new TaskExpired({ id, failure }))
  if (state === "completed") return orUnfit(id, codec.readSuccess(Option.getOrNull(result)))
  if (failure === null) return Exit.fail(new TaskDefect({ id, failure: unfit("The failure was not stored") }))
  switch (failure.kind) {
    case "error": {
      const error = codec.decodeError(failure.error ?? null)
      if (Exit.isSuccess(error)) return Exit.fail(error.value)
      // Its details may have been too large to be kept
      const message = `The error ${failure.tag} cannot be read as its definition says: ${failure.message}`
      return Exit.fail(new TaskDefect({ id, failure: unfit(message) }))
    }
    case "timeout":
      return Exit.fail(new TaskTimedOut({ id, failure }))
    case "dependency":
      return Exit.fail(new DependencyFailed({ id, dependency: failure.dependency ?? null, failure }))
    case "quarantined":
      return Exit.fail(new TaskQuarantined({ id, failure }))
    default:
      return Exit.fail(new TaskDefect({ id, failure }))
  }
}

const orUnfit = <A>(id: string, exit: Exit.Exit<A, Schema.SchemaError>): Exit.Exit<A, TaskDefect> =>
  Exit.isSuccess(exit)
    ? Exit.succeed(exit.value)
    : Exit.fail(new TaskDefect({ id, failure: unfit("What was stored does not fit the definition's schema") }))

const unfit = (message: string) => ({ kind: "invalid" as const, tag: "InvalidResult", message })

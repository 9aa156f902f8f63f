/** A stored task, as who enqueued it or knows its id sees it. */
import { Effect, Exit, type Schema } from "effect"
import {
  type ResultInTransaction,
  type StoreError,
  TaskCancelled,
  TaskDefect,
  type TaskNotFound,
  TaskQuarantined,
  TaskTimedOut
} from "../domain/Errors.ts"
import type { TaskCodec } from "../domain/TaskDefinition.ts"
import type { StoredTask } from "../domain/TaskRecord.ts"
import type { Accepted, Outcome } from "../store/TaskStore.ts"
import type { TaskQueue } from "./TaskQueue.ts"

/** Everything that awaiting a result can end with, besides success and the declared error. */
export type Unsuccessful =
  | TaskCancelled
  | TaskTimedOut
  | TaskQuarantined
  | TaskDefect
  | TaskNotFound
  | ResultInTransaction

/** A stored task, from where it was enqueued or from anywhere else that knows its id. */
export interface TaskHandle<out Success, out Error> {
  readonly id: string
  /** The id or the key was known: this is the task stored before. */
  readonly duplicate: boolean
  /** Waits for the end of the task, in whichever process it runs. */
  readonly result: Effect.Effect<Success, Error | Unsuccessful>
  /** Stops the task, waiting or running; see `TaskQueue`. */
  readonly cancel: Effect.Effect<"cancelled" | "requested" | "finished", TaskNotFound | StoreError>
  /** The task as it is stored now. */
  readonly task: Effect.Effect<StoredTask, TaskNotFound | StoreError>
}

/** The handle of a task of a queue. */
export const make = <Success, Error>(
  queue: TaskQueue["Service"],
  codec: TaskCodec<any, Success, Error>,
  accepted: Accepted
): TaskHandle<Success, Error> => new Handle(queue, codec, accepted)

/** A handle makes its effects when they are asked for: most are never awaited. */
class Handle<Success, Error> implements TaskHandle<Success, Error> {
  readonly id: string
  readonly duplicate: boolean
  private readonly queue: TaskQueue["Service"]
  private readonly codec: TaskCodec<any, Success, Error>

  constructor(
    queue: TaskQueue["Service"],
    codec: TaskCodec<any, Success, Error>,
    { duplicate, id }: Accepted
  ) {
    this.queue = queue
    this.codec = codec
    this.id = id
    this.duplicate = duplicate
  }

  get result(): TaskHandle<Success, Error>["result"] {
    return Effect.flatMap(this.queue.outcome(this.id), (outcome) => resultOf(this.codec, outcome))
  }

  get cancel(): TaskHandle<Success, Error>["cancel"] {
    return this.queue.cancel(this.id)
  }

  get task(): TaskHandle<Success, Error>["task"] {
    return this.queue.get(this.id)
  }
}

/** The typed end of a task. */
const resultOf = <Payload, Success, Error>(
  codec: TaskCodec<Payload, Success, Error>,
  { failure, id, result, state }: Outcome
): Exit.Exit<Success, Error | Unsuccessful> => {
  if (state === "cancelled") return Exit.fail(new TaskCancelled({ id }))
  if (state === "completed") return orUnfit(id, codec.decodeSuccess(result ?? "null"))
  if (failure === null) return Exit.fail(new TaskDefect({ id, failure: unfit("The failure was not stored") }))
  switch (failure.kind) {
    case "error": {
      const error = orUnfit(id, codec.decodeError(failure.error ?? null))
      return Exit.isSuccess(error) ? Exit.fail(error.value) : Exit.failCause(error.cause)
    }
    case "timeout":
      return Exit.fail(new TaskTimedOut({ id, failure }))
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

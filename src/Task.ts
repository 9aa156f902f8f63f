/**
 * Task types: one definition gives the typed enqueue, the handler's types and the typed result.
 *
 * @example
 * ```ts
 * const SendEmail = Task.make("email", {
 *   payload: { to: Schema.String, subject: Schema.String },
 *   success: Schema.Struct({ messageId: Schema.String }),
 *   retry: { times: 5, schedule: Schedule.exponential("1 second") },
 *   timeout: "30 seconds"
 * })
 *
 * const SendEmailLive = SendEmail.toLayer(({ to, subject }) => Effect.succeed({ messageId: `${to}/${subject}` }))
 *
 * const program = Effect.gen(function*() {
 *   const handle = yield* SendEmail.enqueue({ to: "ada@example.org", subject: "Hello" })
 *   const { messageId } = yield* handle.result
 * })
 * ```
 */
import { type Duration, Effect, Exit, Layer, Schema } from "effect"
import * as Bounds from "./domain/Bounds.ts"
import {
  type InvalidPayload,
  type ResultInTransaction,
  type StoreError,
  TaskCancelled,
  TaskDefect,
  type TaskGone,
  type TaskNotFound,
  TaskQuarantined,
  TaskTimedOut
} from "./domain/Errors.ts"
import type { PriorityInput } from "./domain/Priority.ts"
import type { RetryPolicy } from "./domain/RetryPolicy.ts"
import * as TaskDefinition from "./domain/TaskDefinition.ts"
import type { StoredTask } from "./domain/TaskRecord.ts"
import { type EnqueueOptions, fromPayload, type Submission } from "./queue/Submission.ts"
import { type Refusal, TaskQueue, type WhenFull } from "./queue/TaskQueue.ts"
import type { Accepted, Outcome } from "./store/TaskStore.ts"
import { HandlerRegistry } from "./worker/HandlerRegistry.ts"
import type { TaskContext } from "./worker/TaskContext.ts"

/** Everything that awaiting a result can end with, beside success and the declared error. */
export type Unsuccessful =
  | TaskCancelled
  | TaskTimedOut
  | TaskQuarantined
  | TaskDefect
  | TaskGone
  | ResultInTransaction

/** What `enqueue` may fail with. */
export type EnqueueError = Refusal | InvalidPayload

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

/** How one enqueue is done. */
export interface EnqueueSettings extends EnqueueOptions {
  /** Default `fail`. */
  readonly whenFull?: WhenFull | undefined
}

/** A task type. */
export interface Task<
  Type extends string,
  Payload extends TaskDefinition.PlainSchema,
  Success extends TaskDefinition.PlainSchema,
  Error extends TaskDefinition.PlainSchema
> extends TaskDefinition.TaskDefinition<Type, Payload, Success, Error> {
  /** Stores one task. */
  readonly enqueue: (
    payload: Payload["Type"],
    options?: EnqueueSettings
  ) => Effect.Effect<TaskHandle<Success["Type"], Error["Type"]>, EnqueueError, TaskQueue>
  /** Stores many tasks in one write, all or none. */
  readonly enqueueAll: (
    payloads: ReadonlyArray<Payload["Type"]>,
    options?: BatchSettings
  ) => Effect.Effect<ReadonlyArray<TaskHandle<Success["Type"], Error["Type"]>>, EnqueueError, TaskQueue>
  /** The handle of a task stored earlier. */
  readonly handle: (id: string) => Effect.Effect<TaskHandle<Success["Type"], Error["Type"]>, never, TaskQueue>
  /** Registers the code that runs tasks of this type. */
  readonly toLayer: <R>(
    handler: (payload: Payload["Type"]) => Effect.Effect<Success["Type"], Error["Type"], R>
  ) => Layer.Layer<never, never, HandlerRegistry | Exclude<R, TaskContext>>
}

/** What may be said about a task type; only the name is needed. */
export interface Options<
  Payload extends TaskDefinition.PlainSchema | PlainFields,
  Success extends TaskDefinition.PlainSchema,
  Error extends TaskDefinition.PlainSchema
> {
  /** A schema, or the fields of a struct. Default: nothing. */
  readonly payload?: Payload | undefined
  /** Default: nothing. */
  readonly success?: Success | undefined
  /** The failure that handlers may end with and that reaches whoever awaits the result. Default: none. */
  readonly error?: Error | undefined
  /** The lane. Default `default`. */
  readonly queue?: string | undefined
  /** Default `normal`. */
  readonly priority?: PriorityInput | undefined
  /** Default: three retries, exponential from one second with jitter, at most an hour apart. */
  readonly retry?: RetryPolicy<Error["Type"]> | undefined
  /** Time limit of one attempt. */
  readonly timeout?: Duration.Input | undefined
  readonly description?: string | undefined
}

const names: Bounds.Names<Options<any, any, any>> = {
  payload: 1,
  success: 1,
  error: 1,
  queue: 1,
  priority: 1,
  retry: 1,
  timeout: 1,
  description: 1
}

/** How a batch is enqueued. With an id or a key, all of its tasks but one would be duplicates. */
export type BatchSettings = Omit<EnqueueSettings, "id" | "key">

const batchNames: Bounds.Names<BatchSettings> = {
  priority: 1,
  delay: 1,
  runAt: 1,
  maxRetries: 1,
  timeout: 1,
  queue: 1,
  whenFull: 1
}

/** The fields of a payload that is a struct. */
export interface PlainFields {
  readonly [name: PropertyKey]: TaskDefinition.PlainSchema
}

/** The schema of a payload that is given as a schema, or as the fields of a struct. */
export type ToSchema<Payload> = Extract<
  Payload extends Schema.Struct.Fields ? Schema.Struct<Payload> : Payload,
  TaskDefinition.PlainSchema
>

/** Defines a task type. */
export const make = <
  const Type extends string,
  Payload extends TaskDefinition.PlainSchema | PlainFields = Schema.Void,
  Success extends TaskDefinition.PlainSchema = Schema.Void,
  Error extends TaskDefinition.PlainSchema = Schema.Never
>(
  type: Type,
  options: Options<Payload, Success, Error> = {}
): Task<Type, ToSchema<Payload>, Success, Error> => {
  Bounds.demandKnown(options, names)
  const definition = TaskDefinition.make(type, {
    ...options,
    payload: toSchema(options.payload) as ToSchema<Payload>,
    success: (options.success ?? Schema.Void) as Success,
    error: (options.error ?? Schema.Never) as Error
  })
  return { ...definition, ...operations(definition) }
}

const toSchema = (payload: TaskDefinition.PlainSchema | PlainFields | undefined): Schema.Constraint =>
  payload === undefined
    ? Schema.Void
    : Schema.isSchema(payload)
    ? payload
    : Schema.Struct(payload as PlainFields)

const operations = <
  Type extends string,
  Payload extends TaskDefinition.PlainSchema,
  Success extends TaskDefinition.PlainSchema,
  Error extends TaskDefinition.PlainSchema
>(
  definition: TaskDefinition.TaskDefinition<Type, Payload, Success, Error>
): Omit<Task<Type, Payload, Success, Error>, keyof TaskDefinition.AnyTaskDefinition> => {
  const handleOf = (queue: TaskQueue["Service"], accepted: Accepted): TaskHandle<Success["Type"], Error["Type"]> =>
    new Handle(queue, definition.codec, accepted)
  return {
    enqueue: (payload, options = {}) =>
      Effect.flatMap(
        TaskQueue,
        (queue) =>
          Effect.flatMap(fromPayload(definition, payload, options, 0), (submission) =>
            Effect.map(
              queue.submit([submission], options.whenFull),
              ([accepted]) => handleOf(queue, accepted!)
            ))
      ),
    enqueueAll: Effect.fnUntraced(function*(payloads, options = {}) {
      const queue = yield* TaskQueue
      const shared = Bounds.refuseUnknown(options, batchNames)
      if (shared !== undefined) return yield* shared
      const submissions: Array<Submission> = []
      for (const [index, payload] of payloads.entries()) {
        const submission = fromPayload(definition, payload, options, index)
        if (Exit.isFailure(submission)) return yield* Effect.failCause(submission.cause)
        submissions.push(submission.value)
      }
      const accepted = yield* queue.submit(submissions, options.whenFull)
      return accepted.map((one) => handleOf(queue, one))
    }),
    handle: (id) => Effect.map(TaskQueue, (queue) => handleOf(queue, { id, duplicate: true })),
    toLayer: <R>(handler: (payload: Payload["Type"]) => Effect.Effect<Success["Type"], Error["Type"], R>) =>
      Layer.effectDiscard(Effect.gen(function*() {
        const registry = yield* HandlerRegistry
        const services = yield* Effect.context<Exclude<R, TaskContext>>()
        yield* registry.register({
          definition,
          // The executor adds the attempt's TaskContext to the services captured here.
          run: handler as (payload: unknown) => Effect.Effect<unknown, unknown, TaskContext>,
          services
        })
      }))
  }
}

/** A handle makes its effects when they are asked for: most are never awaited. */
class Handle<Success, Error> implements TaskHandle<Success, Error> {
  readonly id: string
  readonly duplicate: boolean
  private readonly queue: TaskQueue["Service"]
  private readonly codec: TaskDefinition.TaskCodec<any, Success, Error>

  constructor(
    queue: TaskQueue["Service"],
    codec: TaskDefinition.TaskCodec<any, Success, Error>,
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
  codec: TaskDefinition.TaskCodec<Payload, Success, Error>,
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

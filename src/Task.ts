/**
 * Task types: one definition gives the typed enqueue, the handler's types and the typed result.
 *
 * @example
 * ```ts
 * const SendEmail = Task.make("email", {
 *   payload: { to: Schema.String, subject: Schema.String },
 *   success: Schema.Struct({ messageId: Schema.String }),
 *   retry: { times: 5, schedule: Schedule.exponential("1 second") }
 * })
 * const SendEmailLive = SendEmail.toLayer(({ to, subject }) => Effect.succeed({ messageId: `${to}/${subject}` }))
 *
 * const program = Effect.gen(function*() {
 *   const { messageId } = yield* SendEmail.execute({ to: "ada@example.org", subject: "Hello" })
 *   const handle = yield* SendEmail.enqueue({ to: "grace@example.org", subject: "Later" }, { delay: "1 hour" })
 * })
 * ```
 */
import { type Array, Effect, type Exit, type Layer, Schema, type Scope } from "effect"
import * as Bounds from "./domain/Bounds.ts"
import type { InvalidPayload, LeaseLost, StoreError } from "./domain/Errors.ts"
import { type PlainFields, type ToSchema, toSchema } from "./domain/PlainFields.ts"
import * as TaskDefinition from "./domain/TaskDefinition.ts"
import type * as Timetable from "./domain/Timetable.ts"
import { given } from "./Limit.ts"
import { type BatchSettings, type EnqueueSettings, ofBatch } from "./queue/Batch.ts"
import { fromOutcome } from "./queue/StoredTask.ts"
import { fromPayload } from "./queue/Submission.ts"
import * as TaskDraft from "./queue/TaskDraft.ts"
import * as Handle from "./queue/TaskHandle.ts"
import { type Refusal, TaskQueue } from "./queue/TaskQueue.ts"
import { make as makeScheduled, type Scheduled } from "./schedule/Scheduled.ts"
import type { ScheduleOptions } from "./schedule/ScheduleOptions.ts"
import type { Accepted } from "./store/TaskStore.ts"
import { optionNames, type Options } from "./TaskOptions.ts"
import * as Unique from "./Unique.ts"
import * as Batcher from "./worker/Batcher.ts"
import { type Handler as RegisteredHandler, type HandlerRegistry, registered } from "./worker/HandlerRegistry.ts"
import { type HandlerContext, TaskContext } from "./worker/TaskContext.ts"

export type { PlainFields, ToSchema } from "./domain/PlainFields.ts"
export type { BatchSettings, EnqueueSettings } from "./queue/Batch.ts"
export { enqueueAll } from "./queue/TaskDraft.ts"
export type { Options } from "./TaskOptions.ts"

/** What `enqueue` may fail with. */
export type EnqueueError = Refusal | InvalidPayload
/** The code that runs tasks of a type: takes the decoded payload and the attempt's context. */
export type TaskHandler<
  Payload extends TaskDefinition.PlainSchema,
  Success extends TaskDefinition.PlainSchema,
  Error extends TaskDefinition.PlainSchema,
  R
> = (
  payload: Payload["Type"],
  context: HandlerContext<Success["Type"]>
) => Effect.Effect<Success["Type"], Error["Type"], R>

/**
 * The code that runs many tasks of a type at once: takes an item for each, and gives how each ended, in the same order. When it
 * fails or dies, all of its tasks do.
 */
export type BatchHandler<
  Payload extends TaskDefinition.PlainSchema,
  Success extends TaskDefinition.PlainSchema,
  Error extends TaskDefinition.PlainSchema,
  R
> = (
  items: Array.NonEmptyReadonlyArray<Batcher.BatchItem<Payload["Type"], Success["Type"]>>
) => Effect.Effect<ReadonlyArray<Exit.Exit<Success["Type"], Error["Type"]>>, Error["Type"], R>

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
  ) => Effect.Effect<Handle.TaskHandle<Success["Type"], Error["Type"], Payload["Type"]>, EnqueueError, TaskQueue>
  /** Stores one task and waits for its end, in whichever process it runs. An interruption stops the wait, not the task. */
  readonly execute: (
    payload: Payload["Type"],
    options?: EnqueueSettings
  ) => Effect.Effect<Success["Type"], Error["Type"] | Handle.Unsuccessful | EnqueueError, TaskQueue>
  /** Stores many tasks in one write, all or none. */
  readonly enqueueAll: (
    payloads: ReadonlyArray<Payload["Type"]>,
    options?: BatchSettings<Payload["Type"]>
  ) => Effect.Effect<
    ReadonlyArray<Handle.TaskHandle<Success["Type"], Error["Type"], Payload["Type"]>>,
    EnqueueError,
    TaskQueue
  >
  /** A task for `Task.enqueueAll`, which stores tasks of several types in one write, or for a batch. */
  readonly draft: (
    payload: Payload["Type"],
    options?: TaskDraft.DraftOptions
  ) => TaskDraft.TaskDraft<Success["Type"], Error["Type"], Payload["Type"]>
  /**
   * How those tasks of this type ended that the task of the calling handler depends on, in the order of its `after`. Each end is an `Exit`, which
   * is an effect: a result, or what the handle of that task would fail with.
   *
   * @example
   * ```ts
   * const SumLive = Sum.toLayer(() =>
   *   Effect.map(Effect.flatMap(Count.results, Effect.forEach(({ exit }) => exit)), (counts) => counts.length)
   * )
   * ```
   */
  readonly results: Effect.Effect<
    ReadonlyArray<EarlierResult<Success["Type"], Error["Type"]>>,
    StoreError,
    TaskContext
  >
  /**
   * This task at the ticks of a timetable, for `Schedules.set` and for the engine's option `schedules`.
   *
   * @example
   * ```ts
   * const nightly = Sync.schedule({ cron: "30 2 * * *", timeZone: "Europe/Berlin" }, { tenant: "acme" }, { overlap: "skip" })
   * ```
   */
  readonly schedule: (timetable: Timetable.Input, payload: Payload["Type"], options?: ScheduleOptions) => Scheduled
  /** The handle of a task that was stored before. Whatever is asked of it fails with `TaskNotFound` if no task has this id. */
  readonly handle: (
    id: string
  ) => Effect.Effect<Handle.TaskHandle<Success["Type"], Error["Type"], Payload["Type"]>, never, TaskQueue>
  /**
   * Completes the task that the calling handler runs; see {@link HandlerContext}. It gives the result back:
   *
   * @example
   * ```ts
   * const ShipLive = Ship.toLayer(({ order }) =>
   *   Effect.orDie(sql.withTransaction(Effect.andThen(markAsShipped(order), Ship.complete({ shipped: order }))))
   * )
   * ```
   */
  readonly complete: (
    success: Success["Type"]
  ) => Effect.Effect<Success["Type"], LeaseLost | StoreError, TaskContext>
  /**
   * Registers the code that runs tasks of this type: a handler, or an effect that makes one, once, when the layer is built.
   *
   * @example
   * ```ts
   * const SendEmailLive = SendEmail.toLayer(Effect.gen(function*() {
   *   const smtp = yield* Smtp
   *   return ({ to, subject }) => smtp.send(to, subject)
   * }))
   * ```
   */
  readonly toLayer: <R, EX = never, RX = never>(
    handler: TaskHandler<Payload, Success, Error, R> | Effect.Effect<TaskHandler<Payload, Success, Error, R>, EX, RX>
  ) => Layer.Layer<never, EX, HandlerRegistry | Exclude<RX, Scope.Scope> | Exclude<R, TaskContext>>
  /**
   * Registers code that runs many tasks of this type at once, in place of {@link toLayer}. Each task has its own end, retries,
   * timeout and lease; it may be cancelled without the others. A task that waits in a batch occupies a slot.
   *
   * @example
   * ```ts
   * const SendEmailLive = SendEmail.toBatchLayer(
   *   (items) => Effect.map(smtp.sendAll(items.map(({ payload }) => payload)), (ids) => ids.map((id) => Exit.succeed(id))),
   *   { max: 100, within: "1 second" }
   * )
   * ```
   */
  readonly toBatchLayer: <R, EX = never, RX = never>(
    handler: BatchHandler<Payload, Success, Error, R> | Effect.Effect<BatchHandler<Payload, Success, Error, R>, EX, RX>,
    options: Batcher.BatchingOptions
  ) => Layer.Layer<never, EX, HandlerRegistry | Exclude<RX, Scope.Scope> | R>
}

/** How a task ended that another one depends on. */
export interface EarlierResult<out Success, out Error> {
  readonly id: string
  readonly exit: Exit.Exit<Success, Error | Handle.Unsuccessful>
}

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
  Bounds.demandKnown(options, optionNames)
  const definition = TaskDefinition.make(type, {
    ...options,
    limits: given(options.limits),
    unique: Unique.given(options.unique),
    payload: toSchema(options.payload) as ToSchema<Payload>,
    success: (options.success ?? Schema.Void) as Success,
    error: (options.error ?? Schema.Never) as Error
  })
  return { ...definition, ...operations(definition) }
}

const operations = <
  Type extends string,
  Payload extends TaskDefinition.PlainSchema,
  Success extends TaskDefinition.PlainSchema,
  Error extends TaskDefinition.PlainSchema
>(
  definition: TaskDefinition.TaskDefinition<Type, Payload, Success, Error>
): Omit<Task<Type, Payload, Success, Error>, keyof TaskDefinition.AnyTaskDefinition> => {
  const handleOf = (
    queue: TaskQueue["Service"],
    accepted: Accepted
  ): Handle.TaskHandle<Success["Type"], Error["Type"], Payload["Type"]> =>
    new Handle.Handle(queue, definition, accepted)
  const enqueue: Task<Type, Payload, Success, Error>["enqueue"] = (payload, options = {}) =>
    Effect.flatMap(
      TaskQueue,
      (queue) =>
        Effect.flatMap(fromPayload(definition, payload, options, 0), (submission) =>
          Effect.map(
            queue.submit([submission], options.whenFull),
            ([accepted]) => handleOf(queue, accepted!)
          ))
    )
  return {
    enqueue,
    execute: (payload, options) => Effect.flatMap(enqueue(payload, options), ({ result }) => result),
    enqueueAll: Effect.fnUntraced(function*(payloads, options = {}) {
      const queue = yield* TaskQueue
      const submissions = yield* ofBatch(definition, payloads, options)
      const accepted = yield* queue.submit(submissions, options.whenFull)
      return accepted.map((one) => handleOf(queue, one))
    }),
    draft: (payload, options) => TaskDraft.make(definition, payload, options),
    results: TaskContext.use(({ earlier }) =>
      Effect.map(earlier, (tasks) =>
        tasks.filter(({ type }) => type === definition.type).map(({ id, outcome }) => ({
          id,
          exit: Handle.resultOf(definition.codec, fromOutcome(outcome))
        })))
    ),
    schedule: (timetable, payload, options) => makeScheduled(definition, timetable, payload, options),
    handle: (id) => Effect.map(TaskQueue, (queue) => handleOf(queue, { id, duplicate: true })),
    complete: (success) =>
      TaskContext.use((context) =>
        context.type === definition.type
          // What a handler is given is the context of its task, and has what depends on its types
          ? (context as HandlerContext<Success["Type"]>).complete(success)
          : Effect.die(new Error(`This attempt is of a task of type ${context.type}, not ${definition.type}`))
      ),
    toLayer: <R, EX, RX>(
      handler: TaskHandler<Payload, Success, Error, R> | Effect.Effect<TaskHandler<Payload, Success, Error, R>, EX, RX>
    ) =>
      // The executor adds the attempt's TaskContext to the services captured here.
      registered<TaskHandler<Payload, Success, Error, R>, Exclude<R, TaskContext>, EX, RX>(
        definition,
        handler,
        (run) => run as RegisteredHandler["run"]
      ),
    toBatchLayer: <R, EX, RX>(
      handler:
        | BatchHandler<Payload, Success, Error, R>
        | Effect.Effect<BatchHandler<Payload, Success, Error, R>, EX, RX>,
      options: Batcher.BatchingOptions
    ) => {
      Batcher.demandOptions(definition, options)
      return registered<BatchHandler<Payload, Success, Error, R>, R, EX, RX>(
        definition,
        handler,
        (run) => Batcher.make(definition, run as Batcher.RunBatch, options)
      )
    }
  }
}
